"""The quotas of a day and of a month: how many calls are left in the period. No I/O and no clock inside."""

from __future__ import annotations

from ocr_gateway.lanes.rate_limit import QuotaExhausted
from ocr_gateway.model import Quota
from ocr_gateway.periods import Period, PeriodCounter


class CallCounter(PeriodCounter):
    """Counts the calls of a day or a month."""

    def check(self, wall_s: float, replicas: int = 1, again_s: float = 0.0) -> None:
        """Raises QuotaExhausted when there is none left: until the next period, or where others may still have some of
        what was left, for ``again_s``."""
        if self.left(wall_s, replicas) <= 0:
            raise QuotaExhausted(self.period.value, self.limit, self.again_in_s(wall_s, replicas, again_s))


def period_counters(quota: Quota) -> tuple[CallCounter, ...]:
    """A counter for each period that the quota limits; the month's first, as the one that lasts longer."""
    limits = ((Period.MONTH, quota.requests_per_month), (Period.DAY, quota.requests_per_day))
    return tuple(CallCounter(period, limit, quota.period_offset_s) for period, limit in limits if limit)
