"""An image and its text with the tilt taken off, so that rows run level and columns upright."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocr_gateway.model import Polygon

Rgb = NDArray[np.uint8]
Grey = NDArray[np.uint8]

# Pixels of the levelled image. An A4 page at 300 dpi has 8.7 million, and is halved: its rules of one pixel still stand
# out by half their contrast, and the search for them takes a quarter of the time.
_MAX_PIXELS = 6_000_000
# Tilts below this are left: over 2000 px they make 1.7 px.
_LEAST_TILT_RAD = math.radians(0.05)
# A page of this median grey is light on dark.
_DARK_GREY = 96


@dataclass(frozen=True, slots=True)
class Levelling:
    """How points of an image of ``width`` x ``height`` pixels lie on its levelled copy, ``scale`` times as large."""

    angle_rad: float
    scale: float
    shift_x: float
    shift_y: float
    width: int
    height: int

    def to_level(self, points: Polygon) -> list[tuple[float, float]]:
        """Points of the image, on the levelled copy."""
        c, s, k = math.cos(self.angle_rad), math.sin(self.angle_rad), self.scale
        return [(k * (c * x + s * y) + self.shift_x, k * (c * y - s * x) + self.shift_y) for x, y in points]

    def to_image(self, left: float, top: float, right: float, bottom: float) -> Polygon:
        """An upright box of the levelled copy, on the image and cut to it: four points from the top left clockwise."""
        c, s = math.cos(self.angle_rad), math.sin(self.angle_rad)
        points = []
        for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)):
            u, v = (x - self.shift_x) / self.scale, (y - self.shift_y) / self.scale
            points.append(
                (
                    round(min(max(c * u - s * v, 0.0), float(self.width)), 2),
                    round(min(max(s * u + c * v, 0.0), float(self.height)), 2),
                )
            )
        return tuple(points)


def levelling(width: int, height: int, polygons: Iterable[Polygon]) -> Levelling:
    """The levelling of an image by the direction in which most of its text runs, quarter turns included."""
    angle = _text_angle(polygons)
    quarter = round(angle / (math.pi / 2)) * (math.pi / 2)
    if abs(angle - quarter) < _LEAST_TILT_RAD:
        angle = quarter
    scale = 1 / max(1, math.ceil(math.sqrt(width * height / _MAX_PIXELS)))
    c, s = math.cos(angle), math.sin(angle)
    corners = [(0.0, 0.0), (float(width), 0.0), (0.0, float(height)), (float(width), float(height))]
    left = min(scale * (c * x + s * y) for x, y in corners)
    top = min(scale * (c * y - s * x) for x, y in corners)
    return Levelling(angle, scale, -left, -top, width, height)


def levelled_grey(rgb: Rgb, level: Levelling) -> Grey:
    """The levelled copy, dark on light: each pixel's least channel, so that coloured rules are as dark as black."""
    grey = np.minimum(np.minimum(rgb[:, :, 0], rgb[:, :, 1]), rgb[:, :, 2])
    image = Image.fromarray(grey)
    factor = round(1 / level.scale)
    if factor > 1:
        image = image.reduce(factor)
    if float(np.median(np.asarray(image)[::4, ::4])) < _DARK_GREY:
        image = Image.fromarray(255 - np.asarray(image))
    quarters = round(level.angle_rad / (math.pi / 2))
    if abs(level.angle_rad - quarters * math.pi / 2) < 1e-9:
        return np.ascontiguousarray(np.rot90(np.asarray(image), quarters % 4))
    c, s = math.cos(level.angle_rad), math.sin(level.angle_rad)
    size = (
        max(1, math.ceil(abs(c) * image.width + abs(s) * image.height)),
        max(1, math.ceil(abs(s) * image.width + abs(c) * image.height)),
    )
    # From a pixel of the copy to the reduced image's: the levelling's inverse.
    x, y = level.shift_x, level.shift_y
    inverse = (c, -s, -c * x + s * y, s, c, -s * x - c * y)
    levelled = image.transform(size, Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR, fillcolor=255)
    return np.asarray(levelled)


def _text_angle(polygons: Iterable[Polygon]) -> float:
    """The median direction of the lines' upper edges, weighted by their length, radians clockwise from level."""
    edges = [(p[1][0] - p[0][0], p[1][1] - p[0][1]) for p in polygons if len(p) == 4]
    edges = [edge for edge in edges if math.hypot(*edge) > 0]
    if not edges:
        return 0.0
    mean = math.atan2(sum(dy for _, dy in edges), sum(dx for dx, _ in edges))
    off = [math.remainder(math.atan2(dy, dx) - mean, 2 * math.pi) for dx, dy in edges]
    return mean + _weighted_median(off, [math.hypot(*edge) ** 2 for edge in edges])


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    order = np.argsort(values)
    shares = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(values)[order][np.searchsorted(shares, shares[-1] / 2)])
