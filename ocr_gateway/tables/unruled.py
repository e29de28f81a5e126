"""Tables without rules, or with rules across only: by the rivers between columns and the blanks between rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from ocr_gateway.tables.columns import Column, columns_of, out_of_line
from ocr_gateway.tables.grid import Grid, GridCell, filled_cells
from ocr_gateway.tables.pieces import Piece
from ocr_gateway.tables.rules import Rule
from ocr_gateway.tables.segments import (
    Segment,
    free_stretches,
    rows_of,
    ruled_stretches,
    segments_of,
)
from ocr_gateway.tables.table_rows import Block, blocks_in_rows, grouped, row_edges, usual_row

# More segments than this are a page of something else; the time goes with their square.
_MAX_SEGMENTS = 2_000
_MAX_COLUMNS = 60
# Text off its column's left, right and middle by more than this many heights may be over several columns, and is where
# it stands in their middle to within the second.
_OFF_HEIGHTS = 0.5
_CENTRED_HEIGHTS = 0.6
# Running text: lines of this many heights in the median, or of the second number where rows are not further apart than
# the third.
_LONG_HEIGHTS = 14.0
_TIGHT_LONG_HEIGHTS = 6.0
_TIGHT_HEIGHTS = 1.7
# What makes a table where no rule does: so many rows of several cells; this share of the squares with text, and this
# share of the texts in one column only and as high as the others, from half to twice the median.
_LEAST_ROWS = 3
_LEAST_FILL = 0.4
_LEAST_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A grid and, for each of its cells, what stands in it."""

    grid: Grid
    filling: tuple[tuple[Piece, ...], ...]


def unruled_tables(pieces: Sequence[Piece], across: Sequence[Rule], text_px: float) -> list[FoundTable]:
    """The tables among the pieces: between rules across that begin and end alike, and wherever at least three rows of
    several segments follow each other and make columns. Running text in columns is none.
    """
    segments = segments_of(pieces, text_px)
    if len(segments) > _MAX_SEGMENTS:
        return []
    bounded, left_over = ruled_stretches(segments, across, text_px)
    found = [_table(stretch, text_px, 2) for stretch in bounded]
    found += [_table(stretch, text_px, _LEAST_ROWS) for stretch in free_stretches(left_over, text_px)]
    return [table for table in found if table is not None]


def table_in_frame(pieces: Sequence[Piece], text_px: float) -> FoundTable | None:
    """The table that all of the pieces make, or None."""
    segments = segments_of(pieces, text_px)
    return _table(segments, text_px, 2) if len(segments) <= _MAX_SEGMENTS else None


def _table(segments: Sequence[Segment], text_px: float, least_rows: int) -> FoundTable | None:
    """What the segments make, if it has at least so many rows of several cells."""
    rows = rows_of(segments, text_px)
    if sum(len(row) > 1 for row in rows) < least_rows or not _are_alike(segments):
        return None
    columns = columns_of(rows, text_px)
    if not 2 <= len(columns) <= _MAX_COLUMNS:
        return None
    usual = usual_row(rows, len(columns), text_px)
    if _is_running_text(segments, usual, text_px):
        return None
    count, blocks = blocks_in_rows(rows, columns, text_px)
    blocks = [_widened(block, blocks, columns, text_px) for block in blocks]
    blocks = _without_overlap(grouped(count, blocks, usual))
    return _placed(count, blocks, columns, text_px) if _is_table(count, blocks, len(columns), least_rows) else None


def _are_alike(segments: Sequence[Segment]) -> bool:
    heights = [segment.bottom - segment.top for segment in segments]
    usual = median(heights)
    return sum(usual / 2 <= height <= 2 * usual for height in heights) >= _LEAST_ALIKE * len(heights)


def _is_running_text(segments: Sequence[Segment], usual_row_px: float, text_px: float) -> bool:
    length = median(segment.right - segment.left for segment in segments)
    tight = usual_row_px <= _TIGHT_HEIGHTS * text_px
    return length >= (_TIGHT_LONG_HEIGHTS if tight else _LONG_HEIGHTS) * text_px


def _is_table(count: int, blocks: Sequence[Block], columns: int, least_rows: int) -> bool:
    several = sum(len({block.first for block in blocks if block.row == row}) > 1 for row in range(count))
    squares = sum(block.row_span * (block.last - block.first + 1) for block in blocks)
    single = sum(block.first == block.last for block in blocks)
    return several >= least_rows and squares >= _LEAST_FILL * count * columns and single >= _LEAST_ALIKE * len(blocks)


def _widened(block: Block, blocks: Sequence[Block], columns: Sequence[Column], text_px: float) -> Block:
    """The block over the columns in whose middle it stands, where they are free in its rows."""
    off = out_of_line(block.left, block.right, columns[block.first])
    if block.first == block.last and off <= _OFF_HEIGHTS * text_px:
        return block
    first, last = block.first, block.last
    beside = [
        b for b in blocks if b is not block and b.row < block.row + block.row_span and block.row < b.row + b.row_span
    ]
    least = max((b.last + 1 for b in beside if b.last < block.first), default=0)
    most = min((b.first - 1 for b in beside if b.first > block.last), default=len(columns) - 1)

    def miss(span: tuple[int, int]) -> float:
        return abs((columns[span[0]].left + columns[span[1]].right) / 2 - block.centre_x)

    spans = [(a, b) for a in range(least, first + 1) for b in range(last, most + 1)]
    best = min(spans, key=lambda span: (round(miss(span) / (_OFF_HEIGHTS * text_px)), span[1] - span[0]), default=None)
    if best is None or (block.first == block.last and miss(best) > _CENTRED_HEIGHTS * text_px):
        return block
    return replace(block, first=best[0], last=best[1])


def _without_overlap(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, those that would share a square with an earlier one put into it."""
    kept: list[Block] = []
    for block in sorted(blocks, key=lambda each: (each.row, each.first)):
        for index, other in enumerate(kept):
            if (
                block.row < other.row + other.row_span
                and other.row < block.row + block.row_span
                and block.first <= other.last
                and other.first <= block.last
            ):
                kept[index] = replace(other, pieces=other.pieces + block.pieces)
                break
        else:
            kept.append(block)
    return kept


def _placed(count: int, blocks: Sequence[Block], columns: Sequence[Column], text_px: float) -> FoundTable:
    taken = {
        GridCell(block.row, block.first, block.row_span, block.last - block.first + 1): block.pieces for block in blocks
    }
    between = [(left.right + right.left) / 2 for left, right in pairwise(columns)]
    margin = median(right.left - left.right for left, right in pairwise(columns)) / 2
    margin = max(0.0, min(margin, text_px))
    grid = Grid(
        tuple(row_edges(count, blocks)),
        (columns[0].left - margin, *between, columns[-1].right + margin),
        filled_cells(count, len(columns), taken),
    )
    return FoundTable(grid, tuple(taken.get(cell, ()) for cell in grid.cells))
