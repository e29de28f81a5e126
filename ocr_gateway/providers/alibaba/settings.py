"""Alibaba's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from ocr_gateway.model import Feature, ProviderDescription, ProviderKind
from ocr_gateway.providers.alibaba.actions import DOCUMENT_ACTIONS, LANGUAGES, LIMITS
from ocr_gateway.providers.alibaba.dialect import AlibabaDialect
from ocr_gateway.providers.remote.building import remote_provider
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.settings import Credentials, Key, OptionalKey, RemoteFeature, RemoteSettings
from rpc_runtime.settings import SettingsSection


class AlibabaCredentials(Credentials):
    """An access key; a security token where it is temporary."""

    access_key_id: Key
    access_key_secret: Key
    security_token: OptionalKey = None


class AlibabaText(RemoteFeature):
    """Text."""

    action: Literal["RecognizeGeneral", "RecognizeAdvanced"] = Field(
        default="RecognizeGeneral", description="RecognizeAdvanced: the better one."
    )


class AlibabaFeatures(SettingsSection):
    """What an account reads."""

    text: AlibabaText = Field(default_factory=AlibabaText, description="Lines of text.")
    table: RemoteFeature = Field(default_factory=RemoteFeature, description="Tables.")
    id: RemoteFeature = Field(default_factory=RemoteFeature, description="Identity cards and other documents.")


class AlibabaSettings(RemoteSettings):
    """Alibaba Cloud OCR, one account."""

    rates: ClassVar[Mapping[Feature, int]] = {Feature.TEXT: 10, Feature.TABLE: 10, Feature.ID_DOCUMENT: 10}
    day_offset_h: ClassVar[float] = 8.0
    # Not the vendor's usual variables: those are there for other services, and images must not go out for that.
    key_variables: ClassVar[Mapping[str, str]] = {
        "access_key_id": "ALIBABA_OCR_ACCESS_KEY_ID",
        "access_key_secret": "ALIBABA_OCR_ACCESS_KEY_SECRET",
    }

    kind: Literal["alibaba"] = Field(default="alibaba", description="Whose service it is.")
    endpoint: str = Field(
        default="https://ocr-api.cn-hangzhou.aliyuncs.com", description="Scheme and host. http is for tests."
    )
    credentials: AlibabaCredentials = Field(
        description="Of the provider named alibaba: ALIBABA_OCR_ACCESS_KEY_ID, ALIBABA_OCR_ACCESS_KEY_SECRET."
    )
    features: AlibabaFeatures = Field(description="What it reads.")


def build_alibaba(name: str, settings: AlibabaSettings) -> RemoteProvider:
    """The provider. Keys that are not there show in its status."""
    features, keys = settings.features, settings.credentials
    description = ProviderDescription(
        name=name,
        display_name="Alibaba Cloud OCR",
        kind=ProviderKind.CLOUD,
        features={
            Feature.TEXT: features.text.support(LIMITS, mosaic=True),
            Feature.TABLE: features.table.support(LIMITS),
            Feature.ID_DOCUMENT: features.id.support(LIMITS, documents=frozenset(DOCUMENT_ACTIONS)),
        },
        languages=tuple(LANGUAGES),
    )
    dialect = AlibabaDialect(
        description,
        endpoint=settings.endpoint,
        text_action=features.text.action,
        access_key_id=keys.read("access_key_id") or "",
        access_key_secret=keys.read("access_key_secret") or "",
        security_token=keys.read("security_token"),
    )
    return remote_provider(dialect, settings)
