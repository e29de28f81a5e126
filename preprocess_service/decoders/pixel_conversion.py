"""Whatever a file stores, made 8-bit grey or BGR on white, a band of rows at a time so that little is copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from preprocess_service.decoders.paged_document import Pixels

_BAND_PIXELS = 4_000_000
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_WHITE = 255

AnyPixels = npt.NDArray[np.generic]


def from_pillow(image: Image.Image, *, zero_is_white: bool = False, grey: bool = False) -> Pixels:
    """The loaded image as 8-bit grey or BGR; as grey in any case where that is asked for.

    Alpha is laid on white; 16 bits become 8 by value / 257; 32-bit whole numbers within 0..255 or 0..65535 are taken
    for 8 or 16 bits, and others, like floating point, are stretched from their own range (a page of one value is
    white). ``zero_is_white`` says that a deep image's values run from white to black.
    """
    if image.mode in _DEEP_MODES:
        return _deep(image, zero_is_white)
    has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if has_alpha:
        if image.mode in ("1", "L", "LA", "La"):
            return _filled(image, 1, lambda band: _on_white(np.asarray(band.convert("LA"))))
        return _coloured(image, lambda band: _on_white(_swapped(np.asarray(band.convert("RGBA")))), grey)
    if image.mode == "LAB":
        return _coloured(image, _lab_to_bgr, grey)
    if grey or image.mode in ("1", "L") or _is_grey_palette(image):
        return _filled(image, 1, lambda band: np.asarray(band.convert("L")))
    return _filled(image, 3, lambda band: np.asarray(band.convert("RGB"))[:, :, ::-1])


def from_opencv(pixels: AnyPixels, *, grey: bool = False) -> Pixels:
    """What cv2.imdecode gives unchanged (grey, BGR or BGRA of 8 or 16 bits), as 8-bit grey or BGR on white; as grey in
    any case where that is asked for.

    16 bits become 8 by value / 257.
    """
    flat = _flat(pixels)
    return in_grey(flat) if grey else flat


def in_grey(pixels: Pixels) -> Pixels:
    """Grey or BGR pixels in grey, by the luma of ITU-R BT.601."""
    if pixels.ndim == 2:
        return pixels
    grey: Pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    return grey


def reduction_for(width: int, height: int, longer_side_px: int) -> int:
    """The power of two, at most 8, that reduces the image most while its longer side stays at or above the target."""
    longer_px = max(width, height)
    return next((by for by in (8, 4, 2) if -(-longer_px // by) >= longer_side_px), 1)


def reduced(pixels: Pixels, by: int) -> Pixels:
    """Each ``by`` x ``by`` pixels made their mean. A last row or column that is not full is the mean of what it has, to
    within the weight of its repeated edge, so that a point times ``by`` is exactly one of the input.
    """
    if by == 1:
        return pixels
    height, width = pixels.shape[:2]
    right, bottom = -width % by, -height % by
    whole = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE) if right or bottom else pixels
    size = (whole.shape[1] // by, whole.shape[0] // by)
    return cv2.resize(whole, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _flat(pixels: AnyPixels) -> Pixels:
    if pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2] == 3):
        return pixels.astype(np.uint8, copy=False)
    height, width = pixels.shape[:2]
    has_alpha = pixels.ndim == 3 and pixels.shape[2] == 4
    result = np.empty((height, width) if pixels.ndim == 2 else (height, width, 3), np.uint8)
    for top, bottom in _bands(width, height):
        band = pixels[top:bottom]
        eight = _eighth_bits(band) if band.dtype == np.uint16 else band.astype(np.uint8, copy=False)
        result[top:bottom] = _on_white(eight) if has_alpha else eight
    return result


def _filled(image: Image.Image, channels: int, convert: Callable[[Image.Image], Pixels]) -> Pixels:
    width, height = image.size
    result = np.empty((height, width) if channels == 1 else (height, width, channels), np.uint8)
    for top, bottom in _bands(width, height):
        result[top:bottom] = convert(image.crop((0, top, width, bottom)))
    return result


def _coloured(image: Image.Image, convert: Callable[[Image.Image], Pixels], grey: bool) -> Pixels:
    if grey:
        return _filled(image, 1, lambda band: in_grey(convert(band)))
    return _filled(image, 3, convert)


def _bands(width: int, height: int) -> Iterator[tuple[int, int]]:
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def _on_white(pixels: Pixels) -> Pixels:
    """Colour or grey over white, by the last channel."""
    flat = pixels[:, :, :-1]
    if pixels[:, :, -1].min() < _WHITE:
        alpha = pixels[:, :, -1:].astype(np.uint16)
        flat = ((flat * alpha + _WHITE * (_WHITE - alpha) + 127) // _WHITE).astype(np.uint8)
    return flat[:, :, 0] if flat.shape[2] == 1 else flat


def _swapped(rgba: Pixels) -> Pixels:
    return rgba[:, :, (2, 1, 0, 3)]


def _eighth_bits(pixels: AnyPixels) -> Pixels:
    return cv2.convertScaleAbs(np.ascontiguousarray(pixels), alpha=1 / 257).astype(np.uint8, copy=False)


def _is_grey_palette(image: Image.Image) -> bool:
    if image.mode != "P":
        return False
    colours = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _lab_to_bgr(band: Image.Image) -> Pixels:
    # Pillow gives a and b as signed bytes, OpenCV wants them offset by 128.
    lab = np.bitwise_xor(np.asarray(band), np.array((0, 128, 128), np.uint8), dtype=np.uint8)
    bgr: Pixels = cv2.cvtColor(lab, cv2.COLOR_Lab2BGR).astype(np.uint8, copy=False)
    return bgr


def _deep(image: Image.Image, zero_is_white: bool) -> Pixels:
    if image.mode.startswith("I;16"):
        black, white = 0.0, 65535.0
    else:
        black, white = _range(image)
    if zero_is_white:
        black, white = white, black

    def convert(band: Image.Image) -> Pixels:
        values = np.asarray(band).astype(np.float32)
        if black == white:
            return np.full(values.shape, _WHITE, np.uint8)
        scaled = np.rint((values - black) * (_WHITE / (white - black)))
        page: Pixels = np.nan_to_num(scaled, nan=_WHITE).clip(0, _WHITE).astype(np.uint8)
        return page

    return _filled(image, 1, convert)


def _range(image: Image.Image) -> tuple[float, float]:
    """The values that stand for black and for white in a 32-bit image."""
    width, height = image.size
    least, most = np.inf, -np.inf
    for top, bottom in _bands(width, height):
        values = np.asarray(image.crop((0, top, width, bottom)))
        finite = values[np.isfinite(values)]
        if finite.size:
            least, most = min(least, float(finite.min())), max(most, float(finite.max()))
    if least > most:
        return 0.0, 0.0
    if image.mode == "I" and least >= 0:
        for depth in (255.0, 65535.0):
            if most <= depth:
                return 0.0, depth
    return least, most
