"""Hostile and odd JPEG, PNG, WebP, BMP and GIF files."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

from tests.fakes.hostile_file import (
    ANYHOW,
    HEIGHT,
    MARKED,
    NO_READABLE_FORMAT,
    TOO_MANY_PIXELS,
    UNDECODABLE,
    WIDTH,
    HostileFile,
    Reads,
    deflated_zeros,
    either,
    marked_page,
    read_right,
    refused,
)
from tests.fakes.images import (
    bmp_bomb,
    encoded,
    files_of_too_many_parts,
    jpeg_bomb,
    jpeg_segment,
    png_bomb,
    png_chunk,
    png_of,
    stored_with_orientation,
    webp_bomb,
    with_inserted,
)

_PNG_HEADER_END = 33
_JPEG_START_END = 2
_WHITE = (250.0, 255.0)
_BLACK = (0.0, 5.0)


def raster_files() -> tuple[HostileFile, ...]:
    """All of them."""
    parts = (
        refused(f"{name}: too many", lambda content=content: content)  # type: ignore[misc]
        for name, (content, _) in files_of_too_many_parts().items()
    )
    return (*_jpeg(), *_png(), *_webp(), *_bmp(), *_gif(), *_shapes(), *_orientations(), *parts)


def _jpeg() -> tuple[HostileFile, ...]:
    page = encoded(marked_page(), "JPEG", quality=90)
    progressive = encoded(marked_page(), "JPEG", progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    return (
        refused("jpeg bomb", jpeg_bomb, TOO_MANY_PIXELS),
        refused("jpeg 0 px wide", lambda: _jpeg_stating(page, HEIGHT, 0)),
        refused("jpeg 0 px high", lambda: _jpeg_stating(page, 0, WIDTH)),
        refused("jpeg taller than its data", lambda: _jpeg_stating(page, 9000, WIDTH)),
        refused("jpeg of 5000 empty scans", lambda: progressive[:-2] + scan * 5000 + b"\xff\xd9"),
        refused("jpeg end marks only", lambda: b"\xff\xd8\xff" + b"\xd9\xff" * 1000),
        refused("jpeg of start marks", lambda: b"\xff\xd8" * 100_000),
        refused("jpeg of fill bytes", lambda: b"\xff\xd8" + b"\xff" * 1_000_000),
        either("jpeg arithmetic", lambda: page.replace(b"\xff\xc0", b"\xff\xc9", 1), NO_READABLE_FORMAT),
        either("jpeg lossless", lambda: page.replace(b"\xff\xc0", b"\xff\xc3", 1), NO_READABLE_FORMAT),
        refused("jpeg hierarchical", lambda: page.replace(b"\xff\xc0", b"\xff\xc5", 1), NO_READABLE_FORMAT),
        refused("jpeg of 12 bits", lambda: _patched(page, page.index(b"\xff\xc0") + 4, b"\x0c"), NO_READABLE_FORMAT),
        read_right("jpeg cmyk, inverted by adobe", lambda: encoded(marked_page().convert("CMYK"), "JPEG")),
        read_right("jpeg cmyk without adobe's mark", _jpeg_cmyk_without_adobe, ANYHOW),
        read_right("jpeg of grey", lambda: encoded(marked_page().convert("L"), "JPEG")),
        read_right("jpeg progressive", lambda: progressive),
        read_right("jpeg with junk behind it", lambda: page + b"junk" * 50_000),
        read_right("jpeg with a jpeg behind it", lambda: page + jpeg_bomb()),
        read_right("jpeg mpo", _mpo),
        read_right("jpeg with broken exif", lambda: with_inserted(page, _JPEG_START_END, _EXIF_LOOP)),
        read_right("jpeg of 65535 dpi", lambda: encoded(marked_page(), "JPEG", dpi=(65535, 65535))),
        read_right("jpeg of 0 dpi", lambda: _jpeg_without_density(page)),
    )


_EXIF_LOOP = jpeg_segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0")
"""A directory that names itself as its sub-directory and as the next one."""


def _jpeg_stating(content: bytes, height: int, width: int) -> bytes:
    return _patched(content, content.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def _patched(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def _jpeg_cmyk_without_adobe() -> bytes:
    """Four components and no Adobe mark: readers differ in whether 0 is white or black."""
    inverted = Image.eval(marked_page().convert("CMYK"), lambda level: 255 - level)
    content = encoded(inverted, "JPEG", quality=95)
    start = content.index(b"\xff\xee")
    length = int.from_bytes(content[start + 2 : start + 4], "big")
    return content[:start] + content[start + 2 + length :]


def _mpo() -> bytes:
    return encoded(marked_page(), "MPO", save_all=True, append_images=[Image.new("RGB", (30, 20))])


def _jpeg_without_density(content: bytes) -> bytes:
    return _patched(content, content.index(b"JFIF\0") + 7, b"\x01\0\0\0\0")


def _png() -> tuple[HostileFile, ...]:
    page = encoded(marked_page(), "PNG")
    grey = np.asarray(marked_page().convert("L"))
    return (
        refused("png bomb", png_bomb, TOO_MANY_PIXELS),
        refused("png bomb of one row", lambda: png_of(2**31 - 1, 1, 8, 0, bytes(1000)), TOO_MANY_PIXELS),
        refused("png 0 px wide", lambda: png_of(0, 80, 8, 0, bytes(100))),
        refused("png 0 px high", lambda: png_of(120, 0, 8, 0, bytes(100))),
        refused("png of depth 3", lambda: png_of(120, 80, 3, 0, bytes(10_000))),
        refused(
            "png wider than 31 bits",
            lambda: png_of(2**32 - 1, 2**32 - 1, 8, 2, bytes(100)),
            TOO_MANY_PIXELS | UNDECODABLE,
        ),
        read_right("png with a ztxt bomb", lambda: _png_with(page, b"zTXt", b"bomb\0\0" + deflated_zeros(500))),
        read_right("png with an itxt bomb", lambda: _png_with(page, b"iTXt", b"b\0\1\0\0\0" + deflated_zeros(500))),
        either(
            "png with an iccp bomb", lambda: _png_with(page, b"iCCP", b"bomb\0\0" + deflated_zeros(500)), reads=MARKED
        ),
        either("png with pixels for ever", lambda: _png_stating_less(deflated_zeros(1000))),
        refused("png without pixels", lambda: page[:_PNG_HEADER_END] + png_chunk(b"IEND")),
        refused("png of a wrong checksum", lambda: _patched(page, page.index(b"IDAT") + 8, b"\xaa")),
        refused("png of a chunk that is too long", lambda: _patched(page, _PNG_HEADER_END, b"\x7f\xff\xff\xff")),
        read_right("png of 16 bits, grey", lambda: encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")),
        read_right("png of 16 bits, colour", lambda: _png_sixteen(grey)),
        read_right("png of 1 bit", lambda: encoded(marked_page().convert("1"), "PNG")),
        read_right("png of a palette", lambda: encoded(marked_page().quantize(4), "PNG")),
        read_right("png with alpha", lambda: encoded(_ink_on_nothing(), "PNG")),
        read_right("png of grey with alpha", lambda: encoded(_ink_on_nothing().convert("LA"), "PNG")),
        read_right("png animated", lambda: encoded(marked_page(), "PNG", save_all=True, append_images=[_blank()])),
        read_right("png of 4 294 967 295 px a metre", lambda: _png_with(page, b"pHYs", b"\xff" * 8 + b"\x01")),
        refused("png of mng", lambda: b"\x8aMNG\r\n\x1a\n" + page[8:], NO_READABLE_FORMAT),
    )


def _png_with(page: bytes, kind: bytes, data: bytes) -> bytes:
    return with_inserted(page, _PNG_HEADER_END, png_chunk(kind, data))


def _png_stating_less(packed: bytes) -> bytes:
    """Pixels that go on far behind the last row that the header states."""
    return png_of(120, 80, 8, 0, b"").split(b"\0\0\0\x08IDAT")[0] + png_chunk(b"IDAT", packed) + png_chunk(b"IEND")


def _png_sixteen(grey: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    rows = np.repeat(grey.astype(">u2")[:, :, None] * 257, 3, axis=2).astype(">u2")
    return png_of(WIDTH, HEIGHT, 16, 2, b"".join(b"\0" + row.tobytes() for row in rows))


def _ink_on_nothing() -> Image.Image:
    """Black everywhere, and opaque at the ink only."""
    black = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    black.putalpha(Image.eval(marked_page().convert("L"), lambda level: 255 - level))
    return black


def _blank() -> Image.Image:
    return Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90))


def _webp() -> tuple[HostileFile, ...]:
    page = encoded(marked_page(), "WEBP", lossless=True)
    lossy = encoded(marked_page(), "WEBP", quality=95)
    return (
        refused("webp bomb", webp_bomb, TOO_MANY_PIXELS),
        refused(
            "webp bomb of one frame", lambda: _patched(lossy, 26, b"\xff\x3f\xff\x3f"), TOO_MANY_PIXELS | UNDECODABLE
        ),
        refused("webp 0 px wide", lambda: _patched(lossy, 26, b"\0\0")),
        refused("webp of nothing", lambda: b"RIFF\x04\0\0\0WEBP"),
        either("webp that states 4 GiB", lambda: _patched(lossy, 4, b"\xfe\xff\xff\xff"), reads=MARKED),
        read_right("webp lossless", lambda: page),
        read_right("webp with alpha", lambda: encoded(_ink_on_nothing(), "WEBP", lossless=True, exact=True)),
        read_right("webp animated", lambda: _animated("WEBP", lossless=True)),
    )


def _animated(file_format: str, **options: object) -> bytes:
    return encoded(marked_page(), file_format, save_all=True, append_images=[_blank(), marked_page()], **options)


def _bmp() -> tuple[HostileFile, ...]:
    page = encoded(marked_page(), "BMP")
    return (
        refused("bmp bomb", bmp_bomb, TOO_MANY_PIXELS),
        refused("bmp 0 px wide", lambda: _patched(page, 18, bytes(4))),
        refused(
            "bmp of negative width",
            lambda: _patched(page, 18, struct.pack("<i", -WIDTH)),
            TOO_MANY_PIXELS | UNDECODABLE,
        ),
        refused(
            "bmp of the lowest height",
            lambda: _patched(page, 22, struct.pack("<i", -(2**31))),
            TOO_MANY_PIXELS | UNDECODABLE,
        ),
        refused("bmp whose pixels lie behind its end", lambda: _patched(page, 10, b"\xff\xff\xff\x7f")),
        refused("bmp of 5 bits", lambda: _patched(page, 28, b"\x05")),
        either("bmp of 2^32 - 1 colours", lambda: _patched(encoded(marked_page().quantize(4), "BMP"), 46, b"\xff" * 4)),
        read_right("bmp from the top", _bmp_from_the_top),
        read_right("bmp of 1 bit", lambda: encoded(marked_page().convert("1"), "BMP")),
        read_right("bmp of a palette", lambda: encoded(marked_page().quantize(4), "BMP")),
        either("bmp run-length bomb", _bmp_runs),
    )


def _bmp_from_the_top() -> bytes:
    page = bytearray(encoded(marked_page(), "BMP"))
    page[22:26] = struct.pack("<i", -HEIGHT)
    row = WIDTH * 3
    rows = [bytes(page[54 + i * row : 54 + (i + 1) * row]) for i in range(HEIGHT)]
    return bytes(page[:54]) + b"".join(reversed(rows))


def _bmp_runs() -> bytes:
    """Run-length codes that jump far behind the last row, over and over."""
    header = struct.pack("<IiiHHIIiiII", 40, 9000, 9000, 1, 8, 1, 0, 2835, 2835, 256, 0)
    at = 54 + 1024
    runs = b"\0\x02\xff\xff" * 100_000
    return b"BM" + struct.pack("<IHHI", at + len(runs), 0, 0, at) + header + bytes(1024) + runs


def _gif() -> tuple[HostileFile, ...]:
    page = encoded(marked_page(), "GIF")
    frame = page.index(b",\0\0\0\0")
    return (
        refused("gif bomb", lambda: _patched(page, 6, b"\xff" * 4), TOO_MANY_PIXELS),
        either("gif bomb of one frame", lambda: _patched(page, frame + 5, b"\xff" * 4), TOO_MANY_PIXELS | UNDECODABLE),
        either("gif 0 px wide", lambda: _patched(_patched(page, 6, b"\0\0"), frame + 5, b"\0\0")),
        either(
            "gif whose frame lies outside",
            lambda: _patched(page, frame + 1, b"\xff\x7f\xff\x7f"),
            TOO_MANY_PIXELS | UNDECODABLE,
        ),
        refused("gif without a frame", lambda: page[:13] + b"\0" * 0 + page[13:frame] + b";"),
        refused("gif of blocks for ever", lambda: page[:frame] + b"!\xfe\x01a\0" * 400_000),
        read_right("gif of one frame", lambda: page),
        read_right("gif animated", lambda: _animated("GIF")),
        read_right("gif of 20 000 frames", lambda: page[:-1] + page[frame:-1] * 20_000 + b";"),
        read_right("gif with nothing behind the ink", _gif_transparent),
        read_right("gif interlaced", lambda: encoded(marked_page(), "GIF", interlace=1)),
    )


def _gif_transparent() -> bytes:
    image = marked_page().convert("L").point(lambda level: level and 1).convert("P")
    image.putpalette([0, 0, 0, 10, 10, 10])
    return encoded(image, "GIF", transparency=1)


def _shapes() -> tuple[HostileFile, ...]:
    def blank(width: int, height: int, level: int = 255, kind: str = "PNG") -> bytes:
        return encoded(Image.new("L", (width, height), level), kind)

    return (
        read_right("png of 1 x 1 px", lambda: blank(1, 1), Reads(size=(1, 1))),
        read_right("jpeg of 1 x 1 px", lambda: blank(1, 1, kind="JPEG"), Reads(size=(1, 1))),
        read_right("png of 1 x 60000 px", lambda: blank(1, 60_000), Reads(size=(1, 60_000))),
        read_right("png of 60000 x 1 px", lambda: blank(60_000, 1), Reads(size=(60_000, 1))),
        read_right("jpeg of 65000 x 1 px", lambda: blank(65_000, 1, kind="JPEG"), Reads(size=(65_000, 1))),
        read_right("png all white", lambda: blank(800, 600), Reads(size=(800, 600), levels=_WHITE)),
        read_right("png all black", lambda: blank(800, 600, 0), Reads(size=(800, 600), levels=_BLACK)),
        either("png of 99 megapixels", lambda: png_of(9900, 10_000, 1, 0, (b"\0" + b"\xff" * 1238) * 10_000)),
        refused("png of 101 megapixels", lambda: png_of(10_100, 10_000, 1, 0, b"\xff" * 100), TOO_MANY_PIXELS),
    )


def _orientations() -> tuple[HostileFile, ...]:
    def turned(kind: str, orientation: int) -> HostileFile:
        return read_right(
            f"{kind.lower()} of orientation {orientation}",
            lambda: stored_with_orientation(marked_page(), orientation, kind),
        )

    jpegs = (turned("JPEG", orientation) for orientation in range(1, 9))
    others = (turned(kind, orientation) for kind in ("PNG", "WEBP", "TIFF") for orientation in (5, 6))
    return (*jpegs, *others)
