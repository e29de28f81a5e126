"""The chain of directories in a TIFF file: where its pages are, found without reading their pixels.

Directories may overlap in a hostile file, so that all of them together are far larger than it, and so may the values
that they point to: such a file or page is refused. Of each directory only the first few entries are looked at while
pages are counted, and the counting ends just above the limit.

Source: TIFF 6.0, section 2, and the BigTIFF design by libtiff.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from preprocess_service.errors import ImageUndecodable

_NEW_SUBFILE_TYPE = 254
_REDUCED_OR_MASK = 0b101
# Thumbnails and masks, at most so many a page.
_DIRECTORIES_A_PAGE = 8
_MAX_ENTRIES = 4096
# Entries stand in ascending order of their tags, and no tag below NewSubfileType's is in use.
_ENTRIES_LOOKED_AT = 8

_STRIPS_AND_TILES = (273, 279, 324, 325)
# Tiles of 32 x 32 px at 100 megapixels. Each costs a reader about 10 microseconds.
_MAX_STRIPS = 100_000
# By the number of the type. A value that is larger than the file is none; two tags may share theirs.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_VALUES_A_BYTE = 4
# Pillow reads these too when it loads a page: EXIF, GPS, interoperability.
_FURTHER_DIRECTORIES = (34665, 34853, 40965)


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
    def offset_bytes(self) -> int:
        """Length of an offset, and of what an entry holds of its value."""
        return 8 if self.is_big else 4

    @property
    def count_format(self) -> str:
        """The struct format of a directory's number of entries."""
        return self.order + ("Q" if self.is_big else "H")

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


def pages_of(content: bytes, layout: TiffLayout, max_pages: int) -> tuple[TiffPage, ...]:
    """Each page in the order of the chain; the counting ends with one page more than ``max_pages``.

    Thumbnails and masks, as their directories state themselves, are no pages unless nothing else is there. A chain
    that breaks off, runs in a circle or holds far more thumbnails than pages ends with a damaged page, since what was
    to follow is lost. Raises ImageUndecodable for directories that together are larger than the file.
    """
    pages: list[TiffPage] = []
    reduced: list[TiffPage] = []
    seen: set[int] = set()
    directory_bytes = 0
    offset = _number(content, layout.header_bytes - layout.offset_bytes, layout.offset_format) or 0
    while offset and max(len(pages), len(reduced) // _DIRECTORIES_A_PAGE) <= max_pages:
        if offset in seen:
            pages.append(TiffPage(offset, "the chain of its pages runs in a circle"))
            break
        seen.add(offset)
        entries = _number(content, offset, layout.count_format)
        if not entries or entries > _MAX_ENTRIES:
            pages.append(TiffPage(offset, "its directory is missing: the file is cut short or damaged"))
            break
        first_entry = offset + struct.calcsize(layout.count_format)
        next_at = first_entry + entries * layout.entry_bytes
        next_offset = _number(content, next_at, layout.offset_format)
        if next_offset is None:
            pages.append(TiffPage(offset, "its directory is cut short"))
            break
        directory_bytes += next_at + layout.offset_bytes - offset
        if directory_bytes > len(content):
            raise ImageUndecodable("the TIFF is damaged: its directories overlap")
        is_page = not _subfile_type(content, first_entry, entries, layout) & _REDUCED_OR_MASK
        (pages if is_page else reduced).append(TiffPage(offset))
        offset = next_offset
    if len(reduced) // _DIRECTORIES_A_PAGE > max_pages:
        pages.append(TiffPage(offset, "more of its directories than can be are thumbnails"))
    return tuple(pages or reduced[: max_pages + 1])


def check_page(content: bytes, layout: TiffLayout, page: TiffPage) -> None:
    """Raises ImageUndecodable for a page whose directory would take a reader without bounds much time or memory: of
    more than 100 000 strips or tiles, with an EXIF directory of more than 4096 entries, or with values that together
    are far larger than the file.
    """
    value_bytes = 0
    entries = _number(content, page.offset, layout.count_format) or 0
    first_entry = page.offset + struct.calcsize(layout.count_format)
    for at in range(first_entry, first_entry + entries * layout.entry_bytes, layout.entry_bytes):
        tag = _number(content, at, layout.order + "H")
        if tag in _STRIPS_AND_TILES and (_number(content, at + 4, layout.offset_format) or 0) > _MAX_STRIPS:
            raise ImageUndecodable(f"a page of the TIFF has more than {_MAX_STRIPS} strips or tiles")
        kind = _number(content, at + 2, layout.order + "H") or 0
        value_bytes += _TYPE_BYTES.get(kind, 0) * (_number(content, at + 4, layout.offset_format) or 0)
        if value_bytes > _VALUES_A_BYTE * len(content):
            raise ImageUndecodable("a page of the TIFF states values that are larger than the file")
        if tag in _FURTHER_DIRECTORIES:
            further = _number(content, at + layout.entry_bytes - layout.offset_bytes, layout.offset_format) or 0
            if (_number(content, further, layout.count_format) or 0) > _MAX_ENTRIES:
                raise ImageUndecodable(f"a page of the TIFF has a directory of more than {_MAX_ENTRIES} entries")


def _number(content: bytes, at: int, number_format: str) -> int | None:
    if at < 0 or at + struct.calcsize(number_format) > len(content):
        return None
    return int(struct.unpack_from(number_format, content, at)[0])


def _subfile_type(content: bytes, first_entry: int, entries: int, layout: TiffLayout) -> int:
    """The bits of NewSubfileType, 0 where it is not among the first entries."""
    for index in range(min(entries, _ENTRIES_LOOKED_AT)):
        at = first_entry + index * layout.entry_bytes
        tag = _number(content, at, layout.order + "H")
        if tag == _NEW_SUBFILE_TYPE:
            return _number(content, at + (12 if layout.is_big else 8), layout.order + "L") or 0
        if tag is None or tag > _NEW_SUBFILE_TYPE:
            break
    return 0
