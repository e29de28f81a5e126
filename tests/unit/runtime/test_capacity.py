"""Capacity: bounded, first come first served, never locks out a stream that holds nothing."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpc_runtime.capacity import Capacity
from rpc_runtime.protocol_errors import ServerBusy


async def test_it_waits_in_the_order_of_asking() -> None:
    """Room goes to whoever asked first, a small one behind a large one included."""
    capacity = Capacity(max_items=10, max_bytes=100)
    await capacity.acquire(80)
    order: list[str] = []

    async def ask(name: str, size: int) -> None:
        await capacity.acquire(size)
        order.append(name)

    tasks = [asyncio.create_task(ask("large", 50)), asyncio.create_task(ask("small", 10))]
    await asyncio.sleep(0)
    assert order == []
    capacity.release(80)
    await asyncio.gather(*tasks)
    assert order == ["large", "small"]
    assert (capacity.items, capacity.bytes) == (2, 60)


async def test_a_holder_of_nothing_is_let_in() -> None:
    """A stream without an item gets its first one although slow readers hold everything."""
    capacity = Capacity(max_items=1, max_bytes=10)
    await capacity.acquire(10)
    async with asyncio.timeout(5):
        await capacity.acquire(1_000, first=True)
    assert capacity.items == 2


async def test_a_cancelled_wait_takes_nothing() -> None:
    """Before its turn and in the very instant of its turn, a cancelled wait leaves the room to the next."""
    for at_the_turn in (False, True):
        capacity = Capacity(max_items=1, max_bytes=10)
        await capacity.acquire(10)
        leaver = asyncio.create_task(capacity.acquire(5))
        stayer = asyncio.create_task(capacity.acquire(5))
        await asyncio.sleep(0)
        if at_the_turn:
            capacity.release(10)
            leaver.cancel()
        else:
            leaver.cancel()
            await asyncio.sleep(0)
            capacity.release(10)
        async with asyncio.timeout(5):
            await stayer
        assert leaver.cancelled() or leaver.cancelling()
        assert (capacity.items, capacity.bytes) == (1, 5)


async def test_a_claim_never_waits() -> None:
    """A unary call gets room at once or SERVER_BUSY, and gives it back however it ends."""
    capacity = Capacity(max_items=2, max_bytes=100)
    with capacity.claim(90):
        with pytest.raises(ServerBusy), capacity.claim(20):
            pass
        with pytest.raises(KeyError), capacity.claim(10):
            raise KeyError
        assert (capacity.items, capacity.bytes) == (1, 90)
    assert (capacity.items, capacity.bytes) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 5)), max_size=40))
def test_it_never_holds_more_than_its_bounds(plan: list[tuple[int, bool, int]]) -> None:
    """Over random sizes, cancels and releases, only a lone item is ever over the bounds, and all is given back."""

    async def play() -> None:
        capacity = Capacity(max_items=3, max_bytes=50)
        held: list[int] = []
        waiting: list[asyncio.Task[None]] = []

        async def hold(size: int) -> None:
            await capacity.acquire(size)
            held.append(size)
            assert capacity.items <= 3
            assert capacity.bytes <= 50 or capacity.items == 1

        for size, cancel, releases in plan:
            waiting.append(asyncio.create_task(hold(size)))
            await asyncio.sleep(0)
            if cancel:
                waiting[-1].cancel()
            for _ in range(min(releases, len(held))):
                capacity.release(held.pop(0))
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while not all(task.done() for task in waiting):
                for size in held:
                    capacity.release(size)
                held.clear()
                await asyncio.sleep(0)
        for size in held:
            capacity.release(size)
        assert (capacity.items, capacity.bytes) == (0, 0)

    asyncio.run(play())


async def test_who_wants_to_know_is_told_that_nothing_is_held_any_more() -> None:
    """With the most bytes since the last time; and at most once for each time."""
    told: list[int] = []
    capacity = Capacity(max_items=4, max_bytes=100, on_idle=told.append)
    await capacity.acquire(30)
    await capacity.acquire(20)
    capacity.release(30)
    assert told == []
    capacity.release(20)
    with capacity.claim(7):
        assert told == [50]
    assert told == [50, 7]
