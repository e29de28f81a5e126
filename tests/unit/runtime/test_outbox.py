"""The outbox: bounded, in order, and nothing lost by a cancel."""

from __future__ import annotations

import asyncio

import pytest

from rpc_runtime.outbox import Outbox


async def test_it_refuses_what_is_over_its_bound() -> None:
    """An offer to a full outbox changes nothing."""
    outbox: Outbox[int] = Outbox(2)
    assert [outbox.offer(number) for number in range(3)] == [True, True, False]
    assert (outbox.take(), outbox.peek(), len(outbox)) == (0, 1, 1)


async def test_puts_wait_for_room_in_turn() -> None:
    """Those who wait come in the order of asking, one for each entry that goes."""
    outbox: Outbox[int] = Outbox(1)
    outbox.offer(0)
    waiting = [asyncio.create_task(outbox.put(number)) for number in (1, 2, 3)]
    taken = []
    for _ in range(4):
        async with asyncio.timeout(5):
            assert await outbox.wait()
        taken.append(outbox.take())
    assert taken == [0, 1, 2, 3]
    await asyncio.gather(*waiting)


async def test_a_put_that_is_cancelled_in_its_turn_hands_it_on() -> None:
    """Room that was given to a put which is cancelled in the same instant goes to the next one."""
    outbox: Outbox[int] = Outbox(1)
    outbox.offer(0)
    first, second, third = (asyncio.create_task(outbox.put(number)) for number in (1, 2, 3))
    await asyncio.sleep(0)
    second.cancel()
    assert outbox.take() == 0
    first.cancel()
    await asyncio.wait({first, second})
    async with asyncio.timeout(5):
        await third
    assert outbox.take() == 3


async def test_whoever_takes_waits_for_an_entry_or_the_end() -> None:
    """The wait ends with the first entry, and says so when there will be none; what is there comes before the end."""
    outbox: Outbox[int] = Outbox(2)
    waiting = asyncio.create_task(outbox.wait())
    await asyncio.sleep(0)
    outbox.offer(1)
    outbox.offer(2)
    assert await waiting
    outbox.close()
    assert await outbox.wait()
    assert (outbox.take(), outbox.take()) == (1, 2)
    assert not await outbox.wait()


async def test_a_cancelled_wait_takes_nothing() -> None:
    """The entry that comes after a cancelled wait is there for the next one."""
    outbox: Outbox[int] = Outbox(1)
    waiting = asyncio.create_task(outbox.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert outbox.offer(1)
    assert await outbox.wait()
    assert outbox.take() == 1
