"""Pieces of text on a page that has been levelled: text runs along x, whichever way the document lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ocr_gateway.model import Line, Point, Polygon

# Pieces stand on one row when they share this much of the lower one's height, and are of like height.
_SHARED = 0.5
_LIKE_HEIGHT = 0.4


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line: its text without outer blanks, and its upright extent on the levelled page, pixels."""

    text: str
    confidence: float | None
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """At least 1, pixels."""
        return max(self.bottom - self.top, 1.0)

    def beside(self, other: Piece) -> bool:
        """Whether the two stand on one row."""
        shared = min(self.bottom, other.bottom) - max(self.top, other.top)
        low, high = sorted((self.height, other.height))
        return shared >= _SHARED * low and low >= _LIKE_HEIGHT * high

    def below(self, other: Piece) -> float:
        """The gap from the other's bottom down to this one's top, pixels; negative where they overlap."""
        return self.top - other.bottom


@dataclass(frozen=True, slots=True)
class Spelt:
    """A line on the levelled page with its characters, blanks left out: what each is, and where it begins and ends."""

    characters: str
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    blank_before: tuple[bool, ...]
    confidences: tuple[float | None, ...]
    whole: Piece

    def part(self, first: int, last: int) -> Piece:
        """The characters from ``first`` to before ``last``, at least one, as a piece of their own."""
        text = "".join(
            (" " if blank and i else "") + character
            for i, (character, blank) in enumerate(
                zip(self.characters[first:last], self.blank_before[first:last], strict=True)
            )
        )
        return Piece(
            text, mean(self.confidences[first:last]), self.starts[first], self.whole.top, self.ends[last - 1],
            self.whole.bottom,
        )  # fmt: skip


class Level:
    """The turn that levels a page."""

    def __init__(self, lines: Iterable[Line]) -> None:
        across = down = 0.0
        for line in lines:
            if line.polygon is None or len(line.polygon) != 4 or len(line.text) < 3:
                continue
            (x0, y0), (x1, y1), (x2, y2), (x3, y3) = line.polygon
            step_x, step_y = (x1 + x2 - x0 - x3) / 2, (y1 + y2 - y0 - y3) / 2
            # Long lines count by the square of their length: their direction is the surer.
            if math.hypot(step_x, step_y) > 2 * math.hypot(x3 - x0, y3 - y0):
                length = math.hypot(step_x, step_y)
                across, down = across + step_x * length, down + step_y * length
        length = math.hypot(across, down)
        self._cos, self._sin = (across / length, down / length) if length else (1.0, 0.0)

    def to_level(self, point: Point) -> Point:
        """Where a point of the image lies on the levelled page."""
        x, y = point
        return x * self._cos + y * self._sin, y * self._cos - x * self._sin

    def to_image(self, point: Point) -> Point:
        """Where a point of the levelled page lies on the image, to a hundredth of a pixel."""
        x, y = point
        return round(x * self._cos - y * self._sin, 2), round(x * self._sin + y * self._cos, 2)

    def polygon(self, pieces: Sequence[Piece]) -> Polygon:
        """The corners round the pieces on the image, from the top left of the text clockwise."""
        left, top = min(piece.left for piece in pieces), min(piece.top for piece in pieces)
        right, bottom = max(piece.right for piece in pieces), max(piece.bottom for piece in pieces)
        return tuple(self.to_image(corner) for corner in ((left, top), (right, top), (right, bottom), (left, bottom)))

    def spell(self, line: Line) -> Spelt | None:
        """The line with the place of each character, from its words where these spell it; None for one without any."""
        text = "".join(line.text.split())
        if not text or line.polygon is None:
            return None
        whole = self._piece(line.text.strip(), line.confidence, line.polygon)
        blanks = _blanks_before(line.text)
        if "".join("".join(word.text.split()) for word in line.words) == text:
            starts, ends, confidences = self._by_words(line)
        else:
            starts, ends = _by_width(text, whole.left, whole.right)
            confidences = (line.confidence,) * len(text)
        return Spelt(text, starts, ends, blanks, confidences, whole)

    def _by_words(self, line: Line) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float | None, ...]]:
        starts: list[float] = []
        ends: list[float] = []
        confidences: list[float | None] = []
        for word in line.words:
            characters = "".join(word.text.split())
            box = self._piece(characters, word.confidence, word.polygon)
            begins, finishes = _by_width(characters, box.left, box.right)
            starts += begins
            ends += finishes
            confidences += [word.confidence] * len(characters)
        return tuple(starts), tuple(ends), tuple(confidences)

    def _piece(self, text: str, confidence: float | None, polygon: Polygon) -> Piece:
        points = [self.to_level(point) for point in polygon]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        if len(points) != 4:
            return Piece(text, confidence, min(xs), min(ys), max(xs), max(ys))
        # The extent of a line that is not quite level is that of its middle: its ends belong to other rows.
        upper, lower = (ys[0] + ys[1]) / 2, (ys[2] + ys[3]) / 2
        return Piece(text, confidence, min(xs), min(upper, lower), max(xs), max(upper, lower))


def mean(confidences: Sequence[float | None]) -> float | None:
    """The mean of those that are stated; None where none is."""
    stated = [each for each in confidences if each is not None]
    return sum(stated) / len(stated) if stated else None


def rows_of(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """The pieces in rows, from the top, each row from left to right."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda each: each.top + each.bottom):
        row = next((row for row in rows[-3:] if all(piece.beside(other) for other in row)), None)
        if row is None:
            rows.append([piece])
        else:
            row.append(piece)
    return [sorted(row, key=lambda each: each.left) for row in rows]


def _blanks_before(text: str) -> tuple[bool, ...]:
    """For each character that is no blank, whether one stands before it."""
    return tuple(i > 0 and text[i - 1].isspace() for i, character in enumerate(text) if not character.isspace())


def _by_width(text: str, left: float, right: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Begin and end of each character, in proportion: one outside Latin is as wide as two within."""
    widths = [2 if character >= "\u2e80" else 1 for character in text]
    unit = (right - left) / max(sum(widths), 1)
    ends = [left + unit * width for width in itertools.accumulate(widths)]
    return (left, *ends[:-1]), tuple(ends)
