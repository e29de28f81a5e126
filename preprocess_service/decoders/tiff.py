"""TIFF of any number of pages, each opened by itself, so that a damaged one spoils no other."""

from __future__ import annotations

import io
import struct

from PIL import TiffImagePlugin

from preprocess_service.decoders.paged_document import (
    ALL,
    SIDEWAYS,
    UPRIGHT,
    DecodedPage,
    DecodeWish,
    check_pixels,
    orientation_in,
    reading,
)
from preprocess_service.decoders.pixel_conversion import from_pillow
from preprocess_service.decoders.signatures import TIFF
from preprocess_service.decoders.tiff_directory import TiffPage, check_page, layout_of, pages_of
from preprocess_service.errors import ImageUndecodable, TooManyPages
from preprocess_service.model import Size

_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_STRIPS = (273, 279)
_TILES = (324, 325)
_LOSSY = ("jpeg", "tiff_jpeg", "webp")


class TiffDocument:
    """The pages of a TIFF file. Raises ImageUndecodable for a file without any, TooManyPages by their directories,
    before one is decoded.
    """

    def __init__(self, content: bytes, max_pixels: int, max_pages: int) -> None:
        self._content = content
        self._max_pixels = max_pixels
        self._layout = layout_of(content)
        self._pages = pages_of(content, self._layout, max_pages)
        if not self._pages:
            raise ImageUndecodable("the TIFF has no page")
        if len(self._pages) > max_pages:
            raise TooManyPages(value=len(self._pages), limit=max_pages)

    @property
    def page_count(self) -> int:
        """Pages of the file, a last one that is damaged included."""
        return len(self._pages)

    def plain_page(self, _number: int, /) -> None:
        """None: this format is not passed on."""

    def close(self) -> None:
        """Nothing is held that Python does not free."""

    def decode(self, number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The page of this number, from 1. Raises ImageUndecodable and ImageTooLargePixels."""
        what = f"page {number} of the TIFF"
        page = self._pages[number - 1]
        if page.damage:
            raise ImageUndecodable(f"{what} cannot be read: {page.damage}")
        check_page(self._content, self._layout, page)
        with reading(what):
            image = TiffImagePlugin.TiffImageFile(self._view_of(page))
        check_pixels(*image.size, self._max_pixels)
        with reading(what):
            self._check_whole(image, what)
            orientation = orientation_in(image)
            zero_is_white = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
            compression = str(image.info.get("compression", ""))
            image.load()
        width, height = image.size
        return DecodedPage(
            pixels=from_pillow(image, zero_is_white=zero_is_white, grey=wish.grey),
            media_type=TIFF,
            mode=image.mode,
            orientation=orientation,
            is_turned=orientation != UPRIGHT,  # Pillow turns a TIFF while it loads it
            is_lossless=compression not in _LOSSY,
            is_two_tone=image.mode == "1",
            size=Size(height, width) if orientation in SIDEWAYS else Size(width, height),
        )

    def _view_of(self, page: TiffPage) -> _SinglePageView:
        stated = struct.pack(self._layout.offset_format, page.offset)
        header = self._content[: self._layout.header_bytes - len(stated)] + stated
        return _SinglePageView(self._content, header)

    def _check_whole(self, image: TiffImagePlugin.TiffImageFile, what: str) -> None:
        """Raises ImageUndecodable where data lies beyond the file's end, which libtiff may take for white."""
        for offsets_tag, lengths_tag in (_STRIPS, _TILES):
            offsets = image.tag_v2.get(offsets_tag, ())
            lengths = image.tag_v2.get(lengths_tag, ())
            for offset, length in zip(offsets, lengths, strict=False):
                if offset + length > len(self._content):
                    raise ImageUndecodable(f"{what} is cut short: its data ends behind the file's end")


class _SinglePageView(io.BytesIO):
    """The file, with a header that names another page's directory as the first. Shares the file's bytes."""

    def __init__(self, content: bytes, header: bytes) -> None:
        super().__init__(content)
        self._header = header

    def read(self, size: int | None = -1, /) -> bytes:
        at = self.tell()
        data = super().read(size)
        if at >= len(self._header):
            return data
        replaced = self._header[at : at + len(data)]
        return replaced + data[len(replaced) :]
