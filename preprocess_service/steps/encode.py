"""Encodes a page once, in the form that keeps its text at the least cost.

Measured on an A4 page at 300 dpi: two-tone PNG 16 ms and 0.2 MB; grey JPEG 21 ms and 1.8 to 4 MB; grey PNG 110 ms and
0.8 MB for flat paper, 300 ms and 6 MB for paper with noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from preprocess_service.errors import ImageTooLargeBytes
from preprocess_service.model import IDENTITY, JPEG, PNG, AppliedStep, Homography, PageFit, Size
from preprocess_service.steps.scale import scale
from preprocess_service.steps.step_result import Pixels, size_of

MAX_ENCODED_SIDE_PX = 65_500
"""The longest side that the encoders write (libjpeg's limit)."""

_MAX_PNG_PIXELS = 4_000_000
"""Up to so many a lossless page stays lossless, whatever it shows."""
_MAX_FLAT_PIXELS = 40_000_000
_FLAT_SHARE = 0.8
"""Of neighbours that are equal: from there on PNG is smaller than JPEG."""
_SAMPLED_ROWS = 200
_LOWER_QUALITIES = (85, 75, 60)
_MAX_SHRINKS = 12


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """The encoded page; ``to_previous`` takes a point of it to the pixels that were to be encoded."""

    content: bytes = field(repr=False)
    media_type: str
    size: Size
    to_previous: Homography
    applied: AppliedStep


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to encode."""

    media_type: str
    quality: int = 0
    is_two_tone: bool = False


def encode(pixels: Pixels, fit: PageFit, *, is_two_tone: bool, is_lossless: bool, jpeg_quality: int) -> EncodedPage:
    """The page in a form that the fit takes: PNG for a two-tone page, for a grey one on flat paper, where it is the
    smaller, and for a small one of a lossless source, else JPEG.

    Where that is more than ``fit.max_bytes``, JPEG of lower quality, then smaller pages; ImageTooLargeBytes when even
    these are too large. Sides are at most MAX_ENCODED_SIDE_PX.
    """
    forms = _forms(pixels, fit, is_two_tone=is_two_tone, is_lossless=is_lossless, jpeg_quality=jpeg_quality)
    content = b""
    for form in forms:
        content = _encoded(pixels, form)
        if _fits(content, fit):
            return EncodedPage(content, form.media_type, size_of(pixels), IDENTITY, _applied(form))
    return _encoded_smaller(pixels, fit, forms[-1], len(content))


def _forms(
    pixels: Pixels, fit: PageFit, *, is_two_tone: bool, is_lossless: bool, jpeg_quality: int
) -> tuple[_Form, ...]:
    """The forms to try, best first."""
    prefers_png = is_two_tone or (is_lossless and size_of(pixels).pixels <= _MAX_PNG_PIXELS) or _is_flat(pixels)
    png = _Form(PNG, is_two_tone=is_two_tone)
    if not fit.takes(JPEG):
        return (png,)
    qualities = (jpeg_quality, *(quality for quality in _LOWER_QUALITIES if quality < jpeg_quality))
    jpegs = tuple(_Form(JPEG, quality) for quality in qualities)
    return (png, *jpegs) if prefers_png and fit.takes(PNG) else jpegs


def _is_flat(pixels: Pixels) -> bool:
    """Whether most pixels of a grey page are equal to their neighbours, by every few rows."""
    if pixels.ndim != 2 or pixels.shape[1] < 2 or pixels.size > _MAX_FLAT_PIXELS:
        return False
    rows = pixels[:: max(1, pixels.shape[0] // _SAMPLED_ROWS)]
    return int(np.count_nonzero(rows[:, 1:] == rows[:, :-1])) >= _FLAT_SHARE * rows[:, 1:].size


def _encoded_smaller(pixels: Pixels, fit: PageFit, form: _Form, too_many_bytes: int) -> EncodedPage:
    whole = size_of(pixels)
    grey_form = _Form(form.media_type, form.quality)  # a two-tone page is no longer one when it is scaled
    for target in _smaller_sizes(whole, fit, fit.max_bytes / too_many_bytes):
        result = scale(pixels, target)
        content = _encoded(result.pixels, grey_form)
        if _fits(content, fit):
            return EncodedPage(content, form.media_type, target, result.to_previous, _applied(grey_form, target))
        too_many_bytes = len(content)
    raise ImageTooLargeBytes(value=too_many_bytes, limit=fit.max_bytes)


def _smaller_sizes(whole: Size, fit: PageFit, share_of_bytes: float) -> Iterator[Size]:
    """Sizes to try, the first by the share of bytes that is allowed, each within the fit's aspect and shortest side."""
    factor = min(0.9, math.sqrt(share_of_bytes))
    for _ in range(_MAX_SHRINKS):
        shorter_px, longer_px = max(1, round(whole.shorter_px * factor)), max(1, round(whole.longer_px * factor))
        if fit.max_aspect and whole.longer_px <= whole.shorter_px * fit.max_aspect:
            longer_px = min(longer_px, int(shorter_px * fit.max_aspect))  # rounding must not make it longer than that
        if shorter_px < min(fit.min_side_px, whole.shorter_px):
            return
        is_wide = whole.width >= whole.height
        yield Size(longer_px, shorter_px) if is_wide else Size(shorter_px, longer_px)
        factor *= 0.75


def _fits(content: bytes, fit: PageFit) -> bool:
    return not fit.max_bytes or len(content) <= fit.max_bytes


def _encoded(pixels: Pixels, form: _Form) -> bytes:
    if form.media_type == JPEG:
        parameters = [cv2.IMWRITE_JPEG_QUALITY, form.quality]
    elif form.is_two_tone:
        parameters = [cv2.IMWRITE_PNG_BILEVEL, 1]
    else:
        parameters = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, buffer = cv2.imencode(".jpg" if form.media_type == JPEG else ".png", pixels, parameters)
    if not done:
        raise RuntimeError(f"OpenCV cannot encode a page of {pixels.shape} as {form.media_type}")
    return np.asarray(buffer).tobytes()


def _applied(form: _Form, shrunk_to: Size | None = None) -> AppliedStep:
    parameters = {"media_type": form.media_type}
    if form.quality:
        parameters["quality"] = str(form.quality)
    if form.is_two_tone:
        parameters["depth"] = "1"
    if shrunk_to is not None:
        parameters |= {"width": str(shrunk_to.width), "height": str(shrunk_to.height)}
    return AppliedStep("encode", parameters)
