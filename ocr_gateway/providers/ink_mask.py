"""Ink parted from paper in a small window, where that can be done without doubt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_LEVELS = np.arange(256)
# Least distance between ink and ground, in grey levels.
_MIN_CONTRAST = 48
# Ink is what differs from the ground by this share of the contrast: low enough for the soft edges of thin strokes.
_INK_AT = 0.3
# Ground is what differs by less than this; at least half of the window must be ground.
_GROUND_WITHIN = 0.2
_MIN_GROUND = 0.5
# How far the pixels on the other side of the ground may lie: more means a picture or two colours of text.
_MAX_OTHER_SIDE = 0.3


def ink_mask(rgb: Pixels) -> Mask | None:
    """Where the window has ink, darker or lighter than its ground; None where ground and ink do not part clearly."""
    grey = _grey(rgb)
    counts = np.bincount(grey.ravel(), minlength=256)
    total = grey.size
    smooth = np.convolve(counts, np.ones(9), "same")
    ground = int(smooth.argmax())
    few = max(3, round(0.003 * total))
    summed = np.cumsum(counts)
    dark = int(np.searchsorted(summed, few))
    light = int(np.searchsorted(summed, total - few))
    below, above = ground - dark, light - ground
    contrast = max(below, above)
    if contrast < _MIN_CONTRAST or min(below, above) > _MAX_OTHER_SIDE * contrast:
        return None
    near = counts * (np.abs(_LEVELS - ground) <= _GROUND_WITHIN * contrast)
    count = near.sum()
    if count < _MIN_GROUND * total:
        return None
    mean = (near @ _LEVELS) / count
    spread = float(np.sqrt((near @ (_LEVELS - mean) ** 2) / count))
    if 3 * spread > _INK_AT * contrast:
        return None
    if below >= above:
        return grey < ground - _INK_AT * contrast
    return grey > ground + _INK_AT * contrast


def _grey(rgb: Pixels) -> NDArray[np.uint16]:
    weighted = rgb[..., 0] * np.uint16(77)
    weighted += rgb[..., 1] * np.uint16(150)
    weighted += rgb[..., 2] * np.uint16(29)
    weighted >>= np.uint16(8)
    return weighted
