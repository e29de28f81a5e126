"""Polygons in the order that the schema wants: clockwise, from the top left of the text as it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ocr_gateway.model import Point, Polygon
from ocr_gateway.providers.remote.values import array, member, number


def box_polygon(location: Any, turn: int = 0) -> Polygon | None:
    """The corners of ``{left, top, width, height}``, in the order of ``ordered``; None for a box without an area, by
    which services say that something is not there.
    """
    left, top, width, height = (number(member(location, name), name) for name in ("left", "top", "width", "height"))
    if width <= 0 or height <= 0:
        return None
    right, bottom = left + width, top + height
    return ordered(((left, top), (right, top), (right, bottom), (left, bottom)), turn)


def corner_polygon(corners: Any, turn: int = 0, *, x: str | int = "x", y: str | int = "y") -> Polygon | None:
    """Four ``{x, y}``, in the order of ``ordered``; None when there are not four. With ``x=0, y=1`` four ``[x, y]``."""
    points = tuple(
        (number(_part(corner, x), "x"), number(_part(corner, y), "y")) for corner in array(corners, "corners")
    )
    return ordered(points, turn) if len(points) == 4 else None


def _part(corner: Any, name: str | int) -> Any:
    if isinstance(name, str):
        return member(corner, name)
    if len(array(corner, "a corner")) != 2:
        raise ValueError("a corner has not two numbers")
    return corner[name]


def ordered(corners: Sequence[Point], turn: int) -> Polygon:
    """The corners clockwise, from the top left of the text as it is read.

    ``turn`` counts the quarters by which the image stands turned counter-clockwise. Turned back by them the text is
    level, to 45 degrees, and its top left is the corner with the least x + y. So the order in which a service gives
    corners, where it does not document it, plays no part.
    """
    middle_x = sum(x for x, _ in corners) / len(corners)
    middle_y = sum(y for _, y in corners) / len(corners)
    clockwise = sorted(corners, key=lambda point: math.atan2(point[1] - middle_y, point[0] - middle_x))
    first = min(range(len(clockwise)), key=lambda each: sum(_turned_back(clockwise[each], turn)))
    return (*clockwise[first:], *clockwise[:first])


def _turned_back(point: Point, turn: int) -> Point:
    """The point with ``turn`` quarters undone, but for a shift."""
    x, y = point
    match turn % 4:
        case 1:
            return -y, x
        case 2:
            return -x, -y
        case 3:
            return y, -x
        case _:
            return x, y


def union_polygon(polygons: Sequence[Polygon], turn: int) -> Polygon:
    """The corners of the box round all of these."""
    xs = [x for polygon in polygons for x, _ in polygon]
    ys = [y for polygon in polygons for _, y in polygon]
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    return ordered(((left, top), (right, top), (right, bottom), (left, bottom)), turn)
