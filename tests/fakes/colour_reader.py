"""Words that are patches of a colour each, and a reader that finds them to the pixel and joins whatever it can."""

from __future__ import annotations

import io
from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ocr_gateway.model import Block, Line, Page, Polygon, Word

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


def colour_page(width: int, height: int, boxes: Iterable[Box], paper: int = 255) -> Pixels:
    """The n-th box has a colour of its own."""
    pixels = np.full((height, width, 3), paper, np.uint8)
    for number, (left, top, right, bottom) in enumerate(boxes):
        pixels[top:bottom, left:right] = (1 + number % 100, 1 + number // 100, 77)
    return pixels


def _corners(x: float, y: float, width: float, height: float) -> Polygon:
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def read_colours(image: bytes) -> Page:
    """A word for each patch, named after its colour; all that stand on one row are one line, however far apart.

    All lines are one block. So what a careless engine would do to neighbouring regions is done always.
    """
    pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    words: list[Word] = []
    inked = pixels[pixels[:, :, 2] == 77]
    for colour in np.unique(inked, axis=0):
        mask = (pixels == colour).all(axis=2).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        text = f"{colour[0] - 1 + 100 * (colour[1] - 1)}"
        words += [Word(text, 0.9, _corners(*map(float, row[:4]))) for row in stats[1:count]]
    words.sort(key=lambda word: (word.polygon[0][1], word.polygon[0][0]))
    rows: list[list[Word]] = []
    for word in words:
        if rows and word.polygon[0][1] < max(each.polygon[2][1] for each in rows[-1]):
            rows[-1].append(word)
        else:
            rows.append([word])
    lines = tuple(_line(sorted(row, key=lambda word: word.polygon[0][0])) for row in rows)
    height, width = pixels.shape[:2]
    return Page(width, height, (Block(lines, _corners(0.0, 0.0, width, height)),) if lines else ())


def _line(words: list[Word]) -> Line:
    left, right = words[0].polygon, words[-1].polygon
    polygon = (left[0], right[1], right[2], left[3])
    return Line(" ".join(word.text for word in words), 0.9, polygon, tuple(words))
