"""Rendered pages with ink at known places, in every format that is read, and every broken kind of file."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
EXIF_ORIENTATION = 0x0112

# How a viewer's picture is stored, for each EXIF orientation: the inverse of what the viewer does.
_STORED_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class InkBox:
    """A black rectangle, in pixels of the upright page."""

    x: int
    y: int
    width: int
    height: int

    @property
    def corners(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The top left and the bottom right corner."""
        return (float(self.x), float(self.y)), (float(self.x + self.width), float(self.y + self.height))


def page_with_ink(width: int, height: int, *boxes: InkBox) -> Image.Image:
    """A white page with black boxes, as a viewer shows it."""
    pixels = np.full((height, width), 255, np.uint8)
    for box in boxes:
        pixels[box.y : box.y + box.height, box.x : box.x + box.width] = 0
    return Image.fromarray(pixels).convert("RGB")


def photo(width: int = 96, height: int = 64, *, seed: int = 7) -> Image.Image:
    """A smooth colour picture without two equal corners, so that turning and cutting it shows."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8)).convert("RGB")


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The image in this format, by Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def stored_with_orientation(upright: Image.Image, orientation: int, file_format: str, **options: object) -> bytes:
    """A file whose pixels are turned and whose EXIF orientation tells the viewer to turn them back."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return encoded(stored_as(upright, orientation), file_format, exif=exif, **options)


def stored_as(upright: Image.Image, orientation: int) -> Image.Image:
    """The picture as a file of this EXIF orientation stores it."""
    method = _STORED_BY.get(orientation)
    return upright if method is None else upright.transpose(method)


def tiff_pages(*pages: Image.Image, **options: object) -> bytes:
    """A TIFF of these pages."""
    return encoded(pages[0], "TIFF", save_all=True, append_images=list(pages[1:]), **options)


def bgr_of(image: Image.Image) -> Pixels:
    """The picture's pixels in OpenCV's order."""
    return np.asarray(image.convert("RGB"), np.uint8)[:, :, ::-1]


def ink_box_of(content: bytes) -> tuple[tuple[float, float], tuple[float, float]]:
    """The corners of all ink on an encoded page, found by thresholding."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    rows, columns = np.nonzero(np.asarray(pixels) < 128)
    return (float(columns.min()), float(rows.min())), (float(columns.max() + 1), float(rows.max() + 1))


def png_of(
    width: int, height: int, depth: int, colour_type: int, scanlines: bytes, *extra: tuple[bytes, bytes]
) -> bytes:
    """A PNG written chunk by chunk, so that it can state anything; ``extra`` chunks stand before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(scanlines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)


def png_bomb(side_px: int = 60_000) -> bytes:
    """A small PNG whose header declares a square of this side."""
    return png_of(side_px, side_px, 8, 0, bytes(100_000))


def bmp_bomb(side_px: int = 60_000) -> bytes:
    """A small BMP whose header declares a square of this side."""
    header = struct.pack("<IiiHHIIiiII", 40, side_px, side_px, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + header + bytes(64)


def webp_bomb() -> bytes:
    """A small WebP whose header declares the largest canvas that the format has, 16 777 216 px squared."""
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff" * 6
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff_bomb(side_px: int = 60_000) -> bytes:
    """A small TIFF whose directory declares a square of this side in one strip."""
    entries = (
        (256, side_px),
        (257, side_px),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, side_px),
        (279, 9),
    )
    directory = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<L", 8) + struct.pack("<H", len(entries)) + directory + bytes(4)


def jpeg_bomb(side_px: int = 60_000) -> bytes:
    """A small JPEG whose frame header declares a square of this side."""
    content = bytearray(encoded(photo(), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", side_px, side_px)
    return bytes(content)


# Starts of files that are known and not read, each with the media type that is to be named.
UNREAD_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1vvic", "image/heif"),
    (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomavc1", "video/mp4"),
    (b"8BPS\x00\x01" + bytes(20), "image/vnd.adobe.photoshop"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "image/svg+xml"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"P6\n2 2\n255\n" + bytes(12), "image/x-portable-anymap"),
    (b"PK\x03\x04" + bytes(26), "application/zip"),
)


def tiff_with_pixels(width: int, height: int, depth: int, photometric: int, pixels: bytes) -> bytes:
    """An uncompressed grey TIFF whose photometric tag is chosen: 0 is WhiteIsZero, 1 BlackIsZero."""
    values = (
        (256, width),
        (257, height),
        (258, depth),
        (259, 1),
        (262, photometric),
        (273, 0),
        (277, 1),
        (278, height),
    )
    count = len(values) + 1
    data_at = 8 + 2 + count * 12 + 4
    entries = [*((tag, data_at if tag == 273 else value) for tag, value in values), (279, len(pixels))]
    directory = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<L", 8) + struct.pack("<H", count) + directory + bytes(4) + pixels


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    """One chunk of a PNG, whole with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_segment(marker: int, data: bytes = b"") -> bytes:
    """One segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def tiff_of_overlapping_directories(directories: int, entries: int = 4096) -> bytes:
    """A big-endian TIFF of ``directories`` chained directories with ``entries`` entries each, 12 bytes apart: all of
    them together are far larger than the file.
    """
    first = 16
    links = [0] * entries + [first + 12 * number for number in range(1, directories)] + [0]
    return b"MM\0*" + struct.pack(">L8x", first) + b"".join(struct.pack(">HL6x", entries, link) for link in links)


def tiff_of_strips(strips: int) -> bytes:
    """A small grey TIFF whose directory states this number of strips, each with its own entry in the table."""
    values = (
        (256, 1, 64),
        (257, 1, 64),
        (258, 1, 8),
        (259, 1, 1),
        (262, 1, 1),
        (273, strips, 8),
        (277, 1, 1),
        (278, 1, 1),
        (279, strips, 8),
    )
    directory = b"".join(struct.pack("<HHLL", tag, 4, count, value) for tag, count, value in values)
    table = bytes(4 * strips)
    return b"II*\0" + struct.pack("<L", 8 + len(table)) + table + struct.pack("<H", len(values)) + directory + bytes(4)


def with_inserted(content: bytes, at: int, inserted: bytes) -> bytes:
    """The file with bytes put in: 33 is behind a PNG's header chunk, 2 behind a JPEG's start mark."""
    return content[:at] + inserted + content[at:]


def webp_of_chunks(chunks: int) -> bytes:
    """A WebP of 16 x 16 px that holds this number of empty chunks behind its header, and no pixels."""
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\x0f\0\0" * 2 + b"abcd\0\0\0\0" * chunks
    return b"RIFF" + struct.pack("<I", len(body)) + body


def files_of_too_many_parts() -> dict[str, tuple[bytes, str]]:
    """Small images, of far more parts each than any honest file has, with what the refusal says."""
    png = encoded(photo(), "PNG")
    jpeg = encoded(photo(), "JPEG")
    frame = jpeg[jpeg.index(b"\xff\xc0") : jpeg.index(b"\xff\xc4")]
    return {
        "png chunks": (with_inserted(png, 33, png_chunk(b"abCd") * 2001), "more than 2000 chunks besides its pixels"),
        "png data chunks": (
            with_inserted(png, png.index(b"IDAT") - 4, png_chunk(b"IDAT") * 20_001),
            "its pixels in more than 20000 chunks",
        ),
        "jpeg segments": (with_inserted(jpeg, 2, jpeg_segment(0xFE) * 2001), "more than 2000 segments"),
        "jpeg restart marks": (with_inserted(jpeg, 2, b"\xff\xd0" * 2001), "more than 2000 segments"),
        "jpeg tables": (with_inserted(jpeg, 2, jpeg_segment(0xDB, bytes(65_000)) * 2), "quantization tables"),
        "jpeg frames": (with_inserted(jpeg, jpeg.index(frame), frame), "more than one frame"),
        "tiff strips": (tiff_of_strips(100_001), "more than 100000 strips"),
        "webp chunks": (webp_of_chunks(2001), "more than 2000 chunks"),
    }
