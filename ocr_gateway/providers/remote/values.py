"""Reading a service's JSON with suspicion: whatever is not as documented raises ValueError, which says what."""

from __future__ import annotations

import json
from typing import Any

_LARGEST_COORDINATE = 1e7
_SHORTEST_EXTENT = 0.01


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


def optional(said: Any, name: str) -> Any:
    """A member of an object, None where it has none of this name. Raises ValueError for anything but an object."""
    if not isinstance(said, dict):
        raise ValueError(f"no object, where it may have a {name!r}")
    return said.get(name)


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


def extent(said: Any, what: str) -> float:
    """A length that others can be divided by."""
    length = number(said, what)
    if length < _SHORTEST_EXTENT:
        raise ValueError(f"{what} is no extent: {length:g}")
    return length


def optional_text(said: Any, what: str) -> str:
    """A string; empty for null."""
    return "" if said is None else text(said, what)


def confidence(said: Any, scale: float = 1.0) -> float | None:
    """A confidence, cut to 0..1, of a number from 0 to ``scale`` (100 for the services that count so); None for
    everything else."""
    if isinstance(said, bool) or not isinstance(said, int | float) or said != said:  # NaN
        return None
    return float(min(scale, max(0.0, said))) / scale
