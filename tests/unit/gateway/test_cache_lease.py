"""Who leads, who follows and who is told, over a store with leases that lives in memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable

import pytest

from ocr_gateway.cache.announcements import Announcements
from ocr_gateway.cache.entry import CacheEntry
from ocr_gateway.cache.lease import Lease
from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.store import StoreRefused, StoreUnavailable, Turn
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.model import CacheOutcome

LEASE_S = 0.09
FOR_EVER_S = 1000.0
ENTRY = CacheEntry(b"document", "scripted", "1")


class LeasingStore:
    """Values and leases; announces, fails, refuses and hangs as it is told. Leases end only by hand."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.leases: dict[str, str] = {}
        self.wait_s = FOR_EVER_S
        self.fails = False
        self.refuses = False
        self.hangs = False
        self.renewed = asyncio.Event()
        self.asked = 0
        self._tells: list[Callable[[bool, str], None]] = []
        self._heard: list[Callable[[str], None]] = []
        self._resumed: list[Callable[[], None]] = []

    def watch(self, tell: Callable[[bool, str], None]) -> None:
        self._tells.append(tell)
        tell(True, "")

    def tell(self, in_use: bool) -> None:
        for tell in self._tells:
            tell(in_use, "" if in_use else "gone")

    def resume(self) -> None:
        for resumed in self._resumed:
            resumed()

    async def open(self) -> None:
        """It is."""

    async def listen(self, heard: Callable[[str], None], resumed: Callable[[], None]) -> None:
        self._heard.append(heard)
        self._resumed.append(resumed)

    async def get(self, key: str) -> bytes | None:
        await self._trouble()
        return self.values.get(key)

    async def get_or_lead(self, key: str, holder: str, lease_s: float) -> bytes | Turn:
        self.asked += 1
        await self._trouble()
        if key in self.values:
            return self.values[key]
        leads = self.leases.setdefault(key, holder) == holder
        if self.hangs:
            await asyncio.Event().wait()
        return Turn(leads, 0.0 if leads else self.wait_s)

    async def put(self, key: str, value: bytes, holder: str = "") -> None:
        await self._trouble()
        if self.refuses:
            await self.release(key, holder)
            raise StoreRefused("full")
        self.values[key] = value
        await self.release(key, holder)

    async def renew(self, key: str, holder: str, lease_s: float) -> bool:
        self.renewed.set()
        await self._trouble()
        return self.leases.get(key) == holder

    async def release(self, key: str, holder: str) -> None:
        if holder and self.leases.get(key) == holder:
            del self.leases[key]
            for heard in self._heard:
                heard(key)

    async def close(self) -> None:
        """Nothing is held."""

    async def _trouble(self) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise StoreUnavailable("down")


@pytest.fixture
def store() -> LeasingStore:
    return LeasingStore()


@pytest.fixture
async def caches(store: LeasingStore) -> AsyncIterator[list[TwoLevelCache]]:
    """Two replicas' caches over the one store; their memories hold nothing."""
    made = [
        TwoLevelCache(MemoryCache(max_bytes=0, ttl_s=10, clock=lambda: 0.0), store, lease_s=LEASE_S) for _ in range(2)
    ]
    for cache in made:
        await cache.open()
    yield made
    for cache in made:
        await cache.close()


async def lead(cache: TwoLevelCache, key: str = "k") -> Lease:
    lease = await cache.get_or_lead(key)
    assert isinstance(lease, Lease)
    return lease


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - other tasks bring it about
            await asyncio.sleep(0)


async def follow(store: LeasingStore, cache: TwoLevelCache) -> asyncio.Task[object]:
    """A look-up that has found another's lease and waits."""
    asked = store.asked
    task: asyncio.Task[object] = asyncio.create_task(cache.get_or_lead("k"))
    await until(lambda: store.asked > asked)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_the_entry_reaches_the_follower(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """What the leader put is the follower's, as COALESCED; for who asks later it comes from the store."""
    lease = await lead(caches[0])
    follower = await follow(store, caches[1])
    caches[0].put("k", ENTRY, lease)
    assert await follower == (ENTRY, CacheOutcome.COALESCED)
    assert await caches[1].get_or_lead("k") == (ENTRY, CacheOutcome.STORE)
    assert store.leases == {}


@pytest.mark.parametrize("how", ["abandoned", "refused", "ended"])
async def test_without_an_entry_a_follower_leads(store: LeasingStore, caches: list[TwoLevelCache], how: str) -> None:
    """Whether the call failed, the store refused the value, or the leader died: the follower leads."""
    store.wait_s = 0.01 if how == "ended" else FOR_EVER_S
    lease = await lead(caches[0])
    follower = await follow(store, caches[1])
    if how == "abandoned":
        lease.abandon()
    elif how == "refused":
        store.refuses = True
        caches[0].put("k", ENTRY, lease)
    else:
        store.leases.clear()
    async with asyncio.timeout(5):
        assert isinstance(await follower, Lease)


async def test_a_store_that_goes_out_of_use_frees_the_followers(
    store: LeasingStore, caches: list[TwoLevelCache]
) -> None:
    """They do not wait for what nobody could tell them."""
    await lead(caches[0])
    follower = await follow(store, caches[1])
    store.fails = True
    store.tell(False)
    async with asyncio.timeout(5):
        lease = await follower
    assert isinstance(lease, Lease)
    assert not lease.held


async def test_leases_are_given_back_when_the_store_is_in_use_again(
    store: LeasingStore, caches: list[TwoLevelCache]
) -> None:
    """What was put or abandoned in between holds nobody up any longer than that."""
    put, abandoned = await lead(caches[0], "put"), await lead(caches[0], "abandoned")
    store.tell(False)
    caches[0].put("put", ENTRY, put)
    abandoned.abandon()
    for _ in range(5):
        await asyncio.sleep(0)
    assert store.leases.keys() == {"put", "abandoned"}
    store.tell(True)
    await until(lambda: not store.leases)


async def test_missed_announcements_are_made_up_for(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """After an interruption of the news every follower looks again."""
    await lead(caches[0])
    follower = await follow(store, caches[1])
    store.values["k"] = ENTRY.to_bytes()
    store.resume()
    async with asyncio.timeout(5):
        assert await follower == (ENTRY, CacheOutcome.COALESCED)


async def test_a_lease_is_renewed_until_it_is_given_up(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """While it is held, also when a renewal fails; not once it has been given up."""
    lease = await lead(caches[0])
    for fails in (False, True, False):
        store.fails = fails
        store.renewed.clear()
        async with asyncio.timeout(5):
            await store.renewed.wait()
    lease.abandon()
    assert not lease.held
    store.renewed.clear()
    await asyncio.sleep(LEASE_S)
    assert not store.renewed.is_set()


async def test_a_lease_that_nobody_has_is_not_renewed(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """A lease that its owner lost sight of ends by itself."""
    lease = await lead(caches[0])
    del lease
    gc.collect()
    await asyncio.sleep(LEASE_S)
    assert not store.renewed.is_set()


async def test_who_leaves_while_the_store_decides_gives_the_lease_back(
    store: LeasingStore, caches: list[TwoLevelCache]
) -> None:
    """The lease that was given to nobody is free for the next one."""
    store.hangs = True
    asking = asyncio.create_task(caches[0].get_or_lead("k"))
    await until(lambda: store.leases)
    asking.cancel()
    await asyncio.wait({asking})
    store.hangs = False
    await until(lambda: not store.leases)
    assert (await lead(caches[1])).held


async def test_announcements_remember_only_who_waits() -> None:
    """An event is set for its key and for all; after its end nothing is left of it."""
    announcements = Announcements()
    with announcements.listening("a") as first, announcements.listening("a") as second:
        with announcements.listening("b") as other:
            announcements.announce("a")
            announcements.announce("unheard of")
            assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)
            announcements.announce_all()
            assert other.is_set()
        assert len(announcements) == 1
    assert len(announcements) == 0
