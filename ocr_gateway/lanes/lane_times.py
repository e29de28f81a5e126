"""What a lane measures of itself, in seconds of its clock."""

from __future__ import annotations

import math


class ShortestCall:
    """How short a call can be at the least: half of the shortest one so far; 0 before eight of them."""

    _ENOUGH = 8

    def __init__(self) -> None:
        self._calls = 0
        self._shortest_s = math.inf
        self.least_s = 0.0

    def note(self, seconds: float) -> None:
        """A call that succeeded took so long."""
        self._calls += 1
        self._shortest_s = min(self._shortest_s, seconds)
        if self._calls >= self._ENOUGH:
            self.least_s = self._shortest_s / 2


class Stopwatch:
    """Adds up the time in which something was so."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._total_s = 0.0

    def start(self, now: float) -> None:
        """It is so from now on, if it was not already."""
        if self._since is None:
            self._since = now

    def stop(self, now: float) -> None:
        """It is not so any more."""
        if self._since is not None:
            self._total_s += max(0.0, now - self._since)
            self._since = None

    def total_s(self, now: float) -> float:
        """Seconds so far."""
        return self._total_s + (max(0.0, now - self._since) if self._since is not None else 0.0)
