"""Google's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from ocr_gateway.model import Feature
from ocr_gateway.providers.google.dialect import MAX_IMAGES, GoogleDialect
from ocr_gateway.providers.remote.access import Access, Keys
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.settings import Credentials, OptionalKey, RemoteFeature, RemoteSettings
from ocr_gateway.setting_parts import SecretSource
from rpc_runtime.settings import SettingsSection

_PARENT = re.compile(r"projects/[a-z0-9:.-]+/locations/(us|eu|asia)")


class GoogleCredentials(Credentials):
    """A project's key, or a service account's: the one that ``auth`` names."""

    api_key: OptionalKey = None
    service_account: OptionalKey = None


class GoogleText(RemoteFeature):
    """Text."""

    action: Literal["DOCUMENT_TEXT_DETECTION", "TEXT_DETECTION"] = Field(
        default="DOCUMENT_TEXT_DETECTION", description="For pages, or for the few words of a photograph."
    )
    model: Literal["builtin/stable", "builtin/latest", "builtin/weekly"] = Field(
        default="builtin/stable", description="Which release reads."
    )
    images_per_call: int = Field(
        default=MAX_IMAGES, ge=1, le=MAX_IMAGES, description="How many images one call may carry."
    )


class GoogleFeatures(SettingsSection):
    """What it reads."""

    text: GoogleText = Field(default_factory=GoogleText, description="Blocks, lines and words of text.")


class GoogleSettings(RemoteSettings):
    """Google Cloud Vision, one project."""

    # 1800 requests a minute: docs.cloud.google.com/vision/quotas.
    rates: ClassVar[Mapping[Feature, int]] = {Feature.TEXT: 30}
    key_variables: ClassVar[Mapping[str, str]] = {"api_key": "GOOGLE_VISION_API_KEY"}

    kind: Literal["google"] = Field(default="google", description="Whose service it is.")
    endpoint: str = Field(
        default="https://vision.googleapis.com",
        description="Scheme and host; https://eu-vision.googleapis.com keeps data in the EU. Keys go there.",
    )
    auth: Literal["api_key", "service_account"] = Field(
        default="api_key", description="Which of the credentials lets calls in."
    )
    tokens: Literal["self_signed", "exchanged"] = Field(
        default="self_signed",
        description="A service account's: made here, or asked for at the token_uri of its key file.",
    )
    parent: str = Field(default="", description="projects/ID/locations/us, eu or asia; empty: Google's choice.")
    credentials: GoogleCredentials = Field(
        default_factory=GoogleCredentials,
        description="Of the provider named google: GOOGLE_VISION_API_KEY. service_account: a JSON key file.",
    )
    features: GoogleFeatures = Field(description="What it reads.")

    @field_validator("parent")
    @classmethod
    def _is_a_location(cls, value: str) -> str:
        if value and not _PARENT.fullmatch(value):
            raise ValueError("give projects/ID/locations/us, eu or asia")
        return value


def build_google(name: str, settings: GoogleSettings) -> RemoteProvider:
    """The provider. Keys that are not there, or make no sense, show in its status."""
    http = settings.http_client()
    source = settings.credentials.api_key if settings.auth == "api_key" else settings.credentials.service_account
    missing = _missing(source, settings.auth)
    secret = settings.credentials.read(settings.auth) or ""
    access: Access
    if settings.auth == "api_key":
        access = Keys(name, missing=missing)
    else:
        # Signing takes a tenth of a second to import, which nobody pays who does not use it.
        from ocr_gateway.providers.google.service_account import service_account_access

        access = service_account_access(
            name,
            secret,
            http,
            exchanged=settings.tokens == "exchanged",
            missing=missing,
            timeout_s=settings.timeout_s,
        )
    dialect = GoogleDialect(name, settings, secret if settings.auth == "api_key" else None)
    return RemoteProvider(dialect, http=http, access=access, kept=settings.kept(), timeout_s=settings.timeout_s)


def _missing(source: SecretSource | None, what: str) -> str:
    return f"credentials.{what} is not set" if source is None else source.missing
