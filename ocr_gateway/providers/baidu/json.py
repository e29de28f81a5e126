"""Reading Baidu's JSON with suspicion: whatever is not as documented raises ValueError, which says what."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from ocr_gateway.model import Point, Polygon

_LARGEST_COORDINATE = 1e7


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``."""
    try:
        said = json.loads(body)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(said, dict):
        raise ValueError(f"it is no object but {type(said).__name__}")
    return said


def member(said: Any, name: str) -> Any:
    """A member of an object that must be there."""
    if not isinstance(said, dict) or name not in said:
        raise ValueError(f"it has no {name!r}")
    return said[name]


def array(said: Any, what: str) -> list[Any]:
    """A list."""
    if not isinstance(said, list):
        raise ValueError(f"{what} is no list")
    return said


def text(said: Any, what: str) -> str:
    """A string; halves of characters, which no message can carry, become U+FFFD."""
    if not isinstance(said, str):
        raise ValueError(f"{what} is no text")
    if said.isascii():
        return said
    return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def index(said: Any, what: str, limit: int = 100_000) -> int:
    """A whole number from 0 to below ``limit``."""
    if not isinstance(said, int) or isinstance(said, bool) or not 0 <= said < limit:
        raise ValueError(f"{what} is no index: {str(said)[:20]}")
    return said


def number(said: Any, what: str) -> float:
    """A finite number of a size that a coordinate can have."""
    if isinstance(said, bool) or not isinstance(said, int | float) or not abs(said) <= _LARGEST_COORDINATE:
        raise ValueError(f"{what} is no coordinate: {str(said)[:20]}")
    return float(said)


def probability(said: Any) -> float | None:
    """A confidence, cut to 0..1: a number, or the ``average`` of an object; None for everything else."""
    if isinstance(said, dict):
        said = said.get("average")
    if isinstance(said, bool) or not isinstance(said, int | float) or math.isnan(said):
        return None
    return min(1.0, max(0.0, float(said)))


def box_polygon(location: Any, turn: int = 0) -> Polygon | None:
    """The corners of ``{left, top, width, height}``, in the order of ``ordered``; None for a box without an area, by
    which Baidu says that something is not there.
    """
    left, top, width, height = (number(member(location, name), name) for name in ("left", "top", "width", "height"))
    if width <= 0 or height <= 0:
        return None
    right, bottom = left + width, top + height
    return ordered(((left, top), (right, top), (right, bottom), (left, bottom)), turn)


def corner_polygon(corners: Any, turn: int = 0) -> Polygon | None:
    """Four ``{x, y}``, in the order of ``ordered``; None when there are not four."""
    points = tuple(
        (number(member(corner, "x"), "x"), number(member(corner, "y"), "y")) for corner in array(corners, "corners")
    )
    return ordered(points, turn) if len(points) == 4 else None


def ordered(corners: Sequence[Point], turn: int) -> Polygon:
    """The corners clockwise, from the top left of the text as it is read.

    ``turn`` is Baidu's ``direction``: the quarters by which the image stands turned counter-clockwise. Turned back by
    them the text is level, to 45 degrees, and its top left is the corner with the least x + y. So the order in which
    Baidu gives corners, which it does not document, plays no part.
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
