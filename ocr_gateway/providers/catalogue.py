"""Every kind of provider over the network: its settings, and how it is built of them. A new one adds its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ocr_gateway.providers.baidu.settings import BaiduSettings, build_baidu
from ocr_gateway.providers.base import Provider
from ocr_gateway.providers.remote.settings import RemoteSettings


@dataclass(frozen=True, slots=True)
class RemoteKind:
    """One kind: ``build`` makes a provider of a name and settings of the class ``settings``."""

    settings: type[RemoteSettings]
    build: Callable[[str, Any], Provider]


REMOTE_KINDS: Mapping[str, RemoteKind] = {
    "baidu": RemoteKind(BaiduSettings, build_baidu),
}
