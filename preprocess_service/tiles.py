"""Where an over-tall page is cut into tiles that its reader takes. Pure: sizes in, rectangles out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from preprocess_service.model import Size

MIN_OVERLAP_PX = 48
_OVERLAP_TEXT_HEIGHTS = 3.0
"""A line that a cut goes through stands whole in one of the two tiles, also where it is a little oblique."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a page, pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class TileLimits:
    """What a tile may be at most; 0 means no limit."""

    max_aspect: float = 0.0
    max_side_px: int = 0
    max_pixels: int = 0


def overlap_px(text_height_px: float) -> int:
    """How far neighbouring tiles overlap: three heights of the text, at least MIN_OVERLAP_PX."""
    return max(MIN_OVERLAP_PX, math.ceil(_OVERLAP_TEXT_HEIGHTS * text_height_px))


def plan_tiles(size: Size, limits: TileLimits, text_height_px: float) -> tuple[Tile, ...]:
    """Tiles of equal size that cover the page, from the top to the bottom or from the left to the right, each as long
    as the limits allow, with ``overlap_px`` in common, or half a tile where that is less. One for a page that needs
    none. The page is cut along its longer side only: limits that its shorter side passes are not kept.
    """
    across, along = size.shorter_px, size.longer_px
    length = min(along, _longest_px(across, limits))
    if length == along:
        return (Tile(0, 0, size.width, size.height),)
    stride = length - min(overlap_px(text_height_px), length // 2)
    gaps = math.ceil((along - length) / stride)
    starts = [(along - length) * number // gaps for number in range(gaps + 1)]
    if size.height >= size.width:
        return tuple(Tile(0, start, across, length) for start in starts)
    return tuple(Tile(start, 0, length, across) for start in starts)


def _longest_px(across: int, limits: TileLimits) -> int:
    longest = math.inf
    if limits.max_aspect:
        longest = across * limits.max_aspect
    if limits.max_side_px:
        longest = min(longest, limits.max_side_px)
    if limits.max_pixels:
        longest = min(longest, limits.max_pixels // across)
    return 2**31 if longest == math.inf else max(1, across, math.floor(longest + 1e-6))
