"""Tencent's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from ocr_gateway.model import Feature, ProviderDescription, ProviderKind
from ocr_gateway.providers.remote.building import remote_provider
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.settings import Credentials, Key, OptionalKey, RemoteFeature, RemoteSettings
from ocr_gateway.providers.tencent.actions import DOCUMENT_ACTIONS, LANGUAGES, limits_of
from ocr_gateway.providers.tencent.dialect import TencentDialect
from rpc_runtime.settings import SettingsSection


class TencentCredentials(Credentials):
    """Keys of an account; a token where they are temporary."""

    secret_id: Key
    secret_key: Key
    token: OptionalKey = None


class TencentText(RemoteFeature):
    """Text."""

    action: Literal["GeneralBasicOCR", "GeneralAccurateOCR"] = Field(
        default="GeneralBasicOCR", description="GeneralAccurateOCR: the better one, 10 a second unless more was bought."
    )


class TencentFeatures(SettingsSection):
    """What an account reads."""

    text: TencentText = Field(default_factory=TencentText, description="Lines of text.")
    table: RemoteFeature = Field(default_factory=RemoteFeature, description="Tables.")
    id: RemoteFeature = Field(default_factory=RemoteFeature, description="Identity cards and other documents.")


class TencentSettings(RemoteSettings):
    """Tencent Cloud OCR, one account."""

    rates: ClassVar[Mapping[Feature, int]] = {Feature.TEXT: 20, Feature.TABLE: 2, Feature.ID_DOCUMENT: 10}
    day_offset_h: ClassVar[float] = 8.0
    # Not the vendor's usual variables: those are there for other services, and images must not go out for that.
    key_variables: ClassVar[Mapping[str, str]] = {
        "secret_id": "TENCENT_OCR_SECRET_ID",
        "secret_key": "TENCENT_OCR_SECRET_KEY",
    }

    kind: Literal["tencent"] = Field(default="tencent", description="Whose service it is.")
    endpoint: str = Field(default="https://ocr.tencentcloudapi.com", description="Scheme and host. http is for tests.")
    region: str | None = Field(default=None, description="X-TC-Region; the service needs none.")
    credentials: TencentCredentials = Field(
        description="Of the provider named tencent: TENCENT_OCR_SECRET_ID, TENCENT_OCR_SECRET_KEY."
    )
    features: TencentFeatures = Field(description="What it reads.")


def build_tencent(name: str, settings: TencentSettings) -> RemoteProvider:
    """The provider. Keys that are not there show in its status."""
    features, action = settings.features, settings.features.text.action
    description = ProviderDescription(
        name=name,
        display_name="Tencent Cloud OCR",
        kind=ProviderKind.CLOUD,
        features={
            Feature.TEXT: features.text.support(limits_of(Feature.TEXT, action), mosaic=True),
            Feature.TABLE: features.table.support(limits_of(Feature.TABLE, action)),
            Feature.ID_DOCUMENT: features.id.support(
                limits_of(Feature.ID_DOCUMENT, action), documents=frozenset(DOCUMENT_ACTIONS)
            ),
        },
        languages=tuple(LANGUAGES),
    )
    keys = settings.credentials
    dialect = TencentDialect(
        description,
        endpoint=settings.endpoint,
        text_action=action,
        secret_id=keys.read("secret_id") or "",
        secret_key=keys.read("secret_key") or "",
        token=keys.read("token"),
        region=settings.region,
    )
    return remote_provider(dialect, settings)
