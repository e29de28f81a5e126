"""Every provider over the network, with the stand-in that it is tried against. A new one adds its case here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from ocr_gateway.model import Feature
from ocr_gateway.provider_settings import with_kind
from ocr_gateway.providers.base import Provider
from ocr_gateway.providers.catalogue import REMOTE_KINDS


@dataclass(frozen=True, slots=True)
class RemoteCase:
    """One kind of provider. ``keys`` are its credentials as the stand-in called ``vendor`` takes them, ``settings``
    what else its section of the settings has. ``wrong_keys`` are those that the stand-in rejects: unless they are
    given, the same with the last one altered. ``fetches_token``: calls need a token, which expires. ``batch`` is how
    many images a call for text may carry."""

    kind: str
    vendor: str
    keys: Mapping[str, str]
    features: tuple[Feature, ...] = (Feature.TEXT,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    stand_in: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the stand-in."""
    wrong_keys: Mapping[str, str] | None = None
    fetches_token: bool = False
    batch: int = 1

    def build(self, endpoint: str, keys: Mapping[str, str] | None = None, **settings: Any) -> Provider:
        """The provider, made of settings as the gateway makes it, with keys in the environment; not yet started."""
        remote = REMOTE_KINDS[self.kind]
        given: dict[str, Any] = {"kind": self.kind, "endpoint": endpoint, **self.settings, **settings}
        values = self.keys if keys is None else keys
        if values:
            given["credentials"] = {name: {"env": self.variable(name)} for name in values}
        for name, value in values.items():
            os.environ[self.variable(name)] = value
        parsed = TypeAdapter(remote.settings).validate_python(with_kind(self.kind, given))
        return remote.build(self.kind, parsed)

    @property
    def rejected_keys(self) -> dict[str, str]:
        """Keys that the stand-in rejects."""
        if self.wrong_keys is not None:
            return dict(self.wrong_keys)
        last = list(self.keys)[-1]
        return {**self.keys, last: f"{self.keys[last][::-1]}wrong"}

    def variable(self, key: str) -> str:
        """The environment's variable that holds a key."""
        return f"OCRMUX_TEST_{self.kind}_{key}".upper().replace("-", "_")


CASES: tuple[RemoteCase, ...] = (
    RemoteCase(
        kind="aws",
        vendor="aws",
        keys={"access_key_id": "standin-key", "secret_access_key": "standin-secret"},
        features=(Feature.TEXT, Feature.TABLE, Feature.ID_DOCUMENT),
    ),
    RemoteCase(kind="google", vendor="google", keys={"api_key": "standin-key"}, batch=15),
    RemoteCase(
        kind="azure",
        vendor="azure",
        keys={"api_key": "standin-key"},
        features=(Feature.TEXT, Feature.TABLE, Feature.ID_DOCUMENT),
    ),
    RemoteCase(kind="azure_vision", vendor="azure_vision", keys={"api_key": "standin-key"}),
    RemoteCase(
        kind="kserve",
        vendor="kserve",
        keys={"api_key": "standin-key"},
        settings={"model": "ocr", "features": {"text": {"outputs": {"scores": "scores", "boxes": "boxes"}}}},
    ),
    RemoteCase(
        kind="mistral",
        vendor="mistral",
        keys={"api_key": "standin-key"},
        features=(Feature.TEXT, Feature.TABLE),
    ),
    RemoteCase(
        kind="openai",
        vendor="openai",
        keys={"api_key": "standin-key"},
        features=(Feature.TEXT, Feature.TABLE),
        settings={"model": "PaddleOCR-VL", "features": {"table": {}}},
    ),
    RemoteCase(kind="paddlex", vendor="paddlex", keys={}),
    RemoteCase(
        kind="alibaba",
        vendor="alibaba",
        keys={"access_key_id": "standin-key", "access_key_secret": "standin-secret"},
        features=(Feature.TEXT, Feature.TABLE, Feature.ID_DOCUMENT),
    ),
    RemoteCase(
        kind="huawei",
        vendor="huawei",
        keys={"project_id": "standin-project", "access_key": "standin-key", "secret_key": "standin-secret"},
        features=(Feature.TEXT, Feature.TABLE, Feature.ID_DOCUMENT),
    ),
    RemoteCase(
        kind="tencent",
        vendor="tencent",
        keys={"secret_id": "standin-key", "secret_key": "standin-secret"},
        features=(Feature.TEXT, Feature.TABLE, Feature.ID_DOCUMENT),
    ),
    RemoteCase(
        kind="baidu",
        vendor="baidu",
        keys={"api_key": "standin-key", "secret_key": "standin-secret"},
        features=(Feature.TEXT, Feature.TABLE, Feature.ID_DOCUMENT),
        fetches_token=True,
    ),
)
