"""What an engine that reads without a fault would say of drawn text."""

from __future__ import annotations

from collections.abc import Iterable

from ocr_gateway.model import Line, Polygon, Word
from tests.fakes.tables import DrawnText

Box = tuple[float, float, float, float]


def box_polygon(box: Box) -> Polygon:
    """An upright box's corners, from the top left clockwise."""
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def lines_as_drawn(texts: Iterable[DrawnText]) -> list[Line]:
    """The texts as lines, with their words, of confidence 0.9."""
    lines = []
    for text in texts:
        boxes = [word.box for word in text.words]
        whole = min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)
        words = tuple(Word(word.text, 0.9, box_polygon(word.box)) for word in text.words)
        lines.append(Line(text.text, 0.9, box_polygon(whole), words))
    return lines
