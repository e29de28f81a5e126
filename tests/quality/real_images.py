"""Real images with known text, from a folder that the caller names; without one they are left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CLASS = "real"

# From github.com/tesseract-ocr/test; the quarter turn is of phototest's page.
_TEXTS = {
    "phototest.tif": "phototest.gold.txt",
    "phototest-rotated-R.png": "phototest.gold.txt",
    "eurotext.tif": "eurotext.txt",
    "8087_054.3B.tif": "8087_054.3B.txt",
}


@dataclass(frozen=True, slots=True)
class RealImage:
    """An image file and the text on it."""

    name: str
    content: bytes = field(repr=False)
    text: str = field(repr=False)


def real_images(folder: Path | None) -> Iterator[RealImage]:
    """Those of the known images that lie in the folder, each beside its text."""
    for image, text in _TEXTS.items():
        if folder is not None and (folder / image).is_file() and (folder / text).is_file():
            yield RealImage(image, (folder / image).read_bytes(), (folder / text).read_text("utf-8"))
