"""The rate limit of a gateway that shares no quota with others: all of it is in this process."""

from __future__ import annotations

from collections.abc import Callable

from ocr_gateway.lanes.period_counter import period_counters
from ocr_gateway.lanes.rate_window import MIN_WAIT_S, RateWindow, Spacing
from ocr_gateway.model import Quota


class LocalRate:
    """Permits under ``quota``, whose zeros mean no limit. Begins without bursts: what ran before it is unknown.

    ``wall_clock`` gives seconds since 1970; the counts of days and months are lost with the process.
    """

    def __init__(self, quota: Quota, *, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self._window: RateWindow | None = None
        if quota.requests_per_second:
            self._window = RateWindow(Spacing.of(quota.requests_per_second, quota.margin))
            self._window.start_cold(clock())
        self._counters = period_counters(quota)
        self._wall_clock = wall_clock
        self.permits_local = 0
        self.taken_at = 0.0
        """The moment that the last permit is for."""

    @property
    def replicas(self) -> int:
        """Nobody else uses this quota."""
        return 1

    @property
    def source(self) -> str:
        """This process."""
        return "local"

    async def open(self) -> None:
        """Nothing has to be begun."""

    def on_change(self, tell: Callable[[], None]) -> None:
        """Nothing changes here by itself, so nobody is told."""

    def expect(self) -> None:
        """Nothing has to be asked for."""

    def take(self, now: float, wanted: int) -> float | None:  # noqa: ARG002 - the port's; here each permit is asked for alone
        """Takes a permit: 0.0, or the seconds until one can be had. Raises QuotaExhausted."""
        wall_s = self._wall_clock() if self._counters else 0.0
        for counter in self._counters:
            counter.check(wall_s)
        if self._window is not None:
            wait_s = self._window.wait(now)
            if wait_s > 0:
                return max(wait_s, MIN_WAIT_S)
            self._window.take(now)
        for counter in self._counters:
            counter.add(wall_s, 1)
        self.permits_local += 1
        self.taken_at = now
        return 0.0

    def give_back(self, taken_at: float) -> None:
        """Counts a permit as not taken."""
        self.permits_local -= 1
        if self._window is not None:
            self._window.give_back(taken_at)
        for counter in self._counters:
            counter.add(self._wall_clock(), -1)

    def wait_of(self, now: float, calls: int) -> float:
        """At least so many seconds pass before the last one of ``calls`` calls can begin; days and months left out."""
        return 0.0 if self._window is None else self._window.wait_of(now, calls)

    def slow_to(self, factor: float) -> None:
        """Keeps to this share of the quota a second, above 0 and at most 1."""
        if self._window is not None:
            self._window.slow_to(factor)

    async def close(self) -> None:
        """Nothing was asked for."""
