"""Values in a worker's messages, read strictly: a worker that is fed with strangers' files is not believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sized
from typing import Any, TypeVar, cast

from preprocess_service.model import Homography, Matrix, Point, Size

MAX_PLACE_PX = 2**31
"""Sides of images, and how far a page may reach in another image's coordinates."""
MAX_COUNT = 2**32 - 1
"""What the callers' messages hold: uint32."""
MAX_FIGURE = 2**64
MAX_TEXT_CHARACTERS = 1_000
MAX_ENTRIES = 64
"""Of a step's parameters, and of a list in an error."""

ValueT = TypeVar("ValueT")
SizedT = TypeVar("SizedT", bound=Sized)


class MalformedMessage(Exception):
    """A frame that is none, is over its bounds, or whose header says what cannot be."""


def image_size(value: object, max_pixels: int) -> Size:
    """An image's extent, of ``max_pixels`` at the most. Raises MalformedMessage, as all of these do."""
    width, height = (whole_number(side, 1, MAX_PLACE_PX - 1) for side in exactly(list, value))
    if width * height > max_pixels:
        raise MalformedMessage("an image larger than any that can be made")
    return Size(width, height)


def homography_of(value: object) -> Homography:
    """Nine numbers."""
    values = tuple(map(finite_number, exactly(list, value)))
    if len(values) != 9:
        raise MalformedMessage("a homography of other than nine numbers")
    return Homography(cast(Matrix, values))


def kept_near(there: Homography, size: Size) -> Homography:
    """The homography, where it has an inverse and no place of an image of that size comes near its horizon: w > 0 at
    the four corners, and so all over it.
    """
    corners = [(x, y) for x in (0.0, float(size.width)) for y in (0.0, float(size.height))]
    g, h, i = there.values[6:]
    if not all(g * x + h * y + i > 0 for x, y in corners) or not all(map(is_near, there.apply(corners))):
        raise MalformedMessage("a homography that takes a place of its image too far")
    if not all(map(math.isfinite, there.inverse().values)):
        raise MalformedMessage("a homography that cannot be undone")
    return there


def is_near(place: Point) -> bool:
    """Whether a place is where an image could be; of no number it is not."""
    return all(abs(each) <= MAX_PLACE_PX for each in place)


def tellable(value: Any, most: int = MAX_TEXT_CHARACTERS) -> Any:
    """A worker's text or figure, or several, as near as what the service takes comes to it."""
    match value:
        case str():
            return value[:most].encode(errors="replace").decode()
        case int() if not isinstance(value, bool):
            return max(-MAX_FIGURE, min(value, MAX_FIGURE))
        case Mapping():
            return {tellable(key): tellable(each) for key, each in value.items()}
        case tuple():
            return [tellable(each) for each in value[:MAX_ENTRIES]]
    return value


def few_of(values: SizedT, most: int) -> SizedT:
    """The values, where there are no more than ``most``."""
    if len(values) > most:
        raise MalformedMessage("more than there can be of its kind")
    return values


def text_of(value: object, most: int = MAX_TEXT_CHARACTERS) -> str:
    """A text that can be sent on."""
    exactly(str, value).encode()
    return few_of(exactly(str, value), most)


def exactly(kind: type[ValueT], value: object) -> ValueT:
    """The value, where it is of exactly this type."""
    if type(value) is not kind:  # exactly: True is no whole number
        raise MalformedMessage(f"{kind.__name__} was expected, not {type(value).__name__}")
    return value


def whole_number(value: object, least: int = 0, most: int = MAX_FIGURE) -> int:
    """A whole number within these bounds."""
    number = exactly(int, value)
    if not least <= number <= most:
        raise MalformedMessage("a whole number out of its range")
    return number


def finite_number(value: object, least: float = -math.inf) -> float:
    """A finite number that is not below ``least``."""
    number = float(exactly(int, value)) if type(value) is int else exactly(float, value)
    if not (math.isfinite(number) and number >= least):
        raise MalformedMessage("a number that is not finite, or out of its range")
    return number
