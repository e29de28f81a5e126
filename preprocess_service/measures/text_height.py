"""How high the characters of a page are."""

from __future__ import annotations

import cv2
import numpy as np

from preprocess_service.measures.close_views import CloseView
from preprocess_service.measures.ink import Floats, Pixels

_PERCENTILE = 75
_JOINED_SHARE = 0.22
_MIN_PIECE_PX = 3
_MIN_PIECES = 4


def text_height_px(views: tuple[CloseView, ...], rough_px: float, *, down: bool) -> float | None:
    """The height of a typical character, in pixels of the views: of a Chinese one all of it (about 0.9 of the font's
    size), of a Latin one that of capitals and of letters with ascenders (about 0.73 of it).

    It is the height that three pieces in four do not pass, after dots and strokes above each other have been joined:
    among Latin letters two in five reach up or down, so that this is theirs and not the x-height. ``rough_px`` is what
    the pieces' size is expected to be, ``down`` that lines run down the views. None with fewer than four pieces. Lines
    are taken as nearly level.
    """
    heights = [_piece_heights(view.ink.T if down else view.ink, rough_px) for view in views]
    joined = np.concatenate(heights) if heights else np.empty(0)
    joined = joined[(joined >= _MIN_PIECE_PX) & (joined >= 0.35 * rough_px) & (joined <= 2.2 * rough_px)]
    if len(joined) < _MIN_PIECES:
        return None
    return float(np.percentile(joined, _PERCENTILE))


def _piece_heights(ink: Pixels, rough_px: float) -> Floats:
    reach = max(1, round(_JOINED_SHARE * rough_px))
    closed = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((reach, 1), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8, ltype=cv2.CV_16U)
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    height, width = ink.shape
    is_whole = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    return np.asarray(stats[is_whole, cv2.CC_STAT_HEIGHT], np.float64)
