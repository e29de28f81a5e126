"""What a replica knows of an account, between what Redis said and what it is still to be told."""

from __future__ import annotations

from ocr_gateway.budgets.account import Account
from ocr_gateway.budgets.ledger import NOTHING, Amount
from ocr_gateway.budgets.spend_script import DayUse
from ocr_gateway.budgets.told_account import ToldAccount
from ocr_gateway.model import Budget

UNIT = 1_000_000
DAY_S = 86_400


def units(number: int) -> Amount:
    return Amount(number * UNIT, 0)


def used(entry: ToldAccount, wall_s: float) -> float:
    return entry.account.use(wall_s).units_used


def test_what_redis_has_not_heard_yet_comes_on_top_of_what_it_says() -> None:
    """Spent while a request is under way: known here, told with the next one, counted once."""
    entry = ToldAccount(Account("a", Budget(units_per_day=10)))
    entry.spend(units(2), 100.0)
    telling = entry.take_telling()
    entry.spend(units(1), 100.0)
    entry.learn(DayUse(0, units(5)), 100.0)
    assert (telling.unreported, entry.unreported, used(entry, 100.0)) == (units(2), units(1), 6)


def test_what_was_not_heard_is_told_again() -> None:
    """Together with what came since, below 0 too; that of a day that is over is dropped."""
    entry = ToldAccount(Account("a", Budget(units_per_day=10)))
    entry.spend(units(-3), 100.0)
    telling = entry.take_telling()
    assert entry.unreported == NOTHING
    entry.spend(units(1), 100.0)
    entry.restore(telling)
    assert (entry.unreported, entry.day) == (units(-2), 0)
    late = entry.take_telling()
    entry.spend(units(4), float(DAY_S))
    entry.restore(late)
    assert (entry.unreported, entry.day) == (units(4), 1)


def test_a_clock_that_is_a_little_behind_stays_in_its_day() -> None:
    """Redis says that it is the next day before this replica's estimate of its clock does."""
    entry = ToldAccount(Account("a", Budget(units_per_day=10)))
    entry.learn(DayUse(1, units(5)), DAY_S - 0.001)
    entry.report(units(1), float(DAY_S))
    entry.report(units(1), DAY_S - 0.001)
    assert (entry.unreported, entry.day, used(entry, float(DAY_S))) == (units(2), 1, 5)
