"""Baidu's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from ocr_gateway.providers.baidu.provider import BaiduProvider
from ocr_gateway.providers.remote.settings import Credentials, Key, RemoteFeature, RemoteSettings
from rpc_runtime.settings import SettingsSection


class BaiduCredentials(Credentials):
    """An application's keys."""

    api_key: Key
    secret_key: Key


class BaiduText(RemoteFeature):
    """Text."""

    endpoint: Literal["general", "general_basic", "accurate", "accurate_basic"] = Field(
        default="general", description="accurate: the better one; _basic: without places."
    )


class BaiduFeatures(SettingsSection):
    """What an account reads."""

    text: BaiduText = Field(default_factory=BaiduText, description="Lines of text.")
    table: RemoteFeature = Field(default_factory=RemoteFeature, description="Tables.")
    id: RemoteFeature = Field(default_factory=RemoteFeature, description="Identity cards and other documents.")


class BaiduSettings(RemoteSettings):
    """Baidu AIP, one account."""

    day_offset_h: ClassVar[float] = 8.0
    key_variables: ClassVar[Mapping[str, str]] = {"api_key": "BAIDU_API_KEY", "secret_key": "BAIDU_SECRET_KEY"}

    kind: Literal["baidu"] = Field(default="baidu", description="Whose service it is.")
    endpoint: str = Field(
        default="https://aip.baidubce.com", description="Scheme and host. The keys go there, so http is for tests."
    )
    credentials: BaiduCredentials = Field(description="Of the provider named baidu: BAIDU_API_KEY, BAIDU_SECRET_KEY.")
    features: BaiduFeatures = Field(description="What it reads.")


def build_baidu(name: str, settings: BaiduSettings) -> BaiduProvider:
    """The provider. Keys that are not there show in its status."""
    return BaiduProvider(
        name,
        endpoint=settings.endpoint,
        api_key=settings.credentials.read("api_key"),
        secret_key=settings.credentials.read("secret_key"),
        missing_keys=settings.credentials.missing,
        http=settings.http_client(),
        quotas=settings.quotas(),
        prices=settings.prices(),
        text_endpoint=settings.features.text.endpoint,
        timeout_s=settings.timeout_s,
    )
