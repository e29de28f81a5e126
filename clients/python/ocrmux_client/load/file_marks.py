"""The same picture in another file: a comment of its own, so that nobody who hashes it has seen it before."""

from __future__ import annotations

import struct
import zlib

_PNG, _PNG_HEADER_BYTES = b"\x89PNG\r\n\x1a\n", 33
_JPEG = b"\xff\xd8\xff"


def can_be_marked(content: bytes) -> bool:
    """Whether it is a PNG or a JPEG."""
    return content.startswith((_PNG, _JPEG))


def marked(content: bytes, mark: str) -> bytes:
    """The PNG or JPEG with the mark in a comment; a decoder sees the same pixels. ValueError for anything else."""
    if content.startswith(_PNG):
        data = b"Comment\0" + mark.encode("latin-1")
        chunk = struct.pack(">I", len(data)) + b"tEXt" + data + struct.pack(">I", zlib.crc32(b"tEXt" + data))
        return content[:_PNG_HEADER_BYTES] + chunk + content[_PNG_HEADER_BYTES:]
    if content.startswith(_JPEG):
        at = _after_applications(content)
        data = mark.encode("latin-1")
        return content[:at] + b"\xff\xfe" + struct.pack(">H", len(data) + 2) + data + content[at:]
    raise ValueError("only PNG and JPEG files take a mark")


def _after_applications(jpeg: bytes) -> int:
    """Where the APP segments end: JFIF and EXIF must stand first."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and 0xE0 <= jpeg[at + 1] <= 0xEF:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return at if at <= len(jpeg) else 2
