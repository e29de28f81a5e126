"""The chain of directories in a TIFF file: where its pages are, found without reading their pixels.

Source: TIFF 6.0, section 2, and the BigTIFF design by libtiff.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_NEW_SUBFILE_TYPE = 254
_REDUCED_OR_MASK = 0b101
_COUNTED_PAGES = 100_000
_MAX_ENTRIES = 4096


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """How the file states its offsets: classic with 4 bytes, BigTIFF with 8."""

    order: str
    is_big: bool

    @property
    def header_bytes(self) -> int:
        """Length of the file's header; its last part is the first directory's offset."""
        return 16 if self.is_big else 8

    @property
    def offset_format(self) -> str:
        """The struct format of an offset."""
        return self.order + ("Q" if self.is_big else "L")

    @property
    def entry_bytes(self) -> int:
        """Length of one directory entry."""
        return 20 if self.is_big else 12


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One page's directory. ``damage`` says why it cannot be read, and is empty where it can."""

    offset: int
    damage: str = ""


def layout_of(content: bytes) -> TiffLayout:
    """The layout, by the first four bytes of a file that is known for a TIFF."""
    order = "<" if content[:2] == b"II" else ">"
    return TiffLayout(order, is_big=43 in content[2:4])


def pages_of(content: bytes, layout: TiffLayout) -> tuple[TiffPage, ...]:
    """Each page in the order of the chain, at most 100 000.

    Thumbnails and masks, as their directories state themselves, are no pages unless nothing else is there. A chain
    that breaks off or runs in a circle ends with a damaged page, since what was to follow is lost.
    """
    pages: list[TiffPage] = []
    reduced: list[TiffPage] = []
    seen: set[int] = set()
    offset_length = struct.calcsize(layout.offset_format)
    offset = _number(content, layout.header_bytes - offset_length, layout.offset_format) or 0
    while offset and len(seen) < _COUNTED_PAGES:
        if offset in seen:
            pages.append(TiffPage(offset, "the chain of its pages runs in a circle"))
            break
        seen.add(offset)
        entries = _number(content, offset, layout.order + ("Q" if layout.is_big else "H"))
        if not entries or entries > _MAX_ENTRIES:
            pages.append(TiffPage(offset, "its directory is missing: the file is cut short or damaged"))
            break
        first_entry = offset + (8 if layout.is_big else 2)
        next_at = first_entry + entries * layout.entry_bytes
        next_offset = _number(content, next_at, layout.offset_format)
        if next_offset is None:
            pages.append(TiffPage(offset, "its directory is cut short"))
            break
        is_page = not _subfile_type(content, first_entry, entries, layout) & _REDUCED_OR_MASK
        (pages if is_page else reduced).append(TiffPage(offset))
        offset = next_offset
    return tuple(pages or reduced)


def _number(content: bytes, at: int, number_format: str) -> int | None:
    if at < 0 or at + struct.calcsize(number_format) > len(content):
        return None
    return int(struct.unpack_from(number_format, content, at)[0])


def _subfile_type(content: bytes, first_entry: int, entries: int, layout: TiffLayout) -> int:
    """The bits of NewSubfileType, 0 where it is absent. Entries stand in ascending order of their tags."""
    for index in range(entries):
        at = first_entry + index * layout.entry_bytes
        tag = _number(content, at, layout.order + "H")
        if tag == _NEW_SUBFILE_TYPE:
            return _number(content, at + (12 if layout.is_big else 8), layout.order + "L") or 0
        if tag is None or tag > _NEW_SUBFILE_TYPE:
            break
    return 0
