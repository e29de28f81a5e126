"""A page's words as upright boxes, and the text of any selection of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ocr_gateway.model import Line
from ocr_gateway.tables.level import Levelling

# Words stand on one line of a cell when they share this much of the lower one's height.
_SHARED = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, or a part of one: characters ``start`` to ``end`` of its line, and its box on the levelled page."""

    line: int
    start: int
    end: int
    confidence: float | None
    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre_x(self) -> float:
        """Where its middle stands across."""
        return (self.left + self.right) / 2

    @property
    def centre_y(self) -> float:
        """Where its middle stands down."""
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        """Its height."""
        return self.bottom - self.top

    def parted(self, x: float) -> tuple[Piece, Piece]:
        """The pieces left and right of ``x``, each with the characters that its share of the width holds."""
        cut = self.start + round((self.end - self.start) * (x - self.left) / max(self.right - self.left, 1e-6))
        cut = min(max(cut, self.start), self.end)
        return replace(self, end=cut, right=x), replace(self, start=cut, left=x)


def pieces_of(lines: Sequence[Line], level: Levelling) -> list[Piece]:
    """The lines' words; a line without words, or whose words are not in its text, is one piece."""
    pieces: list[Piece] = []
    for number, line in enumerate(lines):
        words = _word_pieces(number, line, level)
        if not words and line.polygon and line.text.strip():
            words = [Piece(number, 0, len(line.text), line.confidence, *_box(level.to_level(line.polygon)))]
        pieces.extend(words)
    return pieces


def line_boxes(pieces: Iterable[Piece]) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of each line that has pieces."""
    boxes: dict[int, tuple[float, float, float, float]] = {}
    for piece in pieces:
        left, top, right, bottom = boxes.get(piece.line, (piece.left, piece.top, piece.right, piece.bottom))
        boxes[piece.line] = (
            min(left, piece.left), min(top, piece.top), max(right, piece.right), max(bottom, piece.bottom)
        )  # fmt: skip
    return list(boxes.values())


def _word_pieces(number: int, line: Line, level: Levelling) -> list[Piece]:
    pieces = []
    at = 0
    for word in line.words:
        found = line.text.find(word.text, at)
        if found < 0 or not word.text:
            return []
        at = found + len(word.text)
        pieces.append(Piece(number, found, at, word.confidence, *_box(level.to_level(word.polygon))))
    if line.polygon and pieces:
        # All of a line's words are as high as the line: a comma alone tells little of where its row is.
        _, top, _, bottom = _box(level.to_level(line.polygon))
        if max(piece.bottom for piece in pieces) - min(piece.top for piece in pieces) <= 2 * (bottom - top):
            pieces = [replace(piece, top=top, bottom=bottom) for piece in pieces]
    return pieces


def _box(points: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def text_of(pieces: Iterable[Piece], lines: Sequence[Line]) -> str:
    """What the pieces say: a line feed between lines, a blank between what stands apart on one line."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda each: (each.centre_y, each.left)):
        for row in rows[-2:]:
            if _on_one_line(piece, row[-1]):
                row.append(piece)
                break
        else:
            rows.append([piece])
    texts = (_row_text(sorted(row, key=lambda each: (each.left, each.line, each.start)), lines) for row in rows)
    return "\n".join(text for text in texts if text)


def _on_one_line(piece: Piece, other: Piece) -> bool:
    if piece.line == other.line:
        return True
    shared = min(piece.bottom, other.bottom) - max(piece.top, other.top)
    return shared >= _SHARED * min(piece.height, other.height)


def _row_text(row: Sequence[Piece], lines: Sequence[Line]) -> str:
    parts = []
    for number, group in itertools.groupby(row, key=lambda each: each.line):
        members = list(group)
        parts.append(lines[number].text[min(p.start for p in members) : max(p.end for p in members)].strip())
    return " ".join(part for part in parts if part)


def confidence_of(pieces: Iterable[Piece]) -> float | None:
    """The mean over characters, None where no piece states a confidence."""
    stated = [(piece.confidence, piece.end - piece.start) for piece in pieces if piece.confidence is not None]
    characters = sum(count for _, count in stated)
    return sum(confidence * count for confidence, count in stated) / characters if characters else None
