"""What every ledger keeps to, in one process or in Redis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from ocr_gateway.budgets.ledger import NOTHING, AccountSpent, Amount, Ledger
from ocr_gateway.budgets.local_ledger import LocalLedger
from ocr_gateway.model import Budget
from tests.fakes.ledgers import replica, take, told, units, used_units
from tests.fakes.redis_server import RedisServer, eventually

PROVIDER, TENANT, PRICED, BOTH = "provider:baidu", "tenant:shop", "tenant:priced", "tenant:both"
BUDGETS = {
    PROVIDER: Budget(units_per_day=10),
    TENANT: Budget(units_per_day=4),
    PRICED: Budget(cost_per_day=1.0),
    BOTH: Budget(units_per_day=3, cost_per_day=100.0),
}


@pytest.fixture(params=["local", "redis"])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    """Each of them, with nothing spent."""
    if request.param == "local":
        yield LocalLedger(BUDGETS, clock=time.monotonic, wall_clock=time.time)
        return
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RedisServer())
        shared = await stack.enter_async_context(replica(server.url, BUDGETS))
        await eventually(lambda: shared.sharing)
        yield shared


async def test_a_budget_is_spent_to_the_last_unit(ledger: Ledger) -> None:
    """As many are granted as there are, not one more, and the refusal says whose budget is spent and until when."""
    granted = [await take(ledger, [PROVIDER], units(1)) for _ in range(12)]
    assert [each is not None for each in granted] == [True] * 10 + [False] * 2
    with pytest.raises(AccountSpent) as refused:
        await ledger.reserve([PROVIDER], units(1))
    assert refused.value.account == PROVIDER
    assert 0 < refused.value.again_in_s <= 86_400
    assert used_units(ledger, PROVIDER) == 10
    assert ledger.use_of(PROVIDER).units_left == 0


async def test_all_accounts_or_none(ledger: Ledger) -> None:
    """Where one account has too little left, nothing is taken from the others."""
    for _ in range(4):
        await ledger.reserve([PROVIDER, TENANT], units(1))
    with pytest.raises(AccountSpent) as refused:
        await ledger.reserve([PROVIDER, TENANT], units(1))
    assert refused.value.account == TENANT
    assert (used_units(ledger, PROVIDER), used_units(ledger, TENANT)) == (4, 4)


async def test_what_is_settled_for_less_is_there_for_others(ledger: Ledger) -> None:
    """Nothing or a part of a reservation may be given back, once."""
    first = await ledger.reserve([TENANT], units(3))
    second = await ledger.reserve([TENANT], units(1))
    ledger.settle(first, units(1.5))
    ledger.settle(first, NOTHING)
    ledger.settle(second, units(1))
    await told(ledger, TENANT)
    assert used_units(ledger, TENANT) == 2.5
    assert await take(ledger, [TENANT], units(1.6)) is None
    assert await take(ledger, [TENANT], units(1.5)) is not None


async def test_what_turns_out_dearer_counts(ledger: Ledger) -> None:
    """What is billed beyond the reservation is known, over the limit too, and nothing more is granted."""
    reservation = await ledger.reserve([TENANT], units(3))
    ledger.settle(reservation, units(6))
    await told(ledger, PROVIDER)
    assert used_units(ledger, TENANT) == 6
    assert await take(ledger, [TENANT], units(0.000001)) is None


async def test_money_is_counted_in_whole_millionths(ledger: Ledger) -> None:
    """Sums of prices such as a tenth are exact: ten of them are one, and an eleventh is refused."""
    granted = [await take(ledger, [PRICED], Amount.of(1, 0.1)) for _ in range(11)]
    assert [each is not None for each in granted] == [True] * 10 + [False]
    assert ledger.use_of(PRICED).cost_used == 1.0
    assert ledger.use_of(PRICED).units_left is None


async def test_each_of_the_two_limits_holds(ledger: Ledger) -> None:
    """Units run out before the money does."""
    assert [await take(ledger, [BOTH], Amount.of(1, 2.0)) is not None for _ in range(4)] == [True, True, True, False]
    use = ledger.use_of(BOTH)
    assert (use.units_left, use.cost_left, use.cost_used) == (0, 94.0, 6.0)


async def test_what_nobody_reserved_is_counted(ledger: Ledger) -> None:
    """A charge counts at once, over the limit too."""
    ledger.charge([TENANT, PROVIDER], units(5))
    await told(ledger, PROVIDER)
    assert (used_units(ledger, TENANT), used_units(ledger, PROVIDER)) == (5, 5)
    assert await take(ledger, [TENANT], units(1)) is None
    assert await take(ledger, [PROVIDER], units(5)) is not None


async def test_a_reservation_is_of_its_day(ledger: Ledger) -> None:
    """One of today is current."""
    reservation = await ledger.reserve([PROVIDER, TENANT], units(1))
    assert ledger.is_current(reservation)
    assert all(0 < end - time.monotonic() <= 86_400 for end in reservation.ends.values())


@pytest.mark.parametrize(
    ("of", "price", "amount"),
    [
        (1.0, 0.0035, Amount(1_000_000, 3_500)),
        (3.0, 0.1, Amount(3_000_000, 300_000)),
        (1.0, 0.0000001, Amount(1_000_000, 1)),
        (0.0, 5.0, Amount(0, 0)),
    ],
)
def test_amounts_are_rounded_up_and_never_by_binary_fractions(of: float, price: float, amount: Amount) -> None:
    """0.0035 is 3 500 millionths, not 3 501; less than a millionth is one."""
    assert Amount.of(of, price) == amount
