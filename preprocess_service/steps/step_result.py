"""What a step over pixels gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocess_service.model import AppliedStep, Homography, Size

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class StepResult:
    """The new pixels; ``to_previous`` takes a point of theirs to where it was before the step."""

    pixels: Pixels
    to_previous: Homography
    applied: AppliedStep


def size_of(pixels: Pixels) -> Size:
    """The extent of an array of rows."""
    return Size(width=pixels.shape[1], height=pixels.shape[0])
