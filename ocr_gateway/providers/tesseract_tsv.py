"""Tesseract's TSV: one row for each page, block, paragraph, line and word, with its box."""

from __future__ import annotations

from dataclasses import dataclass, field

from ocr_gateway.model import Block, Line, Polygon, Word
from ocr_gateway.providers.writing import join_words

_COLUMNS = 12
_BLOCK, _LINE, _WORD = 2, 4, 5


@dataclass(slots=True)
class _OpenLine:
    polygon: Polygon
    words: list[Word] = field(default_factory=list)


@dataclass(slots=True)
class _OpenBlock:
    polygon: Polygon
    lines: list[_OpenLine] = field(default_factory=list)


def blocks_of(tsv: str) -> tuple[Block, ...]:
    """The blocks that hold text, in Tesseract's order; confidences are its percentages over 100.

    Raises ``ValueError`` for a row that is no such row.
    """
    blocks: list[_OpenBlock] = []
    for row in tsv.splitlines()[1:]:
        cells = row.split("\t", _COLUMNS - 1)
        if len(cells) < _COLUMNS - 1:
            raise ValueError(f"a row of {len(cells)} columns")
        level = int(cells[0])
        polygon = _polygon(*map(int, cells[6:10]))
        if level == _BLOCK:
            blocks.append(_OpenBlock(polygon))
        elif level == _LINE and blocks:
            blocks[-1].lines.append(_OpenLine(polygon))
        elif level == _WORD and blocks and blocks[-1].lines:
            text = cells[11].strip() if len(cells) == _COLUMNS else ""
            if text:
                confidence = min(max(float(cells[10]) / 100, 0.0), 1.0)
                blocks[-1].lines[-1].words.append(Word(text, confidence, polygon))
    finished = (_block(block) for block in blocks)
    return tuple(block for block in finished if block.lines)


def _block(block: _OpenBlock) -> Block:
    return Block(lines=tuple(_line(line) for line in block.lines if line.words), polygon=block.polygon)


def _line(line: _OpenLine) -> Line:
    """The confidence is the words' mean, weighted by their length."""
    weight = sum(len(word.text) for word in line.words)
    confidence = sum((word.confidence or 0.0) * len(word.text) for word in line.words) / weight
    return Line(join_words(word.text for word in line.words), confidence, line.polygon, tuple(line.words))


def _polygon(left: int, top: int, width: int, height: int) -> Polygon:
    x0, y0, x1, y1 = float(left), float(top), float(left + width), float(top + height)
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
