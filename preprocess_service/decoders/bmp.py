"""BMP."""

from __future__ import annotations

import io

from PIL import BmpImagePlugin

from preprocess_service.decoders.paged_document import UPRIGHT, DecodedPage, check_pixels, reading
from preprocess_service.decoders.pixel_conversion import from_pillow
from preprocess_service.decoders.signatures import BMP

_WHAT = "the BMP"


class BmpDocument:
    """One BMP image. Raises ImageUndecodable and ImageTooLargePixels by the header."""

    page_count = 1

    def __init__(self, content: bytes, max_pixels: int) -> None:
        self._content = content
        with reading(_WHAT):
            size = BmpImagePlugin.BmpImageFile(io.BytesIO(content)).size
        check_pixels(*size, max_pixels)

    def plain_page(self) -> None:
        """None: this format is not passed on."""

    def decode(self, _number: int, /) -> DecodedPage:
        """The image. Raises ImageUndecodable for one that is cut short."""
        with reading(_WHAT):
            image = BmpImagePlugin.BmpImageFile(io.BytesIO(self._content))
            mode = image.mode
            image.load()
        return DecodedPage(
            pixels=from_pillow(image),
            media_type=BMP,
            mode=mode,
            orientation=UPRIGHT,
            is_turned=False,
            is_lossless=True,
            is_two_tone=mode == "1",
        )
