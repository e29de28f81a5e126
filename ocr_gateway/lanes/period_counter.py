"""The quotas of a day and of a month: how many calls are left in the period. No I/O and no clock inside."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta

from ocr_gateway.lanes.rate_limit import QuotaExhausted
from ocr_gateway.model import Quota

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Period(enum.Enum):
    """What a quota is counted over."""

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
    """Counts the calls of a day or a month against ``limit``.

    Times are wall time, seconds since 1970; a clock that is set back stays in the period that it was in.
    """

    def __init__(self, period: Period, limit: int, offset_s: int = 0) -> None:
        self.period = period
        self.limit = limit
        self._offset_s = offset_s
        self._used = 0
        self._used_by_all = 0
        self._end = float("-inf")

    def left(self, wall_s: float, replicas: int = 1) -> int:
        """How many more calls this replica may make in the period, when ``replicas`` divide among them what was left
        when it was last told how many all have made."""
        self._turn(wall_s)
        own = self._used - self._used_by_all
        return max(0, (self.limit - self._used_by_all) // max(1, replicas) - own)

    def add(self, wall_s: float, calls: int) -> None:
        """Counts calls of this replica."""
        self._turn(wall_s)
        self._used += calls

    def learn(self, wall_s: float, used: int) -> None:
        """All replicas together have made ``used`` calls in the period, this one's among them."""
        self._turn(wall_s)
        self._used = self._used_by_all = used

    def opens_in_s(self, wall_s: float) -> float:
        """Seconds until the next period."""
        self._turn(wall_s)
        return max(0.0, self._end - wall_s)

    def check(self, wall_s: float, replicas: int = 1, again_s: float = 0.0) -> None:
        """Raises QuotaExhausted when there is none left: until the next period, or where others may still have some of
        what was left, for ``again_s``."""
        if self.left(wall_s, replicas) > 0:
            return
        opens_in_s = self.opens_in_s(wall_s)
        if replicas > 1 and self._used_by_all < self.limit:
            opens_in_s = min(opens_in_s, again_s)
        raise QuotaExhausted(self.period.value, self.limit, opens_in_s)

    def _turn(self, wall_s: float) -> None:
        if wall_s >= self._end:
            self._end = self.period.bounds(wall_s, self._offset_s)[1]
            self._used = self._used_by_all = 0


def period_counters(quota: Quota) -> tuple[PeriodCounter, ...]:
    """A counter for each period that the quota limits; the month's first, as the one that lasts longer."""
    limits = ((Period.MONTH, quota.requests_per_month), (Period.DAY, quota.requests_per_day))
    return tuple(PeriodCounter(period, limit, quota.period_offset_s) for period, limit in limits if limit)
