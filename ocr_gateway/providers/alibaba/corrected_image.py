"""Places in the image as Alibaba corrected it, taken back to the image that was sent.

``width`` and ``height`` are the corrected image's, ``orgWidth`` and ``orgHeight`` those of what it was made of, and
``angle`` (90: the image faces right) tells by how much that is turned clockwise. A turned image is given the box round
it, about the same middle: the vendor's sample of 1075 x 803 px turned by 1 degree has 1088 x 821.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ocr_gateway.model import Point, Polygon
from ocr_gateway.providers.remote.places import ordered
from ocr_gateway.providers.remote.values import array, member, number

_SAME = 0.01
"""Extents that differ by less are the same, but for rounding."""


@dataclass(frozen=True, slots=True)
class CorrectedImage:
    """How a place is taken back: turned by ``angle`` about the middle, then scaled. ``is_known`` is false where the
    extents do not tell how; there are no places then."""

    angle: float
    middle: Point
    own_middle: Point
    scale: Point
    is_known: bool = True

    @property
    def turn(self) -> int:
        """Quarters by which text in the image that was sent is turned counter-clockwise."""
        return round(-self.angle / 90) % 4

    def polygon(self, corners: Any) -> Polygon | None:
        """Four ``{x, y}`` in the image that was sent, in the order of ``places.ordered``; None where there are none."""
        if corners is None:
            return None
        points = [
            (number(member(corner, "x"), "x"), number(member(corner, "y"), "y")) for corner in array(corners, "pos")
        ]
        return self._sent(points) if len(points) == 4 else None

    def box(self, said: Any, width: str = "w", height: str = "h") -> Polygon | None:
        """``{x, y, w, h}``, likewise."""
        x, y, across, down = (number(member(said, name), name) for name in ("x", "y", width, height))
        return self._sent([(x, y), (x + across, y), (x + across, y + down), (x, y + down)])

    def _sent(self, points: Sequence[Point]) -> Polygon | None:
        return ordered([self._back(point) for point in points], self.turn) if self.is_known else None

    def _back(self, point: Point) -> Point:
        sine, cosine = math.sin(math.radians(self.angle)), math.cos(math.radians(self.angle))
        x, y = point[0] - self.middle[0], point[1] - self.middle[1]
        return (
            (x * cosine - y * sine + self.own_middle[0]) * self.scale[0],
            (x * sine + y * cosine + self.own_middle[1]) * self.scale[1],
        )


def corrected_image(said: dict[str, Any], width: int, height: int) -> CorrectedImage:
    """What the answer tells of it, for an image of ``width`` x ``height`` px; whatever it leaves out was left as it is.

    Raises ValueError for extents that are no numbers above 0.
    """
    own = _extent(said, "orgWidth", width), _extent(said, "orgHeight", height)
    made = _extent(said, "width", own[0]), _extent(said, "height", own[1])
    turned = said.get("angle")
    angle = 0.0 if turned is None else number(turned, "angle") % 360
    scale = width / own[0], height / own[1]
    if angle == 0:  # larger or smaller in both directions alike, or not to be understood
        ratios = made[0] / own[0], made[1] / own[1]
        scale = scale[0] / ratios[0], scale[1] / ratios[1]
        is_known = abs(ratios[0] / ratios[1] - 1) < _SAME
        return CorrectedImage(0.0, (0.0, 0.0), (0.0, 0.0), scale, is_known)
    return CorrectedImage(angle, (made[0] / 2, made[1] / 2), (own[0] / 2, own[1] / 2), scale, _fits(own, made, angle))


def _fits(own: Point, made: Point, angle: float) -> bool:
    """Whether the corrected image is the box round the turned one, or has the extent that it had."""
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    box = own[0] * cosine + own[1] * sine, own[0] * sine + own[1] * cosine
    return any(
        all(abs(a - b) <= max(2.0, b * _SAME) for a, b in zip(made, wanted, strict=True)) for wanted in (box, own)
    )


def _extent(said: dict[str, Any], name: str, otherwise: float) -> float:
    found = said.get(name)
    if found is None:
        return otherwise
    extent = number(found, name)
    if extent <= 0:
        raise ValueError(f"{name} is not above 0")
    return extent
