"""Takes a photographed page out of its picture, seen from straight above."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from preprocess_service.model import AppliedStep, Homography, Point, Size
from preprocess_service.steps.step_result import Pixels, StepResult, size_of
from preprocess_service.steps.warp import MAX_WARPED_SIDE_PX, paper_of, warped

Corners = tuple[Point, Point, Point, Point]
"""Top left, top right, bottom right, bottom left."""

_TYPICAL_FOCAL_LENGTH = 0.75
"""Of a telephone's camera, in longer sides of its picture: 26 mm on 36 mm."""
_FOCAL_LENGTHS = (0.4, 4.0)
"""In longer sides. What is reckoned beyond them comes of inexact corners."""
_MAX_GROWTH = 1.5
"""Of the page over the picture, in pixels: what is seen obliquely has less detail than its length suggests."""
_PARALLEL = 1e-3
_MAX_ASPECT_CHANGE = 2.0

_Vector = npt.NDArray[np.float64]


def perspective(pixels: Pixels, corners: Corners) -> StepResult:
    """The page between the corners as an upright rectangle of its true aspect, no smaller than it stands in the
    picture.
    """
    before = size_of(pixels)
    target = page_size(corners, before)
    to_previous = _to_picture(corners, target)
    return StepResult(
        pixels=warped(pixels, to_previous, target, paper_of(pixels)),
        to_previous=to_previous,
        applied=AppliedStep("perspective", {"corners": " ".join(f"{x:.0f},{y:.0f}" for x, y in corners)}),
    )


def page_size(corners: Corners, picture: Size) -> Size:
    """The size of the page that is seen between the corners, by its longest sides and its true aspect."""
    top_left, top_right, bottom_right, bottom_left = corners
    width = max(math.dist(top_left, top_right), math.dist(bottom_left, bottom_right), 1.0)
    height = max(math.dist(top_left, bottom_left), math.dist(top_right, bottom_right), 1.0)
    aspect = aspect_of(corners, picture)
    width, height = max(width, height * aspect), max(height, width / aspect)
    factor = min(
        1.0, math.sqrt(_MAX_GROWTH * picture.pixels / (width * height)), MAX_WARPED_SIDE_PX / max(width, height)
    )
    return Size(max(1, math.floor(width * factor)), max(1, math.floor(height * factor)))


def aspect_of(corners: Corners, picture: Size) -> float:
    """Width over height of the rectangle that is seen between the corners, by a camera whose axis goes through the
    middle of the picture (Zhang and He, Whiteboard scanning and image enhancement, 2007, equations 11 to 21).

    Where the picture does not tell the focal length, as with two parallel sides, a telephone's is taken.
    """
    seen = _mean_aspect(corners)
    spans = _spans(corners, picture)
    if spans is None:
        return seen
    along, down = spans
    focal = _focal_length(along, down, picture.longer_px)
    width = math.hypot(along[0] / focal, along[1] / focal, along[2])
    height = math.hypot(down[0] / focal, down[1] / focal, down[2])
    if not width or not height:
        return seen
    return min(max(width / height, seen / _MAX_ASPECT_CHANGE), seen * _MAX_ASPECT_CHANGE)


def _spans(corners: Corners, picture: Size) -> tuple[_Vector, _Vector] | None:
    """The page's upper and left side in the camera's homogeneous coordinates (the paper's n2 and n3); None where three
    corners stand in one line.
    """
    x0, y0 = picture.width / 2, picture.height / 2
    top_left, top_right, bottom_right, bottom_left = (np.array((x - x0, y - y0, 1.0)) for x, y in corners)
    diagonal = np.cross(top_left, bottom_right)
    below_right = float(np.cross(top_right, bottom_right) @ bottom_left)
    below_left = float(np.cross(bottom_left, bottom_right) @ top_right)
    if not below_right or not below_left:
        return None
    along = float(diagonal @ bottom_left) / below_right * top_right - top_left
    down = float(diagonal @ top_right) / below_left * bottom_left - top_left
    return along, down


def _focal_length(along: _Vector, down: _Vector, longer_px: int) -> float:
    """In pixels, by the two sides being square to each other."""
    if abs(along[2]) > _PARALLEL and abs(down[2]) > _PARALLEL:
        squared = -float(along[0] * down[0] + along[1] * down[1]) / float(along[2] * down[2])
        least, most = (longer_px * share for share in _FOCAL_LENGTHS)
        if least**2 <= squared <= most**2:
            return math.sqrt(squared)
    return _TYPICAL_FOCAL_LENGTH * longer_px


def _mean_aspect(corners: Corners) -> float:
    top_left, top_right, bottom_right, bottom_left = corners
    width = math.dist(top_left, top_right) + math.dist(bottom_left, bottom_right)
    height = math.dist(top_left, bottom_left) + math.dist(top_right, bottom_right)
    return max(width, 1.0) / max(height, 1.0)


def _to_picture(corners: Corners, page: Size) -> Homography:
    upright = np.array(((0, 0), (page.width, 0), (page.width, page.height), (0, page.height)), np.float32)
    matrix = cv2.getPerspectiveTransform(upright, np.array(corners, np.float32))
    a, b, c, d, e, f, g, h, i = (float(value) for value in (matrix / matrix[2, 2]).flat)
    return Homography((a, b, c, d, e, f, g, h, i))
