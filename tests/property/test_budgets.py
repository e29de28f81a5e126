"""Any interleaving of reservations and settlements, in one process and over two replicas, against one plain model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ocr_gateway.budgets.account import Account, admit
from ocr_gateway.budgets.ledger import AccountSpent, Amount, Ledger, Reservation
from ocr_gateway.budgets.local_ledger import LocalLedger
from ocr_gateway.model import Budget
from tests.fakes.ledgers import replica, told
from tests.fakes.redis_server import RedisServer, eventually

UNIT = 1_000_000
DAY_S = 86_400


@dataclass(frozen=True)
class Step:
    """What one replica does: reserves ``amount`` on some accounts, or settles one of its reservations for a share."""

    replica: int
    accounts: tuple[int, ...]
    amount: Amount
    settles: int | None
    share: int


@dataclass
class Model:
    """Limits and what is reserved or spent, by account."""

    limits: list[Amount]
    used: list[Amount] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.used = [Amount()] * len(self.limits)

    def reserve(self, accounts: tuple[int, ...], amount: Amount) -> bool:
        sums = {number: self.used[number] + amount for number in accounts}
        for number, total in sums.items():
            limit = self.limits[number]
            if (limit.units and total.units > limit.units) or (limit.cost and total.cost > limit.cost):
                return False
        for number, total in sums.items():
            self.used[number] = total
        return True

    def settle(self, accounts: tuple[int, ...], reserved: Amount, actual: Amount) -> None:
        for number in accounts:
            self.used[number] = self.used[number] - reserved + actual


AMOUNTS = st.builds(Amount, st.integers(0, 4 * UNIT), st.integers(0, 3 * UNIT))
LIMITS = st.lists(
    st.builds(Amount, st.integers(0, 9).map(UNIT.__mul__), st.integers(0, 9).map(UNIT.__mul__)), min_size=3, max_size=3
)
STEPS = st.lists(
    st.builds(
        Step,
        replica=st.integers(0, 1),
        accounts=st.sets(st.integers(0, 2), min_size=1).map(sorted).map(tuple),
        amount=AMOUNTS,
        settles=st.none() | st.integers(0, 10),
        share=st.integers(0, 4),
    ),
    max_size=40,
)


def budgets(limits: list[Amount], prefix: str) -> dict[str, Budget]:
    return {f"{prefix}{n}": Budget(each.units / UNIT, each.cost / UNIT) for n, each in enumerate(limits)}


async def run(ledgers: list[Ledger], prefix: str, limits: list[Amount], steps: list[Step]) -> None:
    """Does the steps at the ledgers and at the model, and holds the one against the other after each."""
    model = Model(limits)
    open_ones: list[list[tuple[tuple[int, ...], Amount, Reservation]]] = [[] for _ in ledgers]
    for step in steps:
        at = step.replica % len(ledgers)
        ledger, mine = ledgers[at], open_ones[at]
        if step.settles is not None and mine:
            accounts, reserved, reservation = mine.pop(step.settles % len(mine))
            actual = Amount(reserved.units * step.share // 4, reserved.cost * step.share // 4)
            ledger.settle(reservation, actual)
            model.settle(accounts, reserved, actual)
            await told(ledger, f"{prefix}0")
            continue
        names = [f"{prefix}{number}" for number in step.accounts]
        fits = model.reserve(step.accounts, step.amount)
        try:
            mine.append((step.accounts, step.amount, await ledger.reserve(names, step.amount)))
        except AccountSpent:
            assert not fits
        else:
            assert fits
    for number, used in enumerate(model.used):
        for ledger in ledgers:
            await told(ledger, f"{prefix}{number}")
            use = ledger.use_of(f"{prefix}{number}")
            assert (round(use.units_used * UNIT), round(use.cost_used * UNIT)) == (used.units, used.cost)


@given(LIMITS, STEPS)
def test_the_ledger_of_one_process_is_the_model(limits: list[Amount], steps: list[Step]) -> None:
    """It grants exactly what fits, on all accounts or none, and knows what is used."""
    ledger = LocalLedger(budgets(limits, "account-"), clock=lambda: 0.0, wall_clock=lambda: 0.0)
    asyncio.run(run([ledger], "account-", limits, steps))


@pytest.fixture(scope="module")
def redis() -> Iterator[tuple[asyncio.Runner, RedisServer]]:
    """A Redis for all examples, and the event loop that it was started in."""
    with asyncio.Runner() as runner:
        server = RedisServer()
        runner.run(server.__aenter__())
        try:
            yield runner, server
        finally:
            runner.run(server.__aexit__())


_examples = count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIMITS, STEPS)
def test_two_replicas_on_one_redis_are_the_model(
    redis: tuple[asyncio.Runner, RedisServer], limits: list[Amount], steps: list[Step]
) -> None:
    """As if they were one: each grants exactly what fits beside all that the other one has reserved and spent."""
    runner, server = redis
    prefix = f"example-{next(_examples)}-"

    async def main() -> None:
        async with AsyncExitStack() as stack:
            accounts = budgets(limits, prefix)
            ledgers = [await stack.enter_async_context(replica(server.url, accounts, prefix + n)) for n in "ab"]
            await eventually(lambda: all(ledger.sharing for ledger in ledgers))
            await run(list(ledgers), prefix, limits, steps)

    runner.run(main())


@given(
    limit=st.integers(1, 50),
    known=st.integers(0, 60),
    replicas=st.integers(1, 5),
    demands=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), max_size=60),
)
@example(limit=10, known=3, replicas=2, demands=[(0, 1)] * 20 + [(1, 1)] * 20)
def test_parts_of_what_was_left_never_add_up_to_more(
    limit: int, known: int, replicas: int, demands: list[tuple[int, int]]
) -> None:
    """Replicas that were told the same and are then alone spend together at most what was left."""
    accounts = [Account("account", Budget(units_per_day=limit)) for _ in range(replicas)]
    for account in accounts:
        account.learn(Amount(known * UNIT, 0), 0.0)
    granted = 0
    for number, wanted in demands:
        if admit([accounts[number % replicas]], Amount(wanted * UNIT, 0), 0.0, replicas) is None:
            granted += wanted
    assert granted <= max(0, limit - known)


@given(st.lists(st.tuples(st.floats(0, 5 * DAY_S), st.integers(1, 3)), max_size=60), st.integers(-12 * 3600, 14 * 3600))
def test_no_day_bears_more_than_its_budget(calls: list[tuple[float, int]], offset_s: int) -> None:
    """Whatever the calls' times, by the account's own midnights."""
    account = Account("account", Budget(units_per_day=5, period_offset_s=offset_s))
    days: dict[int, int] = {}
    for at, wanted in sorted(calls):
        if admit([account], Amount(wanted * UNIT, 0), at) is None:
            days[account.day(at)] = days.get(account.day(at), 0) + wanted
        else:
            assert days.get(account.day(at), 0) + wanted > 5
    assert all(spent <= 5 for spent in days.values())
