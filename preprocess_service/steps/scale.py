"""Brings a page to another size."""

from __future__ import annotations

import cv2
import numpy as np

from preprocess_service.model import AppliedStep, Homography, Size
from preprocess_service.steps.step_result import Pixels, StepResult, size_of

_WHOLE_FACTOR_TOLERANCE = 0.06


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


def reduced(pixels: Pixels, factor: float) -> tuple[Pixels, float]:
    """A smaller picture of the page for measuring it, averaged, and how many of the page's pixels are one of its own:
    the factor, or the whole number next to it, which costs a tenth; 1 and the page itself for a factor below 1.
    """
    if factor <= 1:
        return pixels, 1.0
    size, whole = size_of(pixels), max(1, round(factor))
    if abs(factor - whole) <= _WHOLE_FACTOR_TOLERANCE * factor and size.shorter_px >= whole:
        factor = float(whole)
        width, height = size.width // whole, size.height // whole
        pixels = pixels[: height * whole, : width * whole]
    else:
        width, height = max(1, round(size.width / factor)), max(1, round(size.height / factor))
    picture = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(picture, np.uint8), factor
