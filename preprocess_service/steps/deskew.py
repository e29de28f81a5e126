"""Levels the lines of a page."""

from __future__ import annotations

import math

from preprocess_service.model import AppliedStep, Homography, Size
from preprocess_service.steps.step_result import Pixels, StepResult, size_of
from preprocess_service.steps.warp import paper_of, warped


def deskew(pixels: Pixels, skew_deg: float) -> StepResult:
    """The page turned counter-clockwise by ``skew_deg`` about its middle, on a canvas that holds all of it, paper in
    the corners.
    """
    before = size_of(pixels)
    after = level_size(before, skew_deg)
    to_previous = _turned_back(before, after, skew_deg)
    return StepResult(
        pixels=warped(pixels, to_previous, after, paper_of(pixels)),
        to_previous=to_previous,
        applied=AppliedStep("deskew", {"degrees": f"{skew_deg:.2f}"}),
    )


def level_size(before: Size, skew_deg: float) -> Size:
    """The size of the canvas that holds a page of this size once it is turned."""
    sine, cosine = abs(math.sin(math.radians(skew_deg))), abs(math.cos(math.radians(skew_deg)))
    return Size(
        math.ceil(before.width * cosine + before.height * sine - 1e-9),
        math.ceil(before.width * sine + before.height * cosine - 1e-9),
    )


def _turned_back(before: Size, after: Size, skew_deg: float) -> Homography:
    """From the level page to the oblique one: clockwise as it is seen, y pointing down."""
    sine, cosine = math.sin(math.radians(skew_deg)), math.cos(math.radians(skew_deg))
    x, y = after.width / 2, after.height / 2
    return Homography(
        (
            cosine,
            -sine,
            before.width / 2 - cosine * x + sine * y,
            sine,
            cosine,
            before.height / 2 - sine * x - cosine * y,
            0.0,
            0.0,
            1.0,
        )
    )
