"""Moves pixels through a homography of continuous coordinates."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from preprocess_service.model import Homography, Size
from preprocess_service.steps.step_result import Pixels

MAX_WARPED_SIDE_PX = 32_766
"""OpenCV keeps coordinates of a warp in 16 bits."""

# OpenCV counts from the middle of the first pixel, this service from its outer corner.
_FROM_MIDDLE = np.array(((1, 0, 0.5), (0, 1, 0.5), (0, 0, 1)))
_TO_MIDDLE = np.array(((1, 0, -0.5), (0, 1, -0.5), (0, 0, 1)))


def warped(pixels: Pixels, to_previous: Homography, size: Size, paper: tuple[int, ...]) -> Pixels:
    """The pixels of an image of this size, each taken by ``to_previous`` from the given ones, cubic; ``paper`` where
    nothing is. Neither image has a side over MAX_WARPED_SIDE_PX.
    """
    matrix = _TO_MIDDLE @ np.array(to_previous.values).reshape(3, 3) @ _FROM_MIDDLE
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    extent = (size.width, size.height)
    moved = (
        cv2.warpAffine(pixels, matrix[:2], extent, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=paper)
        if to_previous.values[6:8] == (0.0, 0.0)
        else cv2.warpPerspective(pixels, matrix, extent, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=paper)
    )
    return moved.astype(np.uint8, copy=False)


def paper_of(pixels: Pixels) -> tuple[int, ...]:
    """The paper's colour, one number for grey and three for colour: what most of the brighter half looks like."""
    rows = max(1, pixels.shape[0] // 256)
    columns = max(1, pixels.shape[1] // 256)
    sample: npt.NDArray[np.uint8] = pixels[::rows, ::columns]
    channels = sample.reshape(-1, 1) if sample.ndim == 2 else sample.reshape(-1, 3)
    return tuple(int(value) for value in np.percentile(channels, 75, axis=0, method="nearest"))
