"""Memory, the two levels together without leases, and one call for many."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.cache.entry import CacheEntry, EntryDamaged
from ocr_gateway.cache.guarded_store import GuardedStore
from ocr_gateway.cache.lease import Lease
from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.redis_store import RedisStore
from ocr_gateway.cache.single_flight import SingleFlight
from ocr_gateway.cache.store import StoreUnavailable
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.model import CacheOutcome


class Clock:
    """Seconds, set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def entry(size: int = 100, document: bytes = b"") -> CacheEntry:
    return CacheEntry(document or b"d" * size, "scripted", "1")


def test_memory_lets_go_of_the_least_recently_used() -> None:
    """The bound is kept, and a use counts."""
    memory = MemoryCache(max_bytes=3 * entry().size, ttl_s=10, clock=Clock())
    for key in "abc":
        memory.put(key, entry())
    memory.get("a")
    memory.put("d", entry())
    assert [memory.get(key) is not None for key in "abcd"] == [True, False, True, True]
    memory.put("huge", entry(10_000))
    assert memory.get("huge") is None
    assert memory.bytes == 3 * entry().size


def test_memory_forgets_after_its_time() -> None:
    """At its time to live an entry is gone."""
    clock = Clock()
    memory = MemoryCache(max_bytes=10_000, ttl_s=10, clock=clock)
    memory.put("a", entry())
    clock.now = 9.9
    assert memory.get("a") is not None
    clock.now = 10.0
    assert memory.get("a") is None
    assert memory.bytes == 0


@given(st.binary(), st.binary(), st.text(), st.text(), st.none() | st.floats(0, 1))
def test_an_entry_survives_its_bytes(
    document: bytes, raw: bytes, provider: str, model: str, confidence: float | None
) -> None:
    """Any entry comes back equal; any truncation of it is noticed."""
    kept = CacheEntry(document, provider, model, raw, confidence)
    data = kept.to_bytes()
    assert CacheEntry.from_bytes(data) == kept
    with pytest.raises(EntryDamaged):
        CacheEntry.from_bytes(data[:-1])


class FlakyStore:
    """A store in memory that can be told to fail or to hang."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.fails = False
        self.hangs = False
        self.asked = 0

    async def _trouble(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise StoreUnavailable("down")

    async def open(self) -> None:
        await self._trouble()

    async def get(self, key: str) -> bytes | None:
        await self._trouble()
        return self.values.get(key)

    async def put(self, key: str, value: bytes) -> None:
        await self._trouble()
        self.values[key] = value

    async def close(self) -> None:
        """Nothing is held."""


class Counts:
    """What an observer was told."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.errors = 0
        self.states: list[bool] = []

    def cache_outcome(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def store_error(self) -> None:
        self.errors += 1

    def store_in_use(self, in_use: bool) -> None:
        self.states.append(in_use)


def two_levels(store: FlakyStore, clock: Clock, counts: Counts | None = None) -> TwoLevelCache:
    """A cache whose memory holds nothing, over a guarded store."""
    return TwoLevelCache(
        MemoryCache(max_bytes=0, ttl_s=10, clock=clock),
        GuardedStore(store, timeout_s=0.02, rest_s=5, clock=clock),
        observer=counts,
    )


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
async def test_a_store_in_trouble_is_bypassed_and_taken_back(trouble: str) -> None:
    """It costs one bounded wait, is then left alone for its rest, told of both times, and used again after it."""
    clock, store, counts = Clock(), FlakyStore(), Counts()
    cache = two_levels(store, clock, counts)
    await cache.open()
    cache.put("a", entry(document=b"kept"))
    async with asyncio.timeout(5):
        while "a" not in store.values:  # noqa: ASYNC110 - it is written behind our back
            await asyncio.sleep(0)
    assert await cache.get("a") == (entry(document=b"kept"), CacheOutcome.STORE)
    setattr(store, trouble, True)
    assert await cache.get("a") is None
    asked = store.asked
    assert await cache.get("a") is None
    assert isinstance(await cache.get_or_lead("a"), Lease)
    cache.put("b", entry())
    await asyncio.sleep(0)
    assert store.asked == asked
    setattr(store, trouble, False)
    clock.now = 5.0
    assert await cache.get("a") == (entry(document=b"kept"), CacheOutcome.STORE)
    assert counts.states == [True, False, True]
    assert counts.outcomes == ["store", "miss", "miss", "miss", "store"]
    assert counts.errors == 1
    await cache.close()


async def test_what_waits_is_written_at_the_close() -> None:
    """Entries put just before the end are in the store; those beyond the bound are left out, not waited for."""
    store = FlakyStore()
    cache = two_levels(store, Clock())
    await cache.open()
    for i in range(300):
        cache.put(str(i), entry())
    await cache.close()
    assert len(store.values) == 256


async def test_what_waits_to_be_written_is_bounded_in_bytes() -> None:
    """Of large entries no more than 32 MiB wait."""
    store = FlakyStore()
    cache = two_levels(store, Clock())
    await cache.open()
    for i in range(20):
        cache.put(str(i), entry(4 * 1024 * 1024))
    await cache.close()
    assert len(store.values) == 7


async def test_a_damaged_value_is_a_miss() -> None:
    """Bytes of another version or maker in the store are passed over, also by who leads then."""
    store = FlakyStore()
    store.values["a"] = b"\x80garbage"
    cache = two_levels(store, Clock())
    await cache.open()
    assert await cache.get("a") is None
    assert isinstance(await cache.get_or_lead("a"), Lease)
    await cache.close()


async def test_memory_alone() -> None:
    """Without a store everybody leads, and what was put is recalled."""
    counts = Counts()
    cache = TwoLevelCache(MemoryCache(max_bytes=10_000, ttl_s=10, clock=Clock()), None, observer=counts)
    await cache.open()
    assert cache.recall("a") is None
    lease = await cache.get_or_lead("a")
    assert isinstance(lease, Lease)
    cache.put("a", entry(), lease)
    lease.abandon()
    assert cache.recall("a") == entry()
    assert await cache.get("a") == (entry(), CacheOutcome.MEMORY)
    assert await cache.get_or_lead("a") == (entry(), CacheOutcome.MEMORY)
    assert await cache.get("b") is None
    assert counts.outcomes == ["miss", "memory", "memory", "memory", "miss"]
    await cache.close()


async def test_the_last_waiter_takes_the_call_with_it() -> None:
    """One of two waiters may leave; when both have, the call is cancelled and the next one begins anew."""
    flights: SingleFlight[str, str] = SingleFlight()
    begun = 0
    cancelled = asyncio.Event()
    release = asyncio.Event()

    async def call() -> str:
        nonlocal begun
        begun += 1
        try:
            await release.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "done"

    one, two = (asyncio.create_task(flights.run("k", call, name)) for name in ("first", "second"))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait({one})
    assert (begun, cancelled.is_set(), len(flights), flights.common("k")) == (1, False, 1, "first")
    two.cancel()
    await asyncio.wait({two})
    async with asyncio.timeout(5):
        await cancelled.wait()
    assert (len(flights), flights.common("k")) == (0, None)
    three = asyncio.create_task(flights.run("k", call, "third"))
    release.set()
    assert await three == "done"
    assert begun == 2


async def test_a_call_that_has_failed_is_not_joined() -> None:
    """Who asks between the end of a failed call and its being forgotten begins a new one."""
    flights: SingleFlight[str, str] = SingleFlight()
    seen: list[str | None] = []

    async def fail() -> str:
        asyncio.get_running_loop().call_soon(lambda: seen.append(flights.common("k")))
        raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        await flights.run("k", fail, "first")
    assert seen == [None]
    assert len(flights) == 0


class Shelf:
    """A link to Redis that keeps the one value that is put, and notes how often the loop had turned by then."""

    def __init__(self) -> None:
        self.kept: bytes | None = None
        self.turns = 0
        self.turns_before_put = 0

    async def run(self, script: object, keys: object, args: tuple[bytes, ...]) -> int:
        self.kept, self.turns_before_put = args[0], self.turns
        return 1

    async def get(self, key: str) -> bytes | None:
        return self.kept

    async def turn(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


async def test_large_values_do_not_hold_the_loop() -> None:
    """Others have their turns while megabytes are deflated and inflated."""
    shelf, value = Shelf(), random.Random(1).randbytes(500_000).hex().encode()
    store = RedisStore(shelf, max_value_bytes=4 << 20, ttl_s=10, random_source=random.Random(1))  # type: ignore[arg-type]
    turning = asyncio.create_task(shelf.turn())
    await asyncio.sleep(0)
    before_put = shelf.turns
    await store.put("k", value)
    assert shelf.turns_before_put > before_put
    before_get = shelf.turns
    assert await store.get("k") == value
    assert shelf.turns > before_get
    turning.cancel()
