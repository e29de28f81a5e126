"""What paper and ink look like: their contrast, the noise on the paper, and how evenly it is lit."""

from __future__ import annotations

import cv2
import numpy as np

from preprocess_service.measures.close_views import CloseView
from preprocess_service.measures.ink import Floats, Ink, Pixels, depths_of, ink_depth, reduced

_INK_PERCENTILE = 75
_MOST_LOOKED_AT = 8000
_SURROUNDINGS_PX = 31
_PATCH_PX = 72
_PATCHES_ACROSS = 4
_BLOCK_PX = 8
_BARE_SHARE = 0.5
_GRID_CELLS = 14
_LIGHT_SIDE_PX = 320
_FIT_ROUNDS = 4
_MAX_CELL_SPREAD = 12.0
_MAX_OFF_SHARE = 0.12


def contrast_levels(views: tuple[CloseView, ...]) -> float | None:
    """How far the middle of strokes is below the paper beside it, in grey levels; None where there is no ink.

    Strokes thinner than a pixel never reach their ink's darkness: what is told is what can be seen.
    """
    strokes = [np.flatnonzero(view.ink.view(np.bool_)) for view in views]
    count = sum(map(len, strokes))
    if not count:
        return None
    step = -(-count // _MOST_LOOKED_AT)
    some = [(view, places[::step]) for view, places in zip(views, strokes, strict=True)]
    depths = np.concatenate([view.brightness.take(places) - view.paper.take(places) for view, places in some])
    return float(max(0.0, np.percentile(depths, _INK_PERCENTILE)))


def coherence(views: tuple[CloseView, ...]) -> float:
    """How alike pixels beside each other are, apart from their surroundings: the autocorrelation at a distance of one,
    across and down. About 0 on white noise and 0.5 to 0.9 on text; noise on the text takes its share of it. 0 without
    views.
    """
    products = squares = 0.0
    for view in views:
        means = cv2.blur(view.paper, (_SURROUNDINGS_PX, _SURROUNDINGS_PX))
        rest = cv2.subtract(view.paper, means, dtype=cv2.CV_32F)
        products += (float(np.vdot(rest[:, 1:], rest[:, :-1])) + float(np.vdot(rest[1:], rest[:-1]))) / 2
        squares += float(np.vdot(rest, rest))
    return products / squares if squares else 0.0


def noise_levels(grey: Pixels) -> float | None:
    """The standard deviation of what is not smooth on the paper, in grey levels; None where there is no bare paper.

    It is that of the picture: where the picture has been reduced by a factor f, white noise of the source is f times
    what is told. Measured as differences to the mean of 5 x 5 pixels, in blocks away from ink, of which the quieter two
    thirds count. Of noise on paper that is as white as can be, only the darker half is there.
    """
    patches = _patches(grey)
    depths = depths_of(patches, _SURROUNDINGS_PX)
    depth, _ = ink_depth(depths)
    bare = (cv2.dilate(depths, np.ones((5, 5), np.uint8)) < depth).astype(np.float32)
    rest = patches.astype(np.float32)
    rest -= cv2.blur(rest, (5, 5))
    blocks = (patches.shape[1] // _BLOCK_PX, patches.shape[0] // _BLOCK_PX)
    share = cv2.resize(bare, blocks, interpolation=cv2.INTER_AREA)
    squares = cv2.resize(rest * rest * bare, blocks, interpolation=cv2.INTER_AREA)
    is_bare = share >= _BARE_SHARE
    if not is_bare.any():
        return None
    variances = np.sort(squares[is_bare] / share[is_bare])
    quieter = variances[: max(1, len(variances) * 2 // 3)]
    return float(np.sqrt(np.mean(quieter) * 25 / 24))


def _patches(grey: Pixels) -> Pixels:
    """Parts from all over the picture below each other, of whole blocks; a picture smaller than one is repeated."""
    height, width = grey.shape
    if min(height, width) < _PATCH_PX:
        tiles = (-(-_PATCH_PX // height), -(-_PATCH_PX // width))
        grey = np.tile(grey, tiles)
        height, width = grey.shape
    tops = np.linspace(0, height - _PATCH_PX, 2 * _PATCHES_ACROSS + 1).astype(int)[1::2]
    lefts = np.linspace(0, width - _PATCH_PX, 2 * _PATCHES_ACROSS + 1).astype(int)[1::2]
    places = sorted({(int(top), int(left)) for top in tops for left in lefts})
    return np.concatenate([grey[top : top + _PATCH_PX, left : left + _PATCH_PX] for top, left in places])


def unevenness(ink: Ink) -> float | None:
    """The difference between the paper's brightest and darkest parts, as a share of the whole range.

    A smooth surface is laid through the paper's brightness on a coarse grid, with what lies off it (pictures, bars,
    tinted boxes) left out of account; its spread is told. None where no such surface fits, as on a picture of a room,
    and for a picture of fewer than 32 pixels a side.
    """
    bare = np.asarray(cv2.dilate(ink.paper, np.ones((3, 3), np.uint8)), np.uint8)
    paper = reduced(bare, max(1, max(bare.shape) // _LIGHT_SIDE_PX))
    if min(paper.shape) < 32:
        return None
    reach = max(3, round(1.2 * ink.piece_px * paper.shape[0] / ink.paper.shape[0])) | 1
    bright = cv2.morphologyEx(cv2.blur(paper, (3, 3)), cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    cell = max(4, min(max(paper.shape) // _GRID_CELLS, min(paper.shape) // 3))
    levels = bright.astype(np.float32)[: paper.shape[0] // cell * cell, : paper.shape[1] // cell * cell]
    cells = (levels.shape[1] // cell, levels.shape[0] // cell)
    grid = cv2.resize(levels, cells, interpolation=cv2.INTER_AREA).astype(np.float64)
    squares = cv2.resize(levels * levels, cells, interpolation=cv2.INTER_AREA)
    is_calm = squares - grid**2 < _MAX_CELL_SPREAD**2
    is_calm &= grid > 0.3 * np.percentile(grid, 90)
    if is_calm.sum() < 12:
        return None
    surface, levels_off = _surface(grid, is_calm)
    spread = float(np.percentile(surface, 98) - np.percentile(surface, 2))
    return float(np.clip(spread / 255, 0, 1).round(6)) if levels_off <= max(6.0, _MAX_OFF_SHARE * spread) else None


def _surface(grid: Floats, is_calm: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[Floats, float]:
    """The cubic surface through the calm cells, told there, by reweighted least squares (Cauchy's weights); and how
    far off it three cells in four are at most.
    """
    rows, columns = np.mgrid[-1 : 1 : grid.shape[0] * 1j, -1 : 1 : grid.shape[1] * 1j]
    terms = np.stack([(rows**i * columns**j).ravel() for i in range(4) for j in range(4 - i)])
    inside, values = terms[:, is_calm.ravel()], grid[is_calm]
    weights = np.ones(len(values))
    coefficients = np.zeros(len(terms))
    for _ in range(_FIT_ROUNDS):
        weighted = inside * weights
        coefficients = np.linalg.solve(weighted @ inside.T + 1e-6 * np.eye(len(terms)), weighted @ values)
        rests = values - coefficients @ inside
        scale = max(1.0, 1.5 * float(np.median(np.abs(rests))))
        weights = 1 / (1 + (rests / (2 * scale)) ** 2)
    return coefficients @ inside, float(np.percentile(np.abs(values - coefficients @ inside), 75))
