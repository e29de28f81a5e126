"""When a failed call is made again: backoff with jitter, under a budget of the lane."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of retries, times in seconds.

    ``max_attempts`` counts the first one; three that were throttled count as one. The lane's retries are at most
    ``budget_ratio`` of its first attempts, over and above ``budget_per_s`` a second, so that a provider in trouble is
    not asked several times as much.
    """

    max_attempts: int = 6
    first_backoff_s: float = 0.2
    max_backoff_s: float = 30.0
    budget_ratio: float = 0.2
    budget_per_s: float = 10.0

    def backoff_s(self, failures: int, random_source: random.Random) -> float:
        """The wait after so many failures: doubled each time, between half of it and all of it by chance."""
        doubled: float = self.first_backoff_s * 2.0 ** min(failures - 1, 32)
        return min(self.max_backoff_s, doubled) * random_source.uniform(0.5, 1.0)


class RetryBudget:
    """A bucket of retries that first attempts and time fill; it holds at most ten seconds' worth of time.

    The idea is Finagle's RetryBudget; here an empty bucket delays a retry and never drops the item.
    """

    _HELD_S = 10.0

    def __init__(self, policy: RetryPolicy, now: float) -> None:
        self._ratio = policy.budget_ratio
        self._per_s = policy.budget_per_s
        self._most = max(1.0, policy.budget_per_s * self._HELD_S)
        self._tokens = self._most
        self._at = now

    def first_attempt(self) -> None:
        """Adds what a first attempt earns."""
        self._tokens = min(self._most, self._tokens + self._ratio)

    def wait_s(self, now: float) -> float:
        """Seconds until the bucket covers one more retry."""
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self._per_s)
        self._at = max(self._at, now)
        return max(0.0, (1.0 - self._tokens) / self._per_s)

    def spend(self, retries: float) -> None:
        """Takes so many retries that will be made; below 0: gives those back that are not made after all."""
        self._tokens = min(self._most, self._tokens - retries)
