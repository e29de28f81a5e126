"""The rows of a table without rules: lines that make one cell joined, and text between two rows put over both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from ocr_gateway.tables.columns import Column, overlapped
from ocr_gateway.tables.pieces import Piece
from ocr_gateway.tables.segments import Row

# Lines whose middles are this share of the usual row apart, and this many heights of text at most, are one cell's.
_LINE_SHARE = 0.8
_LINE_HEIGHTS = 1.65
# Text stands between two rows when it is at most this share of the usual row from both.
_BETWEEN_SHARE = 0.85
# A label in the first column is in a row that is at most this share of the usual row from it.
_NEAR_SHARE = 0.75
# How far, in usual rows, a label's middle may be from the middle of the rows that it is for.
_LABEL_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Block:
    """A cell's text in a row of ``row``, over ``row_span`` rows and the columns ``first`` to ``last``."""

    pieces: tuple[Piece, ...]
    lines: int
    first: int
    last: int
    left: float
    top: float
    right: float
    bottom: float
    row: int = 0
    row_span: int = 1

    @property
    def centre_x(self) -> float:
        """Where its middle stands across."""
        return (self.left + self.right) / 2

    @property
    def centre_y(self) -> float:
        """Where its middle stands down."""
        return (self.top + self.bottom) / 2


@dataclass(slots=True)
class _Band:
    """A row in the making."""

    centre: float
    blocks: list[Block]


def blocks_in_rows(rows: Sequence[Row], columns: Sequence[Column], text_px: float) -> tuple[int, list[Block]]:
    """The number of rows and the blocks in them."""
    usual = usual_row(rows, len(columns), text_px)
    lines = [
        Block(each.pieces, 1, min(over), max(over), each.left, each.top, each.right, each.bottom)
        for row in rows
        for each in row
        for over in [overlapped(each, columns, text_px)]
    ]
    bands = _bands(_joined_lines(lines, min(_LINE_SHARE * usual, _LINE_HEIGHTS * text_px)), text_px)
    return _numbered(bands, usual)


def usual_row(rows: Sequence[Row], columns: int, text_px: float) -> float:
    """The median distance of rows that have text in most columns."""
    rich = [sum(each.centre_y for each in row) / len(row) for row in rows if len(row) >= max(2, columns / 2)]
    return median(below - above for above, below in pairwise(rich)) if len(rich) > 1 else 2 * text_px


def _joined_lines(lines: Sequence[Block], limit: float) -> list[Block]:
    """Lines in the same columns, each close below the other, as one block."""
    open_blocks: dict[tuple[int, int], tuple[Block, float]] = {}
    done = []
    for line in sorted(lines, key=lambda each: each.centre_y):
        key = line.first, line.last
        above = open_blocks.get(key)
        block = line
        if above and line.centre_y - above[1] <= limit and _overlap(above[0], line):
            block = _with(above[0], line)
        elif above:
            done.append(above[0])
        open_blocks[key] = block, line.centre_y
    return done + [block for block, _ in open_blocks.values()]


def _overlap(block: Block, other: Block) -> bool:
    return min(block.right, other.right) > max(block.left, other.left)


def _with(block: Block, line: Block) -> Block:
    return replace(
        block,
        pieces=block.pieces + line.pieces,
        lines=block.lines + line.lines,
        left=min(block.left, line.left),
        right=max(block.right, line.right),
        top=min(block.top, line.top),
        bottom=max(block.bottom, line.bottom),
    )


def _bands(blocks: Sequence[Block], text_px: float) -> list[_Band]:
    """Rows by the blocks of one line; those of several go to the row that they are beside, or make one."""
    bands: list[_Band] = []
    for block in sorted((each for each in blocks if each.lines == 1), key=lambda each: each.centre_y):
        if bands and block.centre_y - bands[-1].centre <= 0.4 * text_px:
            bands[-1].blocks.append(block)
            bands[-1].centre = sum(each.centre_y for each in bands[-1].blocks) / len(bands[-1].blocks)
        else:
            bands.append(_Band(block.centre_y, [block]))
    for block in sorted((each for each in blocks if each.lines > 1), key=lambda each: each.centre_y):
        beside = [band for band in bands if block.top < band.centre < block.bottom and _has_room(band, block)]
        if beside:
            best = max(beside, key=lambda band: (len(band.blocks), -abs(band.centre - block.centre_y)))
            best.blocks.append(block)
        else:
            bands.append(_Band(block.centre_y, [block]))
            bands.sort(key=lambda band: band.centre)
    return bands


def _has_room(band: _Band, block: Block) -> bool:
    return all(each.last < block.first or block.last < each.first for each in band.blocks)


def _numbered(bands: Sequence[_Band], usual: float) -> tuple[int, list[Block]]:
    """The rows numbered. Text that stands between two rows that leave room for it is over both; a label in the first
    column that is a little off a row is in that row.
    """
    rows: list[_Band] = []
    between: list[tuple[int, Block]] = []
    for index, band in enumerate(bands):
        above, below = rows[-1] if rows else None, bands[index + 1] if index + 1 < len(bands) else None
        if above is not None and below is not None and _stands_between(band, above, below, usual):
            between.extend((len(rows) - 1, block) for block in band.blocks)
            continue
        near = min(
            (each for each in (above, below) if each is not None and _takes(each, band)),
            key=lambda each: abs(each.centre - band.centre),
            default=None,
        )
        if near is not None and abs(near.centre - band.centre) <= _NEAR_SHARE * usual:
            near.blocks.extend(band.blocks)
        else:
            rows.append(band)
    blocks = [replace(block, row=row) for row, band in enumerate(rows) for block in band.blocks]
    return len(rows), blocks + [replace(block, row=row, row_span=2) for row, block in between]


def _stands_between(band: _Band, above: _Band, below: _Band, usual: float) -> bool:
    up, down = band.centre - above.centre, below.centre - band.centre
    room = all(_has_room(above, each) and _has_room(below, each) for each in band.blocks)
    return room and max(up, down) <= _BETWEEN_SHARE * usual and min(up, down) >= _NEAR_SHARE * max(up, down) / 2


def _takes(band: _Band, label: _Band) -> bool:
    """Whether the row has room for a band that is nothing but a label in the first column."""
    return (
        len(label.blocks) == 1
        and label.blocks[0].last == 0
        and len(band.blocks) > 1
        and _has_room(band, label.blocks[0])
    )


def grouped(count: int, blocks: Sequence[Block], usual: float) -> list[Block]:
    """The labels of the first column, each over the rows whose middle it stands at, where that holds for all of them:
    together they must cover all rows without a gap.
    """
    labels = sorted((each for each in blocks if each.first == 0), key=lambda each: each.row)
    others = [each for each in blocks if each.first > 0]
    extents = _extents(count, others or labels)
    spanned = []
    start = 0
    for index, label in enumerate(labels):
        limit = labels[index + 1].row if index + 1 < len(labels) else count
        last = label.row + label.row_span
        if not start <= label.row:
            return list(blocks)
        ends = range(last, limit + 1)
        end = min(ends, key=lambda e: abs((extents[start] + extents[e]) / 2 - label.centre_y), default=last)
        off = abs((extents[start] + extents[end]) / 2 - label.centre_y)
        if (end > last or start < label.row) and off > _LABEL_SHARE * usual:
            return list(blocks)
        spanned.append(replace(label, row=start, row_span=end - start))
        start = end
    return others + spanned if start == count else list(blocks)


def _extents(count: int, blocks: Sequence[Block]) -> list[float]:
    """The edges of the rows: the middle of the blank between two, the text's end at the first and last."""
    tops, bottoms = [float("inf")] * count, [float("-inf")] * count
    for block in blocks:
        if block.row_span == 1:
            tops[block.row] = min(tops[block.row], block.top)
            bottoms[block.row] = max(bottoms[block.row], block.bottom)
    known = [row for row in range(count) if tops[row] < bottoms[row]]
    if not known:
        return [float(row) for row in range(count + 1)]
    for row in range(count):
        if row not in known:
            near = min(known, key=lambda other: abs(other - row))
            tops[row] = bottoms[row] = bottoms[near] if near < row else tops[near]
    blank = max(0.0, median(tops[k + 1] - bottoms[k] for k in range(count - 1))) if count > 1 else 0.0
    inner = [(bottoms[k] + tops[k + 1]) / 2 for k in range(count - 1)]
    return [tops[0] - blank / 2, *inner, bottoms[-1] + blank / 2]


def row_edges(count: int, blocks: Sequence[Block]) -> list[float]:
    """The rows' edges, in ascending order."""
    edges = _extents(count, blocks)
    for index in range(1, len(edges)):
        edges[index] = max(edges[index], edges[index - 1] + 1)
    return edges
