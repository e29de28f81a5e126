"""Budgets shared by several replicas through a real Redis, while it stalls, restarts, and is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from ocr_gateway.budgets.ledger import NOTHING, AccountSpent
from ocr_gateway.budgets.shared_ledger import SharedLedger
from ocr_gateway.model import Budget
from tests.fakes.ledgers import fleet, replica, take, told, units, used_units
from tests.fakes.redis_server import RedisServer, eventually

pytestmark = pytest.mark.alone

ACCOUNT = "provider:baidu"
HUNDRED = {ACCOUNT: Budget(units_per_day=100)}
SHORT_TIMEOUT_S = 0.06
DAY_S = 86_400


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    """An empty Redis."""
    async with RedisServer() as running:
        yield running


async def take_many(ledger: SharedLedger, calls: int) -> int:
    """How many of so many reservations of one unit, all asked for at once, are granted."""
    granted = await asyncio.gather(*(take(ledger, [ACCOUNT], units(1)) for _ in range(calls)))
    return sum(each is not None for each in granted)


async def take_together(ledgers: list[SharedLedger], calls: int) -> list[int]:
    """The same at all replicas at the same time."""
    return list(await asyncio.gather(*(take_many(ledger, calls) for ledger in ledgers)))


async def hear_all(ledgers: list[SharedLedger]) -> None:
    """Returns when each has told what it had to, and has heard what the others told."""
    for _ in range(2):
        for ledger in ledgers:
            await told(ledger, ACCOUNT)


async def test_three_replicas_spend_a_budget_exactly(server: RedisServer) -> None:
    """Of 3 000 calls at three replicas 1 000 are granted, not one more or less, with far fewer commands than calls."""
    async with fleet(server.url, {ACCOUNT: Budget(units_per_day=1_000)}, 3) as ledgers:
        before = sum(ledger.script_calls for ledger in ledgers)
        granted = await take_together(ledgers, 1_000)
        commands = sum(ledger.script_calls for ledger in ledgers) - before
    print(f"{commands} commands for 3000 reservations")
    assert sum(granted) == 1_000
    assert commands < 200


async def test_what_one_gives_back_the_other_spends(server: RedisServer) -> None:
    """Nothing of a budget is lost between replicas."""
    async with fleet(server.url, HUNDRED) as (first, second):
        reservations = [await first.reserve([ACCOUNT], units(1)) for _ in range(100)]
        assert await take(second, [ACCOUNT], units(1)) is None
        for reservation in reservations[:40]:
            first.settle(reservation, NOTHING)
        await told(first, ACCOUNT)
        assert await take_many(second, 100) == 40


async def test_without_redis_each_replica_has_its_part_of_what_was_left(server: RedisServer) -> None:
    """Forty of a hundred are spent when Redis goes: two replicas spend thirty more each, at once and not one more."""
    async with fleet(server.url, HUNDRED) as ledgers:
        assert await take_together(ledgers, 20) == [20, 20]
        await hear_all(ledgers)
        await server.kill()
        began = time.monotonic()
        granted = await take_together(ledgers, 80)
        took_s = time.monotonic() - began
        with pytest.raises(AccountSpent) as refused:
            await ledgers[0].reserve([ACCOUNT], units(1))
        assert not any(ledger.sharing for ledger in ledgers)
    assert granted == [30, 30]
    assert refused.value.again_in_s <= 0.5  # Redis may be back, and others may have left something
    assert took_s < 2.0  # not the seconds for which the link rests a Redis that fails


async def test_an_empty_redis_is_told_what_was_spent(server: RedisServer) -> None:
    """What Redis forgot and what was spent without it both count when it is back; then the rest is spent, all of it."""
    async with fleet(server.url, HUNDRED) as ledgers:
        await take_together(ledgers, 20)
        await hear_all(ledgers)
        await server.kill()
        without = await take_many(ledgers[0], 13)
        await server.start()
        await eventually(lambda: all(ledger.sharing for ledger in ledgers))
        after = await take_together(ledgers, 100)
        assert [used_units(ledger, ACCOUNT) for ledger in ledgers] == [100, 100]
    assert without == 13
    assert 40 + without + sum(after) == 100


async def test_redis_may_be_lost_again_and_again(server: RedisServer) -> None:
    """Under demand all the time, through three losses: never more than the budget."""
    async with fleet(server.url, {ACCOUNT: Budget(units_per_day=3_000)}) as ledgers:
        granted = 0
        for _ in range(3):
            granted += sum(await take_together(ledgers, 200))
            await hear_all(ledgers)
            await server.kill()
            granted += sum(await take_together(ledgers, 100))
            await server.start()
            granted += sum(await take_together(ledgers, 100))
            await eventually(lambda: all(ledger.sharing for ledger in ledgers))
        granted += sum(await take_together(ledgers, 3_000))
    assert granted == 3_000


async def test_nothing_is_granted_twice_while_replicas_return_one_after_the_other(server: RedisServer) -> None:
    """The one that is back first has its part of what was left, until the other one has told what it spent."""
    async with (
        replica(server.url, HUNDRED, "first") as first,
        replica(server.url, HUNDRED, "second", rest_s=1.0) as second,
    ):
        await eventually(lambda: min(first.replicas, second.replicas) == 2)
        await server.kill()
        assert await take_together([first, second], 10) == [10, 10]
        told_before = first.script_calls
        await server.start()
        await eventually(lambda: first.script_calls >= told_before + 2)  # it is back, and has to wait
        assert await take_together([first, second], 100) == [40, 40]
        assert not second.sharing
        await eventually(lambda: first.sharing and second.sharing)
        assert await take_together([first, second], 10) == [0, 0]
        assert [used_units(ledger, ACCOUNT) for ledger in (first, second)] == [100, 100]


async def test_a_replica_that_never_returns_keeps_nobody_waiting_for_long(server: RedisServer) -> None:
    """What it spent at its part is not known; after the recovery time the others have all that is left."""
    async with replica(server.url, HUNDRED, "lives", recovery_s=0.5) as lives:
        async with replica(server.url, HUNDRED, "dies") as dies:
            await eventually(lambda: min(lives.replicas, dies.replicas) == 2)
            await server.kill()
            assert await take_together([lives, dies], 30) == [30, 30]
        await server.start()
        await eventually(lambda: lives.sharing)
        assert await take_many(lives, 100) == 70


async def test_a_stalled_redis_costs_a_bounded_delay(server: RedisServer) -> None:
    """A reservation is decided within 100 ms, though Redis holds the connection; the budget is kept all the same."""
    async with fleet(server.url, HUNDRED, timeout_s=SHORT_TIMEOUT_S) as ledgers:
        await take_together(ledgers, 10)
        await hear_all(ledgers)
        server.stop_signal()
        try:
            began = time.monotonic()
            granted = await take_together(ledgers, 30)
            took_s = time.monotonic() - began
        finally:
            server.continue_signal()
        await eventually(lambda: all(ledger.sharing for ledger in ledgers))
        after = await take_together(ledgers, 100)
        assert [used_units(ledger, ACCOUNT) for ledger in ledgers] == [100, 100]
    assert took_s < 1.0  # the contract's 0.1 and what a busy machine adds; the stall itself had no end
    assert granted == [30, 30]
    assert sum(after) == 20  # what Redis did of what it was asked during the stall is undone: it counts once


async def test_a_replica_that_dies_leaves_its_reservations_spent(server: RedisServer) -> None:
    """Nobody knows whether its calls were billed, so nobody else spends what it had reserved."""
    async with fleet(server.url, HUNDRED) as (dies, lives):
        for _ in range(7):
            await dies.reserve([ACCOUNT], units(1))
        await dies.close()
        assert await take_many(lives, 200) == 93


async def test_who_leaves_while_he_waits_spends_nothing(server: RedisServer) -> None:
    """Reservations of callers that leave before they are asked for, while they are, or as they are granted, go back."""
    async with fleet(server.url, HUNDRED, 1) as (ledger,):

        async def leave_when(due: Callable[[], bool]) -> int:
            waiting = [asyncio.create_task(ledger.reserve([ACCOUNT], units(1))) for _ in range(20)]
            while not due():  # noqa: ASYNC110 - each step of the loop counts
                await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            await told(ledger, ACCOUNT)
            await told(ledger, ACCOUNT)
            return sum(not task.cancelled() for task in waiting)

        kept = await leave_when(lambda: True)
        assert (kept, used_units(ledger, ACCOUNT)) == (0, 0)
        asked = ledger.script_calls
        kept = await leave_when(lambda: ledger.script_calls > asked)
        assert (kept, used_units(ledger, ACCOUNT)) == (0, 0)
        kept = await leave_when(lambda: used_units(ledger, ACCOUNT) >= 20)
        assert used_units(ledger, ACCOUNT) == kept


async def test_a_gateway_that_starts_without_redis_has_its_part(server: RedisServer) -> None:
    """Where the configuration says that there are four, a quarter; told when Redis comes."""
    await server.kill()
    async with replica(server.url, HUNDRED, replicas=4) as ledger:
        assert await take_many(ledger, 100) == 25
        await server.start()
        await eventually(lambda: ledger.sharing)
        assert await take_many(ledger, 100) == 75


async def test_a_new_day_begins_at_its_midnight(server: RedisServer) -> None:
    """All of the budget is there again; what is settled late changes nothing of it, and is told to be out of date."""
    midnight = int(time.time()) + 3
    budgets = {ACCOUNT: Budget(units_per_day=5, period_offset_s=-(midnight % DAY_S))}
    async with fleet(server.url, budgets, 1) as (ledger,):
        old = await ledger.reserve([ACCOUNT], units(5))
        with pytest.raises(AccountSpent) as refused:
            await ledger.reserve([ACCOUNT], units(1))
        assert refused.value.again_in_s == pytest.approx(midnight - time.time(), abs=0.2)
        assert ledger.is_current(old)
        await asyncio.sleep(midnight - time.time() + 0.05)
        assert not ledger.is_current(old)
        ledger.settle(old, NOTHING)
        assert await take_many(ledger, 10) == 5
        assert used_units(ledger, ACCOUNT) == 5


async def test_a_full_redis_goes_on_counting() -> None:
    """Budgets are shared while Redis refuses every other write for want of memory."""
    async with (
        RedisServer({"maxmemory": "1mb", "maxmemory-policy": "noeviction"}) as server,
        fleet(server.url, HUNDRED) as ledgers,
    ):
        assert "OOM" in await server.command("SET", "more", "x" * 1_000)
        assert sum(await take_together(ledgers, 80)) == 100
        assert all(ledger.sharing for ledger in ledgers)


async def test_another_kind_of_key_leaves_each_replica_its_part(server: RedisServer) -> None:
    """A script that Redis refuses is no outage: the ledger goes on at its part, and shares again when it works."""
    async with fleet(server.url, HUNDRED) as ledgers:
        await server.command("DEL", "ocrmux:{budget}:replicas")
        await server.command("SET", "ocrmux:{budget}:replicas", "text")
        await eventually(lambda: not any(ledger.sharing for ledger in ledgers))
        assert await take_together(ledgers, 100) == [50, 50]
        await server.command("DEL", "ocrmux:{budget}:replicas")
        await eventually(lambda: all(ledger.sharing for ledger in ledgers))
        assert await take_together(ledgers, 1) == [0, 0]
