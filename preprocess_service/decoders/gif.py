"""GIF. Of an animated one, the first frame, on the canvas that a viewer shows."""

from __future__ import annotations

import io

import numpy as np
from PIL import GifImagePlugin

from preprocess_service.decoders.gif_blocks import GifFrame, first_frame_of
from preprocess_service.decoders.paged_document import (
    ALL,
    UPRIGHT,
    DecodedPage,
    DecodeWish,
    Pixels,
    check_pixels,
    reading,
)
from preprocess_service.decoders.pixel_conversion import from_pillow
from preprocess_service.decoders.signatures import GIF
from preprocess_service.decoders.still_image import StillImage

_WHAT = "the GIF"
_WHITE = 255


class GifDocument(StillImage):
    """The first image of a GIF. Raises ImageUndecodable and ImageTooLargePixels by its blocks."""

    def __init__(self, content: bytes, max_pixels: int) -> None:
        self._frame = first_frame_of(content)
        check_pixels(self._frame.canvas.width, self._frame.canvas.height, max_pixels)
        check_pixels(self._frame.size.width, self._frame.size.height, max_pixels)

    def decode(self, _number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The image, white where it is transparent and where it leaves the canvas bare. Raises ImageUndecodable."""
        with reading(_WHAT):
            image = GifImagePlugin.GifImageFile(io.BytesIO(self._frame.content))
            image.load()
        return DecodedPage(
            pixels=_on_canvas(from_pillow(image, grey=wish.grey), self._frame),
            media_type=GIF,
            mode=image.mode,
            orientation=UPRIGHT,
            is_turned=False,
            is_lossless=True,
            is_two_tone=False,
            size=self._frame.canvas,
        )


def _on_canvas(pixels: Pixels, frame: GifFrame) -> Pixels:
    if frame.canvas == frame.size:
        return pixels
    canvas: Pixels = np.full((frame.canvas.height, frame.canvas.width, *pixels.shape[2:]), _WHITE, np.uint8)
    canvas[frame.top : frame.top + frame.size.height, frame.left : frame.left + frame.size.width] = pixels
    return canvas
