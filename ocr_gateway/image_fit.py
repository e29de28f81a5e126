"""Whether an image is within a provider's limits."""

from __future__ import annotations

from ocr_gateway.errors import (
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageSideTooLong,
    ImageTooLargeBytes,
    ImageTooLargePixels,
)
from ocr_gateway.image_header import ImageHeader
from ocr_gateway.model import ImageLimits


def check_fit(content_bytes: int, header: ImageHeader, limits: ImageLimits) -> None:
    """Raises the error for what a provider of these limits does not take."""
    if limits.media_types and header.media_type not in limits.media_types:
        raise FormatUnsupported(header.media_type, limits.media_types)
    if limits.max_bytes and content_bytes > limits.max_bytes:
        raise ImageTooLargeBytes(value=content_bytes, limit=limits.max_bytes)
    pixels, longer, shorter = header.width * header.height, *sorted((header.width, header.height), reverse=True)
    if limits.max_pixels and pixels > limits.max_pixels:
        raise ImageTooLargePixels(value=pixels, limit=limits.max_pixels)
    if limits.max_side_px and longer > limits.max_side_px:
        raise ImageSideTooLong(value=longer, limit=limits.max_side_px)
    if shorter < limits.min_side_px:
        raise ImageShapeUnsupported(f"its shorter side has {shorter} px, {limits.min_side_px} are needed")
    if limits.max_aspect and longer / shorter > limits.max_aspect:
        raise ImageShapeUnsupported(f"it is {longer / shorter:.3g} times as long as wide, not {limits.max_aspect:g}")
