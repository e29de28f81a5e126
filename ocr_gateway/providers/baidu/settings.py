"""Baidu's settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from ocr_gateway.model import Feature, FeatureSupport
from ocr_gateway.providers.baidu.dialect import AccessKey, BaiduDialect
from ocr_gateway.providers.baidu.endpoints import DOCUMENT_ENDPOINTS, ENDPOINTS
from ocr_gateway.providers.baidu.token import token_fetcher
from ocr_gateway.providers.http import HttpClient
from ocr_gateway.providers.remote.access import Access, Keys
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.settings import Credentials, Key, RemoteFeature, RemoteSettings
from ocr_gateway.providers.remote.token_keeper import TokenKeeper
from rpc_runtime.settings import SettingsSection


class BaiduCredentials(Credentials):
    """An application's keys; for ``auth: bce`` the access key of an account, and its secret."""

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
    auth: Literal["token", "bce"] = Field(
        default="token", description="How calls are let in: by a token for an application's keys, or signed."
    )
    features: BaiduFeatures = Field(description="What it reads.")

    def supports(self) -> dict[Feature, FeatureSupport]:
        """Each feature, with the limits of the endpoint that its calls go to."""
        features = self.features
        return {
            Feature.TEXT: features.text.support(ENDPOINTS[features.text.endpoint].limits, mosaic=True),
            Feature.TABLE: features.table.support(ENDPOINTS["table"].limits),
            Feature.ID_DOCUMENT: features.id.support(
                ENDPOINTS["idcard"].limits, documents=frozenset(DOCUMENT_ENDPOINTS)
            ),
        }


def build_baidu(
    name: str,
    settings: BaiduSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
) -> RemoteProvider:
    """The provider. Keys that are not there show in its status. The clocks are RemoteProvider's."""
    http, key = settings.http_client(), _key(settings)
    dialect = BaiduDialect(
        name,
        address=settings.endpoint,
        features=settings.supports(),
        text_endpoint=settings.features.text.endpoint,
        key=key if settings.auth == "bce" else None,
    )
    return RemoteProvider(
        dialect,
        http=http,
        access=_access(name, settings, http, key, clock),
        kept=settings.kept(),
        timeout_s=settings.timeout_s,
        day_offset_s=round(settings.day_offset_h * 3600),
        clock=clock,
        wall_clock=wall_clock,
    )


def _key(settings: BaiduSettings) -> AccessKey:
    keys = settings.credentials
    return AccessKey(keys.read("api_key") or "", keys.read("secret_key") or "")


def _access(name: str, settings: BaiduSettings, http: HttpClient, key: AccessKey, clock: Callable[[], float]) -> Access:
    missing = settings.credentials.missing
    if settings.auth == "bce":
        return Keys(name, missing=missing, clock=clock)
    fetch = token_fetcher(
        http,
        address=settings.endpoint,
        api_key=key.access_key,
        secret_key=key.secret_key,
        timeout_s=settings.timeout_s,
    )
    return TokenKeeper(fetch, provider=name, missing=missing, kept=settings.kept(), clock=clock)
