"""The behaviour of every second level of the cache."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from ocr_gateway.cache.embedded import EmbeddedStore
from ocr_gateway.cache.guarded_store import GuardedStore
from ocr_gateway.cache.redis_store import RedisStore
from ocr_gateway.cache.store import PlainStore, StoreUnavailable
from ocr_gateway.redis_link import RedisLink
from tests.fakes.redis_server import RedisServer

TTL_S = 100.0
MAX_VALUE_BYTES = 2_000


class Clock:
    """Seconds, set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Subject(Protocol):
    """One kind of store: stores on the same data, and the time that passes for them."""

    def make(self) -> PlainStore: ...

    async def advance(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


class EmbeddedSubject:
    """SQLite files; the time is the clock's."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self.clock = clock

    def make(self) -> EmbeddedStore:
        return EmbeddedStore(
            self._path,
            max_bytes=10_000,
            max_value_bytes=MAX_VALUE_BYTES,
            ttl_s=TTL_S,
            clock=self.clock,
            random_source=random.Random(1),
        )

    async def advance(self, seconds: float) -> None:
        self.clock.now += seconds

    async def close(self) -> None:
        """Nothing is held."""


class GuardedSubject(EmbeddedSubject):
    """The same, as the cache uses it."""

    def make(self) -> GuardedStore:  # type: ignore[override]
        return GuardedStore(super().make(), timeout_s=5, rest_s=5, clock=self.clock)


class RedisSubject:
    """A real Redis. Time passes for it by taking it from each key's time to live."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._link = RedisLink(server.url, timeout_s=2)

    async def open(self) -> None:
        await self._link.open()

    def make(self) -> RedisStore:
        return RedisStore(self._link, max_value_bytes=MAX_VALUE_BYTES, ttl_s=TTL_S, random_source=random.Random(1))

    async def advance(self, seconds: float) -> None:
        for key in (await self._server.command("KEYS", "*")).splitlines():
            left_ms = int(await self._server.command("PTTL", key)) - round(seconds * 1000)
            await self._server.command("PEXPIRE", key, left_ms)

    async def close(self) -> None:
        await self._link.close()


@pytest.fixture(params=["embedded", "guarded", "redis"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Subject]:
    if request.param != "redis":
        kind = GuardedSubject if request.param == "guarded" else EmbeddedSubject
        yield kind(tmp_path / "deep" / "results.sqlite3", clock)
        return
    async with RedisServer() as server:
        redis = RedisSubject(server)
        await redis.open()
        yield redis
        await redis.close()


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> Callable[[], EmbeddedStore]:
    """Makes embedded stores on the same data."""
    return EmbeddedSubject(tmp_path / "deep" / "results.sqlite3", clock).make


@pytest.fixture
async def store(subject: Subject) -> AsyncIterator[PlainStore]:
    made = subject.make()
    await made.open()
    yield made
    await made.close()


async def test_a_value_comes_back(store: PlainStore) -> None:
    """What was put is got, the last one of a key; another key gives None."""
    await store.put("a", b"one")
    await store.put("a", b"\x00two")
    assert await store.get("a") == b"\x00two"
    assert await store.get("b") is None


@pytest.mark.parametrize("value", [b"", b"x", b"x" * MAX_VALUE_BYTES, random.Random(1).randbytes(MAX_VALUE_BYTES)])
async def test_values_of_any_kind_come_back(store: PlainStore, value: bytes) -> None:
    """Empty ones, small ones, those that can be made smaller and those that cannot, up to the bound."""
    await store.put("a", value)
    assert await store.get("a") == value


async def test_a_value_is_forgotten_after_its_time(store: PlainStore, subject: Subject) -> None:
    """Within nine tenths of its time it is there, after eleven tenths it is gone."""
    await store.put("a", b"one")
    await subject.advance(TTL_S * 0.89)
    assert await store.get("a") == b"one"
    await subject.advance(TTL_S * 0.22)
    assert await store.get("a") is None


async def test_times_to_live_are_jittered(store: PlainStore, subject: Subject) -> None:
    """Values that were put together do not expire together."""
    for i in range(50):
        await store.put(str(i), b"x")
    await subject.advance(TTL_S)
    alive = [await store.get(str(i)) for i in range(50)]
    assert 5 < alive.count(b"x") < 45


async def test_a_value_over_the_bound_is_not_kept(store: PlainStore) -> None:
    """A huge value is left out, quietly."""
    await store.put("a", b"x" * (MAX_VALUE_BYTES + 1))
    assert await store.get("a") is None


async def test_two_processes_share_it_and_a_restart_survives(subject: Subject) -> None:
    """A second store on the same data sees what the first one put, also after the first is closed."""
    first, second = subject.make(), subject.make()
    await first.open()
    await second.open()
    await first.put("a", b"one")
    assert await second.get("a") == b"one"
    await first.close()
    assert await second.get("a") == b"one"
    await second.close()


async def test_a_closed_store_is_unavailable(store: PlainStore) -> None:
    """After close every operation says so, and closing is only once."""
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.get("a")


async def test_embedded_total_is_bounded(open_store: Callable[[], EmbeddedStore], clock: Clock, tmp_path: Path) -> None:
    """Of values far over the bound the oldest go; what is left is about the bound."""
    store = open_store()
    await store.open()
    for i in range(401):
        clock.now += 0.01
        await store.put(f"{i:04}", b"x" * 100)
    assert await store.get("0400") is not None
    assert await store.get("0000") is None
    await store.close()
    with sqlite3.connect(tmp_path / "deep" / "results.sqlite3") as connection:
        total = connection.execute("SELECT SUM(bytes) FROM result").fetchone()[0]
    connection.close()
    assert total <= 10_000 + 200 * 100


@pytest.mark.parametrize("garbage", [b"not a database at all" * 500, b""])
async def test_embedded_damaged_file_is_begun_anew(
    open_store: Callable[[], EmbeddedStore], tmp_path: Path, garbage: bytes
) -> None:
    """A file that is no database costs its contents, not the service."""
    path = tmp_path / "deep" / "results.sqlite3"
    path.parent.mkdir()
    path.write_bytes(garbage)
    store = open_store()
    await store.open()
    await store.put("a", b"one")
    assert await store.get("a") == b"one"
    await store.close()


async def test_embedded_folder_that_cannot_be_made(tmp_path: Path, clock: Clock) -> None:
    """A path where nothing can be written is an unavailable store, said with the path."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = EmbeddedStore(
        blocked / "results.sqlite3",
        max_bytes=10,
        max_value_bytes=10,
        ttl_s=1,
        clock=clock,
        random_source=random.Random(1),
    )
    with pytest.raises(StoreUnavailable, match=r"results\.sqlite3"):
        await store.open()
    await asyncio.wait_for(store.close(), 5)
