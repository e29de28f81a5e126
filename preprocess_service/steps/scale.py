"""Brings a page to a size that its reader takes, keeping its aspect to within a pixel."""

from __future__ import annotations

import math

import cv2
import numpy as np

from preprocess_service.model import AppliedStep, Homography, Size
from preprocess_service.steps.step_result import Pixels, StepResult, size_of


def plan_size(size: Size, *, max_side_px: int, max_pixels: int, min_side_px: int) -> Size:
    """The size to scale to; the same when the page fits. 0 means no limit.

    Down to the upper limits; up only for a page whose shorter side is less than ``min_side_px``, as far as the upper
    limits allow. No side becomes less than 1 px.
    """
    most = math.inf
    if max_side_px:
        most = max_side_px / size.longer_px
    if max_pixels:
        most = min(most, math.sqrt(max_pixels / size.pixels))
    factor = min(1.0, most)
    if factor == 1.0 and size.shorter_px < min_side_px:
        factor = min(min_side_px / size.shorter_px, most)
    if factor == 1.0:
        return size
    # Rounded down, so that no limit is passed; the small term keeps 2.9999999 a 3.
    width = max(1, math.floor(size.width * factor + 1e-6))
    height = max(1, math.floor(size.height * factor + 1e-6))
    if max_pixels and width * height > max_pixels:  # a side of 1 px is more than its share
        width, height = min(width, max(1, max_pixels // height)), min(height, max(1, max_pixels // width))
    return Size(width, height)


def scale(pixels: Pixels, target: Size) -> StepResult:
    """The page at the target size: averaged over areas on the way down, cubic on the way up."""
    before = size_of(pixels)
    shrinks = target.pixels < before.pixels
    resized = cv2.resize(
        pixels,
        (target.width, target.height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )
    return StepResult(
        pixels=resized.astype(np.uint8, copy=False),
        to_previous=Homography(
            (before.width / target.width, 0.0, 0.0, 0.0, before.height / target.height, 0.0, 0.0, 0.0, 1.0)
        ),
        applied=AppliedStep("scale", {"width": str(target.width), "height": str(target.height)}),
    )
