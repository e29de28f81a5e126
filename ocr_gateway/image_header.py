"""What an image file says about itself, as callers see the image: after its EXIF (or TIFF) orientation."""

from __future__ import annotations

from dataclasses import dataclass

from ocr_gateway.image_layout import layout_of


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """An image's media type and its extent in pixels, after its orientation."""

    media_type: str
    width: int
    height: int


def read_header(content: bytes) -> ImageHeader:
    """The header's word on type and size; no pixel is decoded, so a good header may still have damaged pixels.

    Raises ``ImageEmpty``, ``FormatUnsupported`` for a known format that is not read here, else ``ImageUndecodable``,
    also for a file of more parts than any honest one has.
    """
    layout = layout_of(content)
    return ImageHeader(layout.media_type, *layout.upright_size)
