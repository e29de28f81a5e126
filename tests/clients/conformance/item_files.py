"""A scenario's items as files. Each run has images of its own, so that no run finds another's results in the cache."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.clients.conformance.scenario import Generated, Items
from tests.fakes.documents import image_stream, pdf_of, scan_page
from tests.fakes.images import InkBox, page_with_ink, png_bomb, tiff_pages
from tests.fakes.numbered_images import numbered, png_of_size, text_of

_HUGE_SIDE_PX = 60_000


@dataclass(frozen=True, slots=True)
class Sent:
    """One item as the driver is given it, and what is known of its answer. ``text`` is empty where it is not known."""

    items: Items
    entry: dict[str, Any]
    text: str


def files_of(items: list[Items], folder: Path, seed: str) -> list[Sent]:
    """Writes the files; equal numbers are equal files, other seeds other files."""
    return [
        _sent(each, request_id, each.number + place, folder, seed)
        for each in items
        for place, request_id in enumerate(each.ids)
    ]


def base_file(folder: Path, seed: str) -> Path:
    """A small JPEG, which is still one with anything behind it, and which goes to the provider as it is."""
    out = io.BytesIO()
    Image.new("L", (64, 64), 200).save(out, "JPEG", comment=seed.encode())
    file = folder / "base.jpg"
    file.write_bytes(out.getvalue())
    return file


def generated_text(base: bytes, generated: Generated, number: int) -> str:
    """What the provider reads on the item of this number."""
    return text_of(base + bytes(generated.bytes - 8 - len(base)) + number.to_bytes(8, "big"))


def _sent(items: Items, request_id: str, number: int, folder: Path, seed: str) -> Sent:
    path = folder / f"{items.content}-{number}-{items.bytes}"
    entry: dict[str, Any] = {"id": request_id, "path": str(path)}
    if items.in_memory:
        entry["in_memory"] = True
    if items.regions:
        entry["regions"] = items.regions
    if items.password:
        entry["password"] = items.password
    if items.content == "missing_file":
        return Sent(items, entry, "")
    content = _content(items, number, seed)
    path.write_bytes(content)
    known = items.content == "image" and not items.regions and not items.fields
    return Sent(items, entry, text_of(content) if known else "")


def _content(items: Items, number: int, seed: str) -> bytes:
    match items.content:
        case "damaged":
            whole = numbered(png_of_size(items.bytes), f"{seed} {number}")
            return whole[: len(whole) // 2]
        case "empty":
            return b""
        case "no_image":
            return f"{seed} {number}: a text, whatever its name\n".encode() * 4
        case "huge_pixels":
            return png_bomb(_HUGE_SIDE_PX)
        case "tiff":
            return tiff_pages(*_pages(items, number, seed))
        case "pdf" | "locked_pdf":
            password = "open sesame" if items.content == "locked_pdf" else ""
            scans = [scan_page(image_stream(page, "DCTDecode")) for page in _pages(items, number, seed)]
            return pdf_of(*scans, user_password=password, owner_password=password)
        case _:
            return numbered(png_of_size(items.bytes), f"{seed} {number}")


def _pages(items: Items, number: int, seed: str) -> list[Image.Image]:
    """Pages like no other: bars whose lengths are the bits of a number."""
    pages = []
    for page in range(items.pages):
        bits = int(text_of(f"{seed} {number} {page}".encode())[:8], 16)
        bars = [InkBox(20, 20 + 10 * row, 20 + 40 * (bits >> row & 1), 6) for row in range(32)]
        pages.append(page_with_ink(240, 360, *bars))
    return pages
