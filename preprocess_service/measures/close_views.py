"""A few places of a page at the picture's full sharpness, where there is the most of its typical text.

What needs every pixel (the edges of strokes, the height of small characters) is measured there, which costs a fraction
of measuring the whole page.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from preprocess_service.measures.ink import Ink, Pixels, depths_of

_MIN_SIDE_PX = 112
_MAX_SIDE_PX = 320
_CHARACTERS_ACROSS = 7
_MAX_VIEWS = 3
_WORTH_OF_BEST = 0.25


@dataclass(frozen=True, slots=True)
class CloseView:
    """A part of the picture: dark ink on light paper, the ink in it as 0 and 1, and the paper's own brightness."""

    paper: Pixels
    ink: Pixels
    brightness: npt.NDArray[np.float32]


def close_views(grey: Pixels, ink: Ink) -> tuple[CloseView, ...]:
    """At most three views, in pixels of the picture that the ink was found on; none without text."""
    if not len(ink.boxes):
        return ()
    side = int(np.clip(_CHARACTERS_ACROSS * ink.piece_px, _MIN_SIDE_PX, _MAX_SIDE_PX))
    views = []
    for left, top in _places(ink, side):
        scale = ink.reduction
        part = grey[top * scale : (top + side) * scale, left * scale : (left + side) * scale]
        views.append(_view(cv2.bitwise_not(part).astype(np.uint8) if ink.is_negative else part, ink))
    return tuple(views)


def _places(ink: Ink, side: int) -> list[tuple[int, int]]:
    """Left and top of the cells, of a grid over the sight, with the most pieces of about the median size."""
    longer = np.maximum(ink.boxes[:, 2], ink.boxes[:, 3])
    typical = np.median(longer[longer >= 0.5 * ink.piece_px])
    boxes = ink.boxes[(longer > 0.5 * typical) & (longer < 2.0 * typical)]
    columns, rows = -(-ink.size.width // side), -(-ink.size.height // side)
    cells = np.minimum(boxes[:, 1] // side, rows - 1) * columns + np.minimum(boxes[:, 0] // side, columns - 1)
    counts = np.bincount(cells, minlength=rows * columns)
    best = np.argsort(-counts, kind="stable")[:_MAX_VIEWS]
    chosen = [int(cell) for cell in best if counts[cell] > 0 and counts[cell] >= _WORTH_OF_BEST * counts[best[0]]]
    return [(cell % columns * side, cell // columns * side) for cell in chosen]


def _view(paper: Pixels, ink: Ink) -> CloseView:
    surroundings = max(15, round(2.5 * ink.piece_px * ink.reduction)) | 1
    # What was averaged to see the ink on the sight is averaged here too.
    smooth = cv2.GaussianBlur(paper, (0, 0), 0.85 * ink.reduction).astype(np.uint8) if ink.is_faint else paper
    mask = cv2.threshold(depths_of(smooth, surroundings), ink.depth, 1, cv2.THRESH_BINARY)[1].astype(np.uint8)
    bare = np.uint8(1) - cv2.dilate(mask, np.ones((3, 3), np.uint8)).astype(np.uint8)
    window = (surroundings, surroundings)
    shares = np.maximum(cv2.blur(bare * np.uint8(255), window).astype(np.float32) / 255, 0.01)
    brightness = cv2.blur(paper * bare, window).astype(np.float32) / shares
    return CloseView(paper, mask, np.minimum(brightness, 255))
