"""How soft the edges of strokes are."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from preprocess_service.measures.close_views import CloseView

_STEEP_SHARE = 0.85
_MIN_EDGE_PIXELS = 60
_STEEP_OF_NOISE = 1.44 * math.sqrt(2)
"""The same percentile of the differences between pixels of white noise, by its standard deviation."""
_LEAST_OF_CONTRAST = 0.03


def edge_width_px(views: tuple[CloseView, ...], contrast_levels: float, noise_levels: float) -> float | None:
    """The width over which strokes go from ink to paper, in pixels of the views: 1 for a sharp step.

    It is the contrast over the steepest slopes of edges, across and down; the larger of the two, so that a motion in
    one direction shows. ``contrast_levels`` is the text's and ``noise_levels`` the paper's, in grey levels: what noise
    adds to slopes is taken from them. None without enough edges.
    """
    across, down = [], []
    for view in views:
        if min(view.paper.shape) < 2:
            continue
        ring = cv2.morphologyEx(view.ink, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).astype(bool)
        across.append(cv2.absdiff(view.paper[:, 1:], view.paper[:, :-1])[ring[:, 1:]])
        down.append(cv2.absdiff(view.paper[1:], view.paper[:-1])[ring[1:]])
    if min(sum(map(len, slopes)) for slopes in (across, down)) < _MIN_EDGE_PIXELS or contrast_levels <= 0:
        return None
    steepest = min(_percentile(np.concatenate(slopes)) for slopes in (across, down))
    of_edges = math.sqrt(max(0.0, steepest**2 - (_STEEP_OF_NOISE * noise_levels) ** 2))
    return max(1.0, contrast_levels / max(of_edges, _LEAST_OF_CONTRAST * contrast_levels))


def _percentile(slopes: npt.NDArray[np.uint8]) -> float:
    """The steep ones' least slope, between whole levels by the share of those that are equal."""
    shares = np.cumsum(np.bincount(slopes, minlength=256)) / len(slopes)
    level = int(np.searchsorted(shares, _STEEP_SHARE))
    below = float(shares[level - 1]) if level else 0.0
    return level - 0.5 + (_STEEP_SHARE - below) / max(1e-9, float(shares[level]) - below)
