"""The order in which a page's lines are read: columns of running text one after the other, else row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]

# Lines stand on one row when they share this much of the lower one's height.
_SHARED = 0.5
# A line across the gutter that shares this much with another one has something beside it.
_TOUCHED = 0.15
# What makes columns of running text, and not the columns of a table: lines on both sides of the gutter, at least so
# many; a quarter of them as wide as this share of their column or more; columns of so many line heights; few lines
# across the gutter.
_COLUMN_LINES = 5
_COLUMN_FILL = 0.6
_COLUMN_HEIGHTS = 8.0
_MAX_CROSSING = 0.2
_GUTTER_HEIGHTS = 0.4


@dataclass(frozen=True, slots=True)
class _Span:
    """A line's extent with the page's tilt taken off."""

    index: int
    left: float
    right: float
    top: float
    bottom: float


def reading_order(lines: Sequence[Corners]) -> list[list[int]]:
    """The lines' indices in blocks: one block for a page of one column or of table rows, else one for each column's
    piece, each run of lines across the columns, and what the columns run round.
    """
    if not lines:
        return []
    tilt = _tilt(lines)
    spans = []
    for index, corners in enumerate(lines):
        x, v = corners[:, 0], corners[:, 1] - tilt * corners[:, 0]
        spans.append(_Span(index, float(x.min()), float(x.max()), float(v.min()), float(v.max())))
    return [[span.index for span in block] for block in _blocks(spans)]


def _blocks(spans: Sequence[_Span]) -> list[list[_Span]]:
    gutter = _gutter(spans)
    if gutter is None:
        return [_by_rows(spans)]
    blocks: list[list[_Span]] = []
    across: list[_Span] = []
    left: list[_Span] = []
    right: list[_Span] = []
    beside: list[_Span] = []

    def finish() -> None:
        """Closes what stands above a line across the columns."""
        for part in (across, left, right, beside):
            if part:
                blocks.extend(_blocks(part) if part is left or part is right else [_by_rows(part)])
                part.clear()

    for span in sorted(spans, key=lambda s: s.top + s.bottom):
        if span.right <= gutter:
            left.append(span)
        elif span.left >= gutter:
            right.append(span)
        elif any(_share_height(span, other, _TOUCHED) for other in spans if other is not span):
            # Something that the columns run round, such as a picture's caption: read after them.
            beside.append(span)
        else:
            if left or right:
                finish()
            across.append(span)
    finish()
    return blocks


def _gutter(spans: Sequence[_Span]) -> float | None:
    """The x that parts two columns of running text most evenly, None where there are none."""
    if len(spans) < 2 * _COLUMN_LINES:
        return None
    left = np.array([s.left for s in spans])
    right = np.array([s.right for s in spans])
    top, bottom = np.array([s.top for s in spans]), np.array([s.bottom for s in spans])
    height = float(np.median(bottom - top))
    best: float | None = None
    best_score = 0.0
    for edge in np.unique(right):
        before = right <= edge
        after = left > edge
        crossing = len(spans) - int(before.sum()) - int(after.sum())
        if min(before.sum(), after.sum()) < _COLUMN_LINES or crossing > _MAX_CROSSING * len(spans):
            continue
        begin = float(left[after].min())
        if begin - edge < _GUTTER_HEIGHTS * height:
            continue
        score = float(min(before.sum(), after.sum()) - crossing)
        if score > best_score and all(_is_running_text(left[side], right[side], height) for side in (before, after)):
            shared = min(bottom[before].max(), bottom[after].max()) - max(top[before].min(), top[after].min())
            if shared > _COLUMN_LINES * height:
                best, best_score = (float(edge) + begin) / 2, score
    return best


def _is_running_text(left: NDArray[np.float64], right: NDArray[np.float64], height: float) -> bool:
    width = float(right.max() - left.min())
    return width >= _COLUMN_HEIGHTS * height and float(np.percentile(right - left, 75)) >= _COLUMN_FILL * width


def _by_rows(spans: Sequence[_Span]) -> list[_Span]:
    """From the top, each row from left to right."""
    rows: list[list[_Span]] = []
    for span in sorted(spans, key=lambda s: s.top + s.bottom):
        row = next((row for row in rows[-3:] if all(_share_height(span, other, _SHARED) for other in row)), None)
        if row is None:
            rows.append([span])
        else:
            row.append(span)
    return [span for row in rows for span in sorted(row, key=lambda s: s.left)]


def _share_height(one: _Span, other: _Span, share: float) -> bool:
    """Whether they overlap in height by this share of the lower one's height."""
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    return shared >= share * min(one.bottom - one.top, other.bottom - other.top)


def _tilt(lines: Sequence[Corners]) -> float:
    """The slope of the longest line."""
    longest = max(lines, key=lambda corners: float(corners[1, 0] - corners[0, 0]))
    run = float(longest[1, 0] - longest[0, 0])
    slope = float(longest[1, 1] - longest[0, 1]) / run if run > 0 else 0.0
    return slope if abs(slope) < 0.2 else 0.0
