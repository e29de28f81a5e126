"""Hostile and odd TIFF files."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.fakes.hostile_file import (
    HEIGHT,
    INK_SHARES,
    NO_READABLE_FORMAT,
    TOO_MANY_PAGES,
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
    encoded,
    tiff_bomb,
    tiff_of_overlapping_directories,
    tiff_of_strips,
    tiff_pages,
    tiff_with_pixels,
)

Entry = tuple[int, int, bytes]
"""A tag, its type (3: 16 bits, 4: 32 bits, 5: a fraction), and its values packed."""


def tiff_files() -> tuple[HostileFile, ...]:
    """All of them."""
    return (*_refused(), *_odd(), *_kinds_of_pixels())


def tiff_of(pixels: bytes, **tags: int | bytes | None) -> bytes:
    """A TIFF of one strip, 120 x 80 grey where its tags (``t256`` and so on) say nothing else; None leaves one out."""
    values: dict[int, int | bytes | None] = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 1, 277: 1, 278: HEIGHT}
    values |= {279: len(pixels), 273: 8} | {int(name[1:]): value for name, value in tags.items()}
    values = {tag: value for tag, value in values.items() if value is not None}
    directory_at = 8 + len(pixels)
    tail_at = directory_at + 2 + len(values) * 12 + 4
    entries, tail = b"", b""
    for tag, value in sorted(values.items()):
        if not isinstance(value, bytes):
            entries += struct.pack("<HHLL", tag, 4, 1, value)
            continue
        kind, count = (5, len(value) // 8) if tag in (282, 283) else (3, len(value) // 2)
        entries += struct.pack("<HHL", tag, kind, count)
        entries += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<L", tail_at + len(tail))
        tail += value if len(value) > 4 else b""
    head = b"II*\0" + struct.pack("<L", directory_at) + pixels
    return head + struct.pack("<H", len(values)) + entries + bytes(4) + tail


def _grey() -> npt.NDArray[np.uint8]:
    return np.asarray(marked_page().convert("L"), np.uint8)


def _refused() -> tuple[HostileFile, ...]:
    grey = _grey().tobytes()
    return (
        refused("tiff bomb", tiff_bomb, TOO_MANY_PIXELS),
        refused("tiff of 10 000 pages", _ten_thousand_pages, TOO_MANY_PAGES),
        either("tiff whose directory follows itself", lambda: _linked_to(tiff_of(grey), 8 + len(grey)), reads=Reads(2)),
        refused("tiff whose directory lies behind its end", lambda: b"II*\0\xff\xff\xff\x7f"),
        refused("tiff of overlapping directories", lambda: tiff_of_overlapping_directories(1900)),
        refused("tiff of 100 001 strips", lambda: tiff_of_strips(100_001)),
        refused("tiff of a strip of 4 GiB", lambda: tiff_of(grey, t279=2**32 - 1)),
        refused("tiff of a strip behind its end", lambda: tiff_of(grey, t273=2**31)),
        refused("tiff 0 px wide", lambda: tiff_of(grey, t256=0)),
        refused("tiff 0 px high", lambda: tiff_of(grey, t257=0)),
        refused("tiff of no bits", lambda: tiff_of(grey, t258=0)),
        refused("tiff of 65535 samples", lambda: tiff_of(grey, t277=65535)),
        refused("tiff of an unknown compression", lambda: tiff_of(grey, t259=60_000), NO_READABLE_FORMAT),
        either("tiff of 0 rows a strip", lambda: tiff_of(grey, t278=0)),
        either("tiff whose strip is a deflate bomb", lambda: tiff_of(deflated_zeros(1000), t259=8)),
        refused(
            "tiff of tiles of 2^30 px",
            lambda: _tiled(grey, 2**30),
            TOO_MANY_PIXELS | UNDECODABLE,
        ),
        refused("tiff of tiles of 0 px", lambda: _tiled(grey, 0)),
        refused("tiff of a lying jpeg", lambda: tiff_of(_jpeg_of(5000, 5000), t259=7, t262=1)),
        refused("tiff of lzw junk", lambda: tiff_of(b"\xff" * 5000, t259=5)),
        refused("tiff of group 4 junk", lambda: tiff_of(bytes(range(256)) * 4, t258=1, t259=4)),
    )


def _tiled(pixels: bytes, side_px: int) -> bytes:
    """One tile of this side, and no strips."""
    return tiff_of(pixels, t273=None, t278=None, t279=None, t322=side_px, t323=side_px, t324=8, t325=len(pixels))


def _jpeg_of(width: int, height: int) -> bytes:
    return encoded(Image.new("L", (width, height), 255), "JPEG")


def _linked_to(content: bytes, directory_at: int) -> bytes:
    """The directory's last word, which names the next one, set to itself."""
    count = int.from_bytes(content[directory_at : directory_at + 2], "little")
    link = directory_at + 2 + count * 12
    return content[:link] + struct.pack("<L", directory_at) + content[link + 4 :]


def _ten_thousand_pages() -> bytes:
    """Pages of one pixel each, which share their pixel."""
    page = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1))
    entries = struct.pack("<H", len(page)) + b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in page)
    step = len(entries) + 4
    links = [16 + step * number for number in range(1, 10_000)] + [0]
    return b"II*\0" + struct.pack("<L8x", 16) + b"".join(entries + struct.pack("<L", link) for link in links)


def _odd() -> tuple[HostileFile, ...]:
    grey = _grey().tobytes()
    fraction = struct.pack("<LL", 0, 0)
    huge = struct.pack("<LL", 2**32 - 1, 1)
    pages = [marked_page(), marked_page(), marked_page()]
    return (
        read_right("tiff of 0/0 dpi", lambda: tiff_of(grey, t282=fraction, t283=fraction)),
        read_right("tiff of 4 294 967 295 dpi", lambda: tiff_of(grey, t282=huge, t283=huge)),
        read_right("tiff of orientation 9", lambda: tiff_of(grey, t274=9)),
        read_right("tiff big", lambda: encoded(marked_page(), "TIFF", big_tiff=True)),
        read_right("tiff of three pages", lambda: tiff_pages(*pages), Reads(3, (WIDTH, HEIGHT), INK_SHARES)),
        read_right("tiff of three group 4 pages", lambda: _group_4(pages), Reads(3, (WIDTH, HEIGHT), INK_SHARES)),
        read_right("tiff of lzw", lambda: encoded(marked_page(), "TIFF", compression="tiff_lzw")),
        read_right("tiff of deflate", lambda: encoded(marked_page(), "TIFF", compression="tiff_adobe_deflate")),
        read_right("tiff of jpeg", lambda: encoded(marked_page(), "TIFF", compression="jpeg")),
        read_right("tiff of packbits", lambda: encoded(marked_page(), "TIFF", compression="packbits")),
        read_right("tiff of group 3", lambda: encoded(marked_page().convert("1"), "TIFF", compression="group3")),
        read_right("tiff with a predictor", _predicted),
        read_right("tiff of planes", _planes),
    )


def _group_4(pages: list[Image.Image]) -> bytes:
    return tiff_pages(*(page.convert("1") for page in pages), compression="group4")


def _predicted() -> bytes:
    return encoded(marked_page(), "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2})


def _planes() -> bytes:
    """Each colour in a strip of its own."""
    plane = _grey().tobytes()
    places, lengths = (struct.pack("<3L", 8, 8 + len(plane), 8 + 2 * len(plane)), struct.pack("<3L", *[len(plane)] * 3))
    return _with_words(plane * 3, places, lengths)


def _with_words(pixels: bytes, places: bytes, lengths: bytes) -> bytes:
    head = b"II*\0" + struct.pack("<L", 8 + len(pixels)) + pixels
    values = (256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 2)
    tail_at = len(head) + 2 + 10 * 12 + 4
    tables = (273, 4, 3, tail_at), (277, 3, 1, 3), (278, 3, 1, HEIGHT), (279, 4, 3, tail_at + 12), (284, 3, 1, 2)
    # Three samples of 8 bits: the count is 3, and the values stand behind the two tables.
    entries = [list(entry) for entry in (*values, *tables)]
    entries[2] = [258, 3, 3, tail_at + 24]
    directory = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return head + struct.pack("<H", 10) + directory + bytes(4) + places + lengths + struct.pack("<3H", 8, 8, 8)


def _kinds_of_pixels() -> tuple[HostileFile, ...]:
    grey = _grey()
    bits = np.packbits(grey > 127, axis=1).tobytes()
    alike = Reads(size=(WIDTH, HEIGHT), ink=INK_SHARES)
    floats = np.where(grey > 127, 1.0, 0.0).astype("<f4")
    odd = floats.copy()
    odd[0, :3] = (np.nan, np.inf, -np.inf)
    return (
        read_right("tiff of 1 bit, 0 is black", lambda: tiff_with_pixels(WIDTH, HEIGHT, 1, 1, bits)),
        read_right("tiff of 1 bit, 0 is white", lambda: tiff_with_pixels(WIDTH, HEIGHT, 1, 0, _inverted(bits))),
        read_right("tiff of grey, 0 is white", lambda: tiff_with_pixels(WIDTH, HEIGHT, 8, 0, (255 - grey).tobytes())),
        read_right("tiff of 16 bits", lambda: tiff_of((grey.astype("<u2") * 257).tobytes(), t258=16)),
        read_right("tiff of cmyk", lambda: encoded(marked_page().convert("CMYK"), "TIFF")),
        read_right("tiff of lab", lambda: encoded(_lab(), "TIFF"), alike),
        read_right("tiff of a palette", lambda: encoded(marked_page().quantize(4), "TIFF")),
        read_right("tiff with alpha", lambda: encoded(_ink_on_nothing(), "TIFF")),
        either("tiff of floats", lambda: tiff_of(floats.tobytes(), t258=32, t339=3), NO_READABLE_FORMAT, alike),
        either("tiff of floats, some no numbers", lambda: tiff_of(odd.tobytes(), t258=32, t339=3), NO_READABLE_FORMAT),
        either(
            "tiff of nothing but nan",
            lambda: tiff_of(np.full_like(floats, np.nan).tobytes(), t258=32, t339=3),
            NO_READABLE_FORMAT,
        ),
        either(
            "tiff of 32 bits", lambda: tiff_of((grey.astype("<u4") * 16_843_009).tobytes(), t258=32), NO_READABLE_FORMAT
        ),
        either(
            "tiff of 64-bit floats",
            lambda: tiff_of(floats.astype("<f8").tobytes(), t258=64, t339=3),
            NO_READABLE_FORMAT,
        ),
    )


def _inverted(bits: bytes) -> bytes:
    return bytes(255 - byte for byte in bits)


def _lab() -> Image.Image:
    """Lightness alone, without colour."""
    lightness = marked_page().convert("L")
    middle = Image.new("L", lightness.size, 128)
    return Image.merge("LAB", (lightness, middle, middle))


def _ink_on_nothing() -> Image.Image:
    black = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    black.putalpha(Image.eval(marked_page().convert("L"), lambda level: 255 - level))
    return black
