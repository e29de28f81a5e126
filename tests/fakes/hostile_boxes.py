"""Hostile and odd HEIC and AVIF files: items in boxes within boxes (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

import io
import struct

import pillow_heif
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
    either,
    marked_page,
    read_right,
    refused,
)
from tests.fakes.images import encoded, stored_with_orientation

_EXTENT = struct.pack(">LL", WIDTH, HEIGHT)
_TURN = b"\0\0\0\x09irot\x03"
"""Three quarter turns counter-clockwise: one clockwise."""
_SOME_PAGES = Reads(size=(WIDTH, HEIGHT), ink=INK_SHARES)


def heic(*pages: Image.Image, **options: object) -> bytes:
    """A HEIC of these pages, or of ``marked_page``."""
    first, *others = pages or (marked_page(),)
    file = pillow_heif.from_pillow(first)
    for page in others:
        file.add_from_pillow(page)
    out = io.BytesIO()
    file.save(out, quality=95, **options)
    return out.getvalue()


def box(kind: bytes, content: bytes = b"") -> bytes:
    """One box."""
    return struct.pack(">L", 8 + len(content)) + kind + content


def box_files() -> tuple[HostileFile, ...]:
    """All of them."""
    return (*_readable(), *_lying("heic", heic), *_lying("avif", _avif), *_made_up())


def _avif() -> bytes:
    return encoded(marked_page(), "AVIF", quality=95)


def _readable() -> tuple[HostileFile, ...]:
    page = marked_page()
    return (
        read_right("heic", heic),
        read_right("heic of grey", lambda: heic(page.convert("L"))),
        read_right("heic with alpha", lambda: heic(_ink_on_nothing())),
        read_right("heic turned", _heic_turned),
        either("heic of three images", lambda: heic(page, page, page), TOO_MANY_PAGES, _SOME_PAGES),
        read_right("heic of brand mif1", lambda: heic().replace(b"ftypheic", b"ftypmif1", 1)),
        read_right("avif", _avif),
        read_right("avif turned", lambda: stored_with_orientation(page, 6, "AVIF", quality=95)),
        read_right("avif with alpha", lambda: encoded(_ink_on_nothing(), "AVIF", quality=100)),
        read_right(
            "avif animated", lambda: encoded(page, "AVIF", save_all=True, append_images=[page, page], quality=95)
        ),
    )


def _ink_on_nothing() -> Image.Image:
    black = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    black.putalpha(Image.eval(marked_page().convert("L"), lambda level: 255 - level))
    return black


def _heic_turned() -> bytes:
    """A page that is stored turned, and a property of its item that turns it back."""
    content = heic(marked_page().transpose(Image.Transpose.ROTATE_90))
    properties, associations = content.index(b"ipco") - 4, content.index(b"ipma") - 4
    size = int.from_bytes(content[properties : properties + 4], "big")
    count = _children(content[properties + 8 : properties + size])
    old = content[associations : associations + int.from_bytes(content[associations : associations + 4], "big")]
    new = _one_more(old, count + 1)
    grown = content[: properties + size] + _TURN + content[properties + size : associations] + new
    grown += content[associations + len(old) :]
    more = len(grown) - len(content)
    grown = _resized(grown, b"ipco", len(_TURN))
    for kind in (b"iprp", b"meta"):
        grown = _resized(grown, kind, more)
    place = grown.index(b"iloc") + 4 + 4 + 2 + 2 + 2 + 2  # version, sizes, count, the item's id, its data reference
    moved = int.from_bytes(grown[place : place + 4], "big") + more
    return grown[:place] + moved.to_bytes(4, "big") + grown[place + 4 :]


def _children(content: bytes) -> int:
    at = count = 0
    while at < len(content):
        at += int.from_bytes(content[at : at + 4], "big")
        count += 1
    return count


def _one_more(ipma: bytes, place: int) -> bytes:
    """The associations of one item, with one more that is essential."""
    head, count, rest = ipma[8:18], ipma[18], ipma[19:]
    return box(b"ipma", head + bytes([count + 1]) + rest + bytes([0x80 | place]))


def _resized(content: bytes, kind: bytes, more: int) -> bytes:
    at = content.index(kind) - 4
    size = int.from_bytes(content[at : at + 4], "big") + more
    return content[:at] + size.to_bytes(4, "big") + content[at + 4 :]


def _lying(name: str, build: object) -> tuple[HostileFile, ...]:
    assert callable(build)

    def changed(old: bytes, new: bytes) -> bytes:
        content: bytes = build()
        assert old in content
        return content.replace(old, new)

    def extent(width: int, height: int) -> bytes:
        return changed(b"ispe" + bytes(4) + _EXTENT, b"ispe" + bytes(4) + struct.pack(">LL", width, height))

    def sized(kind: bytes, size: int) -> bytes:
        content: bytes = build()
        at = content.index(kind) - 4
        return content[:at] + struct.pack(">L", size) + content[at + 4 :]

    return (
        refused(f"{name} bomb", lambda: extent(60_000, 60_000), TOO_MANY_PIXELS | UNDECODABLE),
        refused(f"{name} of 2^32 - 1 px", lambda: extent(2**32 - 1, 2**32 - 1), TOO_MANY_PIXELS | UNDECODABLE),
        refused(f"{name} 0 px wide", lambda: extent(0, HEIGHT)),
        either(f"{name} of a lying size", lambda: extent(5000, 5000), UNDECODABLE, Reads()),
        refused(f"{name} whose boxes have no size", lambda: sized(b"meta", 1)),
        refused(f"{name} whose item box is 4 GiB", lambda: sized(b"iloc", 2**32 - 1)),
        refused(f"{name} of no properties", lambda: changed(b"ipco", b"free")),
        refused(f"{name} of no items", lambda: changed(b"iinf", b"free")),
        refused(f"{name} of items that are nowhere", lambda: _item_nowhere(build())),
    )


def _item_nowhere(content: bytes) -> bytes:
    """The place of the first item, whatever it was, far behind the end."""
    at = content.index(b"iloc") + 8
    return content[:at] + content[at : at + 8] + b"\x7f\xff\xff\xff" * 2 + content[at + 16 :]


def _made_up() -> tuple[HostileFile, ...]:
    start = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    movie = box(b"ftyp", b"avis" + bytes(4) + b"avifavismsf1")
    return (
        refused("heic of its first box only", lambda: start),
        refused("avif of its first box only", lambda: start.replace(b"heic", b"avif")),
        refused("heic of a million empty boxes", lambda: start + box(b"free") * 1_000_000),
        refused("heic of boxes 50 000 deep", lambda: start + _nested(b"meta", 50_000)),
        refused("avif sequence of no frames", lambda: movie + box(b"moov", box(b"mvhd", bytes(100)))),
        refused("heic of a grid of 65536 tiles", _grid, TOO_MANY_PIXELS | UNDECODABLE),
        refused("mp4", lambda: box(b"ftyp", b"isom" + bytes(4)) + box(b"mdat", bytes(5000)), NO_READABLE_FORMAT),
    )


def _nested(kind: bytes, depth: int) -> bytes:
    total = 12 * depth
    return b"".join(struct.pack(">L", total - 12 * level) + kind + bytes(4) for level in range(depth))


def _grid() -> bytes:
    """An item made of 256 x 256 tiles, all of them the one image, which would be 30 720 x 20 480 px."""
    content = heic()
    grid = struct.pack(">BBBBLL", 0, 1, 255, 255, 256 * WIDTH, 256 * HEIGHT)
    return content.replace(b"hvc1", b"grid", 1) + box(b"idat", grid)
