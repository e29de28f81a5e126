"""HEIC by libheif and AVIF by libavif. Of several images the primary one, of a sequence the first frame.

Both formats state their orientation by their own properties (irot, imir), which count; the one in their EXIF data says
nothing here, as viewers have it (ISO/IEC 23008-12, annex A).
"""

from __future__ import annotations

import io

import pillow_heif
from PIL import AvifImagePlugin

from preprocess_service.decoders.heif_boxes import stated_sizes
from preprocess_service.decoders.paged_document import (
    ALL,
    UPRIGHT,
    DecodedPage,
    DecodeWish,
    check_pixels,
    orientation_in,
    reading,
)
from preprocess_service.decoders.pixel_conversion import from_pillow
from preprocess_service.decoders.signatures import AVIF, HEIC
from preprocess_service.decoders.still_image import StillImage
from preprocess_service.model import Size

# One page is decoded by one core, as those of the other formats are.
pillow_heif.options.DECODE_THREADS = 1
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Only the primary image is read.
pillow_heif.options.THUMBNAILS = False
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False


class HeicDocument(StillImage):
    """The primary image of a HEIC file. Raises ImageUndecodable and ImageTooLargePixels by its boxes."""

    def __init__(self, content: bytes, max_pixels: int) -> None:
        _check_sizes(content, max_pixels, "the HEIC")
        self._content = content
        self._max_pixels = max_pixels

    def decode(self, _number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The image, turned upright by libheif, on white, of 8 bits. Raises ImageUndecodable and, where tiles make it
        larger than any size stated, ImageTooLargePixels.
        """
        with reading("the HEIC"):
            file = pillow_heif.open_heif(io.BytesIO(self._content))
            width, height = file.size
        check_pixels(width, height, self._max_pixels)
        with reading("the HEIC"):
            image = file.to_pillow()
        return DecodedPage(
            pixels=from_pillow(image, grey=wish.grey),
            media_type=HEIC,
            mode=image.mode,
            orientation=UPRIGHT,
            is_turned=False,
            is_lossless=False,
            is_two_tone=False,
            size=Size(*image.size),
        )


class AvifDocument(StillImage):
    """The primary image of an AVIF file, or the first frame of a sequence. Raises ImageUndecodable and
    ImageTooLargePixels by its boxes.
    """

    def __init__(self, content: bytes, max_pixels: int) -> None:
        _check_sizes(content, max_pixels, "the AVIF")
        self._content = content
        self._max_pixels = max_pixels

    def decode(self, _number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The image, on white, of 8 bits; not turned. Raises ImageUndecodable and, where tiles make it larger than any
        size stated, ImageTooLargePixels.
        """
        with reading("the AVIF"):
            image = AvifImagePlugin.AvifImageFile(io.BytesIO(self._content))
        check_pixels(*image.size, self._max_pixels)
        with reading("the AVIF"):
            orientation = orientation_in(image)  # Pillow puts the properties' in place of the EXIF data's
            image.load()
        return DecodedPage(
            pixels=from_pillow(image, grey=wish.grey),
            media_type=AVIF,
            mode=image.mode,
            orientation=orientation,
            is_turned=False,
            is_lossless=False,
            is_two_tone=False,
            size=Size(*image.size),
        )


def _check_sizes(content: bytes, max_pixels: int, what: str) -> None:
    largest = max(stated_sizes(content, what), key=lambda size: size.pixels)
    check_pixels(largest.width, largest.height, max_pixels)
