"""JSON bodies that hold images, written round the base64, so that large ones are neither escaped nor copied twice."""

from __future__ import annotations

import base64
import json
from typing import Any

_MARK = "\x00image\x00"
_QUOTED_MARK = json.dumps(_MARK).encode()


def image_mark() -> str:
    """Where an image's base64 goes, as a whole string or after a beginning such as ``data:image/png;base64,``."""
    return _MARK


def json_with_images(said: Any, *images: bytes) -> bytes:
    """``said`` as compact JSON, each mark replaced by an image's base64, in order.

    Raises ValueError when there are not as many marks as images.
    """
    encoded = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    pieces = encoded.split(_QUOTED_MARK[1:-1])
    if len(pieces) != len(images) + 1:
        raise ValueError(f"{len(pieces) - 1} places for {len(images)} images")
    joined = [pieces[0]]
    for image, piece in zip(images, pieces[1:], strict=True):
        joined += (base64.b64encode(image), piece)
    return b"".join(joined)


def base64_bytes(size: int) -> int:
    """How many bytes ``size`` bytes have in base64 (RFC 4648)."""
    return (size + 2) // 3 * 4


def raw_bytes_within(limit: int) -> int:
    """How many bytes an image may have for its base64 to keep within ``limit``."""
    return limit // 4 * 3
