"""An account of which Redis has the truth: what it said last, and what it is still to be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from ocr_gateway.budgets.account import Account
from ocr_gateway.budgets.ledger import NOTHING, Amount
from ocr_gateway.budgets.spend_script import AccountTelling, DayUse


@dataclass(slots=True, eq=False)
class ToldAccount:
    """``told`` is what Redis said of it last; ``unreported``, of ``day``, is what it is still to be told."""

    account: Account
    told: DayUse = field(default_factory=DayUse)
    day: int = 0
    unreported: Amount = NOTHING

    def spend(self, amount: Amount, wall_s: float) -> None:
        """Counts what was spent here, of which Redis does not know."""
        self.account.add(amount, wall_s)
        self.report(amount, wall_s)

    def report(self, amount: Amount, wall_s: float) -> None:
        """Has Redis told of what is counted here already."""
        day = max(self.day, self.account.day(wall_s))
        self.unreported = self.unreported + amount if day == self.day else amount
        self.day = day

    def take_telling(self) -> AccountTelling:
        """For a request, which tells what was to be told."""
        offset_s = self.account.budget.period_offset_s
        telling = AccountTelling(self.account.name, self.account.limit, offset_s, self.told, self.day, self.unreported)
        self.unreported = NOTHING
        return telling

    def restore(self, telling: AccountTelling) -> None:
        """What was told is to be told again."""
        if telling.unreported and telling.day >= self.day:
            self.unreported, self.day = self.unreported + telling.unreported, telling.day

    def learn(self, use: DayUse, wall_s: float) -> None:
        """Redis says what all have spent; what it was not told yet comes on top."""
        at = max(wall_s, self.account.begin_of(use.day))
        self.account.learn(use.used, at)
        if self.unreported and self.day == use.day:
            self.account.add(self.unreported, at)
