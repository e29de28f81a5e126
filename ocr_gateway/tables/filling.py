"""Grids filled with the words that stand in their cells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ocr_gateway.model import Cell, Line, Table
from ocr_gateway.tables.grid import Grid
from ocr_gateway.tables.level import Levelling
from ocr_gateway.tables.pieces import Piece, confidence_of, text_of

# A word is cut at a cell's edge when this share of it, and of its height, lies on each side.
_CUT_SHARE = 0.2
_CUT_HEIGHTS = 0.3
# A level edge runs through a word with this share of its height on each side; this share of such words is too much.
_CROSSED_HEIGHTS = 0.25
_CROSSED_SHARE = 0.2
# What the recogniser makes of a rule that it took for a character.
_RULE_CHARACTERS = "|｜丨"


def pieces_in_cells(grid: Grid, pieces: Iterable[Piece], lines: Sequence[Line]) -> list[list[Piece]]:
    """For each of the grid's cells the pieces whose middle it holds; a piece that reaches over its cell's left or right
    edge is cut there. All pieces must have their middle in the grid's box.
    """
    place: dict[tuple[int, int], int] = {}
    for index, cell in enumerate(grid.cells):
        for row in range(cell.row, cell.row + cell.row_span):
            for column in range(cell.column, cell.column + cell.column_span):
                place[row, column] = index
    found: list[list[Piece]] = [[] for _ in grid.cells]
    waiting = list(pieces)
    while waiting:
        piece = waiting.pop()
        square = _index(grid.row_edges, piece.centre_y), _index(grid.column_edges, piece.centre_x)
        index = place[square]
        left, _, right, _ = grid.box_of(grid.cells[index])
        cut = next((x for x in (left, right) if _crosses(piece, x) and grid.box[0] < x < grid.box[2]), None)
        if cut is None:
            found[index].append(piece)
            continue
        waiting.extend(part for part in (_without_rules(p, lines) for p in piece.parted(cut)) if part)
    return found


def _index(edges: Sequence[float], value: float) -> int:
    return min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2)


def _crosses(piece: Piece, x: float) -> bool:
    least = max(_CUT_SHARE * (piece.right - piece.left), _CUT_HEIGHTS * piece.height)
    return piece.end - piece.start > 1 and min(x - piece.left, piece.right - x) >= least


def _without_rules(piece: Piece, lines: Sequence[Line]) -> Piece | None:
    """A part of a word that was cut at a rule, without the rule that was read as a character."""
    text = lines[piece.line].text
    start, end = piece.start, piece.end
    while start < end and text[start] in _RULE_CHARACTERS:
        start += 1
    while start < end and text[end - 1] in _RULE_CHARACTERS:
        end -= 1
    return replace(piece, start=start, end=end) if start < end else None


def filled_table(grid: Grid, filling: Sequence[Sequence[Piece]], lines: Sequence[Line], level: Levelling) -> Table:
    """The table with each cell's text, confidence (of its characters; 0..1) and place on the image."""
    cells = [
        Cell(
            row=cell.row,
            column=cell.column,
            row_span=cell.row_span,
            column_span=cell.column_span,
            text=text_of(pieces, lines),
            confidence=confidence_of(pieces),
            polygon=level.to_image(*grid.box_of(cell)),
        )
        for cell, pieces in zip(grid.cells, filling, strict=True)
    ]
    confidences = [cell.confidence for cell in cells if cell.confidence is not None]
    return Table(
        row_count=len(grid.row_edges) - 1,
        column_count=len(grid.column_edges) - 1,
        cells=tuple(cells),
        polygon=level.to_image(*grid.box),
        confidence=sum(confidences) / len(confidences) if confidences else None,
    )


def is_crossed(grid: Grid, filling: Sequence[Sequence[Piece]]) -> bool:
    """Whether level edges run through what stands in the cells: what looks like rules are strokes of large glyphs."""
    crossed = 0
    for cell, pieces in zip(grid.cells, filling, strict=True):
        _, top, _, bottom = grid.box_of(cell)
        crossed += sum(max(top - p.top, p.bottom - bottom) > _CROSSED_HEIGHTS * p.height for p in pieces)
    return crossed > _CROSSED_SHARE * sum(map(len, filling))
