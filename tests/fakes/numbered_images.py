"""Images that differ in nothing but a number, so that thousands of distinct ones cost nothing to make."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
from PIL import Image

_AFTER_IHDR = 33


def png_of_size(size_bytes: int) -> bytes:
    """A PNG of about so many bytes (from 1000 on), grey noise that does not compress."""
    side = max(16, int((size_bytes - 100) ** 0.5))
    pixels = np.random.default_rng(5).integers(0, 256, (side, side), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=0)
    return out.getvalue()


def numbered(png: bytes, number: int | str) -> bytes:
    """The PNG with a text chunk that holds the number: another file, and so another image to whoever hashes it."""
    data = b"Number\0" + str(number).encode()
    chunk = struct.pack(">I", len(data)) + b"tEXt" + data + struct.pack(">I", zlib.crc32(b"tEXt" + data))
    return png[:_AFTER_IHDR] + chunk + png[_AFTER_IHDR:]


def text_of(image: bytes) -> str:
    """What the stand-in provider reads on an image."""
    return hashlib.sha256(image).hexdigest()[:16]
