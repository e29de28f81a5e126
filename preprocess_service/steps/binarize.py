"""Makes a grey page black and white."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from preprocess_service.model import IDENTITY, AppliedStep
from preprocess_service.steps.step_result import Pixels, StepResult

_SAUVOLA_RANGE = 128.0
_MIN_WINDOW_PX = 15
_WINDOW_TEXT_HEIGHTS = 2.0
_BAND_PIXELS = 1_000_000
"""Deviations are floating point: they are reckoned for bands of rows, so that the whole page is never held so."""


def otsu(pixels: Pixels) -> StepResult:
    """Black and white about the tone that parts them best (Otsu 1979), one for the page."""
    threshold, two_tone = cv2.threshold(pixels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    applied = AppliedStep("binarize", {"method": "otsu", "threshold": f"{threshold:.0f}"})
    return StepResult(two_tone.astype(np.uint8, copy=False), IDENTITY, applied)


def fixed(pixels: Pixels, threshold: int) -> StepResult:
    """White where a pixel is brighter than the threshold."""
    _, two_tone = cv2.threshold(pixels, threshold, 255, cv2.THRESH_BINARY)
    applied = AppliedStep("binarize", {"method": "fixed", "threshold": str(threshold)})
    return StepResult(two_tone.astype(np.uint8, copy=False), IDENTITY, applied)


def sauvola(pixels: Pixels, text_height_px: float, k: float) -> StepResult:
    """White where a pixel is brighter than mean * (1 + k * (deviation / 128 - 1)) of the window around it (Sauvola and
    Pietikainen 2000), twice as high as the text.
    """
    window = max(_MIN_WINDOW_PX, round(_WINDOW_TEXT_HEIGHTS * text_height_px)) | 1
    height, width = pixels.shape
    two_tone = np.empty_like(pixels)
    rows = max(window, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        above, below = max(0, top - window // 2), min(height, bottom + window // 2)
        threshold = _sauvola_threshold(pixels[above:below], window, k)[top - above : bottom - above]
        two_tone[top:bottom] = np.where(pixels[top:bottom] > threshold, np.uint8(255), np.uint8(0))
    applied = AppliedStep("binarize", {"method": "sauvola", "window_px": str(window), "k": f"{k:g}"})
    return StepResult(two_tone, IDENTITY, applied)


def _sauvola_threshold(pixels: Pixels, window: int, k: float) -> npt.NDArray[np.float32]:
    extent = (window, window)
    mean = np.asarray(cv2.boxFilter(pixels, cv2.CV_32F, extent, borderType=cv2.BORDER_REPLICATE), np.float32)
    threshold = np.asarray(cv2.sqrBoxFilter(pixels, cv2.CV_32F, extent, borderType=cv2.BORDER_REPLICATE), np.float32)
    threshold -= mean * mean
    np.sqrt(np.maximum(threshold, 0, out=threshold), out=threshold)
    threshold *= k / _SAUVOLA_RANGE
    threshold += 1 - k
    threshold *= mean
    return threshold
