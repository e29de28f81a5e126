"""Images whose pixels stand as callers see them: whether a service heeds an EXIF orientation is rarely documented."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

from PIL import Image

from ocr_gateway.image_layout import JPEG, PNG, UPRIGHT, layout_of
from ocr_gateway.image_pixels import decode_rgb, encode_png
from ocr_gateway.model import ProviderCall

_JPEG_QUALITY = 95


async def upright_call(call: ProviderCall) -> ProviderCall:
    """The call with its image turned upright, where it is not; what was encoded for an earlier attempt is left alone.

    Raises as ``read_header`` and ``decode_rgb`` do.
    """
    if call.unsent.content or layout_of(call.image).orientation == UPRIGHT:
        return call
    image, media_type = await asyncio.to_thread(_upright, call.image)
    return replace(call, image=image, media_type=media_type)


def _upright(image: bytes) -> tuple[bytes, str]:
    """The image with its pixels turned and no orientation left. A JPEG stays one (quality 95), everything else becomes
    a PNG. Takes up to seconds."""
    pixels = decode_rgb(image)
    if layout_of(image).media_type != JPEG:
        return encode_png(pixels), PNG
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue(), JPEG
