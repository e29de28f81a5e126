"""What every decoder gives: a document of pages, decoded one at a time."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from preprocess_service.errors import ImageTooLargePixels, ImageUndecodable

Pixels = npt.NDArray[np.uint8]
"""Height x width grey, or height x width x 3 in the order blue, green, red."""

UPRIGHT = 1
"""The EXIF orientation of a page that needs no turning."""

# The limit on pixels is this package's own, checked on the header; Pillow's would be a second one, with a warning.
Image.MAX_IMAGE_PIXELS = None
# A damaged file is told to its caller; the libraries' own lines about it on standard error would only be noise.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# The orientation stands in the first directory of an EXIF block, near its start.
_EXIF_BYTES = 65_536

# What Pillow raises over damaged files, found by its sources and by fuzzing; cv2.error is OpenCV's.
_LIBRARY_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    UserWarning,  # where the process makes errors of warnings
    struct.error,
    zlib.error,
    cv2.error,
)


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """One page's pixels, and what the file says of them.

    ``orientation`` is the file's EXIF orientation, 1..8; ``is_turned`` tells that the pixels are upright already.
    ``mode`` names the file's pixels as Pillow does ("RGB", "CMYK", "I;16").
    """

    pixels: Pixels
    media_type: str
    mode: str
    orientation: int
    is_turned: bool
    is_lossless: bool
    is_two_tone: bool


@dataclass(frozen=True, slots=True)
class PlainPage:
    """A file that could be passed on as it is: one JPEG or PNG image of 8-bit grey or RGB, upright, with neither alpha
    nor palette. ``check`` reads all of it and raises ImageUndecodable where it is damaged; it is the cheapest way to
    know that, as it need not make the pixels.
    """

    media_type: str
    width: int
    height: int
    check: Callable[[], None]


class PagedDocument(Protocol):
    """An opened file. Opening has checked its limits; its pages may be decoded in any order and from any thread."""

    @property
    def page_count(self) -> int:
        """Pages of the file, at least 1."""

    def plain_page(self) -> PlainPage | None:
        """The file as a page to be passed on, not yet checked; None where that cannot be. Decodes nothing. Raises
        ImageUndecodable for a file that is seen to be cut short.
        """

    def decode(self, number: int, /) -> DecodedPage:
        """The page of this number, from 1. Raises ImageUndecodable or ImageTooLargePixels for a page that is bad."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Translates what Pillow and OpenCV raise over a damaged file to ImageUndecodable, naming ``what`` was read.

    Only calls into those libraries belong inside.
    """
    try:
        yield
    except _LIBRARY_ERRORS as error:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageUndecodable(f"{what} is damaged: {detail}") from error


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raises ImageTooLargePixels over the limit, ImageUndecodable for a side that is not above zero."""
    if width < 1 or height < 1:
        raise ImageUndecodable(f"its header states {width} x {height} pixels")
    if width * height > max_pixels:
        raise ImageTooLargePixels(width=width, height=height, limit=max_pixels)


def orientation_of(exif: Image.Exif) -> int:
    """The EXIF orientation, 1..8; 1 for none and for a value that means nothing."""
    value = exif.get(0x0112, UPRIGHT)
    return value if isinstance(value, int) and 1 <= value <= 8 else UPRIGHT


def orientation_in(image: Image.Image) -> int:
    """The orientation by the EXIF or XMP data that the image has read so far; 1 where these are absent or damaged."""
    try:
        # Not image.getexif of PNG: that decodes the whole image first, to see the chunks behind it.
        if isinstance(image, PngImagePlugin.PngImageFile):
            return orientation_of(Image.Image.getexif(image))
        return orientation_of(image.getexif())
    except _LIBRARY_ERRORS:
        return UPRIGHT


def orientation_in_block(exif_block: bytes) -> int:
    """The orientation by a raw EXIF block; 1 where it is damaged, since the image beside it may be whole."""
    exif = Image.Exif()
    try:
        exif.load(exif_block[:_EXIF_BYTES])
        return orientation_of(exif)
    except _LIBRARY_ERRORS:
        return UPRIGHT


def decode_with_opencv(content: bytes, flags: int, what: str) -> npt.NDArray[np.generic]:
    """The whole image, not turned by its EXIF orientation. Raises ImageUndecodable."""
    with reading(what):
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise ImageUndecodable(f"{what} is damaged or incomplete")
    return pixels
