"""How fast the items of a load come."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ocrmux_client.errors import UsageProblem

_NUMBER = re.compile(r"(?P<number>\d+(\.\d+)?|\.\d+)(?P<percent>\s*%)?")
MAX_PER_S = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Items a second (``per_s``), or a share of the most that the target answers (``of_maximum``, 1.0 is all of it), or
    neither: as fast as they are answered, a closed loop.
    """

    per_s: float | None = None
    of_maximum: float | None = None

    @property
    def is_closed_loop(self) -> bool:
        """Whether the next item waits for an answer."""
        return self.per_s is None and self.of_maximum is None

    def at_maximum(self, maximum_per_s: float) -> float:
        """Items a second, where the target answers so many at most."""
        return self.per_s if self.per_s is not None else (self.of_maximum or 1.0) * maximum_per_s


def parsed_rate(text: str) -> Rate:
    """The rate that ``50``, ``80%`` or ``max`` names. Raises UsageProblem."""
    if text.strip().lower() == "max":
        return Rate()
    match = _NUMBER.fullmatch(text.strip())
    number = float(match["number"]) if match else 0.0
    if match is None or not 0 < number <= MAX_PER_S:
        raise UsageProblem(f"--rate wants items a second, a share of the maximum or max: 50, 80% or max, not {text!r}")
    return Rate(of_maximum=number / 100) if match["percent"] else Rate(per_s=number)
