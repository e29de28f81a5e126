"""Steps over tones: grey, noise, contrast, sharpness. None of them moves a point."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from preprocess_service.model import IDENTITY, AppliedStep
from preprocess_service.steps.step_result import Pixels, StepResult

_SAMPLED_ROWS = 400
_INK_PERCENTILE = 0.5
_PAPER_PERCENTILE = 80.0
"""Text covers less than a fifth of a page, so that this is paper."""
_MAX_GAIN = 12.0
_CLAHE_LIMIT = 2.0
_CLAHE_TILES = (8, 8)
_MIN_NOISE = 5.0


def grey(pixels: Pixels) -> StepResult:
    """The page without its colour."""
    without = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return StepResult(without.astype(np.uint8, copy=False), IDENTITY, AppliedStep("grey"))


def denoise(pixels: Pixels, method: str, noise: float) -> StepResult:
    """The page with noise of this standard deviation, in grey levels, smoothed away.

    On an A4 page at 300 dpi and one core "median" (3 x 3 px) takes 2 ms, "gaussian" (of 1 px) 8 ms, "despeckle" (a
    median, then a Gaussian of 1 px) 15 ms, "bilateral" 40 ms and "nlmeans" 4 s; the last two keep edges.
    """
    smoothed = _SMOOTHINGS[method](pixels, max(noise, _MIN_NOISE))
    applied = AppliedStep("denoise", {"method": method, "noise": f"{noise:.1f}"})
    return StepResult(smoothed.astype(np.uint8, copy=False), IDENTITY, applied)


def _non_local_means(pixels: Pixels, noise: float) -> cv2.typing.MatLike:
    if pixels.ndim == 2:
        return cv2.fastNlMeansDenoising(pixels, h=noise * 0.8, templateWindowSize=5, searchWindowSize=11)
    return cv2.fastNlMeansDenoisingColored(pixels, None, noise * 0.8, noise * 0.8, 5, 11)


_SMOOTHINGS: dict[str, Callable[[Pixels, float], cv2.typing.MatLike]] = {
    "median": lambda pixels, _noise: cv2.medianBlur(pixels, 3),
    "gaussian": lambda pixels, _noise: cv2.GaussianBlur(pixels, (5, 5), 1.0),
    "despeckle": lambda pixels, _noise: cv2.GaussianBlur(cv2.medianBlur(pixels, 3), (0, 0), 1.0),
    "bilateral": lambda pixels, noise: cv2.bilateralFilter(pixels, 5, 3 * noise, 2),
    "nlmeans": _non_local_means,
}


def contrast(pixels: Pixels, method: str, least_spread: float = 0.0) -> StepResult:
    """The page with its ink black and its paper white: "stretch" takes one line through all tones, "clahe" one for each
    part of the page (contrast-limited adaptive histogram equalization), grey only.

    ``least_spread``: ink is known to be so many grey levels darker than paper. A page of few words has too little ink
    to be seen in a percentile, and its paper's noise would be stretched instead.
    """
    if method == "clahe" and pixels.ndim == 2:
        equalized = cv2.createCLAHE(_CLAHE_LIMIT, _CLAHE_TILES).apply(pixels)
        applied = AppliedStep("contrast", {"method": "clahe"})
        return StepResult(equalized.astype(np.uint8, copy=False), IDENTITY, applied)
    black, white = ink_and_paper(pixels)
    black = max(0.0, min(black, white - least_spread))
    gain = min(_MAX_GAIN, 255.0 / max(1.0, white - black))
    tones = np.clip((np.arange(256) - white) * gain + 255.0, 0, 255).astype(np.uint8)
    applied = AppliedStep("contrast", {"method": "stretch", "black": f"{black:.0f}", "white": f"{white:.0f}"})
    return StepResult(cv2.LUT(pixels, tones).astype(np.uint8, copy=False), IDENTITY, applied)


def ink_and_paper(pixels: Pixels) -> tuple[float, float]:
    """The tones of ink and of paper, by percentiles of every few rows."""
    sample = pixels[:: max(1, pixels.shape[0] // _SAMPLED_ROWS)]
    tones = grey(sample).pixels
    counts = cv2.calcHist([tones], [0], None, [256], [0, 256]).cumsum()
    black, white = np.searchsorted(counts, counts[-1] * np.array((_INK_PERCENTILE, _PAPER_PERCENTILE)) / 100)
    return float(black), float(white)


def sharpen(pixels: Pixels, sigma_px: float, amount: float) -> StepResult:
    """The page with its difference from a page smoothed by ``sigma_px`` added, ``amount`` times (an unsharp mask)."""
    smooth = cv2.GaussianBlur(pixels, (0, 0), sigma_px)
    sharp = cv2.addWeighted(pixels, 1 + amount, smooth, -amount, 0)
    applied = AppliedStep("sharpen", {"sigma_px": f"{sigma_px:.1f}", "amount": f"{amount:g}"})
    return StepResult(sharp.astype(np.uint8, copy=False), IDENTITY, applied)
