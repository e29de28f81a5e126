"""The columns of a table without rules: where most rows have text above each other, with a river between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ocr_gateway.tables.segments import Row, Segment

# Segments overlap when they share this many heights of the text.
_SHARED_HEIGHTS = 0.25
# Text this many heights off its column's left, right and middle is not in line with it.
_OFF_HEIGHTS = 0.5
# A segment over two or more others in this share of the rows in which it is over any runs over several columns.
_OVER_SEVERAL = 0.4
# A head that is beside its column, not over it, is at most this many heights from it.
_HEAD_GAP_HEIGHTS = 1.5
# With this many rows or more, one that crosses a river does not fill it.
_MANY_ROWS = 6


@dataclass(frozen=True, slots=True)
class Column:
    """Where a column's text stands."""

    left: float
    right: float

    @property
    def centre(self) -> float:
        """Its middle."""
        return (self.left + self.right) / 2


def columns_of(rows: Sequence[Row], text_px: float) -> list[Column]:
    """The columns, from the left to the right; segments over several of them make none."""
    segments = [segment for row in rows for segment in row]
    least = _SHARED_HEIGHTS * text_px
    narrow = [each for each, wide in zip(segments, _over_several(rows, least), strict=True) if not wide]
    bases = _covered(narrow, 1 if len(rows) >= _MANY_ROWS else 0, least)
    bases = [base for base in bases if base.right - base.left > least]  # narrower ones are where two texts just meet
    columns = _extents(bases, narrow, text_px)
    alone = [each for each in narrow if not any(_shared(each, base) > least for base in bases)]
    for sparse in _covered(alone, 0, least):
        owners = [each for each in alone if _shared(each, sparse) > 0]
        if len(owners) > 1 or not _between(sparse, columns, text_px):
            bases.append(sparse)
    bases.sort(key=lambda base: base.left)
    columns = _extents(bases, narrow, text_px)
    return _without_heads_of_their_own(_apart(columns), rows, text_px)


def overlapped(segment: Segment, columns: Sequence[Column], text_px: float) -> list[int]:
    """The columns that the segment stands in: all that it shares enough with, or else the nearest."""
    found = [index for index, column in enumerate(columns) if _shared(segment, column) > _SHARED_HEIGHTS * text_px]
    if found:
        return found
    return [min(range(len(columns)), key=lambda k: abs(columns[k].centre - segment.centre_x))]


def _only_over(segment: Segment, bases: Sequence[Column], least: float) -> Column | None:
    over = [base for base in bases if _shared(segment, base) > least]
    return over[0] if len(over) == 1 else None


def _extents(bases: Sequence[Column], segments: Sequence[Segment], text_px: float) -> list[Column]:
    least = _SHARED_HEIGHTS * text_px
    owners = [[each for each in segments if _only_over(each, bases, least) == base] for base in bases]
    return [_extent(base, own, text_px) for base, own in zip(bases, owners, strict=True)]


def _extent(base: Column, own: Sequence[Segment], text_px: float) -> Column:
    """From the first left to the last right of the column's texts, without those that stick out of the others and agree
    with them neither in the left, nor in the right, nor in the middle: they stand over several columns.
    """
    if not own:
        return base
    kept = [each for each in own if len(own) < 3 or not _sticks_out(each, own, _OFF_HEIGHTS * text_px)] or own
    return Column(min(each.left for each in kept), max(each.right for each in kept))


def _sticks_out(segment: Segment, own: Sequence[Segment], most: float) -> bool:
    others = [each for each in own if each is not segment]
    column = Column(min(each.left for each in others), max(each.right for each in others))
    return out_of_line(segment.left, segment.right, column) > most


def out_of_line(left: float, right: float, column: Column) -> float:
    """How far text is from agreeing with a column in its left, its right or its middle, pixels."""
    return min(abs(left - column.left), abs(right - column.right), abs((left + right) / 2 - column.centre))


def _shared(segment: Segment, column: Column) -> float:
    return min(segment.right, column.right) - max(segment.left, column.left)


def _over_several(rows: Sequence[Row], least: float) -> list[bool]:
    """For each segment, by rows, whether it runs over several segments of other rows."""
    segments = [segment for row in rows for segment in row]
    left, right = np.array([each.left for each in segments]), np.array([each.right for each in segments])
    several, any_at_all = np.zeros(len(segments), np.int64), np.zeros(len(segments), np.int64)
    for row in rows:
        under = np.zeros(len(segments), np.int64)
        for each in row:
            under += np.minimum(right, each.right) - np.maximum(left, each.left) > min(
                least, (each.right - each.left) / 2
            )
        several += under > 1
        any_at_all += under > 0
    # Each is under itself in its own row, which tells nothing.
    wide: list[bool] = ((several > 0) & (several >= _OVER_SEVERAL * np.maximum(any_at_all - 1, 1))).tolist()
    return wide


def _covered(segments: Sequence[Segment], crossing: int, least: float) -> list[Column]:
    """The intervals that more than ``crossing`` segments cover, those that nearly touch as one."""
    steps = sorted([(each.left, 1) for each in segments] + [(each.right, -1) for each in segments])
    found: list[Column] = []
    depth, start = 0, 0.0
    for place, step in steps:
        before, depth = depth, depth + step
        if before <= crossing < depth:
            start = place
        elif depth <= crossing < before and place > start:
            if found and start - found[-1].right < least / 2:
                found[-1] = Column(found[-1].left, place)
            else:
                found.append(Column(start, place))
    return found


def _between(sparse: Column, bases: Sequence[Column], text_px: float) -> bool:
    """Whether it stands in the middle over two neighbouring columns."""
    before = [base for base in bases if base.right <= sparse.left]
    after = [base for base in bases if base.left >= sparse.right]
    if not before or not after:
        return False
    left, right = max(before, key=lambda base: base.right), min(after, key=lambda base: base.left)
    return abs((left.left + right.right) / 2 - sparse.centre) < text_px


def _apart(columns: Sequence[Column]) -> list[Column]:
    """The columns cut back where the widest text of one reaches into the next."""
    found: list[Column] = []
    for column in columns:
        if found and column.left < found[-1].right:
            middle = (column.left + found[-1].right) / 2
            found[-1] = Column(found[-1].left, middle)
            column = Column(middle, column.right)
        found.append(column)
    return found


def _without_heads_of_their_own(columns: Sequence[Column], rows: Sequence[Row], text_px: float) -> list[Column]:
    """A column of one text, next to one that has text in rows below but not in this one, is that column's head."""
    found = list(columns)
    least = _SHARED_HEIGHTS * text_px
    for index in range(len(found) - 1, 0, -1):
        left, right = (
            {k for k, row in enumerate(rows) if any(_shared(each, column) > least for each in row)}
            for column in (found[index - 1], found[index])
        )
        single, other = sorted((left, right), key=len)
        near = found[index].left - found[index - 1].right <= _HEAD_GAP_HEIGHTS * text_px
        if near and len(single) == 1 and len(other) > 1 and min(single) < min(other):
            found[index - 1 : index + 1] = [Column(found[index - 1].left, found[index].right)]
    return found
