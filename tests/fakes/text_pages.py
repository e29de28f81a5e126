"""Pages of rendered text whose ink is known to the pixel, in Pillow's built-in font."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line's text and the extent of its ink: left, top, right, bottom, pixels."""

    text: str
    box: tuple[float, float, float, float]

    @property
    def corners(self) -> list[tuple[float, float]]:
        """From the top left, clockwise."""
        left, top, right, bottom = self.box
        return [(left, top), (right, top), (right, bottom), (left, bottom)]


@dataclass(frozen=True, slots=True)
class TextPage:
    """The pixels and what is drawn on them."""

    pixels: Pixels
    lines: tuple[DrawnLine, ...]

    def png(self, quarter_turns: int = 0) -> bytes:
        """The page as a PNG, turned counter-clockwise."""
        return png_of(np.rot90(self.pixels, quarter_turns))


def text_page(
    texts: Sequence[str],
    *,
    size: int = 28,
    width: int = 640,
    leading: float = 1.4,
    ink: tuple[int, int, int] = (0, 0, 0),
    paper: tuple[int, int, int] = (255, 255, 255),
    left: int = 40,
) -> TextPage:
    """The texts below each other on plain paper."""
    font = ImageFont.load_default(size)
    height = int(size * (leading * len(texts) + 2))
    page = Image.new("RGB", (width, height), paper)
    lines = []
    for number, text in enumerate(texts):
        place = (left, int(size * (1 + leading * number)))
        ImageDraw.Draw(page).text(place, text, font=font, fill=ink)
        alone = Image.new("L", (width, height), 0)
        ImageDraw.Draw(alone).text(place, text, font=font, fill=255)
        rows, columns = np.nonzero(np.asarray(alone) > 60)
        box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
        lines.append(DrawnLine(text, box))
    return TextPage(np.asarray(page), tuple(lines))


def png_of(pixels: Pixels) -> bytes:
    """The pixels as a PNG."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG")
    return out.getvalue()


def white_png(width: int = 320, height: int = 200) -> bytes:
    """An empty page."""
    return png_of(np.full((height, width, 3), 255, np.uint8))
