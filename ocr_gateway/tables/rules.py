"""The rules drawn on a level page: long straight strokes, across and down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Ink is darker than its ground by this, and by so many standard deviations of the noise.
_CONTRAST = 30
_NOISES = 2.0
# What is dark over more than 9 squares of 4 pixels each way is ground, whatever its shade.
_SQUARE_PX = 4
_REACH = 4
# Gaps in a rule, and the share of a rule that is ink.
_GAP_PX = 3
_INK_SHARE = 0.85
# A rule is this many times as long as it is thick.
_LENGTHS = 4.0
# Strokes and rules in one direction; a rule has as many strokes as it is pixels thick, and two. More is a texture.
_MAX_STROKES = 20_000
_MAX_RULES = 4_000
# Light text stands on a ground of at most this grey; what runs for this share of its length within it is the ground
# between glyphs, which is as dark as a rule.
_DARK_GREY = 96
_WITHIN_SHARE = 0.35
# No two rules that stand further apart are one: thicker ones are no ink.
_FAR_PX = _SQUARE_PX * (2 * _REACH + 1) + 2 * _GAP_PX


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: where it stands (its middle, down the page for a level one), and from where to where it runs, pixels."""

    at: float
    start: float
    end: float
    thickness: float

    def covers(self, start: float, end: float) -> float:
        """The length of the interval that it runs along."""
        return max(0.0, min(self.end, end) - max(self.start, start))


@dataclass(frozen=True, slots=True)
class Rules:
    """A page's rules: those that run across it, from the top, and those that run down it, from the left."""

    across: tuple[Rule, ...] = ()
    down: tuple[Rule, ...] = ()


def find_rules(grey: Grey, least_px: float) -> Rules:
    """The rules of at least this length on a page that is dark on light.

    A direction in which there are more than 20 000 strokes or 4000 rules has none: that is a texture, not a table.
    """
    if min(grey.shape) < 2:
        return Rules()
    ground = _ground(grey)
    contrast = _CONTRAST + _NOISES * _noise(grey)
    upended, its_ground = np.ascontiguousarray(grey.T), np.ascontiguousarray(ground.T)
    return Rules(
        tuple(_rules(_ink(grey, ground, contrast), least_px)),
        tuple(_rules(_ink(upended, its_ground, contrast), least_px)),
    )


def without_strokes_of_text(rules: Rules, boxes: Sequence[tuple[float, float, float, float]], grey: Grey) -> Rules:
    """The rules but those that lie within one of the boxes (left, top, right, bottom) of a line of text: the strokes of
    its glyphs, or what underlines it; of light text on a dark ground also those that lie in it for the most part.
    """
    if not boxes:
        return rules
    left, top, right, bottom = np.array(boxes).T
    least = np.array([_WITHIN_SHARE if _is_light_on_dark(grey, box) else 1.0 for box in boxes])
    return Rules(
        tuple(rule for rule in rules.across if not _is_inside(rule, top, bottom, left, right, least)),
        tuple(rule for rule in rules.down if not _is_inside(rule, left, right, top, bottom, least)),
    )


def _is_light_on_dark(grey: Grey, box: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = (max(int(edge), 0) for edge in box)
    crop = grey[top : bottom + 1, left : right + 1]
    return bool(crop.size) and float(np.median(crop)) < _DARK_GREY


def _is_inside(rule: Rule, first: Floats, last: Floats, starts: Floats, ends: Floats, least: Floats) -> bool:
    beside = (first - _GAP_PX <= rule.at) & (rule.at <= last + _GAP_PX)
    within = np.minimum(rule.end, ends + _GAP_PX) - np.maximum(rule.start, starts - _GAP_PX)
    return bool(np.any(beside & (within >= least * (rule.end - rule.start))))


def _ground(grey: Grey) -> Grey:
    """The paper's shade at each pixel: the closing of the means of small squares, so that noise does not lighten it."""
    ground = np.asarray(Image.fromarray(grey).reduce(_SQUARE_PX))
    for fold, neutral in ((np.maximum, 0), (np.minimum, 255)):
        for axis in (0, 1):
            ground = _windowed(ground, fold, neutral, axis)
    whole = ground.repeat(_SQUARE_PX, axis=0).repeat(_SQUARE_PX, axis=1)
    return whole[: grey.shape[0], : grey.shape[1]]


def _windowed(values: Grey, fold: np.ufunc, neutral: int, axis: int) -> Grey:
    """Each value's extreme over the window round it along the axis, in as many steps as the window doubles."""
    pad = [(0, 0), (0, 0)]
    pad[axis] = (_REACH, _REACH)
    folded = np.moveaxis(np.pad(values, pad, constant_values=neutral), axis, 0)
    window, done = 2 * _REACH + 1, 1
    while done < window:
        step = min(done, window - done)
        folded = fold(folded[:-step], folded[step:])
        done += step
    return np.moveaxis(folded, 0, axis)


def _ink(grey: Grey, ground: Grey, contrast: float) -> Mask:
    """Where the mean of three pixels side by side is darker than the ground."""
    padded = np.pad(grey, ((0, 0), (1, 1)), mode="edge").astype(np.int16)
    sums = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    ink: Mask = 3 * ground.astype(np.int16) - sums >= 3 * contrast
    return ink


def _noise(grey: Grey) -> float:
    """The standard deviation of the noise, from the median difference of neighbours."""
    return float(np.median(np.abs(np.diff(grey[::2].astype(np.int16), axis=1)))) / 0.954


def _rules(ink: Mask, least_px: float) -> list[Rule]:
    """The level rules."""
    thick = ink.copy()  # by a pixel up and down, so that a slight tilt does not break a stroke
    thick[1:] |= ink[:-1]
    thick[:-1] |= ink[1:]
    rows, starts, ends = _strokes(thick, least_px)
    if len(rows) > _MAX_STROKES:
        return []
    rules = [each for each in _joined(rows.tolist(), starts.tolist(), ends.tolist()) if _is_rule(each, least_px)]
    return _in_line(rules) if len(rules) <= _MAX_RULES else []


def _is_rule(rule: Rule, least_px: float) -> bool:
    return rule.end - rule.start >= max(least_px, _LENGTHS * rule.thickness)


def _strokes(mask: Mask, least_px: float) -> tuple[Ints, Ints, Ints]:
    """Rows, first and last (exclusive) columns of the long runs of ink."""
    height, width = mask.shape
    flat = np.zeros(height * (width + 1) + 1, np.int8)
    flat[1:].reshape(height, width + 1)[:, :width] = mask
    steps = np.diff(flat)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    if not len(starts):
        return starts, starts, starts
    rows = starts // (width + 1)
    parted = (starts[1:] - ends[:-1] > _GAP_PX) | (rows[1:] != rows[:-1])
    first = np.concatenate([[0], np.flatnonzero(parted) + 1])
    last = np.concatenate([first[1:] - 1, [len(starts) - 1]])
    inked = np.concatenate([[0], np.cumsum(ends - starts)])
    length = ends[last] - starts[first]
    kept = (length >= least_px) & (inked[last + 1] - inked[first] >= _INK_SHARE * length)
    row = rows[first][kept]
    return row, starts[first][kept] - row * (width + 1), ends[last][kept] - row * (width + 1)


@dataclass(slots=True)
class _Growing:
    last_row: int
    reach: tuple[int, int]
    area: int
    moment: float
    start: int
    end: int


def _joined(rows: Sequence[int], starts: Sequence[int], ends: Sequence[int]) -> list[Rule]:
    """Strokes of neighbouring rows that lie above each other, as one rule each."""
    done: list[_Growing] = []
    active: list[_Growing] = []
    for row, start, end in zip(rows, starts, ends, strict=True):
        still = [each for each in active if each.last_row >= row - 1]
        if len(still) < len(active):
            done.extend(each for each in active if each.last_row < row - 1)
            active = still
        touching = [each for each in active if each.reach[0] < end + _GAP_PX and start - _GAP_PX < each.reach[1]]
        grown = _Growing(row, (start, end), end - start, (end - start) * (row + 0.5), start, end)
        for each in touching:
            grown.area += each.area
            grown.moment += each.moment
            grown.start, grown.end = min(grown.start, each.start), max(grown.end, each.end)
            if each.last_row == row:
                grown.reach = (min(grown.reach[0], each.reach[0]), max(grown.reach[1], each.reach[1]))
        if touching:
            active = [each for each in active if not any(each is other for other in touching)]
        active.append(grown)
    return [
        Rule(each.moment / each.area, each.start, each.end, max(each.area / (each.end - each.start) - 2, 1.0))
        for each in (*done, *active)
    ]


def _in_line(rules: Sequence[Rule]) -> list[Rule]:
    """Rules with those that go on where another one ends joined to it; by their place."""
    found: list[Rule] = []
    for rule in sorted(rules, key=lambda each: (each.at, each.start)):
        index = _continued(rule, found)
        if index is None:
            found.append(rule)
            continue
        other = found[index]
        long = max(rule, other, key=lambda each: each.end - each.start)
        start, end = min(rule.start, other.start), max(rule.end, other.end)
        found[index] = Rule(long.at, start, end, max(rule.thickness, other.thickness))
    return found


def _continued(rule: Rule, found: Sequence[Rule]) -> int | None:
    """The index of the rule that this one, whose place is beyond theirs, goes on."""
    for index in range(len(found) - 1, -1, -1):
        if rule.at - found[index].at > _FAR_PX:
            return None
        if _goes_on(rule, found[index]):
            return index
    return None


def _goes_on(rule: Rule, other: Rule) -> bool:
    """Whether both stand at the same place and touch, or nearly."""
    near = abs(rule.at - other.at) <= _GAP_PX + (rule.thickness + other.thickness) / 2
    return near and rule.start <= other.end + 2 * _GAP_PX and other.start <= rule.end + 2 * _GAP_PX
