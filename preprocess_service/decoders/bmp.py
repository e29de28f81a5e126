"""BMP."""

from __future__ import annotations

import io

from PIL import BmpImagePlugin

from preprocess_service.decoders.paged_document import ALL, UPRIGHT, DecodedPage, DecodeWish, check_pixels, reading
from preprocess_service.decoders.pixel_conversion import from_pillow
from preprocess_service.decoders.signatures import BMP
from preprocess_service.decoders.still_image import StillImage
from preprocess_service.model import Size

_WHAT = "the BMP"


class BmpDocument(StillImage):
    """One BMP image. Raises ImageUndecodable and ImageTooLargePixels by the header."""

    def __init__(self, content: bytes, max_pixels: int) -> None:
        self._content = content
        with reading(_WHAT):
            size = BmpImagePlugin.BmpImageFile(io.BytesIO(content)).size
        check_pixels(*size, max_pixels)
        self._size = Size(*size)

    def decode(self, _number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The image. Raises ImageUndecodable for one that is cut short."""
        with reading(_WHAT):
            image = BmpImagePlugin.BmpImageFile(io.BytesIO(self._content))
            mode = image.mode
            image.load()
        return DecodedPage(
            pixels=from_pillow(image, grey=wish.grey),
            media_type=BMP,
            mode=mode,
            orientation=UPRIGHT,
            is_turned=False,
            is_lossless=True,
            is_two_tone=mode == "1",
            size=self._size,
        )
