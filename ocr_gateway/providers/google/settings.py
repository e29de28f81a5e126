"""Google's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ocr_gateway.model import Feature
from ocr_gateway.providers.remote.settings import Credentials, OptionalKey, RemoteFeature, RemoteSettings
from rpc_runtime.settings import SettingsSection
from rpc_runtime.settings_source import fault_at

MAX_IMAGES = 16
"""In one call: docs.cloud.google.com/vision/quotas."""
_PARENT = re.compile(r"projects/[a-z0-9:.-]+/locations/(us|eu|asia)")


DEFAULT_IMAGES = 15


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
        default=DEFAULT_IMAGES, ge=1, le=MAX_IMAGES, description="How many images one call may carry."
    )


class GoogleFeatures(SettingsSection):
    """What a project reads."""

    text: GoogleText = Field(default_factory=GoogleText, description="Blocks, lines and words of text.")


class GoogleSettings(RemoteSettings):
    """Google Cloud Vision, one project."""

    # 1800 requests and 1800 images a minute (docs.cloud.google.com/vision/quotas): 2 calls a second of up to 15 images.
    rates: ClassVar[Mapping[Feature, int]] = {Feature.TEXT: 2}
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

    @model_validator(mode="before")
    @classmethod
    def _other_credential_is_left_out(cls, given: object) -> object:
        """So that nobody misses it: the provider named google has its variable's name for a key in any case."""
        keys = given.get("credentials") if isinstance(given, Mapping) else None
        if not isinstance(given, Mapping) or not isinstance(keys, Mapping):
            return given
        other = "api_key" if given.get("auth") == "service_account" else "service_account"
        return {**given, "credentials": {name: source for name, source in keys.items() if name != other}}

    @model_validator(mode="after")
    def _credential_is_there(self) -> Self:
        if getattr(self.credentials, self.auth) is None:
            raise fault_at(("credentials", self.auth), "is not set, and auth names it")
        return self

    @field_validator("parent")
    @classmethod
    def _is_a_location(cls, value: str) -> str:
        if value and not _PARENT.fullmatch(value):
            raise ValueError("give projects/ID/locations/us, eu or asia")
        return value
