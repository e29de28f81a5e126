"""Who leads, who follows and who is told, over a store with leases that lives in memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable

import pytest

from ocr_gateway.cache.announcements import Announcements
from ocr_gateway.cache.entry import CacheEntry
from ocr_gateway.cache.lease import Lease, term_of
from ocr_gateway.cache.life_signs import LifeSigns
from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.store import StoreRefused, StoreUnavailable, Turn
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.model import CacheOutcome

LEASE_S = 0.09
FOR_EVER_S = 1000.0
ENTRY = CacheEntry(b"document", "scripted", "1")


class LeasingStore:
    """Values, leases and signs of life; announces, fails, refuses and hangs as it is told. A sign ends only by hand."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.leases: dict[str, str] = {}
        self.signs: set[str] = set()
        self.signed: list[str] = []
        self.left_s = FOR_EVER_S
        self.withholds_signs = False
        self.unyielding = False
        self.fails = False
        self.refuses = False
        self.hangs = False
        self.asked = 0
        self.asked_for_signs = 0
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

    async def get_or_lead(self, key: str, holder: str, dead: str | None = None) -> bytes | Turn:
        self.asked += 1
        await self._trouble()
        if key in self.values:
            return self.values[key]
        if self.leases.get(key) in (None, None if self.unyielding else dead):
            self.leases[key] = holder
        if self.hangs:
            await asyncio.Event().wait()
        return Turn(self.leases[key] == holder, self.leases[key])

    async def put(self, key: str, value: bytes, holder: str = "") -> None:
        await self._trouble()
        if self.refuses:
            await self.release(key, holder)
            raise StoreRefused("full")
        self.values[key] = value
        await self.release(key, holder)

    async def renew(self, key: str, holder: str) -> bool:
        await self._trouble()
        return self.leases.setdefault(key, holder) == holder

    async def sign(self, term: str, life_s: float) -> bool:
        self.signed.append(term)
        await self._trouble()
        stood = term in self.signs
        self.signs.add(term)
        return stood

    async def life_left_s(self, term: str) -> float:
        self.asked_for_signs += 1
        await self._trouble()
        if self.withholds_signs:
            raise StoreRefused("no")
        return self.left_s if term in self.signs else 0.0

    async def release(self, key: str, holder: str) -> None:
        await self._trouble()
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


async def die(store: LeasingStore, cache: TwoLevelCache) -> None:
    """No sign of it is left, and none will come."""
    await cache.close()
    store.signs -= {term_of(holder) for holder in store.leases.values()}


async def test_the_entry_reaches_the_follower(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """What the leader put is the follower's, as COALESCED; for who asks later it comes from the store."""
    lease = await lead(caches[0])
    follower = await follow(store, caches[1])
    caches[0].put("k", ENTRY, lease)
    assert await follower == (ENTRY, CacheOutcome.COALESCED)
    assert await caches[1].get_or_lead("k") == (ENTRY, CacheOutcome.STORE)
    assert store.leases == {}


@pytest.mark.parametrize("how", ["abandoned", "refused", "died"])
async def test_without_an_entry_a_follower_leads(store: LeasingStore, caches: list[TwoLevelCache], how: str) -> None:
    """Whether the call failed, the store refused the value, or the leader died: the follower leads."""
    store.left_s = 0.01
    lease = await lead(caches[0])
    follower = await follow(store, caches[1])
    if how == "abandoned":
        lease.abandon()
    elif how == "refused":
        store.refuses = True
        caches[0].put("k", ENTRY, lease)
    else:
        await die(store, caches[0])
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


async def test_a_leader_is_followed_by_one(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """Of two who wait for a replica that dies, one leads, and the other has its entry."""
    store.left_s = 0.01
    third = TwoLevelCache(MemoryCache(max_bytes=0, ttl_s=10, clock=lambda: 0.0), store, lease_s=LEASE_S)
    await third.open()
    await lead(caches[0])
    following = {await follow(store, caches[1]): caches[1], await follow(store, third): third}
    await die(store, caches[0])
    done, waiting = await asyncio.wait(following, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(2 * LEASE_S)
    assert not any(task.done() for task in waiting)
    [leads], [waits] = done, waiting
    lease = leads.result()
    assert isinstance(lease, Lease)
    following[leads].put("k", ENTRY, lease)
    assert await waits == (ENTRY, CacheOutcome.COALESCED)
    await third.close()


async def test_those_who_wait_ask_once_for_all(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """However many leases of a replica are waited for, its sign is looked at once in its time."""
    leases = [await lead(caches[0], f"{i}") for i in range(100)]
    following = [asyncio.create_task(caches[1].get_or_lead(f"{i}")) for i in range(100)]
    await until(lambda: store.asked == 200)
    await asyncio.sleep(LEASE_S / 2)
    assert store.asked_for_signs == 1
    for lease in leases:
        caches[0].put(lease.key, ENTRY, lease)
    assert await asyncio.gather(*following) == [(ENTRY, CacheOutcome.COALESCED)] * 100


@pytest.mark.parametrize("trouble", ["refuses", "stays", "busy"])
async def test_a_watch_that_ends_wakes_and_one_that_is_refused_does_not_spin(trouble: str) -> None:
    """A store that cannot be asked wakes who waits; one that does not tell is asked again only after a while."""
    store = LeasingStore()
    store.withholds_signs, store.fails, store.left_s = trouble == "refuses", trouble == "busy", 0.01
    store.signs.add("t")
    signs, wake = LifeSigns(store, retry_s=FOR_EVER_S), asyncio.Event()
    with signs.watching("t", wake) as watch, signs.watching("t", asyncio.Event()) as same:
        assert same is watch
        await asyncio.sleep(0.05)
        assert wake.is_set() is (trouble == "busy")
        assert not watch.over
        assert (store.asked_for_signs > 1) is (trouble == "stays")
    if trouble != "refuses":
        async with asyncio.timeout(5):
            while len(signs):  # noqa: ASYNC110 - the watch ends when nobody waits any more
                await asyncio.sleep(0.005)
    await signs.close()
    assert len(signs) == 0


async def test_a_lost_announcement_is_made_up_for(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """Though the leader lives and nobody says anything, the follower looks again when the time of a sign is over."""
    await lead(caches[0])
    follower = await follow(store, caches[1])
    store.values["k"] = ENTRY.to_bytes()
    async with asyncio.timeout(5):
        assert await follower == (ENTRY, CacheOutcome.COALESCED)


async def test_a_lease_that_cannot_be_taken_keeps_nobody(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """Where the dead holder's lease stays as it is, the caller goes its own way."""
    store.unyielding = True
    store.leases["k"] = "what is this"
    async with asyncio.timeout(5):
        assert not (await lead(caches[0])).held
    assert store.asked == 2


async def test_signs_are_given_however_many_leases_there_are(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """At every third of a lease one, also after one that failed; not one by one for the leases."""
    leases = [await lead(caches[0], f"{i}") for i in range(100)]
    term = term_of(leases[0].holder)
    store.signed.clear()
    await asyncio.sleep(LEASE_S)
    assert 1 <= store.signed.count(term) <= 4
    for fails in (True, False):
        store.fails = fails
        store.signed.clear()
        await until(lambda: term in store.signed)


async def test_a_term_ends_with_its_last_lease(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """An old term is signed while a lease of it is held, and no longer; new leases are of a new one."""
    lease = await lead(caches[0])
    replica, term = lease.holder.partition(".")[0], term_of(lease.holder)
    await until(lambda: len({each for each in store.signed if each.startswith(replica)}) == 2)
    store.signed.clear()
    await until(lambda: store.signed.count(term) == 2)
    assert term_of((await lead(caches[0], "other")).holder) != term
    lease.abandon()
    store.signed.clear()
    await until(lambda: sum(each.startswith(replica) for each in store.signed) == 3)
    assert term not in store.signed


async def test_a_lease_that_nobody_has_is_given_back(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """A lease that its owner lost sight of ends with the next sign of life."""
    lease = await lead(caches[0])
    del lease
    gc.collect()
    await until(lambda: not store.leases)
    assert isinstance(await caches[1].get_or_lead("k"), Lease)


async def test_forgotten_leases_are_taken_again(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """A store that has lost signs and leases is told of those still held; who was given one meanwhile has it."""
    leases = [await lead(caches[0], key) for key in "abc"]
    store.leases.clear()
    store.leases["b"] = "another:1"
    leases[2].fulfil()
    store.signs.clear()
    await until(lambda: store.leases == {"a": leases[0].holder, "b": "another:1"})


async def test_no_lease_is_taken_before_the_sign_stands(store: LeasingStore, caches: list[TwoLevelCache]) -> None:
    """After an outage the first look-up sees to it that the replica is known to live before it leads."""
    store.tell(False)
    store.signs.clear()
    store.tell(True)
    lease = await lead(caches[0])
    assert term_of(lease.holder) in store.signs


async def test_a_lease_that_could_not_be_given_up_is_given_up_later(
    store: LeasingStore, caches: list[TwoLevelCache]
) -> None:
    """Neither a value nor a release that the store did not take leaves the lease behind."""
    put, abandoned = await lead(caches[0], "put"), await lead(caches[0], "abandoned")
    store.fails = True
    caches[0].put("put", ENTRY, put)
    abandoned.abandon()
    for _ in range(10):
        await asyncio.sleep(0)
    assert store.leases.keys() == {"put", "abandoned"}
    store.fails = False
    await until(lambda: not store.leases)


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
