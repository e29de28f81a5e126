"""Scanned A4 pages, thousands of them, no two alike in file or in pixels, each made in well under a millisecond.

A page is a colour JPEG of 2480 x 3508 px (300 dpi): text on greyish paper with a scanner's slight noise, 1 to 2 MB. Its
number stands on it, one digit on each of five label lines. The encoder restarts at each row of blocks, so that a row's
bytes stand for themselves, and a page is put together from rows that were encoded once for each digit.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import overload

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from tests.fakes.numbered_images import text_of

WIDTH, HEIGHT = 2480, 3508
LABELS = ("Room", "Box", "Folder", "Sheet", "Copy")
"""A line each, with a digit of the number."""
COUNT = 10 ** len(LABELS)
BODIES = 4
"""Different texts below the labels; the others differ in their labels alone."""

Pixels = npt.NDArray[np.uint8]

_BLOCK_PX = 16
"""Height of a row of blocks, with colour at half the resolution."""
_LABEL_PX = 5 * _BLOCK_PX
_LABELS_TOP_PX = 8 * _BLOCK_PX
"""After a multiple of eight rows, for restart markers count to eight."""
_BODY_TOP_PX = _LABELS_TOP_PX + len(LABELS) * _LABEL_PX + 120
_LEFT_PX, _RIGHT_PX = 240, 2240
_TEXT_PX, _LINE_PX = 46, 72
_INK, _PAPER = (38, 36, 34), (232, 234, 229)
_NOISE = 2.6
"""Standard deviation, grey levels."""
QUALITY = 88
"""Of the pages as JPEG."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_JFIF_DENSITY = slice(13, 18)
_AT_300_DPI = b"\x01\x01\x2c\x01\x2c"
_TEXT = (
    "the parcel was left with a neighbour at number seven on Friday morning before noon and signed for by hand "
    "archive ledger receipt of goods weighed 1,204 kg net at station 58 under seal 0093 Invoice Total Amount"
)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A page in the pieces that it is put together from; ``labels`` has each line with each digit."""

    head: bytes
    labels: tuple[tuple[bytes, ...], ...]
    tail: bytes

    def page(self, number: int) -> bytes:
        """The file."""
        chosen = (digits[int(digit)] for digits, digit in zip(self.labels, f"{number:05d}", strict=True))
        return b"".join((self.head, *chosen, self.tail))


class ScanPages(Sequence[tuple[str, bytes]]):
    """Pages with their ids, of which none is held: each is put together when it is asked for.

    Numbers are below COUNT.
    """

    def __init__(self, numbers: range) -> None:
        if numbers and not 0 <= min(numbers) <= max(numbers) < COUNT:
            raise ValueError(f"pages are numbered from 0 to {COUNT - 1}, not {numbers}")
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> tuple[str, bytes]: ...

    @overload
    def __getitem__(self, index: slice) -> ScanPages: ...

    def __getitem__(self, index: int | slice) -> tuple[str, bytes] | ScanPages:
        if isinstance(index, slice):
            return ScanPages(self._numbers[index])
        number = self._numbers[index]
        return str(number), scan_page(number)

    def text_of(self, request_id: str) -> str:
        """What the stand-in reads on a page that reaches it as it is."""
        return text_of(scan_page(int(request_id)))


def draw_sheets() -> None:
    """Draws what pages are put together from, which else happens with the first ones. Takes a few seconds."""
    for body in range(BODIES):
        _sheet(body)


def scan_page(number: int) -> bytes:
    """The page of this number."""
    return _sheet(number % BODIES).page(number)


@cache
def _sheet(body: int) -> _Sheet:
    pixels = printed_page(body)
    first, rows = _LABELS_TOP_PX // _BLOCK_PX, _LABEL_PX // _BLOCK_PX
    whole = _rows(_encoded(_as_scanned(_labelled(pixels, 0))))
    labels = slice(_LABELS_TOP_PX, _label_top(len(LABELS)) + _BLOCK_PX)  # one row more, as the last one ends the file
    variants = [_rows(_encoded(_as_scanned(_labelled(pixels, digit))[labels])) for digit in range(10)]
    head = len(variants[0][0]) - len(whole[first])
    for variant in variants:
        variant[0] = variant[0][head:]  # without the file's header
    tops = [line * rows for line in range(len(LABELS))]
    lines = tuple(tuple(b"".join(each[top : top + rows]) for each in variants) for top in tops)
    return _Sheet(b"".join(whole[:first]), lines, b"".join(whole[first + rows * len(LABELS) :]))


def _label_top(line: int) -> int:
    return _LABELS_TOP_PX + line * _LABEL_PX


def printed_page(body: int) -> Pixels:
    """The page without its digits, as it was printed."""
    random, vocabulary = np.random.default_rng(100 + body), _TEXT.split()
    font = ImageFont.load_default(_TEXT_PX)
    page = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    pen = ImageDraw.Draw(page)
    for line, label in enumerate(LABELS):
        pen.text((_LEFT_PX, _label_top(line) + 14), label, _INK, font)
    for top in range(_BODY_TOP_PX, HEIGHT - 260, _LINE_PX):
        words = ""
        while pen.textlength(longer := f"{words} {random.choice(vocabulary)}".strip(), font) < _RIGHT_PX - _LEFT_PX:
            words = longer
        pen.text((_LEFT_PX, top), words, _INK, font)
    return np.asarray(page, np.uint8)[:, :, ::-1]


def _labelled(pixels: Pixels, digit: int) -> Pixels:
    """With this digit on every label line."""
    page = Image.fromarray(pixels)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(_TEXT_PX)
    for line in range(len(LABELS)):
        pen.text((_LEFT_PX + 260, _label_top(line) + 14), str(digit), _INK[::-1], font)
    return np.asarray(page, np.uint8)


def _as_scanned(pixels: Pixels) -> Pixels:
    """A little blurred, with the noise that every page has."""
    blurred = cv2.GaussianBlur(pixels, (0, 0), 0.8)
    return np.asarray(cv2.add(blurred, _noise(), dtype=cv2.CV_8U), np.uint8)


@cache
def _noise() -> npt.NDArray[np.int16]:
    noise = np.random.default_rng(7).normal(0, _NOISE, (HEIGHT, WIDTH, 1)).round().astype(np.int16)
    return noise.repeat(3, axis=2)


def _encoded(pixels: Pixels) -> bytes:
    blocks_a_row = -(-pixels.shape[1] // _BLOCK_PX)
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_RST_INTERVAL, blocks_a_row]
    content = bytearray(cv2.imencode(".jpg", pixels, options)[1])
    content[_JFIF_DENSITY] = _AT_300_DPI
    return bytes(content)


def _rows(content: bytes) -> list[bytes]:
    """The file cut after the restart marker of each row; joined they are the file again."""
    begin = content.index(b"\xff\xda")
    cuts = [0, *(found.end() for found in _RESTART.finditer(content, begin)), len(content)]
    return [content[start:end] for start, end in itertools.pairwise(cuts)]
