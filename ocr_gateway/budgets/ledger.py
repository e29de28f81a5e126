"""The port of the budgets: accounts, each with what may be spent in a day, and reservations on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from ocr_gateway.model import Budget

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Amount:
    """Units and money, both in whole millionths, so that sums are exact."""

    units: int = 0
    cost: int = 0

    @classmethod
    def of(cls, units: float, price_per_unit: float) -> Amount:
        """So many units at this price, rounded up."""
        return cls(_millionths(_decimal(units)), _millionths(_decimal(units) * _decimal(price_per_unit)))

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.units + other.units, self.cost + other.cost)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.units - other.units, self.cost - other.cost)

    def __bool__(self) -> bool:
        return bool(self.units or self.cost)


NOTHING = Amount()


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))


def _millionths(value: Decimal) -> int:
    return int((value * MILLION).to_integral_value(ROUND_CEILING))


@dataclass(slots=True, eq=False)
class Reservation:
    """An amount set aside on accounts, each of them until the end of its day, by the ledger's clock."""

    amount: Amount
    ends: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AccountUse:
    """What is spent or set aside on an account today, as this replica last heard; ``left`` is what it may still spend.

    What has no limit is left out of ``left``: None.
    """

    budget: Budget
    units_used: float
    cost_used: float
    units_left: float | None
    cost_left: float | None


class AccountSpent(Exception):
    """An account has too little left. ``again_in_s``: worth asking again then, as a rule when its next day begins."""

    def __init__(self, account: str, detail: str, again_in_s: float) -> None:
        self.account = account
        self.again_in_s = again_in_s
        super().__init__(detail)


class Ledger(Protocol):
    """Accounts by name. What is reserved counts as spent until it is settled: of a replica that dies, for good."""

    @property
    def accounts(self) -> frozenset[str]:
        """The names of all."""
        ...

    async def reserve(self, accounts: Sequence[str], amount: Amount) -> Reservation:
        """Sets the amount aside on all of the accounts, or on none. Raises AccountSpent. Its wait is bounded."""
        ...

    def is_current(self, reservation: Reservation) -> bool:
        """Whether none of its days is over. What is spent later belongs to another day, and is to be reserved anew."""
        ...

    def settle(self, reservation: Reservation, actual: Amount) -> None:
        """Has ``actual`` count as spent instead of what was reserved: 0 gives it back. Of a day that is over nothing is
        changed. Never waits, never raises."""
        ...

    def charge(self, accounts: Sequence[str], actual: Amount) -> None:
        """Counts as spent what nobody had reserved, whatever is left. Never waits, never raises."""
        ...

    def use_of(self, account: str) -> AccountUse:
        """What is known of it now."""
        ...

    def on_change(self, tell: Callable[[], None]) -> None:
        """Registers whom to tell when budgets are shared from now on, or no longer."""
        ...

    async def open(self) -> None:
        """Begins its work. Never raises."""
        ...

    async def close(self) -> None:
        """Ends it. Never raises."""
        ...
