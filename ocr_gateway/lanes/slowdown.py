"""What throttling teaches: the share of the quota that a lane keeps to for a while."""

from __future__ import annotations


class Slowdown:
    """A factor that falls when the provider throttles and recovers by time: additive increase, multiplicative decrease.

    Each throttled call lowers it by a tenth, at most once in ``_DEAF_S``, so that one burst of refusals counts once; it
    grows by a twentieth a second. Between a fifth and 1.
    """

    _DECREASE = 0.9
    _LEAST = 0.2
    _RECOVERY_PER_S = 0.05
    _DEAF_S = 0.25

    def __init__(self) -> None:
        self._factor = 1.0
        self._at = 0.0

    def throttled(self, now: float) -> None:
        """The provider refused a call for coming too soon."""
        if self._factor < 1.0 and now - self._at < self._DEAF_S:
            return
        self._factor = max(self._LEAST, self.factor(now) * self._DECREASE)
        self._at = now

    def factor(self, now: float) -> float:
        """The share of the quota to keep to now, 0.2 to 1."""
        if self._factor < 1.0:
            return min(1.0, self._factor + max(0.0, now - self._at) * self._RECOVERY_PER_S)
        return 1.0
