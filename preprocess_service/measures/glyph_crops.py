"""Small pictures of a page's characters with what stands beside them, all of one size and level."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from preprocess_service.measures.ink import Floats, Ink, Pixels, reduced

CROP_PX = 24
"""A crop's side."""

_CHARACTERS_ACROSS = 1.8
_MAX_CROPS = 84
_MIN_SHARE, _MAX_SHARE = 0.45, 1.7
_MAX_STEP_PX = 1.7


def glyph_crops(sheet: Pixels, ink: Ink, angle_deg: float) -> npt.NDArray[np.float32]:
    """Crops x rows x columns of 0 (paper) to 1 (ink), at most 84 from all over the page, each round one piece of text
    of about the usual size and nearly two of them wide.

    They are levelled by the angle by which lines fall. Pieces are chosen and cropped alike in all four directions, so
    that a page's crops tell nothing of its direction but by what is on them.
    """
    chosen = _chosen(ink)
    if not len(chosen):
        return np.empty((0, CROP_PX, CROP_PX), np.float32)
    side = _CHARACTERS_ACROSS * ink.piece_px * ink.reduction
    shrink = max(1, int(side / CROP_PX / _MAX_STEP_PX) + (side / CROP_PX / _MAX_STEP_PX > 1))
    picture = reduced(sheet, shrink)
    scale = ink.reduction / shrink
    centres = (chosen[:, :2] + chosen[:, 2:] / 2.0) * scale
    places = (np.arange(CROP_PX) + 0.5 - CROP_PX / 2) * (side / shrink / CROP_PX)
    columns, rows = np.meshgrid(places, places)
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    x = centres[:, 0, None, None] + columns * cosine - rows * sine - 0.5
    y = centres[:, 1, None, None] + columns * sine + rows * cosine - 0.5
    shape = (len(chosen) * CROP_PX, CROP_PX)
    values = cv2.remap(
        picture,
        x.reshape(shape).astype(np.float32),
        y.reshape(shape).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    crops = np.asarray(values, np.uint8).reshape(len(chosen), CROP_PX, CROP_PX)
    return _evened(np.uint8(255) - crops if ink.is_negative else crops)


def _chosen(ink: Ink) -> Floats:
    longer = np.maximum(ink.boxes[:, 2], ink.boxes[:, 3])
    typical = ink.piece_px
    boxes = ink.boxes[(longer >= _MIN_SHARE * typical) & (longer <= _MAX_SHARE * typical)]
    if len(boxes) > _MAX_CROPS:
        boxes = boxes[np.linspace(0, len(boxes) - 1, _MAX_CROPS).astype(int)]
    return boxes.astype(np.float64)


def _evened(crops: Pixels) -> npt.NDArray[np.float32]:
    """Ink as 1 and paper as 0 on each crop, by its own extremes."""
    flat = crops.reshape(len(crops), -1)
    ranks = [int(0.04 * flat.shape[1]), int(0.9 * flat.shape[1])]
    dark, light = np.partition(flat, ranks, axis=1)[:, ranks].T.astype(np.float32)
    spread = np.maximum(light - dark, 8.0)
    return np.asarray(np.clip((light[:, None, None] - crops) / spread[:, None, None], 0, 1), np.float32)
