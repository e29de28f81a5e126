"""Ledgers under test: one in this process, or several replicas' on a Redis that runs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from ocr_gateway.budgets.ledger import MILLION, NOTHING, AccountSpent, Amount, Ledger, Reservation
from ocr_gateway.budgets.shared_ledger import SharedLedger
from ocr_gateway.model import Budget
from ocr_gateway.redis_link import RedisLink
from tests.fakes.redis_server import eventually

REST_S = 0.3
LONG_TIMEOUT_S = 1.0
"""For tests of the budgets, so that a busy machine is not taken for a stalled Redis."""


def units(number: float) -> Amount:
    """An amount without a price."""
    return Amount.of(number, 0.0)


@asynccontextmanager
async def replica(
    url: str,
    budgets: Mapping[str, Budget],
    name: str = "a",
    *,
    replicas: int = 1,
    timeout_s: float = LONG_TIMEOUT_S,
    rest_s: float = REST_S,
    recovery_s: float = REST_S + LONG_TIMEOUT_S + 1.0,
) -> AsyncIterator[SharedLedger]:
    """One replica's ledger, over a link of its own. It may begin while there is no Redis."""
    link = RedisLink(url, timeout_s=timeout_s, rest_s=rest_s, clock=time.monotonic)
    ledger = SharedLedger(
        link,
        budgets,
        replica=name,
        clock=time.monotonic,
        wall_clock=time.time,
        replicas=replicas,
        recovery_s=recovery_s,
    )
    await link.open()
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()
        await link.close()


@asynccontextmanager
async def fleet(
    url: str, budgets: Mapping[str, Budget], size: int = 2, *, timeout_s: float = LONG_TIMEOUT_S
) -> AsyncIterator[list[SharedLedger]]:
    """Replicas that share the budgets and know of each other."""
    async with AsyncExitStack() as stack:
        names = [f"r{number}" for number in range(size)]
        starting = [replica(url, budgets, name, timeout_s=timeout_s) for name in names]
        ledgers = [await stack.enter_async_context(each) for each in starting]
        await eventually(lambda: all(ledger.sharing and ledger.replicas >= size for ledger in ledgers))
        yield ledgers


async def told(ledger: Ledger, account: str) -> None:
    """Returns when all that the ledger had to tell until now is told."""
    await ledger.reserve([account], NOTHING)


async def take(ledger: Ledger, accounts: list[str], amount: Amount) -> Reservation | None:
    """A reservation, or None where too little is left."""
    try:
        return await ledger.reserve(accounts, amount)
    except AccountSpent:
        return None


def used_units(ledger: Ledger, account: str) -> float:
    """As the ledger knows."""
    return round(ledger.use_of(account).units_used * MILLION) / MILLION
