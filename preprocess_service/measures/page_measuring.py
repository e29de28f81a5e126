"""Measures a page on a reduced grey picture of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from preprocess_service.measures.blur import edge_width_px
from preprocess_service.measures.close_views import close_views
from preprocess_service.measures.ink import Floats, Ink, Pixels, find_ink
from preprocess_service.measures.page_outline import find_outline
from preprocess_service.measures.paper import coherence, contrast_levels, noise_levels, unevenness
from preprocess_service.measures.skew import line_angle, rough_angles
from preprocess_service.measures.text_height import text_height_px
from preprocess_service.measures.text_turn import quarter_turns
from preprocess_service.model import PageMeasures, Point

_MIN_PIECES = 6
_MIN_COHERENCE, _LEGIBLE_COHERENCE = 0.05, 0.27
_LEGIBLE_SIGMAS = 3.1
_MANY_PIECES = 40
_PLAIN_LEVELS = 30.0
"""Ink of less contrast is taken for ink only where it forms lines."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The page alone: the picture, or what is inside of its outline as a rectangle; ``to_picture`` leads back."""

    grey: Pixels
    ink: Ink
    to_picture: Floats | None


def measure(grey: Pixels, factor: float) -> PageMeasures:
    """What can be told of a page by its 8-bit grey picture, upright by its EXIF orientation.

    ``factor`` is how many pixels of the source one of the picture is; the outline and the text's height are told in
    those. Made for pictures of 1000 to 2000 px on the longer side, about 12 ms of one core for A4 at 150 dpi. Pure;
    never raises on any array of rows that holds a pixel. What cannot be told is None.

    With an outline, the rest is measured inside of it, on the page made a rectangle. The skew is then that of the
    lines at the page's middle as they stand in the picture: under a strong perspective lines elsewhere fall otherwise,
    and ``skew_inside`` tells what is left of it once the outline has been made a rectangle.
    """
    picture = np.ascontiguousarray(grey)
    ink = find_ink(picture)
    outline = find_outline(picture, ink)
    sheet = _Sheet(picture, ink, None) if outline is None else _sheet_inside(picture, outline)
    turns, skew_deg = _turns_and_skew(sheet)
    views = close_views(sheet.grey, sheet.ink)
    noise = noise_levels(_inside(picture, outline))
    coherent = coherence(views)
    levels = contrast_levels(views)
    if levels is not None and (coherent < _MIN_COHERENCE or (skew_deg is None and levels < _PLAIN_LEVELS)):
        levels = None
    height = width = None
    if levels is not None and _is_legible(sheet.ink, skew_deg, coherent, levels / max(1.0, noise or 0.0)):
        height = text_height_px(views, sheet.ink.piece_px * sheet.ink.reduction, down=turns in (1, 3))
        width = edge_width_px(views, levels, noise or 0.0)
    return PageMeasures(
        quarter_turns=turns,
        skew_deg=skew_deg,
        contrast=None if levels is None else min(1.0, levels / 255),
        noise=noise,
        unevenness=unevenness(sheet.ink),
        text_height_px=None if height is None else height * _stretch(sheet) * factor,
        blur=None if height is None or width is None else width / height,
        outline=None if outline is None else _corners(outline * factor),
    )


def _is_legible(ink: Ink, skew_deg: float | None, coherent: float, sigmas: float) -> bool:
    """Whether the ink is of whole characters: not the crumbs that noise leaves of them, by its coherence and by how
    many times the noise its contrast is, nor many pieces that form no lines, as a coarse grain has.
    """
    has_lines = skew_deg is not None or len(ink.boxes) < _MANY_PIECES
    return has_lines and coherent >= _LEGIBLE_COHERENCE and sigmas >= _LEGIBLE_SIGMAS


def skew_inside(measures: PageMeasures) -> float | None:
    """Degrees by which lines still fall to the right once the outline has been made a rectangle and turned upright.

    The skew as it was measured for a page without an outline.
    """
    if measures.outline is None or measures.skew_deg is None:
        return measures.skew_deg
    corners = np.array(measures.outline)
    to_picture, width, height = _rectangle(corners)
    turns = measures.quarter_turns or 0
    radians = math.radians(measures.skew_deg + 90 * turns)
    middle = _moved(to_picture, np.array([[width / 2, height / 2]]))
    ahead = middle + 0.01 * max(width, height) * np.array([[math.cos(radians), math.sin(radians)]])
    start, end = _moved(np.asarray(np.linalg.inv(to_picture)), np.concatenate([middle, ahead]))
    return _folded(math.degrees(math.atan2(end[1] - start[1], end[0] - start[0])))


def _turns_and_skew(sheet: _Sheet) -> tuple[int | None, float | None]:
    if len(sheet.ink.boxes) < _MIN_PIECES:
        return None, None
    angles = rough_angles(sheet.ink.text)
    turns = quarter_turns(sheet.grey, sheet.ink, angles)
    runs_down = turns in (1, 3)
    rough = angles.down if runs_down else angles.across
    skew_deg = None if rough is None else line_angle(sheet.ink.text, rough.skew_deg, down=runs_down)
    if skew_deg is None or sheet.to_picture is None:
        return turns, skew_deg
    height, width = sheet.grey.shape
    radians = math.radians(skew_deg + 90 * runs_down)
    reach = 0.02 * max(width, height) * np.array([math.cos(radians), math.sin(radians)])
    middle = np.array([width / 2, height / 2])
    start, end = _moved(sheet.to_picture, np.stack([middle - reach, middle + reach]))
    return turns, _folded(math.degrees(math.atan2(end[1] - start[1], end[0] - start[0])))


def _folded(degrees: float) -> float:
    """The angle less quarter turns: -45 to 45."""
    return (degrees + 45) % 90 - 45


def _sheet_inside(picture: Pixels, outline: Floats) -> _Sheet:
    to_picture, width, height = _rectangle(outline)
    centres = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    matrix = centres @ to_picture @ np.linalg.inv(centres)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    grey = cv2.warpPerspective(picture, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    sheet = np.asarray(grey, np.uint8)
    return _Sheet(sheet, find_ink(sheet), to_picture)


def _rectangle(corners: Floats) -> tuple[Floats, int, int]:
    """The homography that takes a rectangle of the outline's mean sides to it, with its width and height."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    width, height = max(1, round((lengths[0] + lengths[2]) / 2)), max(1, round((lengths[1] + lengths[3]) / 2))
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(flat, corners.astype(np.float32)), np.float64), width, height


def _moved(homography: Floats, points: Floats) -> Floats:
    moved = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ homography.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def _stretch(sheet: _Sheet) -> float:
    """How many pixels of the picture one of the sheet is, at its middle."""
    if sheet.to_picture is None:
        return 1.0
    height, width = sheet.grey.shape
    middle = np.array([width / 2, height / 2])
    points = _moved(sheet.to_picture, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    across, down = points[1] - points[0], points[2] - points[0]
    return math.sqrt(abs(float(across[0] * down[1] - across[1] * down[0])))


def _inside(picture: Pixels, outline: Floats | None) -> Pixels:
    """The upright rectangle that lies inside of the outline."""
    if outline is None:
        return picture
    left, right = np.sort(outline[:, 0])[[1, 2]]
    top, bottom = np.sort(outline[:, 1])[[1, 2]]
    part = picture[max(0, int(top) + 2) : max(0, int(bottom) - 2), max(0, int(left) + 2) : max(0, int(right) - 2)]
    return part if part.size else picture


def _corners(outline: Floats) -> tuple[Point, Point, Point, Point]:
    first, second, third, fourth = ((float(x), float(y)) for x, y in outline)
    return first, second, third, fourth
