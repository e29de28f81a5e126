"""The tables of a page, from its pixels and its lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ocr_gateway.model import Line, Table
from ocr_gateway.tables.filling import filled_table, is_crossed, pieces_in_cells
from ocr_gateway.tables.grid import Grid
from ocr_gateway.tables.level import Rgb, levelled_grey, levelling
from ocr_gateway.tables.line_fit import fitted
from ocr_gateway.tables.pieces import Piece, line_boxes, pieces_of
from ocr_gateway.tables.ruled import ruled_grids
from ocr_gateway.tables.rules import find_rules, without_strokes_of_text
from ocr_gateway.tables.unruled import FoundTable, table_in_frame, unruled_tables

# Least length of a rule, and how far a rule may end from the one that it meets, in heights of the page's text.
_LEAST_RULE_HEIGHTS = 1.3
_SLACK_HEIGHTS = 0.4
_LEAST_SLACK_PX = 4.0
# Share of a ruled grid's cells that hold text. An empty form with its head has more, squared paper or a mesh has less.
_LEAST_FILLED = 0.02


def find_tables(rgb: Rgb, lines: Sequence[Line], check: Callable[[], None] = lambda: None) -> tuple[Table, ...]:
    """The tables of an RGB image on which ``lines`` were read (polygons in its pixels), from the top to the bottom."""
    height, width = rgb.shape[:2]
    level = levelling(width, height, (line.polygon for line in lines if line.polygon))
    pieces = pieces_of(lines, level)
    if not pieces:
        return ()
    text_px = text_height(pieces)
    check()
    grey = levelled_grey(rgb, level)
    pieces = fitted(pieces, grey, text_px)
    rules = find_rules(grey, _LEAST_RULE_HEIGHTS * text_px)
    rules = without_strokes_of_text(rules, line_boxes(pieces), grey)
    check()
    slack = max(_LEAST_SLACK_PX, _SLACK_HEIGHTS * text_px)
    found: list[FoundTable] = []
    for grid in sorted(ruled_grids(rules, slack), key=_area):
        inside, outside = _taken(grid, pieces)
        table = _ruled_table(grid, inside, lines, text_px) if inside else None
        if table is not None:
            found.append(table)
            pieces = outside
    check()
    found.extend(unruled_tables(pieces, rules.across, text_px))
    found.sort(key=lambda table: (table.grid.row_edges[0], table.grid.column_edges[0]))
    return tuple(filled_table(table.grid, table.filling, lines, level) for table in found)


def _ruled_table(grid: Grid, inside: Sequence[Piece], lines: Sequence[Line], text_px: float) -> FoundTable | None:
    """What the rules make of the pieces; or, where no rule parts columns, what the blanks do. None for what is none."""
    if len(grid.column_edges) == 2:
        table = table_in_frame(inside, text_px)
        if table is not None:
            return table
    filling = pieces_in_cells(grid, inside, lines)
    if is_crossed(grid, filling) or sum(map(bool, filling)) < _LEAST_FILLED * len(filling):
        return None
    return FoundTable(grid, tuple(map(tuple, filling)))


def text_height(pieces: Sequence[Piece]) -> float:
    """The usual height of text, pixels: of the upper quarter, since digits and words without tails are lower."""
    heights = sorted(piece.height for piece in pieces)
    return max(heights[len(heights) * 3 // 4], 1.0)


def _taken(grid: Grid, pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The pieces whose middle lies in the grid, and the others."""
    left, top, right, bottom = grid.box
    inside = [left <= each.centre_x <= right and top <= each.centre_y <= bottom for each in pieces]
    return (
        [each for each, is_inside in zip(pieces, inside, strict=True) if is_inside],
        [each for each, is_inside in zip(pieces, inside, strict=True) if not is_inside],
    )


def _area(grid: Grid) -> float:
    left, top, right, bottom = grid.box
    return (right - left) * (bottom - top)
