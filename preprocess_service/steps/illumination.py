"""Makes the light on a page even, by dividing it by its paper's brightness."""

from __future__ import annotations

import math

import cv2
import numpy as np

from preprocess_service.model import IDENTITY, AppliedStep
from preprocess_service.steps.scale import reduced
from preprocess_service.steps.step_result import Pixels, StepResult, size_of

_MAP_SIDE_PX = 384
"""Longer side of the map of brightness: light changes slowly."""
_KERNEL_SHARE = 1 / 16
"""Of the map's longer side: what is narrower is ink, a drawing or a small photograph, and not a shadow."""
_MIN_KERNEL_TEXT_HEIGHTS = 2.5
_FLOOR = 0.35
"""Of the brightest paper. A shadow takes about half of the light; what is darker is printed so, and stays dark."""
_WHITE_PAPER = 250.0
_PAPER_PERCENTILE = 95.0


def illumination(pixels: Pixels, text_height_px: float = 0.0) -> StepResult:
    """The page on white paper, each channel for itself, so that a tint goes too. What is darker than a shadow could
    make paper, and what is narrower than a sixteenth of the page, keeps its darkness.
    """
    background = paper_brightness(pixels, text_height_px)
    even = cv2.divide(pixels, background, scale=_WHITE_PAPER)
    return StepResult(even.astype(np.uint8, copy=False), IDENTITY, AppliedStep("illumination"))


def paper_brightness(pixels: Pixels, text_height_px: float) -> Pixels:
    """How bright the paper is at each pixel."""
    size = size_of(pixels)
    small, factor = reduced(pixels, size.longer_px / _MAP_SIDE_PX)
    kernel = math.ceil(max(size.longer_px * _KERNEL_SHARE, _MIN_KERNEL_TEXT_HEIGHTS * text_height_px) / factor) | 1
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (max(3, kernel), max(3, kernel)))
    # Noise and glints would raise a closing of the bare pixels above the paper.
    closed = cv2.morphologyEx(cv2.medianBlur(small, 3), cv2.MORPH_CLOSE, square, borderType=cv2.BORDER_REPLICATE)
    brightest = np.percentile(closed.reshape(-1, 1 if closed.ndim == 2 else 3), _PAPER_PERCENTILE, axis=0)
    floor = np.maximum(1, brightest * _FLOOR).astype(np.uint8)
    lit = np.maximum(closed, floor[0] if closed.ndim == 2 else floor).astype(np.uint8)
    smooth = cv2.GaussianBlur(lit, (0, 0), kernel / 4, borderType=cv2.BORDER_REPLICATE)
    whole = cv2.resize(smooth, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole, np.uint8)
