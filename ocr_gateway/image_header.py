"""What an image file says about itself, and its pixels.

Sizes and pixels are those after the file's EXIF (or TIFF) orientation, which is how callers see the image. Of a file
with several pages the first is meant. Headers are read here, in time that does not grow with the file: every walk over
chunks, segments or directory entries is bounded, so that it may run on an event loop. Pillow only decodes, and gets
nothing of a JPEG or PNG but what makes its pixels. Limits on bytes and pixels are checked by the caller, between
``read_header`` and ``decode_rgb``; so Pillow's own guard is switched off here.

Sources: PNG (W3C, third edition) section 5, JPEG (ITU T.81) annex B, TIFF 6.0 section 2, RFC 9649, and the BITMAP
header structures of Windows and OS/2.
"""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocr_gateway.errors import FormatUnsupported, ImageEmpty, ImageUndecodable, RegionOutOfImage
from ocr_gateway.model import Rect

RgbImage = NDArray[np.uint8]

Image.MAX_IMAGE_PIXELS = None
# What Pillow finds odd in a caller's file is no news for the operator.
warnings.filterwarnings("ignore", module=r"PIL\..*")

_JPEG, _PNG, _TIFF, _WEBP, _BMP = "image/jpeg", "image/png", "image/tiff", "image/webp", "image/bmp"
SUPPORTED_MEDIA_TYPES = (_JPEG, _PNG, _TIFF, _WEBP, _BMP)

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

# Files as cameras, scanners and programs write them have a few dozen.
_MAX_CHUNKS = 2000
# Of 4 KiB each, the smallest in use, they make a file larger than any limit on bytes allows.
_MAX_DATA_CHUNKS = 20_000
_MAX_ENTRIES = 4096
# Tiles of 16 x 16 px, the smallest that TIFF has, at 128 megapixels.
_MAX_STRIPS = 500_000
# A progressive file has about ten. Each costs a pass over the whole image, so thousands of empty ones cost hours.
_MAX_SCANS = 200
_MAX_TABLE_BYTES = 65_536
_MAX_JUNK_BYTES = 65_536
# The orientation stands near the start of an EXIF block or XMP packet.
_LOOKED_AT_BYTES = 65_536

_UPRIGHT = 1
_QUARTER_TURNS = (5, 6, 7, 8)
_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_BAND_PIXELS = 1_000_000


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """An image's media type and its extent in pixels, after its orientation."""

    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """A file's extent in pixels as stored, its orientation, and which of its bytes make the pixels (none: all)."""

    media_type: str
    width: int
    height: int
    orientation: int = _UPRIGHT
    pieces: Sequence[tuple[int, int]] = ()
    scans_at: int = 0

    @property
    def upright_size(self) -> tuple[int, int]:
        return (self.height, self.width) if self.orientation in _QUARTER_TURNS else (self.width, self.height)


def read_header(content: bytes) -> ImageHeader:
    """The header's word on type and size; no pixel is decoded, so a good header may still have damaged pixels.

    Raises ``ImageEmpty``, ``FormatUnsupported`` for a known format that is not read here, else ``ImageUndecodable``,
    also for a file of more parts than any honest one has.
    """
    layout = _layout_of(content)
    return ImageHeader(layout.media_type, *layout.upright_size)


def decode_rgb(content: bytes) -> RgbImage:
    """The pixels, height x width x 3, 8 bits each: turned upright by the orientation, transparency laid onto white,
    16-bit values scaled to 8. Takes memory by the header's size, about three times the result: check that first.

    Raises as ``read_header`` does, and ``ImageUndecodable`` for truncated or damaged pixels, for pixels of another
    size than the header's, and for a JPEG of more than 200 scans.
    """
    layout = _layout_of(content)
    if layout.media_type == _JPEG and content.count(b"\xff\xda", layout.scans_at) > _MAX_SCANS:
        raise ImageUndecodable(f"it has more than {_MAX_SCANS} scans")
    pixels = _pixels(content, layout)
    if layout.media_type == _TIFF or layout.orientation == _UPRIGHT:
        return pixels
    return np.ascontiguousarray(_TURNS[layout.orientation](pixels))


def crop_pngs(content: bytes, rects: Sequence[Rect]) -> list[bytes]:
    """The part of the image under each of ``rects`` (pixels after the orientation) as an RGB PNG; decodes once.

    A rectangle is widened to whole pixels, so the crop's top-left pixel is (floor(x), floor(y)), and cut to the
    image. Raises as ``decode_rgb`` does, and ``RegionOutOfImage`` where nothing of the image is left, before it
    decodes.
    """
    header = read_header(content)
    boxes = [_box(rect, header.width, header.height) for rect in rects]
    if not boxes:
        return []
    pixels = decode_rgb(content)
    return [encode_png(pixels[top:bottom, left:right]) for left, top, right, bottom in boxes]


def encode_png(pixels: RgbImage) -> bytes:
    """An RGB PNG of the pixels, at the fastest compression."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=1)
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


def _layout_of(content: bytes) -> _Layout:
    if not content:
        raise ImageEmpty
    for signature, read in _LAYOUTS:
        if content.startswith(signature):
            try:
                layout = read(content)
            except (struct.error, IndexError) as error:
                raise ImageUndecodable("its header is cut short or damaged") from error
            if layout.width < 1 or layout.height < 1:
                raise ImageUndecodable(f"its header says {layout.width} x {layout.height} pixels")
            return layout
    for offset, signature, media_type in _FOREIGN_SIGNATURES:
        if content.startswith(signature, offset):
            raise FormatUnsupported(media_type, SUPPORTED_MEDIA_TYPES)
    raise ImageUndecodable("the bytes are in no image format that is known here")


def _png_layout(content: bytes) -> _Layout:
    width, height = struct.unpack_from(">II", content, 16)
    if content[12:16] != b"IHDR":
        raise ImageUndecodable("it does not begin with a header chunk")
    pieces = [(0, 8)]
    blocks: dict[bytes, bytes] = {}
    at, data, others = 8, 0, 0
    while at + 8 <= len(content):
        kind = content[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        data += kind == b"IDAT"
        others += kind != b"IDAT"
        if others > _MAX_CHUNKS:
            raise ImageUndecodable(f"it has more than {_MAX_CHUNKS} chunks besides its pixels")
        if data > _MAX_DATA_CHUNKS:
            raise ImageUndecodable(f"it has its pixels in more than {_MAX_DATA_CHUNKS} chunks")
        if kind in (b"PLTE", b"tRNS", b"IDAT", b"IEND") or at == 8:
            joined = pieces[-1][1] == at
            pieces[-1:] = [(pieces[-1][0], end)] if joined else [pieces[-1], (at, end)]
        elif kind == b"eXIf" or (kind == b"iTXt" and content.startswith(b"XML:com.adobe.xmp\0\0", at + 8)):
            blocks[kind] = content[at + 8 : min(end - 4, at + 8 + _LOOKED_AT_BYTES)]
        if kind == b"IEND":
            break
        at = end
    orientation = _orientation(blocks.get(b"eXIf"), blocks.get(b"iTXt"))
    return _Layout(_PNG, width, height, orientation, pieces)


def _jpeg_layout(content: bytes) -> _Layout:
    pieces = [(0, 2)]
    width = height = tables = 0
    has_frame = False
    exif = xmp = None
    for marker, start, end in _jpeg_segments(content):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if has_frame:
                raise ImageUndecodable("it has more than one frame")
            has_frame = True
            height, width = struct.unpack_from(">HH", content, start + 5)
        elif marker == 0xDB:
            tables += end - start
            if tables > _MAX_TABLE_BYTES:
                raise ImageUndecodable(f"its quantization tables have more than {_MAX_TABLE_BYTES} bytes")
        elif marker == 0xE1 and content.startswith(b"Exif\0\0", start + 4):
            exif = exif or content[start + 10 : end]
        elif marker == 0xE1 and content.startswith(b"http://ns.adobe.com/xap/1.0/\0", start + 4):
            xmp = content[start + 4 : end]
        if marker == 0xDA:
            pieces.append((start, len(content)))
            break
        # Application data and comments say nothing of the pixels, but for JFIF and Adobe's, which name the colours.
        if marker < 0xE1 or marker == 0xEE:
            pieces.append((start, end))
    if not has_frame:
        raise ImageUndecodable("it has no frame header")
    return _Layout(_JPEG, width, height, _orientation(exif, xmp), pieces, pieces[-1][0])


_MARKER = re.compile(rb"\xff[\x01-\xfe]")


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Each segment's marker, start and end, up to the end mark. Passes over a little junk between them."""
    at, junk = 2, _MAX_JUNK_BYTES
    for _ in range(_MAX_CHUNKS):
        found = _MARKER.search(content, at, at + junk + 2)
        if found is None or content[found.end() - 1] == 0xD9:
            return
        start, marker = found.start(), content[found.end() - 1]
        junk -= start - at
        at = found.end()
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        at += max(struct.unpack_from(">H", content, at)[0], 2)
        yield marker, start, at
    raise ImageUndecodable(f"it has more than {_MAX_CHUNKS} segments before its pixels")


def _tiff_layout(content: bytes) -> _Layout:
    tags = _directory(content, _first_directory(content))
    for tag in _STRIP_OFFSETS:
        if tag in tags and tags[tag].count > _MAX_STRIPS:
            raise ImageUndecodable(f"it has more than {_MAX_STRIPS} strips or tiles")
    for tag in _SUB_DIRECTORIES:
        if tag in tags:
            _check_entries(content, tags[tag].value)
    if _WIDTH not in tags or _HEIGHT not in tags:
        raise ImageUndecodable("its directory states no size")
    orientation = tags[_ORIENTATION].value if _ORIENTATION in tags else _UPRIGHT
    known = orientation if orientation in _TURNS else _UPRIGHT
    return _Layout(_TIFF, tags[_WIDTH].value, tags[_HEIGHT].value, known)


_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_STRIP_OFFSETS = (273, 279, 324, 325)
_SUB_DIRECTORIES = (34665, 34853, 40965)
_INTEGER_FORMATS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q"}


@dataclass(frozen=True, slots=True)
class _Tag:
    """How many values a tag has, and the first of those that stand in the entry itself, 0 if none does."""

    count: int
    value: int


def _first_directory(block: bytes) -> int:
    order = _byte_order(block)
    return int(
        struct.unpack_from(f"{order}Q", block, 8)[0] if _is_big(block) else struct.unpack_from(f"{order}L", block, 4)[0]
    )


def _byte_order(block: bytes) -> str:
    return "<" if block[:2] == b"II" else ">"


def _is_big(block: bytes) -> bool:
    return 43 in block[2:4]


def _check_entries(block: bytes, offset: int) -> int:
    """The number of a directory's entries. Raises ImageUndecodable above the limit."""
    count_format = _byte_order(block) + ("Q" if _is_big(block) else "H")
    if offset + 8 > len(block):
        return 0
    count = int(struct.unpack_from(count_format, block, offset)[0])
    if count > _MAX_ENTRIES:
        raise ImageUndecodable(f"its directory has more than {_MAX_ENTRIES} entries")
    return count


def _directory(block: bytes, offset: int) -> dict[int, _Tag]:
    """The tags of one directory whose values are whole numbers. Raises ImageUndecodable for one that is cut short."""
    entry = struct.Struct(_byte_order(block) + ("HHQ8s" if _is_big(block) else "HHL4s"))
    first = offset + (8 if _is_big(block) else 2)
    count = _check_entries(block, offset)
    entries = block[first : first + count * entry.size]
    if not count or len(entries) < count * entry.size:
        raise ImageUndecodable("its directory is missing or cut short")
    tags: dict[int, _Tag] = {}
    for tag, kind, length, inline in entry.iter_unpack(entries):
        if kind in _INTEGER_FORMATS:
            value_format = _byte_order(block) + _INTEGER_FORMATS[kind]
            stands_here = length * struct.calcsize(value_format) <= len(inline)
            value = struct.unpack_from(value_format, inline)[0] if stands_here else 0
            tags.setdefault(tag, _Tag(length, value))
    return tags


def _webp_layout(content: bytes) -> _Layout:
    kind = content[12:16]
    if content[8:12] != b"WEBP" or len(content) < 30:
        raise ImageUndecodable("its WebP header is cut short or damaged")
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        height = int.from_bytes(content[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    else:
        raise ImageUndecodable(f"its first chunk is {kind!r}")
    blocks: dict[bytes, bytes] = {}
    at, chunks = 12, 0
    while at + 8 <= len(content):
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise ImageUndecodable(f"it has more than {_MAX_CHUNKS} chunks")
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] in (b"EXIF", b"XMP "):
            blocks.setdefault(content[at : at + 4], content[at + 8 : at + 8 + min(length, _LOOKED_AT_BYTES)])
        at += 8 + length + length % 2
    return _Layout(_WEBP, width, height, _orientation(blocks.get(b"EXIF"), blocks.get(b"XMP ")))


def _bmp_layout(content: bytes) -> _Layout:
    if int.from_bytes(content[14:18], "little") == 12:
        return _Layout(_BMP, *struct.unpack_from("<HH", content, 18))
    width, height = struct.unpack_from("<ii", content, 18)
    return _Layout(_BMP, width, abs(height))


_LAYOUTS: tuple[tuple[bytes, Callable[[bytes], _Layout]], ...] = (
    (b"\xff\xd8\xff", _jpeg_layout),
    (b"\x89PNG\r\n\x1a\n", _png_layout),
    (b"II*\0", _tiff_layout),
    (b"MM\0*", _tiff_layout),
    (b"II+\0", _tiff_layout),
    (b"MM\0+", _tiff_layout),
    (b"RIFF", _webp_layout),
    (b"BM", _bmp_layout),
)

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
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def _orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """The orientation by the EXIF block, else by the XMP packet; 1 where neither can be read."""
    if exif is not None:
        block = exif.removeprefix(b"Exif\0\0")
        try:
            stated = _directory(block, _first_directory(block)).get(_ORIENTATION)
        except (ImageUndecodable, struct.error):
            stated = None
        if stated is not None:
            return stated.value if stated.value in _TURNS else _UPRIGHT
    found = _XMP_ORIENTATION.search(xmp[:_LOOKED_AT_BYTES]) if xmp is not None else None
    return int(found[1]) if found and int(found[1]) in _TURNS else _UPRIGHT


@contextmanager
def _damage_told() -> Iterator[None]:
    """Whatever Pillow's parsers raise over damaged bytes (a whole zoo) becomes ``ImageUndecodable``."""
    try:
        yield
    except (ImageUndecodable, MemoryError):
        raise
    except Exception as error:
        raise ImageUndecodable(str(error) or type(error).__name__) from error


def _pixels(content: bytes, layout: _Layout) -> RgbImage:
    """The RGB pixels as stored, but those of a TIFF upright: Pillow turns these while it loads them."""
    needed = b"".join(content[start:end] for start, end in layout.pieces) if layout.pieces else content
    size = layout.upright_size if layout.media_type == _TIFF else (layout.width, layout.height)
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
