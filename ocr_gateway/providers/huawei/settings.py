"""Huawei's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from ocr_gateway.model import Feature, ProviderDescription, ProviderKind
from ocr_gateway.providers.huawei.actions import DOCUMENT_ACTIONS, LANGUAGES, limits_of
from ocr_gateway.providers.huawei.dialect import HuaweiDialect
from ocr_gateway.providers.remote.building import remote_provider
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.settings import Credentials, Key, OptionalKey, RemoteFeature, RemoteSettings
from rpc_runtime.settings import SettingsSection


class HuaweiCredentials(Credentials):
    """AK and SK of an account, and the project in whose name it calls; a token where the keys are temporary."""

    project_id: Key
    access_key: Key
    secret_key: Key
    security_token: OptionalKey = None


class HuaweiFeatures(SettingsSection):
    """What an account reads."""

    text: RemoteFeature = Field(default_factory=RemoteFeature, description="Lines of text.")
    table: RemoteFeature = Field(default_factory=RemoteFeature, description="Tables.")
    id: RemoteFeature = Field(default_factory=RemoteFeature, description="Identity cards and other documents.")


class HuaweiSettings(RemoteSettings):
    """Huawei Cloud OCR, one account in one region."""

    day_offset_h: ClassVar[float] = 8.0
    # Not the vendor's usual variables: those are there for other services, and images must not go out for that.
    key_variables: ClassVar[Mapping[str, str]] = {
        "project_id": "HUAWEI_OCR_PROJECT_ID",
        "access_key": "HUAWEI_OCR_ACCESS_KEY",
        "secret_key": "HUAWEI_OCR_SECRET_KEY",
    }

    kind: Literal["huawei"] = Field(default="huawei", description="Whose service it is.")
    endpoint: str = Field(
        default="https://ocr.cn-north-4.myhuaweicloud.com",
        description="Scheme and host, of the project's region. http is for tests.",
    )
    credentials: HuaweiCredentials = Field(
        description="Of the provider named huawei: HUAWEI_OCR_PROJECT_ID, HUAWEI_OCR_ACCESS_KEY, HUAWEI_OCR_SECRET_KEY."
    )
    features: HuaweiFeatures = Field(description="What it reads.")


def build_huawei(name: str, settings: HuaweiSettings) -> RemoteProvider:
    """The provider. Keys that are not there show in its status."""
    features, keys = settings.features, settings.credentials
    description = ProviderDescription(
        name=name,
        display_name="Huawei Cloud OCR",
        kind=ProviderKind.CLOUD,
        features={
            Feature.TEXT: features.text.support(limits_of(Feature.TEXT), mosaic=True),
            Feature.TABLE: features.table.support(limits_of(Feature.TABLE)),
            Feature.ID_DOCUMENT: features.id.support(
                limits_of(Feature.ID_DOCUMENT), documents=frozenset(DOCUMENT_ACTIONS)
            ),
        },
        languages=tuple(LANGUAGES),
    )
    dialect = HuaweiDialect(
        description,
        endpoint=settings.endpoint,
        project_id=keys.read("project_id") or "",
        access_key=keys.read("access_key") or "",
        secret_key=keys.read("secret_key") or "",
        security_token=keys.read("security_token"),
    )
    return remote_provider(dialect, settings)
