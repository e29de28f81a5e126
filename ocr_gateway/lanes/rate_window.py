"""The rate limit's arithmetic: N calls in any window, spread evenly. No I/O and no clock inside.

``lanes/lua/take_slots.lua`` does the same in Redis, in microseconds; a test holds the two against each other.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

MARGIN = 0.02
"""By how much the window is longer than the provider's second, so that jitter on the way pushes no call into it."""

MIN_WAIT_S = 0.001
"""The shortest wait that is worth a timer; event loops count in milliseconds."""

_BURST_PART = 5


@dataclass(frozen=True, slots=True)
class Spacing:
    """At most ``calls`` calls in any ``window_s`` seconds, up to ``burst`` of them back to back after a pause."""

    calls: int
    window_s: float
    burst: int

    @classmethod
    def of(cls, requests_per_second: float, margin: float = MARGIN) -> Spacing:
        """The spacing for a rate above 0: below 1 it is one call in so many seconds; above, a fraction is dropped."""
        if requests_per_second <= 0:
            raise ValueError(f"a rate must be above 0, not {requests_per_second}")
        if requests_per_second < 1:
            return cls._with_burst(1, (1 + margin) / requests_per_second)
        return cls._with_burst(math.floor(requests_per_second), 1 + margin)

    @classmethod
    def _with_burst(cls, calls: int, window_s: float) -> Spacing:
        return cls(calls, window_s, max(1, calls // _BURST_PART))

    @property
    def interval_s(self) -> float:
        """The time between calls when they are spread evenly, in seconds."""
        return self.window_s / self.calls

    @property
    def burst_s(self) -> float:
        """By how many seconds a call may come before its even turn."""
        return (self.burst - 1) * self.interval_s

    def share(self, replicas: int) -> Spacing:
        """What each of ``replicas`` may do alone, so that all together keep to this spacing."""
        if replicas <= 1:
            return self
        if self.calls >= replicas:
            return self._with_burst(self.calls // replicas, self.window_s)
        return self._with_burst(1, self.window_s * replicas / self.calls)


class RateWindow:
    """Gives out slots, each the time from which one call may begin:

        slot(k) = max(now, slot(k-1), slot(k-N) + W, TAT - (burst - 1) W/N),    then TAT = max(TAT, slot(k)) + W/N

    The log of the last N slots makes the limit exact in every window, at the price of N numbers (a sliding log). The
    rest is the generic cell rate algorithm (ITU-T I.371, virtual scheduling: TAT is the theoretical arrival time),
    which spreads the calls evenly and lets ``burst`` of them go at once after a pause. Slots never go backwards, so a
    clock that stands still or is set back admits less, never more.
    """

    def __init__(self, spacing: Spacing) -> None:
        self.spacing = spacing
        # Some more than N, so that slots that are given back leave the last N known.
        self._log: deque[float] = deque(maxlen=kept_slots(spacing.calls))
        self._even = -math.inf
        self._cold_until = -math.inf
        self._factor = 1.0

    def start_cold(self, now: float) -> None:
        """Allows no bursts until a window has passed: what was called before ``now`` is unknown."""
        self._cold_until = now + self.spacing.window_s

    def slow_to(self, factor: float) -> None:
        """Spreads calls so that they come at this share of the rate, above 0 and at most 1, until told otherwise."""
        self._factor = checked_factor(factor)

    def wait(self, now: float) -> float:
        """Seconds until the next call may begin, 0.0 for at once. Exact: after that wait, it is 0.0."""
        return wait_until(now, self._next(now))

    def take(self, now: float) -> float:
        """Takes the next slot and says when it is: ``now`` when ``wait`` is 0.0, else later."""
        slot = self._next(now)
        self.record(slot)
        return slot

    def next_slots(self, now: float, count: int) -> list[float]:
        """Takes the next ``count`` slots, in order."""
        return [self.take(now) for _ in range(count)]

    def record(self, slot: float) -> None:
        """Counts a call that is allowed elsewhere, at ``slot``; not before the last one that is counted."""
        slot = max(slot, self._log[-1]) if self._log else slot
        behind = len(self._log) - self.spacing.calls
        if behind >= 0 and slot <= self._log[behind] + self.spacing.window_s:
            # The window held it back, not want of demand: that earns no burst, or bursts would go on for ever.
            self._even = max(self._even, slot + self.spacing.burst_s)
        self._log.append(slot)
        self._even = max(self._even, slot) + self._cost_s

    def record_all(self, slots: Iterable[float]) -> None:
        """Counts calls that are allowed elsewhere, in any order, later than any that is counted."""
        for slot in sorted(slots):
            self.record(slot)

    def give_back(self, slot: float) -> None:
        """Counts a slot that was taken and not used as free."""
        self._even -= self._cost_s
        if len(self._log) > self.spacing.calls and slot in self._log:
            self._log.remove(slot)

    def wait_of(self, now: float, calls: int) -> float:
        """At least so many seconds pass until the last one of the next ``calls`` calls may begin."""
        if calls < 1:
            return 0.0
        full, rest = divmod(calls - 1, self.spacing.calls)
        slot = max(self._even, now) + (calls - 1) * self._cost_s - self.spacing.burst_s
        behind = len(self._log) - self.spacing.calls + rest
        if behind >= 0:
            slot = max(slot, self._log[behind] + (full + 1) * self.spacing.window_s)
        else:
            slot = max(slot, now + full * self.spacing.window_s)
        return wait_until(now, slot)

    def recent(self, now: float) -> list[float]:
        """The slots of the last window and those to come, in order."""
        return [slot for slot in self._log if slot > now - self.spacing.window_s]

    def _next(self, now: float) -> float:
        slot = max(now, self._even - self.spacing.burst_s)
        if slot < self._cold_until:  # until then, or until its even turn, there are no bursts
            slot = max(slot, min(self._even, self._cold_until))
        if self._log:
            slot = max(slot, self._log[-1])
        behind = len(self._log) - self.spacing.calls
        if behind >= 0:
            slot = max(slot, self._log[behind] + self.spacing.window_s)
        return slot

    @property
    def _cost_s(self) -> float:
        return self.spacing.interval_s / self._factor


def kept_slots(calls: int) -> int:
    """How many slots are remembered for a limit of ``calls`` calls in a window."""
    return calls + calls // 2 + 16


def wait_until(now: float, at: float) -> float:
    """The seconds to ``at``, never so few, by rounding, that ``now`` and they come before it; 0.0 when it is past."""
    if at <= now:
        return 0.0
    wait_s = at - now
    return wait_s if now + wait_s >= at else wait_s + math.ulp(at)


def checked_factor(factor: float) -> float:
    """The factor; raises ValueError unless it is above 0 and at most 1."""
    if not 0 < factor <= 1:
        raise ValueError(f"a factor must be above 0 and at most 1, not {factor}")
    return factor
