"""Words parted at the gaps in a line's ink."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ocr_gateway.providers.ink_mask import Mask

# How far from where the recogniser saw it a gap between words may lie, in line heights (of the engine's box).
_REACH = 0.3
# A gap that lies one pixel further from there must be this many pixels wider to be taken.
_PULL = 0.6

# Left, right, and top and bottom where the word has ink; in columns and rows of the mask.
Extent = tuple[float, float, float | None, float | None]


def word_extents(ink: Mask, spans: Sequence[tuple[float, float]], height: float) -> list[Extent]:
    """The extent of each word by the line's ink. ``spans`` are the words' estimated first and last columns, in order.

    Neighbours without a gap between them part halfway between their estimates.
    """
    if not spans:
        return []
    gaps = _gaps(np.asarray(ink.any(axis=0)))
    ends: list[float] = []
    starts: list[float] = [0.0]
    for (_, left_end), (right_start, _) in pairwise(spans):
        end, start = _boundary(gaps, left_end, right_start, _REACH * height)
        ends.append(end)
        starts.append(max(start, end))
    ends.append(float(ink.shape[1]))
    return [_tight(ink, start, end, span) for start, end, span in zip(starts, ends, spans, strict=True)]


def _gaps(inked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First column of each run without ink between two inked ones, and the one after its last."""
    edges = (np.flatnonzero(np.diff(inked.astype(np.int8))) + 1).tolist()
    return [(begin, end) for begin, end in pairwise(edges) if not inked[begin]]


def _boundary(
    gaps: Sequence[tuple[int, int]], left_end: float, right_start: float, reach: float
) -> tuple[float, float]:
    middle = (left_end + right_start) / 2
    best: tuple[float, float] | None = None
    best_score = -np.inf
    for begin, end in gaps:
        distance = max(begin - middle, middle - end, 0.0)
        if distance > reach:
            continue
        score = (end - begin) - _PULL * distance
        if score > best_score:
            best, best_score = (float(begin), float(end)), score
    return best if best is not None else (middle, middle)


def _tight(ink: Mask, start: float, end: float, span: tuple[float, float]) -> Extent:
    first, last = max(round(start), 0), min(round(end), ink.shape[1])
    part = ink[:, first:last]
    columns = np.flatnonzero(part.any(axis=0)) if last > first else np.zeros(0, np.intp)
    if not columns.size:
        return min(span), max(span), None, None
    rows = np.flatnonzero(part.any(axis=1))
    return first + float(columns[0]), first + float(columns[-1]) + 1, float(rows[0]), float(rows[-1]) + 1
