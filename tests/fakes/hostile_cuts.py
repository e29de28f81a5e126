"""Files that end too early, and bytes that are no picture at all."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from tests.fakes.hostile_boxes import heic
from tests.fakes.hostile_file import (
    LOCKED,
    NO_READABLE_FORMAT,
    UNDECODABLE,
    HostileFile,
    either,
    marked_page,
    read_right,
    refused,
)
from tests.fakes.hostile_pdfs import page_pdf
from tests.fakes.images import UNREAD_FORMATS, encoded, photo

_SHARES = (0.1, 0.3, 0.5, 0.75, 0.95)
_EMPTY = frozenset({"IMAGE_EMPTY"})


def _whole() -> dict[str, Callable[[], bytes]]:
    page = photo()
    return {
        "jpeg": lambda: encoded(page, "JPEG"),
        "progressive jpeg": lambda: encoded(page, "JPEG", progressive=True),
        "png": lambda: encoded(page, "PNG"),
        "webp": lambda: encoded(page, "WEBP"),
        "lossless webp": lambda: encoded(page, "WEBP", lossless=True),
        "bmp": lambda: encoded(page, "BMP"),
        "gif": lambda: encoded(page, "GIF"),
        "tiff": lambda: encoded(page, "TIFF"),
        "lzw tiff": lambda: encoded(page, "TIFF", compression="tiff_lzw"),
        "heic": lambda: heic(page),
        "avif": lambda: encoded(page, "AVIF"),
    }


def cut_files() -> tuple[HostileFile, ...]:
    """Each format cut short at several places, and files of other kinds."""

    def cut(name: str, build: Callable[[], bytes], share: float) -> HostileFile:
        def shortened() -> bytes:
            content = build()
            return content[: max(1, int(len(content) * share))]

        what = f"{name} cut at {share:.0%}"
        # A reader of PDF mends what it can: a page whose objects are all there is whole.
        return either(what, shortened, UNDECODABLE | LOCKED) if name == "pdf" else refused(what, shortened)

    whole = {**_whole(), "pdf": page_pdf}
    return (*(cut(name, build, share) for name, build in whole.items() for share in _SHARES), *_starts(), *_foreign())


def _starts() -> tuple[HostileFile, ...]:
    def start(name: str, build: Callable[[], bytes], length: int) -> HostileFile:
        return refused(f"{name}: {length} bytes of it", lambda: build()[:length], NO_READABLE_FORMAT)

    return tuple(start(name, build, length) for name, build in _whole().items() for length in (2, 12))


def _foreign() -> tuple[HostileFile, ...]:
    def unread(content: bytes, media_type: str) -> HostileFile:
        return refused(f"{media_type} of {len(content)} bytes", lambda: content, NO_READABLE_FORMAT)

    page = b"<!DOCTYPE html><html><body><img src='a.png'></body></html>"
    return (
        *(unread(content, media_type) for content, media_type in UNREAD_FORMATS),
        refused("nothing", lambda: b"", _EMPTY),
        refused("one byte", lambda: b"\xff"),
        refused("a megabyte of zeros", lambda: bytes(1_000_000)),
        refused("text", lambda: "今天的天气很好。\n".encode() * 100),
        refused("html", lambda: page, NO_READABLE_FORMAT),
        refused("an executable", lambda: b"MZ\x90\0" + bytes(60) + b"PE\0\0" + bytes(500), NO_READABLE_FORMAT),
        refused("an elf", lambda: b"\x7fELF\x02\x01\x01" + bytes(500), NO_READABLE_FORMAT),
        refused("an icon", lambda: encoded(marked_page(), "ICO"), NO_READABLE_FORMAT),
        refused("a jpeg 2000", lambda: encoded(marked_page(), "JPEG2000"), NO_READABLE_FORMAT),
        refused("a targa", lambda: encoded(Image.new("RGB", (20, 20)), "TGA"), NO_READABLE_FORMAT),
        read_right("a jpeg that begins as a zip goes on", lambda: encoded(marked_page(), "JPEG") + b"PK\x03\x04" * 99),
    )
