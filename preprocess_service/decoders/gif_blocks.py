"""The blocks of a GIF up to the end of its first image, walked with bounds, so that no library has to.

Source: GIF89a specification, CompuServe 1990.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import Size

_SCREEN_BYTES = 13
_DESCRIPTOR_BYTES = 10
_IMAGE = 0x2C
_EXTENSION = 0x21
_CONTROL = 0xF9
_TRAILER = b";"
_HAS_PALETTE = 0x80
_HAS_TRANSPARENCY = 0x01
# Before the first image, a file as programs write it has a few.
_MAX_EXTENSIONS = 2000
# Of 255 bytes each, they hold any image below the limit on pixels.
_MAX_DATA_BLOCKS = 1_000_000


@dataclass(frozen=True, slots=True)
class GifFrame:
    """The first image: ``content`` is a GIF of it alone; it stands at (left, top) of the canvas, pixels."""

    canvas: Size
    left: int
    top: int
    size: Size
    content: bytes


def first_frame_of(content: bytes) -> GifFrame:
    """The first image of a file that is known for a GIF, and the canvas large enough for it, as viewers make it.

    Raises ImageUndecodable for a file without an image, one that is cut short, and one of more than 2000 extensions
    before its image or a million blocks.
    """
    at = _SCREEN_BYTES + _palette_bytes(content, _SCREEN_BYTES - 3)
    screen = content[:at]
    transparency = b""
    for _ in range(_MAX_EXTENSIONS):
        introducer = content[at] if at < len(content) else None
        if introducer == _IMAGE:
            return _frame_at(content, at, screen, transparency)
        if introducer != _EXTENSION:
            raise ImageUndecodable("the GIF is cut short or damaged: it has no image")
        end = _end_of_blocks(content, at + 2)
        if content[at + 1] == _CONTROL and end - at == 8:
            transparency = content[at:end] if content[at + 3] & _HAS_TRANSPARENCY else b""
        at = end
    raise ImageUndecodable(f"the GIF has more than {_MAX_EXTENSIONS} extensions before its image")


def _frame_at(content: bytes, at: int, screen: bytes, transparency: bytes) -> GifFrame:
    if at + _DESCRIPTOR_BYTES > len(content):
        raise ImageUndecodable("the GIF is cut short: it has no pixels")
    left, top, width, height = struct.unpack_from("<4H", content, at + 1)
    canvas_width, canvas_height = struct.unpack_from("<2H", content, 6)
    data_at = at + _DESCRIPTOR_BYTES + _palette_bytes(content, at + _DESCRIPTOR_BYTES - 1)
    end = _end_of_blocks(content, data_at + 1)
    alone = (
        *(screen[:6], struct.pack("<2H", width, height), screen[10:], transparency),
        *(struct.pack("<B4H", _IMAGE, 0, 0, width, height), content[at + 9 : end], _TRAILER),
    )
    canvas = Size(max(canvas_width, left + width), max(canvas_height, top + height))
    return GifFrame(canvas, left, top, Size(width, height), b"".join(alone))


def _palette_bytes(content: bytes, flags_at: int) -> int:
    if flags_at >= len(content):
        raise ImageUndecodable("the GIF is cut short")
    flags = content[flags_at]
    return 3 << (flags & 7) + 1 if flags & _HAS_PALETTE else 0


def _end_of_blocks(content: bytes, at: int) -> int:
    """Where the chain of data blocks that begins here ends, behind the empty one."""
    for _ in range(_MAX_DATA_BLOCKS):
        if at >= len(content):
            raise ImageUndecodable("the GIF is cut short: its data ends before its image does")
        length = content[at]
        at += 1 + length
        if not length:
            return at
    raise ImageUndecodable(f"the GIF has more than {_MAX_DATA_BLOCKS} data blocks")
