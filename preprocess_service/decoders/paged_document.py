"""What every decoder gives: a document of pages, decoded one at a time."""

from __future__ import annotations

import errno
import re
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
from preprocess_service.model import AppliedStep, Size

Pixels = npt.NDArray[np.uint8]
"""Height x width grey, or height x width x 3 in the order blue, green, red."""

MAX_COLOUR_PIXELS = 64_000_000
"""A JPEG or PNG of more is decoded in grey, whatever is wished: OpenCV holds an image twice for a moment, and 600 MB
are too much for one page."""

UPRIGHT = 1
"""The EXIF orientation of a page that needs no turning."""

SIDEWAYS = (5, 6, 7, 8)
"""The EXIF orientations of pages whose width and height are exchanged by turning them upright."""

# The limit on pixels is this package's own, checked on the header; Pillow's would be a second one, with a warning.
Image.MAX_IMAGE_PIXELS = None
# A damaged file is told to its caller; the libraries' own lines about it on standard error would only be noise.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# The orientation stands in the first directory of an EXIF block, near its start.
_EXIF_BYTES = 65_536

_PILLOWS_WANT_OF_MEMORY = "out of memory"
_QUOTED_BYTES = re.compile(r"""\bb(?:'[^']*'|"[^"]*")|(?:\\x[0-9a-fA-F]{2})+""")
_MAX_DETAIL = 200

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
class DecodeWish:
    """What the page is wanted for, so that no more is decoded than that. A decoder may give more.

    ``grey``: colour is of no use. ``max_reduction``: the pixels may be reduced by a power of two up to it, each one the
    mean of ``reduction`` x ``reduction`` of the source's (libjpeg's scaled decoding).
    """

    grey: bool = False
    max_reduction: int = 1


ALL = DecodeWish()
"""Every pixel, in colour."""


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """One page's pixels, and what the file says of them.

    ``size`` is the page's own as stored, before its orientation; ``reduction`` by how much the pixels are fewer each
    way: a point (x, y) of theirs is (x, y) * reduction of the page. ``orientation`` is the file's EXIF orientation,
    1..8; ``is_turned`` tells that the pixels are upright already. ``mode`` names the file's pixels as Pillow does
    ("RGB", "CMYK", "I;16"). ``steps`` tells what the decoder itself decided, as the resolution of a rendered page.
    """

    pixels: Pixels
    media_type: str
    mode: str
    orientation: int
    is_turned: bool
    is_lossless: bool
    is_two_tone: bool
    size: Size
    reduction: int = 1
    steps: tuple[AppliedStep, ...] = ()


@dataclass(frozen=True, slots=True)
class PlainPage:
    """A file that could be passed on as it is: one JPEG or PNG image of 8-bit grey or RGB, upright, with neither alpha
    nor palette. ``content`` is that file: the document itself, or the only thing on a PDF's page.

    ``look`` reads all of it and gives it in grey, reduced by a power of two as far as its longer side stays at or above
    the number of pixels that is given, at most by 8; it raises ImageUndecodable where the file is damaged. That is the
    cheapest way to know, as not all pixels need to be made. A point of the picture times ``reduction`` (the second
    value) is one of the page.
    """

    media_type: str
    width: int
    height: int
    content: bytes
    look: Callable[[int], tuple[Pixels, int]]


class PagedDocument(Protocol):
    """An opened file. Opening has checked its limits; its pages may be decoded in any order, from one thread at a
    time.
    """

    @property
    def page_count(self) -> int:
        """Pages of the file, at least 1."""

    def plain_page(self, number: int, /) -> PlainPage | None:
        """The page of this number, from 1, as one to be passed on, not yet checked; None where that cannot be. Decodes
        nothing. Raises ImageUndecodable for a file that is seen to be cut short.
        """

    def decode(self, number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The page of this number, from 1. Raises ImageUndecodable or ImageTooLargePixels for a page that is bad."""

    def close(self) -> None:
        """Frees what is not Python's. May be repeated; nothing else is called after it."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Translates what Pillow and OpenCV raise over a damaged file to ImageUndecodable, naming ``what`` was read, and
    what they raise for want of memory to MemoryError.

    Only calls into those libraries belong inside.
    """
    try:
        yield
    except _LIBRARY_ERRORS as error:
        if _is_want_of_memory(error):
            raise MemoryError(f"{what} needs more memory than there is") from error
        raise ImageUndecodable(f"{what} is damaged: {_clean(str(error)) or type(error).__name__}") from error


def _is_want_of_memory(error: Exception) -> bool:
    if isinstance(error, cv2.error):
        return error.code == cv2.Error.StsNoMem
    return isinstance(error, OSError) and (error.errno == errno.ENOMEM or _PILLOWS_WANT_OF_MEMORY in str(error))


def _clean(message: str) -> str:
    """One line of plain text, without what a library quotes of the file's bytes: text that is not ASCII, and the
    escapes by which Python shows bytes.
    """
    shown = _QUOTED_BYTES.sub("(bytes)", message)
    readable = "".join(letter if " " <= letter <= "~" else " " for letter in shown)
    return " ".join(readable.split())[:_MAX_DETAIL]


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


def decode_with_opencv(content: bytes, flags: int, what: str, *, takes_bytes: int = 0) -> npt.NDArray[np.generic]:
    """The whole image, not turned by its EXIF orientation.

    Raises ImageUndecodable, and MemoryError where memory is lacking. OpenCV does not tell one from the other when a
    library below it gives up; so where ``takes_bytes``, what decoding takes at the most, are not to be had then, that
    was the cause.
    """
    with reading(what):
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        np.empty(takes_bytes, np.uint8)  # takes addresses only, as nothing is written there
        raise ImageUndecodable(f"{what} is damaged or incomplete")
    return pixels
