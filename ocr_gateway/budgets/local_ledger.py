"""The budgets of a gateway that shares them with nobody: all of them are in this process, and lost with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ocr_gateway.budgets.account import Account, admit
from ocr_gateway.budgets.ledger import NOTHING, AccountUse, Amount, Reservation
from ocr_gateway.model import Budget


class LocalLedger:
    """``clock`` counts monotonic seconds; ``wall_clock`` gives seconds since 1970."""

    def __init__(
        self, budgets: Mapping[str, Budget], *, clock: Callable[[], float], wall_clock: Callable[[], float]
    ) -> None:
        self._accounts = {name: Account(name, budget) for name, budget in budgets.items()}
        self._clock = clock
        self._wall_clock = wall_clock

    @property
    def accounts(self) -> frozenset[str]:
        """The names of all."""
        return frozenset(self._accounts)

    async def reserve(self, accounts: Sequence[str], amount: Amount) -> Reservation:
        """Sets the amount aside on all of the accounts, or on none. Raises AccountSpent. Never waits."""
        wall_s, now = self._wall_clock(), self._clock()
        taken = [self._accounts[name] for name in accounts]
        refusal = admit(taken, amount, wall_s)
        if refusal is not None:
            raise refusal
        return Reservation(amount, {account.name: now + account.ends_in_s(wall_s) for account in taken})

    def is_current(self, reservation: Reservation) -> bool:
        """Whether none of its days is over."""
        return all(self._clock() < end for end in reservation.ends.values())

    def settle(self, reservation: Reservation, actual: Amount) -> None:
        """Has ``actual`` count as spent instead of what was reserved."""
        now, wall_s = self._clock(), self._wall_clock()
        for name, end in reservation.ends.items():
            if now < end:
                self._accounts[name].add(actual - reservation.amount, wall_s)
        reservation.amount, reservation.ends = NOTHING, {}

    def charge(self, accounts: Sequence[str], actual: Amount) -> None:
        """Counts as spent what nobody had reserved."""
        for name in accounts:
            self._accounts[name].add(actual, self._wall_clock())

    def use_of(self, account: str) -> AccountUse:
        """What is known of it now."""
        return self._accounts[account].use(self._wall_clock())

    def on_change(self, tell: Callable[[], None]) -> None:
        """Nothing changes here by itself, so nobody is told."""

    async def open(self) -> None:
        """Nothing has to be begun."""

    async def close(self) -> None:
        """Nothing was asked for."""
