"""Fits the four sides of a page to the edges of the picture, to a fraction of a pixel."""

from __future__ import annotations

import cv2
import numpy as np

from preprocess_service.measures.ink import Floats, Pixels

_SAMPLES = 72
_REACH_SHARE = 0.012
_SMOOTHING_PX = 1.2
_ROUNDS = 8
_MAX_REST_SHARE = 0.0035
_MIN_NEAR_SHARE = 0.7


def fitted_sides(grey: Pixels, quad: Floats, on_border: tuple[bool, bool, bool, bool]) -> Floats | None:
    """The corners where the fitted sides cross; None when a side is no straight edge.

    ``quad`` is clockwise and good to about a hundredth of the picture's longer side; a side on the picture's border
    stays there.
    """
    height, width = grey.shape
    lines = []
    for number in range(4):
        start, end = quad[number], quad[(number + 1) % 4]
        line = _border_line(start, end, width, height) if on_border[number] else _fitted_line(grey, start, end)
        if line is None:
            return None
        lines.append(line)
    corners = []
    for number in range(4):
        x, y, w = np.cross(lines[number - 1], lines[number])
        if abs(w) < 1e-9:
            return None
        corners.append([x / w, y / w])
    return np.array(corners)


def _border_line(start: Floats, end: Floats, width: int, height: int) -> Floats:
    if abs(end[0] - start[0]) > abs(end[1] - start[1]):
        return np.array([0.0, 1.0, 0.0 if start[1] + end[1] < height else -float(height)])
    return np.array([1.0, 0.0, 0.0 if start[0] + end[0] < width else -float(width)])


def _fitted_line(grey: Pixels, start: Floats, end: Floats) -> Floats | None:
    """The line a x + b y + c = 0 of the steepest rise of brightness inwards, near to the given one."""
    along = end - start
    length = float(np.hypot(*along))
    inward = np.array([-along[1], along[0]]) / length
    longer = max(grey.shape)
    reach = max(6, round(_REACH_SHARE * longer))
    offsets = np.arange(-reach, reach + 1.0)
    shares = np.linspace(0.03, 0.97, _SAMPLES)
    points = start + shares[:, None, None] * along + offsets[None, :, None] * inward - 0.5
    seen = cv2.remap(
        grey,
        points[:, :, 0].astype(np.float32),
        points[:, :, 1].astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    profiles = cv2.GaussianBlur(seen, (0, 0), sigmaX=_SMOOTHING_PX, sigmaY=0.7)
    rises = np.maximum(np.diff(profiles, axis=1), 0.0).astype(np.float64)
    return _line_through(shares * length, _steepest(rises, offsets[:-1] + 0.5), start, along / length, inward, longer)


def _steepest(rises: Floats, offsets: Floats) -> Floats:
    """Where each profile rises most, by the middle of what is near its steepest place."""
    best = np.argmax(rises, axis=1)
    near = np.abs(np.arange(rises.shape[1])[None, :] - best[:, None]) <= 3
    weights = rises * near
    return np.asarray((weights * offsets).sum(axis=1) / np.maximum(1e-9, weights.sum(axis=1)))


def _line_through(
    along: Floats, offsets: Floats, start: Floats, direction: Floats, inward: Floats, longer: int
) -> Floats | None:
    """The line by reweighted least squares, or None when too few places are near to it."""
    terms = np.stack([np.ones_like(along), along], axis=1)
    # A line through medians is a start that a third of wrong places cannot pull away.
    third = len(along) // 3
    first, last = np.median(offsets[:third]), np.median(offsets[-third:])
    slope = (last - first) / (np.mean(along[-third:]) - np.mean(along[:third]))
    fit = np.array([first - slope * np.mean(along[:third]), slope])
    allowed = max(1.5, _MAX_REST_SHARE * longer)
    scale = allowed
    for _ in range(_ROUNDS):
        rests = offsets - terms @ fit
        weights = 1 / (1 + (rests / scale) ** 2) ** 2
        roots = np.sqrt(weights)
        fit = np.linalg.lstsq(terms * roots[:, None], offsets * roots, rcond=None)[0]
        scale = max(0.3, scale * 0.6)
    rests = offsets - terms @ fit
    if float(np.mean(np.abs(rests) <= allowed)) < _MIN_NEAR_SHARE:
        return None
    first_point = start + inward * fit[0]
    second_point = start + direction * 1000.0 + inward * (fit[0] + fit[1] * 1000.0)
    line = np.cross([*first_point, 1.0], [*second_point, 1.0])
    return np.asarray(line / np.hypot(line[0], line[1]))
