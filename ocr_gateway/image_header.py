"""What an image file says about itself, and its pixels: Pillow behind four functions.

Sizes and pixels are those after the file's EXIF (or TIFF) orientation, which is how callers see the image. Of a file
with several pages the first is meant. Limits on bytes and pixels are checked by the caller, between ``read_header``,
which decodes nothing, and ``decode_rgb``; so Pillow's own guard is switched off here.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ocr_gateway.errors import FormatUnsupported, ImageEmpty, ImageUndecodable, RegionOutOfImage
from ocr_gateway.model import Rect

RgbImage = NDArray[np.uint8]

Image.MAX_IMAGE_PIXELS = None
# What Pillow finds odd in a caller's file is no news for the operator.
warnings.filterwarnings("ignore", module=r"PIL\..*")

_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
}
# MPO is opened by the JPEG reader.
_READERS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
SUPPORTED_MEDIA_TYPES = tuple(dict.fromkeys(_MEDIA_TYPES.values()))

# (offset, bytes there, what it is): files that are images or documents, and not read here.
_FOREIGN_SIGNATURES = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (0, b"\xff\x4f\xff\x51", "image/jp2"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\x00\x00\x00\x0cJXL ", "image/jxl"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (0, b"AT&TFORM", "image/vnd.djvu"),
    (0, b"%!PS", "application/postscript"),
    (0, b"\x97JB2\r\n\x1a\n", "image/x-jbig2"),
    (0, b"<svg", "image/svg+xml"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftyphevc", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypmsf1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
)
_QUARTER_TURNS = (5, 6, 7, 8)
_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """An image's media type and its extent in pixels, after its orientation."""

    media_type: str
    width: int
    height: int


def read_header(content: bytes) -> ImageHeader:
    """The header's word on type and size; no pixel is decoded, so a good header may still have damaged pixels.

    Raises ``ImageEmpty``, ``FormatUnsupported`` for a known format that is not read here, else ``ImageUndecodable``.
    """
    with _damage_told(), _open(content) as image:
        media_type = _MEDIA_TYPES[image.format or ""]
        width, height = image.size
        # Pillow gives the size of a turned TIFF already turned.
        if media_type != "image/tiff" and _orientation(image) in _QUARTER_TURNS:
            width, height = height, width
    if width < 1 or height < 1:
        raise ImageUndecodable(f"its header says {width} x {height} pixels")
    return ImageHeader(media_type, width, height)


def decode_rgb(content: bytes) -> RgbImage:
    """The pixels, height x width x 3, 8 bits each: turned upright by the orientation, transparency laid onto white,
    16-bit values scaled to 8. Takes memory by the header's size: check that first.

    Raises as ``read_header`` does, and ``ImageUndecodable`` for truncated or damaged pixels.
    """
    with _damage_told(), _open(content) as opened:
        opened.load()
        image = opened if opened.format == "TIFF" else _upright(opened)
        return np.array(_opaque_rgb(image))


def crop_png(content: bytes, rect: Rect) -> bytes:
    """The part of the image under ``rect`` (pixels after the orientation) as an RGB PNG.

    The rectangle is widened to whole pixels, so the crop's top-left pixel is (floor(x), floor(y)), and cut to the
    image. Raises as ``decode_rgb`` does, and ``RegionOutOfImage`` where nothing of the image is left.
    """
    pixels = decode_rgb(content)
    height, width = pixels.shape[:2]
    numbers = (rect.x, rect.y, rect.width, rect.height)
    if not all(map(math.isfinite, numbers)) or rect.width <= 0 or rect.height <= 0:
        raise RegionOutOfImage(numbers, width, height)
    left, top = max(math.floor(rect.x), 0), max(math.floor(rect.y), 0)
    right = min(math.ceil(rect.x + rect.width), width)
    bottom = min(math.ceil(rect.y + rect.height), height)
    if left >= right or top >= bottom:
        raise RegionOutOfImage(numbers, width, height)
    return encode_png(pixels[top:bottom, left:right])


def encode_png(pixels: RgbImage) -> bytes:
    """An RGB PNG of the pixels, at the fastest compression."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=1)
    return out.getvalue()


@contextmanager
def _damage_told() -> Iterator[None]:
    """Whatever Pillow's parsers raise over damaged bytes (a whole zoo) becomes ``ImageUndecodable``."""
    try:
        yield
    except (ImageEmpty, FormatUnsupported, MemoryError):
        raise
    except Exception as error:
        raise ImageUndecodable(str(error) or type(error).__name__) from error


def _open(content: bytes) -> Image.Image:
    if not content:
        raise ImageEmpty
    try:
        return Image.open(io.BytesIO(content), formats=_READERS)
    except UnidentifiedImageError:
        media_type = _foreign_media_type(content)
        if media_type is not None:
            raise FormatUnsupported(media_type, SUPPORTED_MEDIA_TYPES) from None
        raise ImageUndecodable("the bytes are in no image format that is known here") from None


def _foreign_media_type(content: bytes) -> str | None:
    for offset, signature, media_type in _FOREIGN_SIGNATURES:
        if content.startswith(signature, offset):
            return media_type
    return None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 where there is none or the EXIF block cannot be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image.Image) -> Image.Image:
    if _orientation(image) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _opaque_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _TRANSPARENT_MODES or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        ground.alpha_composite(layered)
        return ground.convert("RGB")
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bit(image).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """A deep grey image at 8 bits: 16-bit integers over 257, floats of 0..1 times 255, others of 0..255 as they are."""
    values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    peak = float(values.max(initial=0.0))
    if image.mode == "F":
        factor = 255.0 if peak <= 1.0 else 1.0
    else:
        factor = 1 / 257 if image.mode.startswith("I;16") or peak > 255 else 1.0
    return Image.fromarray(np.clip(np.rint(values * factor), 0, 255).astype(np.uint8))
