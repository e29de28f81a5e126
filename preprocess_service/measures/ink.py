"""What is written on a page: its ink, apart from the paper, and the pieces that the ink falls into.

Ink is what differs from the mean of its surroundings by a share of them, so that a shadow takes away neither paper nor
text. Most pages have dark ink on light paper; a screen in dark mode has it the other way round, and is measured as its
negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from preprocess_service.model import Size

Pixels = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

SIGHT_SIDE_PX = 1000
"""Ink is looked for on a picture of at most this many pixels on its longer side."""

_SURROUNDINGS_PX = 31
_LEAST_LIGHT = 24
_MIN_DEPTH = 7
_DEPTH_SHARE = 0.4
_NOISE_SIGMAS = 4.0
_MIDDLE_LEVEL = 128
_MIN_PIECE_PX = 3
_MAX_PIECE_SHARE = 0.25
_MAX_PIECE_ASPECT = 14
_MIN_PIECE_FILL = 0.08
_MAX_RUNS = 65_000
"""Labels have 16 bits, and there are no more pieces than runs of ink along rows."""
_MAX_COMPACT_ASPECT = 2
_MIN_COMPACT_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Ink:
    """The ink of a page.

    ``paper`` is the picture with dark ink on light paper, ``text`` its ink as 0 and 1 without what is too large, too
    long or too thin for a character, and ``boxes`` the left, top, width and height of the pieces of it, all in pixels
    of the sight; ``reduction`` by how much the sight is smaller than the picture that was given; ``depth`` from how far
    below its surroundings a pixel counts as ink, as a share of 255 of them; ``is_faint`` that noise alone set that
    depth, so that the picture was smoothed first; ``piece_px`` the size that three compact pieces in four stay below:
    about a character's height; 0 without any piece.
    """

    paper: Pixels
    text: Pixels
    boxes: Boxes
    reduction: int
    depth: int
    is_negative: bool
    is_faint: bool
    piece_px: float

    @property
    def size(self) -> Size:
        """The sight's extent."""
        return Size(width=self.paper.shape[1], height=self.paper.shape[0])


def find_ink(grey: Pixels) -> Ink:
    """The ink of a picture of any size. Never raises; a page without any has no pieces."""
    reduction = max(1, -(-max(grey.shape) // SIGHT_SIDE_PX))
    paper = reduced(grey, reduction)
    is_negative = _is_negative(paper)
    if is_negative:
        paper = cv2.bitwise_not(paper).astype(np.uint8, copy=False)
    depths = depths_of(paper, _SURROUNDINGS_PX)
    depth, is_faint = ink_depth(depths)
    if is_faint:
        depths = depths_of(cv2.GaussianBlur(paper, (3, 3), 0).astype(np.uint8, copy=False), _SURROUNDINGS_PX)
        depth, _ = ink_depth(depths)
    mask = cv2.threshold(depths, depth, 1, cv2.THRESH_BINARY)[1]
    text, boxes = _text_pieces(mask)
    return Ink(paper, text, boxes, reduction, depth, is_negative, is_faint, _piece_px(boxes))


def reduced(grey: Pixels, reduction: int) -> Pixels:
    """The picture at a whole fraction of its size, each pixel the mean of an area; odd rows and columns are cut off."""
    if reduction == 1:
        return grey
    height, width = (max(1, side // reduction) for side in grey.shape)
    whole = grey[: height * reduction, : width * reduction]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def depths_of(paper: Pixels, surroundings_px: int) -> Pixels:
    """How far each pixel is below the mean of its surroundings, as a share of 255 of that mean."""
    means = cv2.blur(paper, (surroundings_px, surroundings_px), borderType=cv2.BORDER_REPLICATE)
    return cv2.bitwise_not(cv2.divide(paper, np.maximum(means, np.uint8(_LEAST_LIGHT)), scale=255.0)).astype(
        np.uint8, copy=False
    )


def ink_depth(depths: Pixels) -> tuple[int, bool]:
    """The depth from which on a pixel is ink, and whether the noise alone decides that: above the noise, and a share of
    what the deepest have.

    The deepest are told by the ratio of the sums of cubes and of squares, which few strokes decide as well as many.
    """
    counts = np.bincount(depths[::3, ::2].ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256.0)
    # Half of all pixels lie above the surroundings' mean and show as 0: what is left of the paper is half a bell.
    shares = np.cumsum(counts) / max(1.0, counts.sum())
    sigma = float(np.searchsorted(shares, 0.75)) / 0.674
    floor = max(_MIN_DEPTH, round(_NOISE_SIGMAS * min(sigma, 16.0)))
    deep = counts * (levels >= floor)
    squares = float((deep * levels**2).sum())
    typical = float((deep * levels**3).sum()) / squares if squares else 0.0
    depth = int(min(200, max(floor, _DEPTH_SHARE * typical)))
    return depth, floor > _MIN_DEPTH and depth == floor


def _is_negative(sight: Pixels) -> bool:
    """Whether the strokes are lighter than what is round them, on a page that is mostly dark: by the third moment of
    the differences to the surroundings.
    """
    some = sight[::4, ::4]
    if 2 * np.count_nonzero(some < _MIDDLE_LEVEL) <= some.size:
        return False
    means = cv2.blur(sight, (_SURROUNDINGS_PX, _SURROUNDINGS_PX), borderType=cv2.BORDER_REPLICATE)
    differences = sight[::2, ::2].astype(np.float32) - means[::2, ::2]
    return float(np.mean(differences * differences * differences)) > 0


def _text_pieces(mask: cv2.typing.MatLike) -> tuple[Pixels, Boxes]:
    """The ink and the boxes of pieces that may be text; none where there are more pieces than could be."""
    height, width = mask.shape[:2]
    if cv2.countNonZero(cv2.subtract(mask[:, 1:], mask[:, :-1])) + height > _MAX_RUNS:
        return np.zeros((height, width), np.uint8), np.empty((0, 4), np.int32)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    widths, heights = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    longer, shorter = np.maximum(widths, heights), np.minimum(widths, heights)
    is_text = (longer >= _MIN_PIECE_PX) & (longer <= max(24, _MAX_PIECE_SHARE * max(height, width)))
    is_text &= longer <= _MAX_PIECE_ASPECT * shorter
    is_text &= stats[:, cv2.CC_STAT_AREA] >= _MIN_PIECE_FILL * widths * heights
    is_text[0] = False
    text = np.take(is_text.view(np.uint8), np.asarray(labels, np.uint16))
    return text, np.ascontiguousarray(stats[is_text, :4], dtype=np.int32)


def _piece_px(boxes: Boxes) -> float:
    """Words that have run together are told by their shape; where nearly all have, their height is taken."""
    if not len(boxes):
        return 0.0
    longer, shorter = np.maximum(boxes[:, 2], boxes[:, 3]), np.minimum(boxes[:, 2], boxes[:, 3])
    is_compact = longer <= _MAX_COMPACT_ASPECT * shorter
    compact = longer[is_compact] if is_compact.mean() >= _MIN_COMPACT_SHARE else shorter
    return float(np.percentile(compact, 75))
