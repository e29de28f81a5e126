"""JPEG, also as the first image of an MPO file."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import JpegImagePlugin

from preprocess_service.decoders.jpeg_segments import head_of
from preprocess_service.decoders.paged_document import (
    UPRIGHT,
    DecodedPage,
    Pixels,
    PlainPage,
    check_pixels,
    decode_with_opencv,
    orientation_in,
    reading,
)
from preprocess_service.decoders.pixel_conversion import from_pillow
from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import JPEG

_WHAT = "the JPEG"
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = b"\xff\xda"
# A progressive file has about ten. Each costs a pass over the whole image, so thousands of empty ones cost hours.
_MAX_SCANS = 200
_MAX_SCANNED_PIXELS = 2_000_000_000
"""Over all scans, each of which passes over the whole image at about 1.3 gigapixels a second."""
_PLAIN_MODES = ("L", "RGB")
# What libjpeg fills in for pixels whose data is missing.
_FILLING_GREY = 128
# Nothing in it is a mark, and no decoder takes it for grey.
_PROBE = bytes.fromhex("5aa5c33c69960ff0") * 16


class JpegDocument:
    """One JPEG image. Raises ImageUndecodable and ImageTooLargePixels by the header."""

    page_count = 1

    def __init__(self, content: bytes, max_pixels: int) -> None:
        self._content = content
        self._head = head_of(content)
        self._scan_offset = self._head.data_at  # past any thumbnail
        first_scan = content[self._head.scan_at : self._head.data_at]
        with reading(_WHAT):
            self._header = JpegImagePlugin.JpegImageFile(io.BytesIO(self._head.needed + first_scan))
        check_pixels(*self._header.size, max_pixels)
        self._mode = self._header.mode

    def plain_page(self) -> PlainPage | None:
        """The file, if it is upright and grey or RGB."""
        if self._mode not in _PLAIN_MODES or orientation_in(self._header) != UPRIGHT:
            return None
        width, height = self._header.size
        return PlainPage(JPEG, width, height, self._check)

    def decode(self, _number: int, /) -> DecodedPage:
        """The image. Raises ImageUndecodable for one that is cut short: both libraries may fill it up with grey."""
        self._check_whole()
        return DecodedPage(
            pixels=self._pixels(),
            media_type=JPEG,
            mode=self._mode,
            orientation=orientation_in(self._header),
            is_turned=False,
            is_lossless=False,
            is_two_tone=False,
        )

    def _check(self) -> None:
        # At an eighth of the size every bit of the file is read, in half the time and a 64th of the memory.
        self._check_whole()
        self._decoded_whole(cv2.IMREAD_REDUCED_GRAYSCALE_8)

    def _check_whole(self) -> None:
        # Inside a scan 0xFF is always escaped, so the first end mark after the first scan's start is the image's own.
        if self._content.find(_END_OF_IMAGE, self._scan_offset) < 0:
            raise ImageUndecodable(f"{_WHAT} is cut short: it has no end mark")
        scans = self._content.count(_START_OF_SCAN, self._scan_offset)
        width, height = self._header.size
        if scans > _MAX_SCANS or scans * width * height > _MAX_SCANNED_PIXELS:
            raise ImageUndecodable(f"{_WHAT} has {scans} scans, too many for {width} x {height} pixels")

    def _pixels(self) -> Pixels:
        if self._mode not in _PLAIN_MODES:
            with reading(_WHAT):
                scans = self._content[self._head.scan_at :]
                image = JpegImagePlugin.JpegImageFile(io.BytesIO(self._head.needed + scans))
                image.load()
            return from_pillow(image)
        return self._decoded_whole(cv2.IMREAD_GRAYSCALE if self._mode == "L" else cv2.IMREAD_COLOR)

    def _decoded_whole(self, flags: int) -> Pixels:
        pixels = decode_with_opencv(self._content, flags, _WHAT).astype(np.uint8, copy=False)
        if (pixels[-1, -1] == _FILLING_GREY).all():
            self._check_not_filled_up(pixels, flags)
        return pixels

    def _check_not_filled_up(self, pixels: Pixels, flags: int) -> None:
        """Raises ImageUndecodable for a page whose end was made up: more data before the end mark would change it."""
        end = self._content.find(_END_OF_IMAGE, self._scan_offset)
        probed = decode_with_opencv(self._content[:end] + _PROBE + _END_OF_IMAGE, flags, _WHAT)
        if not np.array_equal(pixels, probed):
            raise ImageUndecodable(f"{_WHAT} is damaged: its data ends before its last row")
