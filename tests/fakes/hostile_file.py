"""What a hostile or odd file is: its bytes, and what the service must make of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from tests.fakes.images import InkBox, page_with_ink

WIDTH, HEIGHT = 120, 80
INK = InkBox(20, 10, 40, 30)
INK_SHARES = (20 / WIDTH, 10 / HEIGHT, 60 / WIDTH, 40 / HEIGHT)
"""The black box of ``marked_page``, left, top, right and bottom, as shares of the page."""

UNDECODABLE = frozenset({"IMAGE_UNDECODABLE"})
UNSUPPORTED = frozenset({"FORMAT_UNSUPPORTED"})
NO_READABLE_FORMAT = UNDECODABLE | UNSUPPORTED
TOO_MANY_PIXELS = frozenset({"IMAGE_TOO_LARGE_PIXELS"})
TOO_MANY_PAGES = frozenset({"TOO_MANY_PAGES"})
LOCKED = frozenset({"PASSWORD_REQUIRED"})

Shares = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Reads:
    """Read: so many pages, each of this size in pixels (None: any), each with its ink at this place (None: anywhere).

    ``levels`` bounds the mean grey level of each page.
    """

    pages: int = 1
    size: tuple[int, int] | None = None
    ink: Shares | None = None
    levels: tuple[float, float] = (0.0, 255.0)


ANYHOW = Reads()
"""Read as one page, whatever it shows."""
MARKED = Reads(size=(WIDTH, HEIGHT), ink=INK_SHARES)
"""Read as ``marked_page``."""


@dataclass(frozen=True, slots=True)
class HostileFile:
    """One file. ``reads`` None: it must be refused; ``reasons`` empty: it must be read; else either will do, as the
    library that decodes it may change its mind.
    """

    name: str
    build: Callable[[], bytes]
    reads: Reads | None = None
    reasons: frozenset[str] = frozenset()
    password: str = ""

    def __post_init__(self) -> None:
        if self.reads is None and not self.reasons:
            raise ValueError(f"{self.name} is neither read nor refused")


def refused(name: str, build: Callable[[], bytes], reasons: frozenset[str] = UNDECODABLE) -> HostileFile:
    """A file that is refused for one of these reasons."""
    return HostileFile(name, build, None, reasons)


def read_right(name: str, build: Callable[[], bytes], reads: Reads = MARKED) -> HostileFile:
    """A file that is odd and whole."""
    return HostileFile(name, build, reads)


def either(
    name: str, build: Callable[[], bytes], reasons: frozenset[str] = UNDECODABLE, reads: Reads = ANYHOW
) -> HostileFile:
    """A file that may be read or refused, as long as it is answered."""
    return HostileFile(name, build, reads, reasons)


def marked_page() -> Image.Image:
    """A small white page with one black box off its middle, so that turning, mirroring and inverting it shows."""
    return page_with_ink(WIDTH, HEIGHT, INK)


def deflated_zeros(mebibytes: int) -> bytes:
    """A zlib stream of so many MiB of zero bytes, about a thousandth of it long, made without making them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    adler = ((mebibytes << 20) % 65521) << 16 | 1
    return b"\x78\xda" + block * mebibytes + b"\x03\x00" + adler.to_bytes(4, "big")
