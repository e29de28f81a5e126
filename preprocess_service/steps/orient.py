"""Turns and mirrors a page upright, by its EXIF orientation and by quarters."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from preprocess_service.model import IDENTITY, AppliedStep, Homography, Size
from preprocess_service.steps.step_result import Pixels, StepResult, size_of

_TURNS: dict[int, Callable[[Pixels], cv2.typing.MatLike]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}

_ORIENTATION_OF_TURNS = (1, 8, 3, 6)
"""The EXIF orientation that is undone by so many quarter turns counter-clockwise."""


def orient(pixels: Pixels, orientation: int) -> StepResult:
    """The pixels as a viewer shows them, for an EXIF orientation of 1..8 (Exif 2.32, tag 274)."""
    turn = _TURNS.get(orientation)
    turned = pixels if turn is None else turn(pixels).astype(np.uint8, copy=False)
    return StepResult(turned, to_stored(orientation, size_of(pixels)), applied_orientation(orientation))


def turn(pixels: Pixels, quarter_turns: int) -> StepResult:
    """The page turned counter-clockwise by 0 to 3 quarters."""
    turned = orient(pixels, _ORIENTATION_OF_TURNS[quarter_turns])
    applied = AppliedStep("orient", {"quarter_turns": str(quarter_turns)})
    return StepResult(turned.pixels, turned.to_previous, applied)


def applied_orientation(orientation: int) -> AppliedStep:
    """The record of a page turned by this EXIF orientation."""
    return AppliedStep("orient", {"exif_orientation": str(orientation)})


def to_stored(orientation: int, stored: Size) -> Homography:
    """Takes a point of the upright page to the pixels as they are stored, of the size ``stored``."""
    width, height = float(stored.width), float(stored.height)
    rows = {
        2: (-1.0, 0.0, width, 0.0, 1.0, 0.0),
        3: (-1.0, 0.0, width, 0.0, -1.0, height),
        4: (1.0, 0.0, 0.0, 0.0, -1.0, height),
        5: (0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
        6: (0.0, 1.0, 0.0, -1.0, 0.0, height),
        7: (0.0, -1.0, width, -1.0, 0.0, height),
        8: (0.0, -1.0, width, 1.0, 0.0, 0.0),
    }.get(orientation)
    return IDENTITY if rows is None else Homography((*rows, 0.0, 0.0, 1.0))
