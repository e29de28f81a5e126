"""Boxes fitted to the ink: an engine's line box is several pixels wider than the text, and this takes up the slack.

Where the ground is plain enough to part ink from paper without doubt, a line's box ends at its outermost ink, and its
words part at the gaps; anywhere else, as on photographs, the engine's box stands. Only level lines and lines tilted by
up to 0.03 (1.7 degrees) are fitted. A side moves inwards by less than half the line's height (across) or one height
(along), and outwards by less than a tenth; a side whose ink runs on beyond that stays where the engine put it.

Inside, places are (x, v): v is y with the page's tilt taken off, so that lines are level rows of v.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocr_gateway.providers.ink_mask import Mask, Pixels, ink_mask
from ocr_gateway.providers.rapid_engine import WordSpan
from ocr_gateway.providers.word_fit import word_extents

Corners = NDArray[np.float64]

_MAX_TILT = 0.03
_TILT_SPREAD = 0.02
_MARGIN = 0.1
_MAX_INWARD_ACROSS = 0.48
_MAX_INWARD_ALONG = 1.0
_MIN_HEIGHT = 0.12


@dataclass(frozen=True, slots=True)
class FittedLine:
    """A line's corners and its words' corners, each 4 x 2, in the order of reading."""

    corners: Corners
    words: tuple[Corners, ...]


@dataclass(slots=True)
class _Window:
    """A line's surroundings: its box's extent in (x, v), and where ink is in the window round it.

    ``top`` and ``bottom`` are rows of ``ink`` between which the line's ink lies; beyond it is its neighbours'.
    """

    left: float
    right: float
    upper: float
    lower: float
    x0: int
    v0: int
    ink: Mask | None = None
    top: int = 0
    bottom: int = 0


def fit_lines(rgb: Pixels, boxes: Sequence[Corners], words: Sequence[Sequence[WordSpan]]) -> list[FittedLine]:
    """Each line's box and words. ``boxes`` are corners from the top left, clockwise, of text that runs to the right."""
    tilt = _page_tilt(rgb, boxes)
    windows = [_window(rgb, box, tilt) for box in boxes]
    _part_neighbours([window for window in windows if window is not None])
    return [
        _fitted(window, spans, tilt) if window is not None and window.ink is not None else _untouched(box, spans)
        for box, window, spans in zip(boxes, windows, words, strict=True)
    ]


def _slope(box: Corners) -> float:
    top, bottom = box[1] - box[0], box[2] - box[3]
    run = top[0] + bottom[0]
    return float((top[1] + bottom[1]) / run) if run > 0 else float("inf")


def _height(box: Corners) -> float:
    return float(np.linalg.norm(box[3] - box[0]) + np.linalg.norm(box[2] - box[1])) / 2


def _width(box: Corners) -> float:
    return float(np.linalg.norm(box[1] - box[0]) + np.linalg.norm(box[2] - box[3])) / 2


def _page_tilt(rgb: Pixels, boxes: Sequence[Corners]) -> float:
    """The slope that the page's long lines share, or 0 where level rows part ink from paper as well: an engine's box
    of a level line is often a pixel or two off.
    """
    long = [box for box in boxes if _width(box) >= 5 * _height(box) and abs(_slope(box)) <= _MAX_TILT]
    if not long:
        return 0.0
    long.sort(key=_width, reverse=True)
    slope = float(np.median([_slope(box) for box in long[:15]]))
    if abs(slope) * _width(long[0]) < 1.0:
        return 0.0
    level = tilted = 0.0
    for box in long[:3]:
        level += _sharpness(rgb, box, 0.0)
        tilted += _sharpness(rgb, box, slope)
    return slope if tilted > level else 0.0


def _sharpness(rgb: Pixels, box: Corners, tilt: float) -> float:
    """How sharply rows at this tilt part into inked and empty ones: the mean square step from row to row."""
    window = _window(rgb, box, tilt)
    if window is None or window.ink is None:
        return 0.0
    steps = np.diff(window.ink.mean(axis=1))
    return float(steps @ steps)


def _window(rgb: Pixels, box: Corners, tilt: float) -> _Window | None:
    """None for a box that does not follow the page's tilt."""
    height, width = _height(box), _width(box)
    tolerance = _TILT_SPREAD if width >= 3 * height else 3 * _TILT_SPREAD
    if abs(_slope(box) - tilt) > tolerance or height < 4:
        return None
    v = box[:, 1] - tilt * box[:, 0]
    left, right = float(box[[0, 3], 0].mean()), float(box[[1, 2], 0].mean())
    upper, lower = float(v[:2].mean()), float(v[2:].mean())
    margin = max(2.0, _MARGIN * height)
    page_height, page_width = rgb.shape[:2]
    x0, x1 = max(int(left - margin), 0), min(int(np.ceil(right + margin)), page_width)
    v0, v1 = int(upper - margin), int(np.ceil(lower + margin))
    if not tilt:
        v0, v1 = max(v0, 0), min(v1, page_height)
    if x1 - x0 < 4 or v1 - v0 < 4:
        return None
    ink = ink_mask(_cut(rgb, x0, x1, v0, v1, tilt))
    return _Window(left, right, upper, lower, x0, v0, ink, 0, v1 - v0)


def _cut(rgb: Pixels, x0: int, x1: int, v0: int, v1: int, tilt: float) -> Pixels:
    """The window's pixels; beyond the page's edge, the edge's."""
    if not tilt:
        return rgb[v0:v1, x0:x1]
    columns = np.arange(x0, x1)
    rows = np.arange(v0, v1)[:, None] + np.rint(tilt * columns).astype(np.intp)[None, :]
    cut: Pixels = rgb[np.clip(rows, 0, rgb.shape[0] - 1), columns[None, :]]
    return cut


def _part_neighbours(windows: Sequence[_Window]) -> None:
    """Gives each row of ink that two lines' windows share to one of them."""
    ordered = sorted((w for w in windows if w.ink is not None), key=lambda w: w.upper + w.lower)
    for index, above in enumerate(ordered):
        for below in ordered[index + 1 :]:
            if below.v0 >= above.lower + (above.lower - above.upper):
                break
            if min(above.right, below.right) - max(above.left, below.left) > 0:
                _part(above, below)


def _part(above: _Window, below: _Window) -> None:
    """Cuts at the empty row nearest to the middle of the strip that both windows see, or, where the lines' ink
    interlocks, at its emptiest row.
    """
    if above.ink is None or below.ink is None:
        return
    middle_above, middle_below = (above.upper + above.lower) / 2, (below.upper + below.lower) / 2
    first = max(below.v0, int(np.ceil(middle_above)))
    last = min(above.v0 + above.ink.shape[0], int(middle_below))
    if last <= first or middle_below - middle_above < 0.4 * min(above.lower - above.upper, below.lower - below.upper):
        return
    x0, x1 = max(above.x0, below.x0), min(above.x0 + above.ink.shape[1], below.x0 + below.ink.shape[1])
    strip = above.ink[first - above.v0 : last - above.v0, x0 - above.x0 : x1 - above.x0]
    weight = strip.sum(axis=1)
    distance = np.abs(np.arange(first, last) + 0.5 - (above.lower + below.upper) / 2)
    cut = first + int(np.lexsort((distance, weight))[0])
    above.bottom = min(above.bottom, cut + 1 - above.v0)
    below.top = max(below.top, cut - below.v0)


def _fitted(window: _Window, spans: Sequence[WordSpan], tilt: float) -> FittedLine:
    """The line's box and words by its ink."""
    ink = window.ink
    if ink is None or window.bottom <= window.top:
        return _level_untouched(window, spans, tilt)
    height = window.lower - window.upper
    ink = ink.copy()
    ink[: window.top] = False
    ink[window.bottom :] = False
    _drop_rules(ink, window, height)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not rows.size:
        return _level_untouched(window, spans, tilt)
    upper = _side(window.v0 + rows[0], window.upper, 1, _MAX_INWARD_ACROSS * height, touches=rows[0] == 0)
    lower = _side(
        window.v0 + rows[-1] + 1, window.lower, -1, _MAX_INWARD_ACROSS * height, touches=rows[-1] + 1 == len(ink)
    )
    along = _MAX_INWARD_ALONG * height
    left = _side(window.x0 + columns[0], window.left, 1, along, touches=columns[0] == 0)
    right = _side(window.x0 + columns[-1] + 1, window.right, -1, along, touches=columns[-1] + 1 == ink.shape[1])
    if lower - upper < _MIN_HEIGHT * height or right - left < 1:
        return _level_untouched(window, spans, tilt)
    words = _fitted_words(window, ink, spans, (left, right, upper, lower), tilt)
    return FittedLine(_corners(left, right, upper, lower, tilt), words)


def _fitted_words(
    window: _Window, ink: Mask, spans: Sequence[WordSpan], line: tuple[float, float, float, float], tilt: float
) -> tuple[Corners, ...]:
    """The words' corners by the line's ink, none beyond the ``line``: its left, right, upper and lower side."""
    left, right, upper, lower = line
    length = window.right - window.left
    begin = window.left - window.x0
    columns = [(begin + span.start * length, begin + span.end * length) for span in spans]
    words = []
    for first, last, top, bottom in word_extents(ink, columns, window.lower - window.upper):
        x0, x1 = np.clip((window.x0 + first, window.x0 + last), left, right).tolist()
        v0, v1 = upper, lower
        if top is not None and bottom is not None:
            v0, v1 = np.clip((window.v0 + top, window.v0 + bottom), upper, lower).tolist()
        words.append(_corners(x0, x1, v0, v1, tilt))
    return tuple(words)


def _side(found: float, given: float, inward: int, most: float, *, touches: bool) -> float:
    """Where a side goes: to its ink, unless that runs out of the window or lies further inwards than ``most``."""
    if touches or (found - given) * inward > most:
        return given
    return float(found)


def _drop_rules(ink: Mask, window: _Window, height: float) -> None:
    """Takes out straight strokes that run through the window from end to end beside the text: rules and frames."""
    margin = round(0.3 * height)
    through = ink.mean(axis=1) >= 0.97
    through[margin : len(through) - margin] = False
    ink[through] = False
    body = ink[window.top : window.bottom]
    margin = round(0.5 * height)
    through = body.mean(axis=0) >= 0.97
    through[margin : len(through) - margin] = False
    ink[:, through] = False


def _level_untouched(window: _Window, spans: Sequence[WordSpan], tilt: float) -> FittedLine:
    return _untouched(_corners(window.left, window.right, window.upper, window.lower, tilt), spans)


def _corners(left: float, right: float, upper: float, lower: float, tilt: float) -> Corners:
    x = np.array((left, right, right, left))
    return np.stack([x, np.array((upper, upper, lower, lower)) + tilt * x], axis=1)


def _untouched(box: Corners, spans: Sequence[WordSpan]) -> FittedLine:
    """The engine's box, and words cut from it across its length; words that overlap part halfway."""
    starts, ends = [s.start for s in spans], [s.end for s in spans]
    for i in range(len(spans) - 1):
        if ends[i] > starts[i + 1]:
            ends[i] = starts[i + 1] = (ends[i] + starts[i + 1]) / 2
    words = []
    for start, end in zip(starts, ends, strict=True):
        top, bottom = box[1] - box[0], box[2] - box[3]
        words.append(
            np.stack([box[0] + start * top, box[0] + end * top, box[3] + end * bottom, box[3] + start * bottom])
        )
    return FittedLine(box, tuple(words))
