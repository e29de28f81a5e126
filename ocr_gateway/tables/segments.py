"""Text that stands together on a row, a page's rows, and the stretches of them that may be tables without rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from ocr_gateway.tables.pieces import Piece
from ocr_gateway.tables.rules import Rule

# In heights of the page's text: a gap that parts words into segments; how far middles on one row may differ; the blank
# that ends a stretch; the least length of rules that bound one.
_GAP_HEIGHTS = 1.0
_ROW_HEIGHTS = 0.4
_BLANK_HEIGHTS = 2.0
_RULE_HEIGHTS = 6.0
# Rows of one segment next to a stretch belong to it when the blank between is at most so many of the blanks within:
# any; and those that may be its head.
_NEAR_SHARE = 0.72
_HEAD_SHARE = 1.3


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Words that follow each other on a row."""

    pieces: tuple[Piece, ...]
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


Row = list[Segment]


def segment_of(pieces: Sequence[Piece]) -> Segment:
    """The pieces, at least one, as one segment."""
    return Segment(
        tuple(pieces),
        min(piece.left for piece in pieces),
        min(piece.top for piece in pieces),
        max(piece.right for piece in pieces),
        max(piece.bottom for piece in pieces),
    )


def segments_of(pieces: Sequence[Piece], text_px: float) -> list[Segment]:
    """The pieces of each line, parted where they stand apart."""
    segments = []
    for _, members in groupby(sorted(pieces, key=lambda each: (each.line, each.left)), key=lambda each: each.line):
        group: list[Piece] = []
        for piece in members:
            if group and piece.left - group[-1].right > _GAP_HEIGHTS * max(text_px, piece.height):
                segments.append(segment_of(group))
                group = []
            group.append(piece)
        segments.append(segment_of(group))
    return segments


def rows_of(segments: Sequence[Segment], text_px: float) -> list[Row]:
    """The segments whose middles are level, from the top to the bottom, each row from the left to the right."""
    rows: list[Row] = []
    middle = 0.0
    for segment in sorted(segments, key=lambda each: each.centre_y):
        if rows and segment.centre_y - middle <= _ROW_HEIGHTS * text_px:
            rows[-1].append(segment)
            middle = sum(each.centre_y for each in rows[-1]) / len(rows[-1])
        else:
            rows.append([segment])
            middle = segment.centre_y
    return [sorted(row, key=lambda each: each.left) for row in rows]


def ruled_stretches(
    segments: Sequence[Segment], across: Sequence[Rule], text_px: float
) -> tuple[list[list[Segment]], list[Segment]]:
    """The segments between the first and the last of rules that begin and end alike, one list a set of rules; and the
    segments in none.
    """
    left_over = list(segments)
    stretches = []
    for rules in _alike([rule for rule in across if rule.end - rule.start >= _RULE_HEIGHTS * text_px], text_px):
        top, bottom = min(rule.at for rule in rules), max(rule.at for rule in rules)
        start, end = min(rule.start for rule in rules), max(rule.end for rule in rules)
        inside = [each for each in left_over if top < each.centre_y < bottom and start < each.centre_x < end]
        if sum(len(row) > 1 for row in rows_of(inside, text_px)) >= 2:
            stretches.append(inside)
            taken = set(map(id, inside))
            left_over = [each for each in left_over if id(each) not in taken]
    return stretches, left_over


def _alike(rules: Sequence[Rule], text_px: float) -> list[list[Rule]]:
    """Sets of at least two rules that begin and end at the same places."""
    sets: list[list[Rule]] = []
    for rule in rules:
        for group in sets:
            if abs(group[0].start - rule.start) <= text_px and abs(group[0].end - rule.end) <= text_px:
                group.append(rule)
                break
        else:
            sets.append([rule])
    return [group for group in sets if len(group) > 1]


def free_stretches(segments: Sequence[Segment], text_px: float) -> list[list[Segment]]:
    """The segments of rows that follow each other without a large blank, most of them with several segments; without
    the title above and the text below.
    """
    stretches: list[list[Row]] = [[]]
    bottom = 0.0
    for row in rows_of(segments, text_px):
        if stretches[-1] and min(each.top for each in row) - bottom > _BLANK_HEIGHTS * text_px:
            stretches.append([])
        bottom = max(bottom if stretches[-1] else 0.0, *(each.bottom for each in row))
        stretches[-1].append(row)
    parts = (_tabular_part(stretch) for stretch in stretches)
    return [[segment for row in part for segment in row] for part in parts if part]


def _tabular_part(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows from the first of several segments to the last, with the single ones that belong to them."""
    several = [index for index, row in enumerate(rows) if len(row) > 1]
    if len(several) < 2:
        return []
    first, last = several[0], several[-1]
    blanks = [_blank(above, below) for above, below in zip(rows[first:last], rows[first + 1 : last + 1], strict=True)]
    usual = median(blank for blank in blanks if blank > 0) if any(blank > 0 for blank in blanks) else 0.0
    inner = [segment for row in rows[first : last + 1] for segment in row]
    left, right = min(each.left for each in inner), max(each.right for each in inner)
    while first and _belongs(rows[first - 1], _blank(rows[first - 1], rows[first]), usual, left, right):
        first -= 1
    while last + 1 < len(rows) and _blank(rows[last], rows[last + 1]) <= _NEAR_SHARE * usual:
        last += 1
    return rows[first : last + 1]


def _belongs(row: Row, blank: float, usual: float, left: float, right: float) -> bool:
    """Whether a row above a stretch is a part of its head: close to it, or inset and not over its middle as a title."""
    if row[0].left < left - 0.02 * (right - left) or row[-1].right > right + 0.02 * (right - left):
        return False
    if blank <= _NEAR_SHARE * usual:
        return True
    inset = row[0].left > left + 0.05 * (right - left)
    centred = abs(row[0].centre_x - (left + right) / 2) < 0.02 * (right - left)
    return blank <= _HEAD_SHARE * usual and inset and not centred


def _blank(above: Row, below: Row) -> float:
    return min(each.top for each in below) - max(each.bottom for each in above)
