"""One account as one process knows it: what is spent of a day's budget. No I/O and no clock inside."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ocr_gateway.budgets.ledger import MILLION, AccountSpent, AccountUse, Amount
from ocr_gateway.model import Budget
from ocr_gateway.periods import Period, PeriodCounter

DAY_S = 86_400


class Account:
    """Times are wall time, seconds since 1970."""

    def __init__(self, name: str, budget: Budget) -> None:
        self.name = name
        self.budget = budget
        self.limit = Amount(_whole(budget.units_per_day), _whole(budget.cost_per_day))
        self._units = PeriodCounter(Period.DAY, self.limit.units, budget.period_offset_s)
        self._cost = PeriodCounter(Period.DAY, self.limit.cost, budget.period_offset_s)

    def day(self, wall_s: float) -> int:
        """The number of the day, by the account's own midnight; 0 is that of 1970-01-01."""
        return math.floor((wall_s + self.budget.period_offset_s) / DAY_S)

    def begin_of(self, day: int) -> float:
        """When a day begins."""
        return float(day * DAY_S - self.budget.period_offset_s)

    def refusal(self, amount: Amount, wall_s: float, replicas: int = 1, again_s: float = 0.0) -> AccountSpent | None:
        """Why the amount cannot be had, or None; without Redis of what ``replicas`` divide among them, see periods."""
        for counter, wanted, what in ((self._units, amount.units, "units"), (self._cost, amount.cost, "cost")):
            if counter.limit and wanted > counter.left(wall_s, replicas):
                return self.spent(what, counter.again_in_s(wall_s, replicas, again_s))
        return None

    def spent(self, what: str, again_in_s: float) -> AccountSpent:
        """The error where too little is left of ``units`` or ``cost``."""
        limit = self.budget.units_per_day if what == "units" else self.budget.cost_per_day
        words = f"too little is left of the day's {limit:g}{' units' if what == 'units' else ' in money'}"
        return AccountSpent(self.name, f"{words}; ask again in {_duration(again_in_s)}", again_in_s)

    def add(self, amount: Amount, wall_s: float) -> None:
        """Counts what this process has spent; below 0 what it has not spent after all."""
        self._units.add(wall_s, amount.units)
        self._cost.add(wall_s, amount.cost)

    def learn(self, used: Amount, wall_s: float) -> None:
        """All replicas together have spent so much, this one's among it."""
        self._units.learn(wall_s, used.units)
        self._cost.learn(wall_s, used.cost)

    def ends_in_s(self, wall_s: float) -> float:
        """Seconds until the next day."""
        return self._units.opens_in_s(wall_s)

    def use(self, wall_s: float) -> AccountUse:
        """What is known now."""
        units, cost = self._units.used(wall_s), self._cost.used(wall_s)
        return AccountUse(
            budget=self.budget,
            units_used=units / MILLION,
            cost_used=cost / MILLION,
            units_left=max(0, self.limit.units - units) / MILLION if self.limit.units else None,
            cost_left=max(0, self.limit.cost - cost) / MILLION if self.limit.cost else None,
        )


def admit(
    accounts: Iterable[Account], amount: Amount, wall_s: float, replicas: int = 1, again_s: float = 0.0
) -> AccountSpent | None:
    """Counts the amount on all of the accounts and gives None; or on none, and says why."""
    taken = list(accounts)
    for account in taken:
        refusal = account.refusal(amount, wall_s, replicas, again_s)
        if refusal is not None:
            return refusal
    for account in taken:
        account.add(amount, wall_s)
    return None


def _whole(limit: float) -> int:
    """In millionths; 0 is no limit, so the least of one is a millionth."""
    return max(1, math.floor(round(limit * MILLION, 3))) if limit else 0


def _duration(seconds: float) -> str:
    """In the unit that people would use."""
    for unit, length_s in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length_s:
            return f"{seconds / length_s:.1f} {unit}"
    return f"{seconds:.1f} s"
