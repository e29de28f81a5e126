"""How long to wait before a server is asked again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with jitter of one half, bounded in time and in attempts. All times in seconds.

    ``attempts`` failures in a row without an answer in between are borne; the next one is final. Values below 0, or a
    factor below 1, are a ValueError.
    """

    first_s: float = 0.2
    factor: float = 2.0
    longest_s: float = 10.0
    attempts: int = 8

    def __post_init__(self) -> None:
        if not (self.attempts >= 0 and self.first_s >= 0 and self.longest_s >= 0 and self.factor >= 1):
            raise ValueError("a backoff's attempts and times are 0 or more, its factor 1 or more")

    def wait_s(
        self, failures: int, *, at_least_s: float | None = None, draw: Callable[[], float] = random.random
    ) -> float:
        """Seconds to wait after the ``failures``-th failure in a row, counted from 1.

        ``draw`` gives 0..1. ``at_least_s`` is the server's own wish; more than ``longest_s`` is cut to it.
        """
        try:
            ceiling_s = min(self.longest_s, self.first_s * self.factor ** (failures - 1))
        except OverflowError:
            ceiling_s = self.longest_s
        waited_s = ceiling_s * (0.5 + 0.5 * draw())
        return min(self.longest_s, max(waited_s, at_least_s or 0.0))
