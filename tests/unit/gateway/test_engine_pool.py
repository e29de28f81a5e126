"""The engine pool works calls off in order, and never for a caller that is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from ocr_gateway.errors import ProviderNotConfigured, ProviderUnavailable
from ocr_gateway.model import ProviderState
from ocr_gateway.providers.engine_pool import CallerWatch, EnginePool, ProviderLoad

LONG_S = 20.0


class Gate:
    """Work that says when it has begun and ends when it is let."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.free = threading.Event()
        self.ended = threading.Event()

    def work(self, engine: str, watch: CallerWatch) -> str:
        self.begun.set()
        assert self.free.wait(LONG_S)
        try:
            watch.check()
        finally:
            self.ended.set()
        return engine


async def happens(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, LONG_S)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110 - threads bring it about
            await asyncio.sleep(0.001)


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[EnginePool[str]]:
    pool = EnginePool("test", 1, lambda: "engine")
    pool.start()
    yield pool
    await pool.close()


async def test_what_the_work_raises_reaches_its_caller(pool: EnginePool[str]) -> None:
    """An error ends its own call and no other."""

    def broken(engine: str, watch: CallerWatch) -> str:
        raise LookupError(engine)

    with pytest.raises(LookupError, match="engine"):
        await pool.run(broken)
    assert await pool.run(lambda engine, watch: engine.upper()) == "ENGINE"


async def test_a_waiting_call_that_is_cancelled_never_begins(pool: EnginePool[str]) -> None:
    """Its work is not even looked at, and the queue forgets it at once."""
    first, second = Gate(), Gate()
    running = asyncio.create_task(pool.run(first.work))
    await happens(first.begun)
    waiting = asyncio.create_task(pool.run(second.work))
    await until(lambda: pool.load == ProviderLoad(in_progress=1, waiting=1))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.load == ProviderLoad(in_progress=1, waiting=0)
    first.free.set()
    assert await running == "engine"
    assert await pool.run(lambda engine, watch: "next") == "next"
    assert not second.begun.is_set()
    assert pool.load == ProviderLoad(in_progress=0, waiting=0)


async def test_running_work_learns_that_its_caller_is_gone(pool: EnginePool[str]) -> None:
    """It ends at its next look, and the worker takes the next call."""
    gate = Gate()
    running = asyncio.create_task(pool.run(gate.work))
    await happens(gate.begun)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gate.free.set()
    assert await pool.run(lambda engine, watch: "next") == "next"
    assert gate.ended.is_set()


async def test_calls_wait_for_the_engine_to_be_loaded() -> None:
    """Nothing is refused while it starts, and nothing is loaded on the event loop."""
    gate = threading.Event()
    loaders: list[str] = []

    def load() -> str:
        loaders.append(threading.current_thread().name)
        assert gate.wait(LONG_S)
        return "engine"

    pool = EnginePool("test", 2, load)
    pool.start()
    call = asyncio.create_task(pool.run(lambda engine, watch: engine))
    await until(lambda: pool.load.waiting == 1 and len(loaders) == 2)
    assert pool.state[0].name == "STARTING"
    gate.set()
    assert await call == "engine"
    assert pool.state[0] is ProviderState.SERVING
    assert sorted(loaders) == ["test-0", "test-1"]
    await pool.close()


async def test_one_engine_that_cannot_be_loaded_leaves_the_others() -> None:
    """The pool serves as long as one engine is there, and is not configured when none is."""
    outcomes = iter(["engine", None])
    taking = threading.Lock()

    def load() -> str:
        with taking:
            engine = next(outcomes)
        if engine is None:
            raise OSError("out of memory")
        return engine

    pool = EnginePool("test", 2, load)
    pool.start()
    assert await pool.run(lambda engine, watch: engine) == "engine"
    assert pool.state[0] is ProviderState.SERVING
    await pool.close()

    def never() -> str:
        raise OSError("out of memory")

    pool = EnginePool("test", 2, never)
    pool.start()
    with pytest.raises(ProviderNotConfigured, match="out of memory"):
        await pool.run(lambda engine, watch: engine)
    assert pool.state == (ProviderState.NOT_CONFIGURED, "OSError: out of memory")
    await pool.close()


async def test_closing_refuses_what_waits_and_leaves_behind_what_hangs() -> None:
    """Closing is bounded even while work does not end."""
    pool = EnginePool("test", 1, lambda: "engine")
    pool.start()
    gate = Gate()
    running = asyncio.create_task(pool.run(gate.work))
    await happens(gate.begun)
    waiting = asyncio.create_task(pool.run(lambda engine, watch: engine))
    await until(lambda: pool.load.waiting == 1)
    await pool.close(timeout_s=0.01)
    with pytest.raises(ProviderUnavailable, match="stopped"):
        await waiting
    with pytest.raises(ProviderUnavailable, match="stopped"):
        await pool.run(lambda engine, watch: engine)
    gate.free.set()
    assert await running == "engine"


@pytest.mark.parametrize("workers", [0, -1])
def test_a_pool_has_workers(workers: int) -> None:
    """No worker would mean waiting for ever."""
    with pytest.raises(ValueError, match="workers"):
        EnginePool("test", workers, lambda: "engine")
