"""What servers of one's own have in common: no keys by default, no quota but calls at one time."""

from __future__ import annotations

from typing import ClassVar

from ocr_gateway.providers.remote.settings import RemoteSettings

CALLS_AT_ONCE = 8
READABLE = ("image/jpeg", "image/png", "image/bmp", "image/tiff", "image/webp")
"""What OpenCV and Pillow read, with which such servers decode."""


class SelfHostedSettings(RemoteSettings):
    """A server of one's own. Where it wants a key, that is a bearer token."""

    rates: ClassVar = {}
    may_have_path: ClassVar[bool] = True
    calls_at_once: ClassVar[int | None] = CALLS_AT_ONCE
