"""JPEG, also as the first image of an MPO file."""

from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
from PIL import JpegImagePlugin

from preprocess_service.decoders.jpeg_segments import head_of, lacks_scans, scans_of
from preprocess_service.decoders.paged_document import (
    ALL,
    MAX_COLOUR_PIXELS,
    UPRIGHT,
    DecodedPage,
    DecodeWish,
    Pixels,
    PlainPage,
    check_pixels,
    decode_with_opencv,
    orientation_in,
    reading,
)
from preprocess_service.decoders.pixel_conversion import from_pillow, reduction_for
from preprocess_service.decoders.still_image import StillImage
from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import JPEG, Size

_WHAT = "the JPEG"
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = b"\xff\xda"
# A progressive file has about ten. Each costs a pass over the whole image, so thousands of empty ones cost hours.
_MAX_SCANS = 200
_MAX_SCANNED_PIXELS = 2_000_000_000
"""Over all scans, each of which passes over the whole image at about 1.3 gigapixels a second."""
_PLAIN_MODES = ("L", "RGB")
# libjpeg's scaled decoding, by the reduction each way.
_GREY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_COLOUR = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
# What libjpeg fills in for pixels whose data is missing.
_FILLING_GREY = 128
# By how much libjpeg's smoothing of unfinished progressive images may change that.
_SMOOTHED_LEVELS = 8
# Nothing in it is a mark, and no decoder takes it for grey.
_PROBE = bytes.fromhex("5aa5c33c69960ff0") * 16


class JpegDocument(StillImage):
    """One JPEG image. Raises ImageUndecodable and ImageTooLargePixels by the header."""

    def __init__(self, content: bytes, max_pixels: int) -> None:
        self._content = content
        self._head = head_of(content)
        self._scan_offset = self._head.data_at  # past any thumbnail
        first_scan = content[self._head.scan_at : self._head.data_at]
        with reading(_WHAT):
            self._header = JpegImagePlugin.JpegImageFile(io.BytesIO(self._head.needed + first_scan))
        check_pixels(*self._header.size, max_pixels)
        self._size = Size(*self._header.size)
        self._mode = self._header.mode

    @property
    def size(self) -> Size:
        """Pixels by the header, before the orientation."""
        return self._size

    @property
    def is_grey_or_rgb(self) -> bool:
        """Whether the pixels need no conversion of colours; not so of CMYK."""
        return self._mode in _PLAIN_MODES

    def plain_page(self, _number: int, /) -> PlainPage | None:
        """The file, if it is upright and grey or RGB."""
        if self._mode not in _PLAIN_MODES or orientation_in(self._header) != UPRIGHT:
            return None
        return PlainPage(JPEG, self._size.width, self._size.height, self._content, self._look)

    def decode(self, _number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The image. Raises ImageUndecodable for one that is cut short: both libraries may fill it up with grey."""
        self._check_whole()
        is_plain = self._mode in _PLAIN_MODES
        reduction = max(by for by in _GREY if by <= max(1, wish.max_reduction)) if is_plain else 1
        return DecodedPage(
            pixels=self._plain_pixels(wish.grey, reduction) if is_plain else self._other_pixels(wish.grey),
            media_type=JPEG,
            mode=self._mode,
            orientation=orientation_in(self._header),
            is_turned=False,
            is_lossless=False,
            is_two_tone=False,
            size=self._size,
            reduction=reduction,
        )

    def _look(self, longer_side_px: int) -> tuple[Pixels, int]:
        # At a reduced size every bit of the file is read all the same, in less time and memory.
        self._check_whole()
        reduction = reduction_for(self._size.width, self._size.height, longer_side_px)
        return self._decoded_whole(_GREY[reduction]), reduction

    def _check_whole(self) -> None:
        if self._content.rfind(_END_OF_IMAGE, self._scan_offset) < 0:  # an honest file has it at its end
            raise ImageUndecodable(f"{_WHAT} is cut short: it has no end mark")
        if self._head.has_one_scan:
            return
        scans = self._content.count(_START_OF_SCAN, self._scan_offset)
        if scans > _MAX_SCANS or scans * self._size.pixels > _MAX_SCANNED_PIXELS:
            raise ImageUndecodable(f"{_WHAT} has {scans} scans, too many for {self._size.pixels} pixels")
        if lacks_scans(self._content, self._head):
            raise ImageUndecodable(f"{_WHAT} is cut short: scans that refine it are missing")

    def _plain_pixels(self, grey: bool, reduction: int) -> Pixels:
        grey = grey or self._mode == "L" or self._size.pixels // reduction**2 > MAX_COLOUR_PIXELS
        return self._decoded_whole((_GREY if grey else _COLOUR)[reduction])

    def _other_pixels(self, grey: bool) -> Pixels:
        with reading(_WHAT):
            scans = self._content[self._head.scan_at :]
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(self._head.needed + scans))
            image.load()
            corner = np.array(image.getpixel((image.width - 1, image.height - 1)), np.int16)
        # One level off where Pillow inverts the colours.
        self._check_corner(corner, 1)
        return from_pillow(image, grey=grey)

    def _decoded_whole(self, flags: int) -> Pixels:
        pixels = self._decoded(self._content, flags)
        self._check_corner(pixels[-1, -1].astype(np.int16), 0)
        return pixels

    def _check_corner(self, corner: npt.NDArray[np.int16], levels: int) -> None:
        """Has it checked that the last pixel is the page's own, where it is within so many levels of the filling."""
        if (abs(corner - _FILLING_GREY) <= (levels if self._head.has_one_scan else _SMOOTHED_LEVELS)).all():
            self._check_not_filled_up()

    def _check_not_filled_up(self) -> None:
        """Raises ImageUndecodable for a page whose end was made up: more data at the end of a scan would change it.

        That is seen at full size only: what comes first of those data may be the fine detail of a block. Luma is the
        first part of each, so grey will do, unless the colours have scans of their own.
        """
        probed: list[bytes] = []
        at = 0
        for scan in scans_of(self._content, self._head):
            probed += (self._content[at : scan.end], _PROBE)
            at = scan.end
        flags = _GREY[1] if self._head.has_one_scan or self._mode == "L" else _COLOUR[1]
        expected = self._decoded(self._content, flags)
        if not np.array_equal(expected, self._decoded(b"".join((*probed, self._content[at:])), flags)):
            raise ImageUndecodable(f"{_WHAT} is damaged: its data ends before its last row")

    def _decoded(self, content: bytes, flags: int) -> Pixels:
        # All coefficients, of two bytes, are held beside the pixels where several scans refine them; else next to none.
        pixels_bytes = self._size.pixels * (3 if flags in _COLOUR.values() else 1)
        takes_bytes = 0 if self._head.has_one_scan else 2 * self._samples + pixels_bytes
        pixels = decode_with_opencv(content, flags, _WHAT, takes_bytes=takes_bytes)
        return pixels.astype(np.uint8, copy=False)

    @property
    def _samples(self) -> int:
        """Those of all components, of which some are stored with fewer than there are pixels."""
        shares = [across * down for _, across, down, *_ in self._header.layer]
        return self._size.pixels * sum(shares) // max([1, *shares])
