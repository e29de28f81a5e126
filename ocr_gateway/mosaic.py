"""Several regions of a page in one image, so that they make one call.

Lines of two regions must not be read as one. Some engines join whatever stands on one row, however far apart (Tesseract
reads rows across the whole width), so regions never stand beside each other. Between those that stand below each other
the gap is at least as wide as between two lines: half of what the height of their print can be. A line that is read
across a gap all the same is divided by its words: see ``mosaic_reading``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ocr_gateway.image_layout import JPEG, PNG
from ocr_gateway.image_pixels import RgbImage, crop_pixels, encode_jpeg, encode_png
from ocr_gateway.model import ImageLimits, Point, Rect

_LEAST_GAP_PX = 32
_MOST_GAP_PX = 160
_MOST_SIDE_PX = 2000
"""Engines reduce a larger image, PP-OCR to 2000 px, and would read each region smaller than if it came alone."""
_MOST_ASPECT = 3.0
"""A longer image is made wider: engines pad or reduce strips in ways of their own."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Where the region of this index lies in a mosaic, pixels."""

    region: int
    left: int
    top: int
    width: int
    height: int

    def distance(self, point: Point) -> float:
        """From the point to the nearest one of the tile; 0.0 inside."""
        x, y = point
        across = max(self.left - x, 0.0, x - self.left - self.width)
        return math.hypot(across, max(self.top - y, 0.0, y - self.top - self.height))


@dataclass(frozen=True, slots=True)
class Layout:
    """One mosaic: its sides in pixels and what lies where. One of a single region is the region as it is."""

    width: int
    height: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Mosaic:
    """An encoded image and what lies where on it."""

    image: bytes
    tiles: tuple[Tile, ...]


def make_mosaics(content: bytes, rects: Sequence[Rect], limits: ImageLimits) -> list[Mosaic]:
    """The parts of the image under ``rects`` in few images, each within ``limits``; the first ones hold the tallest.

    PNGs, or JPEGs of quality 95 for a provider that takes these and no PNGs. A region that fits in no mosaic is an
    image of its own, whatever the limits say. Raises as ``crop_pixels`` does. Takes time: not for the event loop.
    """
    crops = crop_pixels(content, rects)
    as_jpeg = PNG not in limits.media_types and JPEG in limits.media_types
    return list(_encoded(range(len(crops)), crops, limits, as_jpeg))


def _encoded(regions: Sequence[int], crops: Sequence[RgbImage], limits: ImageLimits, as_jpeg: bool) -> Iterable[Mosaic]:
    sizes = {region: (crops[region].shape[1], crops[region].shape[0]) for region in regions}
    for layout in pack(sizes, limits):
        pixels = _render(layout, crops)
        image = encode_jpeg(pixels) if as_jpeg else encode_png(pixels)
        if limits.max_bytes and len(image) > limits.max_bytes and len(layout.tiles) > 1:
            inside = [tile.region for tile in layout.tiles]
            yield from _encoded(inside[: len(inside) // 2], crops, limits, as_jpeg)
            yield from _encoded(inside[len(inside) // 2 :], crops, limits, as_jpeg)
        else:
            yield Mosaic(image, layout.tiles)


def _render(layout: Layout, crops: Sequence[RgbImage]) -> RgbImage:
    """The crops on the colour that most of their borders have."""
    inside = [crops[tile.region] for tile in layout.tiles]
    borders = np.concatenate([edge for crop in inside for edge in (crop[0], crop[-1], crop[:, 0], crop[:, -1])])
    canvas = np.empty((layout.height, layout.width, 3), np.uint8)
    canvas[:] = np.median(borders, axis=0).astype(np.uint8)
    for tile, crop in zip(layout.tiles, inside, strict=True):
        canvas[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = crop
    return canvas


@dataclass(frozen=True, slots=True)
class _Bounds:
    side: int
    least_side: int
    pixels: float
    aspect: float

    @classmethod
    def of(cls, limits: ImageLimits) -> _Bounds:
        side = min(limits.max_side_px or _MOST_SIDE_PX, _MOST_SIDE_PX)
        aspect = min(limits.max_aspect or _MOST_ASPECT, _MOST_ASPECT)
        return cls(side, limits.min_side_px, limits.max_pixels or math.inf, max(1.0, aspect))

    def canvas(self, width: int, height: int) -> tuple[int, int] | None:
        """The sides of an image that holds so much; None: there is none."""
        least = max(math.ceil(max(width, height) / self.aspect), self.least_side)
        width, height = max(width, least), max(height, least)
        return (width, height) if max(width, height) <= self.side and width * height <= self.pixels else None


def pack(sizes: Mapping[int, tuple[int, int]], limits: ImageLimits) -> list[Layout]:
    """Mosaics of the regions, whose widths and heights are given by index: each below the other, the tallest first.

    Each region goes to the first mosaic that has room (first-fit decreasing); one that fits in none is one of its own.
    """
    bounds = _Bounds.of(limits)
    layouts: list[Layout] = []
    for region in sorted(sizes, key=lambda region: (-sizes[region][1], -sizes[region][0], region)):
        for number, layout in enumerate(layouts):
            larger = _with(layout, region, sizes[region], bounds)
            if larger is not None:
                layouts[number] = larger
                break
        else:
            width, height = sizes[region]
            layouts.append(Layout(width, height, (Tile(region, 0, 0, width, height),)))
    return layouts


def _with(layout: Layout, region: int, size: tuple[int, int], bounds: _Bounds) -> Layout | None:
    """The mosaic with one more region below the others; None where it would be too large."""
    last, (width, height) = layout.tiles[-1], size
    top = last.top + last.height + _gap(last, size)
    tiles = (*layout.tiles, Tile(region, 0, top, width, height))
    canvas = bounds.canvas(max(tile.width for tile in tiles), top + height)
    return None if canvas is None else Layout(*canvas, tiles)


def _gap(above: Tile, size: tuple[int, int]) -> int:
    """Between two neighbours, pixels: as high as their print may be where both may run downwards, else half of it."""
    width, height = size
    print_px = min(above.width, above.height, width, height, _MOST_GAP_PX)
    runs_down = above.height > above.width and height > width
    return max(_LEAST_GAP_PX, print_px if runs_down else print_px // 2)
