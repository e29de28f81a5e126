"""The sizes that a HEIF file states, by a walk over its boxes with bounds, before a library sees the file.

Sources: ISO/IEC 14496-12 (boxes, tkhd, sample entries), ISO/IEC 23008-12 (ispe).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import Size

# Each box that holds others, with the bytes of its own before them.
_HOLDERS = {b"meta": 4, b"stsd": 8} | dict.fromkeys((b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"minf", b"stbl"), 0)

_SIZE = b"ispe"
_TRACK = b"tkhd"
_SAMPLE_ENTRIES = (b"hvc1", b"hev1", b"av01")
_SAMPLE_SIZE_AT = 24
_MAX_DEPTH = 8
# A photograph in tiles has a few hundred.
_MAX_BOXES = 20_000


def stated_sizes(content: bytes, what: str) -> list[Size]:
    """The size of each image, tile and track, as stated. Raises ImageUndecodable for a file that states none, one of
    more than 20 000 boxes, and one that ends inside a box.
    """
    sizes = []
    for count, (kind, start, end) in enumerate(_boxes(content, 0, len(content), 0, what)):
        if count == _MAX_BOXES:
            raise ImageUndecodable(f"{what} has more than {_MAX_BOXES} boxes")
        if kind == _SIZE and end - start >= 12:
            sizes.append(Size(*struct.unpack_from(">2L", content, start + 4)))
        elif kind == _TRACK and end - start >= 8:
            width, height = struct.unpack_from(">2L", content, end - 8)  # in 65 536ths
            sizes.append(Size(width >> 16, height >> 16))
        elif kind in _SAMPLE_ENTRIES and end - start >= _SAMPLE_SIZE_AT + 4:
            sizes.append(Size(*struct.unpack_from(">2H", content, start + _SAMPLE_SIZE_AT)))
    if not any(size.pixels for size in sizes):
        raise ImageUndecodable(f"{what} is damaged: it states no size")
    return sizes


def _boxes(content: bytes, at: int, end: int, depth: int, what: str) -> Iterator[tuple[bytes, int, int]]:
    """Each box's type and where its body starts and ends, those inside it after it."""
    while at + 8 <= end:
        length, kind = struct.unpack_from(">L4s", content, at)
        body = at + 8
        if length == 1 and at + 16 <= end:
            length = struct.unpack_from(">Q", content, body)[0]
            body += 8
        box_end = end if length == 0 else at + length
        if box_end < body or box_end > end:
            raise ImageUndecodable(f"{what} is cut short or damaged: a box ends outside of it")
        yield kind, body, box_end
        skipped = _HOLDERS.get(kind)
        if skipped is not None and depth < _MAX_DEPTH:
            yield from _boxes(content, body + skipped, box_end, depth + 1, what)
        at = box_end
