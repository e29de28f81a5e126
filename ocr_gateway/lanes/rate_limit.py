"""The port of a lane's rate limit: permits, each for one call, and the exact wait where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class RateLimit(Protocol):
    """Hands out permits. ``take`` decides and never waits; whoever asks waits outside.

    All times are of the monotonic clock that the lane uses, in seconds.
    """

    @property
    def replicas(self) -> int:
        """How many gateways share the quota, this one included; 1 where it is not shared."""
        ...

    @property
    def source(self) -> str:
        """Where permits come from now: ``local``, ``shared``, or ``share``, which is this replica's without Redis."""
        ...

    def on_change(self, tell: Callable[[], None]) -> None:
        """Registers whom to tell, on the event loop, when ``take`` may decide otherwise than it said."""
        ...

    def expect(self) -> None:
        """A call is likely to be wanted in some milliseconds. Where asking takes time, one permit is asked for now."""
        ...

    def take(self, now: float, wanted: int) -> float | None:
        """Takes a permit for a call that begins now: 0.0. Or the seconds until it is worth asking again; or None while
        permits are being asked for, when ``on_change`` tells. ``wanted`` is how many calls wait, this one included.

        Raises QuotaExhausted when the quota of a day or a month is spent.
        """
        ...

    @property
    def taken_at(self) -> float:
        """The moment that the last permit is for: a call that begins much later would be one too many elsewhere."""
        ...

    def give_back(self, taken_at: float) -> None:
        """Gives back a permit whose call was not made; ``taken_at`` is what was said of it."""
        ...

    def wait_of(self, now: float, calls: int) -> float:
        """At least so many seconds pass before the last one of ``calls`` calls can begin, if nobody else calls."""
        ...

    def slow_to(self, factor: float) -> None:
        """Keeps to this share of the quota, above 0 and at most 1, until told otherwise."""
        ...

    async def open(self) -> None:
        """Begins its work; called before the first call is let in. Never raises."""
        ...

    async def close(self) -> None:
        """Gives back what was asked for. Never raises."""
        ...


class QuotaExhausted(Exception):
    """The quota of a day or a month is spent. ``opens_in_s`` is the time until the next period, in seconds."""

    def __init__(self, period: str, limit: int, opens_in_s: float) -> None:
        self.period = period
        self.limit = limit
        self.opens_in_s = opens_in_s
        super().__init__(f"{limit} calls a {period} are made")
