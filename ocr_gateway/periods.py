"""Days and months, and what is left of what may be used up in one. No I/O and no clock inside."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Period(enum.Enum):
    """What is counted over."""

    DAY = "day"
    MONTH = "month"

    def bounds(self, wall_s: float, offset_s: int) -> tuple[float, float]:
        """The period's first and last time around ``wall_s`` (seconds since 1970): midnights of UTC + ``offset_s``."""
        day = (_EPOCH + timedelta(seconds=wall_s + offset_s)).replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Period.DAY:
            begin, end = day, day + timedelta(days=1)
        else:
            begin = day.replace(day=1)
            end = (begin + timedelta(days=32)).replace(day=1)
        return (begin - _EPOCH).total_seconds() - offset_s, (end - _EPOCH).total_seconds() - offset_s


class PeriodCounter:
    """Counts what is used in a day or a month against ``limit``: calls, or money in whole parts of it.

    Times are wall time, seconds since 1970; a clock that is set back stays in the period that it was in.
    """

    def __init__(self, period: Period, limit: int, offset_s: int = 0) -> None:
        self.period = period
        self.limit = limit
        self._offset_s = offset_s
        self._used = 0
        self._used_by_all = 0
        self._end = float("-inf")

    def used(self, wall_s: float) -> int:
        """What is used in the period, as far as this replica knows. Changes nothing, so that any thread may ask."""
        return self._used if wall_s < self._end else 0

    def left(self, wall_s: float, replicas: int = 1) -> int:
        """How much more this replica may use in the period, when ``replicas`` divide among them what was left when it
        was last told how much all have used."""
        self._turn(wall_s)
        own = self._used - self._used_by_all
        return max(0, (self.limit - self._used_by_all) // max(1, replicas) - own)

    def add(self, wall_s: float, used: int) -> None:
        """Counts what this replica has used; below 0 where it was not used after all."""
        self._turn(wall_s)
        self._used += used

    def learn(self, wall_s: float, used: int) -> None:
        """All replicas together have used so much in the period, this one's among it."""
        self._turn(wall_s)
        self._used = self._used_by_all = used

    def opens_in_s(self, wall_s: float) -> float:
        """Seconds until the next period."""
        self._turn(wall_s)
        return max(0.0, self._end - wall_s)

    def again_in_s(self, wall_s: float, replicas: int = 1, again_s: float = 0.0) -> float:
        """When to ask again where too little is left, seconds: in the next period, or where others may still have some
        of what was left, after ``again_s``."""
        opens_in_s = self.opens_in_s(wall_s)
        return min(opens_in_s, again_s) if replicas > 1 and self._used_by_all < self.limit else opens_in_s

    def _turn(self, wall_s: float) -> None:
        if wall_s >= self._end:
            self._end = self.period.bounds(wall_s, self._offset_s)[1]
            self._used = self._used_by_all = 0
