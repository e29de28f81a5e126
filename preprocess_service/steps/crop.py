"""Cuts a page out of what surrounds it, and lays paper around one that is too narrow."""

from __future__ import annotations

import cv2
import numpy as np

from preprocess_service.model import IDENTITY, AppliedStep, Homography, Size
from preprocess_service.steps.step_result import Pixels, StepResult, size_of
from preprocess_service.steps.warp import paper_of


def crop(pixels: Pixels, x: int, y: int, size: Size) -> StepResult:
    """The rectangle whose top left is (x, y), as far as it lies on the page; a view, nothing is copied."""
    left, top = max(0, x), max(0, y)
    cut = pixels[top : max(top, y + size.height), left : max(left, x + size.width)]
    return StepResult(
        pixels=cut,
        to_previous=translation(left, top),
        applied=AppliedStep(
            "crop", {"x": str(left), "y": str(top), "width": str(cut.shape[1]), "height": str(cut.shape[0])}
        ),
    )


def pad(pixels: Pixels, size: Size) -> StepResult:
    """The page at the top left of a sheet of paper of this size, which is no smaller than it: the text stays as high as
    it is.
    """
    before = size_of(pixels)
    down, right = size.height - before.height, size.width - before.width
    padded = cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_CONSTANT, value=paper_of(pixels))
    return StepResult(
        pixels=padded.astype(np.uint8, copy=False),
        to_previous=IDENTITY,
        applied=AppliedStep("pad", {"width": str(size.width), "height": str(size.height)}),
    )


def translation(x: float, y: float) -> Homography:
    """Moves points right by x and down by y."""
    return Homography((1.0, 0.0, float(x), 0.0, 1.0, float(y), 0.0, 0.0, 1.0))
