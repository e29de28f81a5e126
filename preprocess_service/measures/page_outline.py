"""The corners of a page that lies on a darker background: a sheet on a table, a scan with black borders.

Candidates come from bright areas and from long straight edges of a small picture without its text. One is taken only
when the picture steps from dark to light all along its sides, away from them too (a printed frame does not), when most
of its sides have a calm margin inside, and when no text would be cut off. Its sides are then fitted to the edges in
the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from preprocess_service.measures.ink import Boxes, Floats, Ink, Pixels, reduced
from preprocess_service.measures.page_sides import fitted_sides

MIN_PAGE_SHARE = 0.2
"""The least part of the picture that a page covers."""

_SMALL_SIDE_PX = 440
_MIN_SIDE_PX = 64
_MIN_RANGE = 12
_THRESHOLDS = 5
_MIN_FILL = 0.92
_MIN_STEP = 9.0
_MIN_SIDE_SUPPORT, _MIN_MEAN_SUPPORT = 0.7, 0.85
_MIN_FAR_SUPPORT = 0.62
_CALM_LEVELS = 22.0
_SAMPLES = 40
_NEAR_SHARE, _FAR_SHARE = 0.008, 0.03
_BORDER_SHARE = 0.015
_MAX_TEXT_OUTSIDE = 0.03
_LIKE_TEXT = 0.5
_MAX_LOOKED_AT = 120
_PLAIN_LEVELS = 40.0
_MAX_ODD_SHARE = 0.02
_MAX_CORNER_COSINE = 0.75
_LEAST_TURN_DEG = 40.0
_MOST_EDGES, _MOST_SIDES = 120, 9
_DARK_LEVEL, _DARK_RATIO = 100.0, 0.55
_BRIGHT_RATIO = 0.6


@dataclass(frozen=True, slots=True)
class _Judged:
    """A candidate with how well the picture bears it out; ``on_border`` tells which sides are the picture's own."""

    quad: Floats
    merit: float
    on_border: tuple[bool, bool, bool, bool]


def find_outline(grey: Pixels, ink: Ink) -> Floats | None:
    """The page's corners, 4 x 2, from the top left clockwise, in continuous pixels of the picture; None unless sure.

    A page may run over at most two of the picture's borders, opposite or not, and then only from a dark background.
    ``ink`` is the picture's own. Never raises.
    """
    if min(grey.shape) < _MIN_SIDE_PX:
        return None
    step = max(1, -(-max(ink.paper.shape) // _SMALL_SIDE_PX))
    reduction = step * ink.reduction
    seen = reduced(ink.paper, step)
    small = np.asarray(cv2.medianBlur(cv2.bitwise_not(seen) if ink.is_negative else seen, 3), np.uint8)
    kernel = np.ones((9, 9), np.uint8)
    bare = cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel).astype(np.uint8, copy=False)
    if float(np.percentile(bare[::2, ::2], 90)) - float(np.percentile(bare[::2, ::2], 2)) < _MIN_RANGE:
        return None
    judged = _judged(_bright_quads(bare), bare)
    if not any(not any(seen.on_border) for seen in judged):
        judged += _judged(_edge_quads(bare), bare)
    for best in sorted(judged, key=lambda seen: -seen.merit)[:3]:
        if _cuts_text(best.quad * (reduction / ink.reduction), ink):
            continue
        if any(best.on_border) and not _is_plain_outside(best.quad, small):
            continue
        sides = fitted_sides(grey, best.quad * reduction, best.on_border)
        if sides is not None and _is_page_shaped(sides, grey.shape[1], grey.shape[0]):
            return sides
    return None


def _judged(quads: Iterable[Floats], bare: Pixels) -> list[_Judged]:
    return [seen for quad in quads if (seen := _judge(quad, bare)) is not None]


def _bright_quads(bare: Pixels) -> Iterator[Floats]:
    """The four-sided areas that are brighter than a threshold, for several."""
    otsu, _ = cv2.threshold(bare, 0, 255, cv2.THRESH_OTSU)
    low, high = np.percentile(bare, [3, 90])
    levels = {round(otsu), *(round(low + (high - low) * (n + 1) / (_THRESHOLDS + 1)) for n in range(_THRESHOLDS))}
    for level in sorted(levels):
        mask = cv2.threshold(bare, level, 255, cv2.THRESH_BINARY)[1]
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if not contours:
            continue
        largest = max(contours, key=cv2.contourArea)
        area = cv2.contourArea(largest)
        if area < MIN_PAGE_SHARE * bare.size:
            continue
        quad = _four_sided(cv2.convexHull(largest))
        if quad is not None and area >= _MIN_FILL * cv2.contourArea(quad.astype(np.float32)):
            yield _clockwise(quad + 0.5)


def _four_sided(hull: cv2.typing.MatLike) -> Floats | None:
    length = cv2.arcLength(hull, True)
    for share in (0.01, 0.015, 0.02, 0.03, 0.04, 0.06):
        corners = cv2.approxPolyDP(hull, share * length, True).reshape(-1, 2)
        if len(corners) == 4:
            return corners.astype(np.float64)
        if len(corners) < 4:
            return None
    return None


def _edge_quads(bare: Pixels) -> Iterator[Floats]:
    """The areas round which four straight edges run, each lighter inside, or borders of the picture in their place."""
    sides = _longest(_steps_of_light(bare), bare)
    height, width = bare.shape
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) - 0.5
    sides += [np.concatenate(ends) for ends in zip(frame, np.roll(frame, -1, axis=0), strict=True)]
    lines = [np.cross([*side[:2], 1.0], [*side[2:], 1.0]) for side in sides]
    headings = [float(np.degrees(np.arctan2(side[3] - side[1], side[2] - side[0]))) % 360 for side in sides]

    def turns(one: int, other: int) -> bool:
        return _LEAST_TURN_DEG <= (headings[other] - headings[one]) % 360 <= 180 - _LEAST_TURN_DEG

    after = [[other for other in range(len(sides)) if turns(one, other)] for one in range(len(sides))]
    for round_it in _rounds_of_four(after):
        corners = [_crossing(lines[round_it[n - 1]], lines[round_it[n]]) for n in range(4)]
        if all(corner is not None for corner in corners):
            yield _clockwise(np.array(corners) + 0.5)


def _rounds_of_four(after: list[list[int]]) -> Iterator[tuple[int, int, int, int]]:
    """Ways round by four sides, each of which turns into the next (``after``) and the last into the first; each way is
    told once, from its side that is first in the list.
    """
    for first, follows in enumerate(after):
        for second in (side for side in follows if side > first):
            for third in (side for side in after[second] if side > first):
                for fourth in (side for side in after[third] if side > first):
                    if first in after[fourth]:
                        yield first, second, third, fourth


def _steps_of_light(bare: Pixels) -> list[Floats]:
    """Straight edges with a step of light all along, longest first, each with its light side on its right."""
    edges = cv2.Canny(cv2.GaussianBlur(bare, (5, 5), 0), 20, 50)
    found = cv2.HoughLinesP(edges, 1, np.pi / 360, 40, minLineLength=min(bare.shape) * 0.2, maxLineGap=12)
    if found is None:
        return []
    segments = found.reshape(-1, 4).astype(np.float64)
    spans = segments[:, 2:] - segments[:, :2]
    order = np.argsort(-np.hypot(spans[:, 0], spans[:, 1]), kind="stable")[:_MOST_EDGES]
    steps = []
    for segment in segments[order]:
        right, left = _beside(segment[:2] + 0.5, segment[2:] + 0.5, bare, _NEAR_SHARE * max(bare.shape) + 1.5)
        if float(np.mean(right - left > _MIN_STEP)) >= _MIN_SIDE_SUPPORT:
            steps.append(segment)
        elif float(np.mean(left - right > _MIN_STEP)) >= _MIN_SIDE_SUPPORT:
            steps.append(segment[[2, 3, 0, 1]])
    return steps


def _longest(steps: list[Floats], bare: Pixels) -> list[Floats]:
    """The longest of them that do not lie on one line with a longer one."""
    apart = 0.015 * max(bare.shape)
    kept: list[Floats] = []
    for step in steps:
        if not any(_is_on_one_line(other, step, apart) for other in kept):
            kept.append(step)
        if len(kept) == _MOST_SIDES:
            break
    return kept


def _is_on_one_line(longer: Floats, other: Floats, apart: float) -> bool:
    along = longer[2:] - longer[:2]
    normal = np.array([-along[1], along[0]]) / np.hypot(*along)
    away = np.abs((other.reshape(2, 2) - longer[:2]) @ normal)
    return bool(away.max() <= apart) and float(along @ (other[2:] - other[:2])) > 0


def _crossing(first: Floats, second: Floats) -> Floats | None:
    """Where two lines a x + b y + c = 0 meet."""
    x, y, w = np.cross(first, second)
    return None if abs(w) < 1e-6 else np.array([x / w, y / w])


def _clockwise(quad: Floats) -> Floats:
    """The corners by their angle round the middle, from the one nearest to the picture's top left."""
    middle = quad.mean(axis=0)
    ordered = quad[np.argsort(np.arctan2(quad[:, 1] - middle[1], quad[:, 0] - middle[0]), kind="stable")]
    return np.roll(ordered, -int(np.argmin(ordered.sum(axis=1))), axis=0)


def _is_page_shaped(quad: Floats, width: int, height: int) -> bool:
    """Whether it is convex, large, inside the picture, near enough to a rectangle, and not the picture itself."""
    slack = 0.02 * max(width, height)
    if (quad < -slack).any() or (quad[:, 0] > width + slack).any() or (quad[:, 1] > height + slack).any():
        return False
    sides = np.roll(quad, -1, axis=0) - quad
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    if lengths.min() < 0.2 * min(width, height):
        return False
    units = sides / lengths[:, None]
    after = np.roll(units, -1, axis=0)
    turns = units[:, 0] * after[:, 1] - units[:, 1] * after[:, 0]
    if turns.min() <= 0 or np.abs((units * after).sum(axis=1)).max() > _MAX_CORNER_COSINE:
        return False
    if min(lengths[0], lengths[2]) < 0.45 * max(lengths[0], lengths[2]):
        return False
    if min(lengths[1], lengths[3]) < 0.45 * max(lengths[1], lengths[3]):
        return False
    area = float(cv2.contourArea(quad.astype(np.float32)))
    return MIN_PAGE_SHARE * width * height <= area <= 0.985 * width * height


def _judge(quad: Floats, bare: Pixels) -> _Judged | None:
    height, width = bare.shape
    if not _is_page_shaped(quad, width, height):
        return None
    on_border = _on_border(quad, width, height)
    if sum(on_border) > 2:
        return None
    supports, weights, calm = [], [], []
    middle = float(np.median(_values(bare, quad.mean(axis=0) + (quad - quad.mean(axis=0)) * 0.5)))
    for number in range(4):
        near_in, near_out = _both_sides(quad, number, bare, _NEAR_SHARE * max(bare.shape) + 1.5)
        if on_border[number]:
            if float(np.mean(near_in > _BRIGHT_RATIO * middle)) < _MIN_SIDE_SUPPORT:
                return None
            continue
        far_in, far_out = _both_sides(quad, number, bare, _FAR_SHARE * max(bare.shape))
        support = float(np.mean(near_in - near_out > _MIN_STEP))
        if support < _MIN_SIDE_SUPPORT or float(np.mean(far_in - far_out > _MIN_STEP)) < _MIN_FAR_SUPPORT:
            return None
        outside = float(np.median(far_out))
        if sum(on_border) == 2 and not (outside < _DARK_LEVEL and outside < _DARK_RATIO * float(np.median(far_in))):
            return None
        calm.append(_is_calm(near_in))
        supports.append(support)
        weights.append(support * min(1.0, float(np.median(near_in - near_out)) / 40))
    if np.mean(supports) < _MIN_MEAN_SUPPORT or 2 * sum(calm) <= len(calm):
        return None
    area = float(cv2.contourArea(quad.astype(np.float32))) / bare.size
    return _Judged(quad, float(np.mean(weights)) + 0.3 * area - 0.15 * sum(on_border), on_border)


def _is_calm(levels: Floats) -> bool:
    """Whether brightness changes little along a side, as on a page's margin, shadows included, and not on a poster's
    lettering.
    """
    return float(np.percentile(np.abs(np.diff(levels)), 90)) <= _CALM_LEVELS


def _on_border(quad: Floats, width: int, height: int) -> tuple[bool, bool, bool, bool]:
    slack = _BORDER_SHARE * max(width, height)
    after = np.roll(quad, -1, axis=0)

    def both(axis: int, place: float, number: int) -> bool:
        return max(abs(float(quad[number, axis]) - place), abs(float(after[number, axis]) - place)) <= slack

    flags = [both(0, 0, n) or both(0, width, n) or both(1, 0, n) or both(1, height, n) for n in range(4)]
    return (flags[0], flags[1], flags[2], flags[3])


def _both_sides(quad: Floats, number: int, bare: Pixels, distance: float) -> tuple[Floats, Floats]:
    """Brightness at points along a side, so far inside and outside of it; the corners' surroundings are left out."""
    return _beside(quad[number], quad[(number + 1) % 4], bare, distance)


def _beside(start: Floats, end: Floats, bare: Pixels, distance: float) -> tuple[Floats, Floats]:
    """Brightness at points so far on the right and on the left of the way from start to end, as it is seen."""
    along = end - start
    inward = np.array([-along[1], along[0]]) / max(1e-9, float(np.hypot(*along)))
    shares = np.linspace(0.05, 0.95, _SAMPLES)[:, None]
    points = start + shares * along
    return _values(bare, points + inward * distance), _values(bare, points - inward * distance)


def _values(bare: Pixels, points: Floats) -> Floats:
    columns = np.clip(points[:, 0].astype(int), 0, bare.shape[1] - 1)
    rows = np.clip(points[:, 1].astype(int), 0, bare.shape[0] - 1)
    return np.asarray(bare[rows, columns], np.float64)


def _cuts_text(quad: Floats, ink: Ink) -> bool:
    """Whether more than a few pieces of text lie outside of it: of a size and a contrast as of those inside. The grain
    of a table's wood is no text.
    """
    boxes = ink.boxes
    longer = np.maximum(boxes[:, 2], boxes[:, 3])
    centres = boxes[:, :2] + boxes[:, 2:] / 2.0
    inside = np.ones(len(boxes), bool)
    for corner, side in zip(quad, np.roll(quad, -1, axis=0) - quad, strict=True):
        away = centres - corner
        inside &= side[0] * away[:, 1] - side[1] * away[:, 0] > 0
    if not inside.any():
        return bool(len(boxes))
    typical = float(np.percentile(longer[inside], 75))
    alike = ~inside & (longer > 0.4 * typical) & (longer < 2.5 * typical)
    usual = float(np.median(_contrasts(ink, boxes[inside], _MAX_LOOKED_AT)))
    among = _contrasts(ink, boxes[alike], _MAX_LOOKED_AT)
    share = float(np.mean(among > _LIKE_TEXT * usual)) if len(among) else 0.0
    return share * int(alike.sum()) > _MAX_TEXT_OUTSIDE * int(inside.sum())


def _is_plain_outside(quad: Floats, small: Pixels) -> bool:
    """Whether what lies outside is of about one brightness, as a scanner's lid is and a banner with words is not."""
    inside = cv2.fillConvexPoly(np.zeros_like(small), np.rint(quad).astype(np.int32), 1)
    outside = small[cv2.dilate(inside, np.ones((7, 7), np.uint8)) == 0].astype(np.float64)
    if not len(outside):
        return False
    return float(np.mean(np.abs(outside - np.median(outside)) > _PLAIN_LEVELS)) < _MAX_ODD_SHARE


def _contrasts(ink: Ink, boxes: Boxes, most: int) -> Floats:
    """The range of brightness in the boxes, or in so many of them."""
    some = boxes[np.linspace(0, len(boxes) - 1, most).astype(int)] if len(boxes) > most else boxes
    parts = (ink.paper[top : top + height, left : left + width] for left, top, width, height in some.tolist())
    return np.array([int(part.max()) - int(part.min()) for part in parts], np.float64)
