"""The pixels of an image file, upright, opaque, 8 bits each.

Pillow only decodes, and gets nothing of a JPEG or PNG but what makes its pixels. Limits on bytes and pixels are checked
by the caller, between ``read_header`` and ``decode_rgb``; so Pillow's own guard is switched off here.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocr_gateway.errors import ImageUndecodable, RegionOutOfImage
from ocr_gateway.image_header import read_header
from ocr_gateway.image_layout import JPEG, TIFF, UPRIGHT, Layout, layout_of
from ocr_gateway.model import Rect

RgbImage = NDArray[np.uint8]

Image.MAX_IMAGE_PIXELS = None
# What Pillow finds odd in a caller's file is no news for the operator.
warnings.filterwarnings("ignore", module=r"PIL\..*")

# A progressive file has about ten. Each costs a pass over the whole image, so thousands of empty ones cost hours.
_MAX_SCANS = 200
_MAX_SCANNED_PIXELS = 2_000_000_000
"""Over all scans, each of which passes over the whole image at about 1.3 gigapixels a second."""
_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_BAND_PIXELS = 1_000_000

# The viewer's turn for each orientation.
_TURNS: dict[int, Callable[[RgbImage], RgbImage]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels.transpose(1, 0, 2)[:, ::-1],
    7: lambda pixels: pixels.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda pixels: pixels.transpose(1, 0, 2)[::-1],
}


def decode_rgb(content: bytes) -> RgbImage:
    """The pixels, height x width x 3, 8 bits each: turned upright by the orientation, transparency laid onto white,
    16-bit values scaled to 8. Takes memory by the header's size, about three times the result: check that first.

    Raises as ``read_header`` does, and ``ImageUndecodable`` for truncated or damaged pixels, for pixels of another
    size than the header's, and for a JPEG of more than 200 scans.
    """
    layout = layout_of(content)
    if layout.media_type == JPEG:
        scans = content.count(b"\xff\xda", layout.scans_at)
        if scans > _MAX_SCANS or scans * layout.width * layout.height > _MAX_SCANNED_PIXELS:
            raise ImageUndecodable(f"its {scans} scans are too many for {layout.width} x {layout.height} pixels")
    pixels = _pixels(content, layout)
    if layout.media_type == TIFF or layout.orientation == UPRIGHT:
        return pixels
    return np.ascontiguousarray(_TURNS[layout.orientation](pixels))


def crop_pngs(content: bytes, rects: Sequence[Rect]) -> list[bytes]:
    """The part of the image under each of ``rects`` (pixels after the orientation) as an RGB PNG; decodes once.

    Raises as ``crop_pixels`` does.
    """
    return [encode_png(crop) for crop in crop_pixels(content, rects)]


def crop_pixels(content: bytes, rects: Sequence[Rect]) -> list[RgbImage]:
    """The part of the image under each of ``rects`` (pixels after the orientation): views; decodes once.

    A rectangle is widened to whole pixels, so the crop's top-left pixel is (floor(x), floor(y)), and cut to the
    image. Raises as ``decode_rgb`` does, and ``RegionOutOfImage`` where nothing of the image is left, before it
    decodes.
    """
    header = read_header(content)
    boxes = [_box(rect, header.width, header.height) for rect in rects]
    if not boxes:
        return []
    pixels = decode_rgb(content)
    return [pixels[top:bottom, left:right] for left, top, right, bottom in boxes]


def encode_png(pixels: RgbImage) -> bytes:
    """An RGB PNG of the pixels, at the fastest compression."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=1)
    return out.getvalue()


def encode_jpeg(pixels: RgbImage) -> bytes:
    """An RGB JPEG of the pixels, quality 95, its colours not reduced."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def _box(rect: Rect, width: int, height: int) -> tuple[int, int, int, int]:
    numbers = (rect.x, rect.y, rect.width, rect.height)
    if not all(map(math.isfinite, numbers)) or rect.width <= 0 or rect.height <= 0:
        raise RegionOutOfImage(numbers, width, height)
    left, top = max(math.floor(rect.x), 0), max(math.floor(rect.y), 0)
    right = min(math.ceil(rect.x + rect.width), width)
    bottom = min(math.ceil(rect.y + rect.height), height)
    if left >= right or top >= bottom:
        raise RegionOutOfImage(numbers, width, height)
    return left, top, right, bottom


@contextmanager
def _damage_told() -> Iterator[None]:
    """Whatever Pillow's parsers raise over damaged bytes (a whole zoo) becomes ``ImageUndecodable``."""
    try:
        yield
    except (ImageUndecodable, MemoryError):
        raise
    except Exception as error:
        raise ImageUndecodable(str(error) or type(error).__name__) from error


def _pixels(content: bytes, layout: Layout) -> RgbImage:
    """The RGB pixels as stored, but those of a TIFF upright: Pillow turns these while it loads them."""
    needed = b"".join(content[start:end] for start, end in layout.pieces) if layout.pieces else content
    size = layout.upright_size if layout.media_type == TIFF else (layout.width, layout.height)
    with _damage_told(), Image.open(io.BytesIO(needed), formats=[layout.media_type.removeprefix("image/")]) as image:
        if image.size != size:
            raise ImageUndecodable(f"its header says {size} pixels, its data {image.size}")
        image.info.pop("xmp", None)  # by which Pillow would turn a TIFF once more
        image.load()
        return _rgb(image)


def _rgb(image: Image.Image) -> RgbImage:
    """The loaded image as 8-bit RGB on white, made in bands of rows so that little is copied."""
    result = np.empty((image.height, image.width, 3), np.uint8)
    factor = _factor_to_eight_bits(image) if image.mode.startswith("I") or image.mode == "F" else None
    for top, band in _bands(image):
        rows = result[top : top + band.height]
        if factor is None:
            rows[:] = np.asarray(_opaque_rgb(band))
        else:
            rows[:] = np.clip(np.rint(_deep_values(band) * factor), 0, 255).astype(np.uint8)[:, :, np.newaxis]
    return result


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(image.height, top + rows)))


def _opaque_rgb(image: Image.Image) -> Image.Image:
    if image.mode not in _TRANSPARENT_MODES and "transparency" not in image.info:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    ground.alpha_composite(layered)
    return ground.convert("RGB")


def _deep_values(image: Image.Image) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _factor_to_eight_bits(image: Image.Image) -> float:
    """For a deep grey image: 16-bit integers over 257, floats of 0..1 times 255, others of 0..255 as they are."""
    if image.mode.startswith("I;16"):
        return 1 / 257
    peak = max(float(_deep_values(band).max(initial=0.0)) for _, band in _bands(image))
    if image.mode == "F":
        return 255.0 if peak <= 1.0 else 1.0
    return 1 / 257 if peak > 255 else 1.0
