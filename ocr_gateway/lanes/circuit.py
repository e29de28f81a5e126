"""Rests a provider that fails, and tries it again with one call at a time."""

from __future__ import annotations

import enum
import random
from collections import deque
from dataclasses import dataclass


class CircuitState(enum.Enum):
    """Closed: calls go. Open: the provider rests. Half open: one call tries it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When a provider is rested and for how long, in seconds.

    It rests when at least ``failure_share`` of the last ``window`` calls failed and they are ``min_calls`` or more. The
    rest doubles from ``rest_s`` up to ``max_rest_s`` as long as it fails when it is tried. ``wait_s``: how long after
    its first rest began items that have nobody else to go to are kept waiting; later ones are turned away at once.
    """

    window: int = 20
    failure_share: float = 0.5
    min_calls: int = 10
    rest_s: float = 1.0
    max_rest_s: float = 10.0
    wait_s: float = 60.0


class Circuit:
    """A plain state machine over the lane's clock. The rests have 10 % jitter, so that replicas do not try together."""

    def __init__(self, policy: CircuitPolicy, random_source: random.Random) -> None:
        self._policy = policy
        self._random = random_source
        self._failed: deque[bool] = deque(maxlen=policy.window)
        self._rests = 0
        self._rested_until = 0.0
        self._resting_since = 0.0
        self._probing = False

    def state(self, now: float) -> CircuitState:
        """What it is now."""
        if self._rests == 0:
            return CircuitState.CLOSED
        return CircuitState.HALF_OPEN if self._probing or now >= self._rested_until else CircuitState.OPEN

    def opens_in(self, now: float) -> float | None:
        """Seconds until a call may go, 0.0 when it may now; None while another call is trying the provider."""
        if self._rests == 0:
            return 0.0
        return None if self._probing else max(0.0, self._rested_until - now)

    def retry_in(self, now: float) -> float:
        """Seconds after which it is worth asking again, for people outside."""
        return max(self._policy.rest_s, self._rested_until - now)

    def patience_over(self, now: float) -> bool:
        """Whether the provider has failed for so long that nobody is kept waiting for it any more."""
        return self._rests > 0 and now - self._resting_since >= self._policy.wait_s

    def begin(self) -> bool:
        """Notes that a call begins; True when it is the one that tries the provider."""
        if self._rests == 0:
            return False
        self._probing = True
        return True

    def succeeded(self, *, probe: bool) -> None:
        """The provider answered, be it that it refused the image."""
        if probe:
            self._rests = 0
            self._probing = False
            self._failed.clear()
        elif self._rests == 0:
            self._failed.append(False)

    def failed(self, now: float, *, probe: bool) -> bool:
        """The call failed by the provider's fault; True when the provider is rested for it from now on."""
        if probe:
            self._probing = False
            self._rest(now)
            return True
        if self._rests:
            return False  # a call from before the rest
        self._failed.append(True)
        calls = len(self._failed)
        if calls < self._policy.min_calls or sum(self._failed) < self._policy.failure_share * calls:
            return False
        self._resting_since = now
        self._rest(now)
        return True

    def abandoned(self, *, probe: bool) -> None:
        """The call was given up and says nothing; the next one may try the provider."""
        if probe:
            self._probing = False

    def _rest(self, now: float) -> None:
        rest_s = min(self._policy.max_rest_s, self._policy.rest_s * 2**self._rests)
        self._rests = min(self._rests + 1, 32)
        self._rested_until = now + rest_s * self._random.uniform(0.9, 1.1)
