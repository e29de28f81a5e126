"""The cache of several replicas over one real Redis: one leads, the others follow, and Redis may fail as it likes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ocr_gateway.cache.entry import CacheEntry
from ocr_gateway.cache.lease import Lease, term_of
from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.redis_store import RedisStore
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.model import CacheOutcome
from ocr_gateway.redis_link import RedisLink
from tests.fakes.redis_server import RedisServer, eventually, redis_cluster

pytestmark = pytest.mark.alone

TIMEOUT_S = 0.1
REST_S = 0.3
LEASE_S = 1.0
TTL_S = 3600.0
SLACK_S = 0.3
KEY = "0a" * 32
ENTRY = CacheEntry(b"the document " * 200, "scripted", "1", b"raw", 0.93)


class Counts:
    """What an observer was told."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.errors = 0

    def cache_outcome(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def store_error(self) -> None:
        self.errors += 1

    def store_in_use(self, in_use: bool) -> None:
        """Seen at the link."""


class Replica:
    """One replica's cache, with a link of its own. Its memory holds ``memory_bytes``."""

    def __init__(self, url: str, timeout_s: float, memory_bytes: int, lease_s: float) -> None:
        self.counts = Counts()
        self.link = RedisLink(url, timeout_s=timeout_s, rest_s=REST_S)
        store = RedisStore(self.link, max_value_bytes=100_000, ttl_s=TTL_S, random_source=random.Random(1))
        memory = MemoryCache(max_bytes=memory_bytes, ttl_s=TTL_S, clock=time.monotonic)
        self.cache = TwoLevelCache(memory, store, lease_s=lease_s, observer=self.counts)


@asynccontextmanager
async def replica(
    url: str, *, timeout_s: float = 1.0, memory_bytes: int = 0, lease_s: float = LEASE_S
) -> AsyncIterator[Replica]:
    made = Replica(url, timeout_s, memory_bytes, lease_s)
    await made.link.open()
    await made.cache.open()
    try:
        yield made
    finally:
        await made.cache.close()
        await made.link.close()


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with RedisServer() as running:
        yield running


@pytest.fixture
async def pair(server: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    async with replica(server.url) as one, replica(server.url) as two:
        await until_both_listen(server)
        yield one, two


async def until_both_listen(server: RedisServer) -> None:
    async with asyncio.timeout(10):
        while "\n2" not in await server.command("PUBSUB", "NUMSUB", "ocrmux:announced"):  # noqa: ASYNC110 - its state
            await asyncio.sleep(0.01)


async def lead(cache: TwoLevelCache, key: str = KEY) -> Lease:
    lease = await cache.get_or_lead(key)
    assert isinstance(lease, Lease)
    return lease


async def follow(server: RedisServer, cache: TwoLevelCache) -> asyncio.Task[object]:
    """A look-up that waits for the lease."""
    task: asyncio.Task[object] = asyncio.create_task(cache.get_or_lead(KEY))
    async with asyncio.timeout(5):
        while not (await server.command("GET", f"ocrmux:lease:{{{KEY}}}")).endswith("+"):  # noqa: ASYNC110 - its state
            await asyncio.sleep(0.01)
    return task


async def stored(server: RedisServer, key: str = KEY) -> None:
    """Returns once the value is in Redis."""
    async with asyncio.timeout(5):
        while await server.command("EXISTS", f"ocrmux:result:{{{key}}}") != "1":  # noqa: ASYNC110 - its state
            await asyncio.sleep(0.01)


async def test_one_leads_and_the_other_gets_its_result(server: RedisServer, pair: tuple[Replica, Replica]) -> None:
    """The follower has the leader's entry as soon as it is announced, long before the lease would end."""
    one, two = pair
    lease = await lead(one.cache)
    follower = await follow(server, two.cache)
    await asyncio.sleep(0.1)
    assert not follower.done()
    began = time.monotonic()
    one.cache.put(KEY, ENTRY, lease)
    assert await follower == (ENTRY, CacheOutcome.COALESCED)
    assert time.monotonic() - began < LEASE_S / 3
    assert await two.cache.get(KEY) == (ENTRY, CacheOutcome.STORE)
    assert one.counts.outcomes == ["miss"]
    assert two.counts.outcomes == ["coalesced", "store"]
    assert await server.command("KEYS", "ocrmux:lease:*") == ""


async def test_many_ask_and_one_leads(server: RedisServer, pair: tuple[Replica, Replica]) -> None:
    """Of 100 look-ups over two replicas one gets the lease, and all others its entry."""
    tasks = [asyncio.create_task(pair[i % 2].cache.get_or_lead(KEY)) for i in range(100)]
    await eventually(lambda: any(task.done() for task in tasks))
    await asyncio.sleep(0.1)
    leases = [task.result() for task in tasks if task.done()]
    assert len(leases) == 1
    lease = leases[0]
    assert isinstance(lease, Lease)
    pair[0].cache.put(KEY, ENTRY, lease)
    answers = await asyncio.gather(*tasks)
    assert answers.count((ENTRY, CacheOutcome.COALESCED)) == 99


async def test_a_hit_or_a_lease_is_one_command_and_so_is_what_follows(server: RedisServer) -> None:
    """Look-up and lease are one command together; keeping, giving up and announcing are another."""
    async with replica(server.url, lease_s=60) as one:
        await one.cache.get_or_lead("0b")  # from here on Redis knows the scripts
        one.cache.put("0b", ENTRY)
        await stored(server, "0b")
        before = one.link.commands
        lease = await lead(one.cache)
        assert one.link.commands == before + 1
        one.cache.put(KEY, ENTRY, lease)
        await stored(server)
        assert one.link.commands == before + 2
        assert await one.cache.get_or_lead(KEY) == (ENTRY, CacheOutcome.STORE)
        assert one.link.commands == before + 3


async def test_an_abandoned_lease_goes_to_a_follower_at_once(
    server: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    """A call that failed does not hold up the others: one of them leads then."""
    one, two = pair
    lease = await lead(one.cache)
    follower = await follow(server, two.cache)
    began = time.monotonic()
    lease.abandon()
    lease.abandon()
    assert isinstance(await follower, Lease)
    assert time.monotonic() - began < LEASE_S / 3


async def die(server: RedisServer, key: str = KEY) -> None:
    """The key's lease, as a replica leaves it that is killed just when it has given a sign of life."""
    await server.command("SET", f"ocrmux:lease:{{{key}}}", "dead.0:1")
    await server.command("SET", "ocrmux:alive:dead.0", "", "PX", round(LEASE_S * 1000))


async def test_a_leader_that_dies_delays_the_others_by_its_lease_at_most(server: RedisServer) -> None:
    """Nobody signs or announces: the follower leads when the last sign ends."""
    async with replica(server.url) as two:
        await die(server)
        began = time.monotonic()
        assert isinstance(await two.cache.get_or_lead(KEY), Lease)
        assert LEASE_S * 0.8 < time.monotonic() - began < LEASE_S + SLACK_S


async def test_of_two_who_wait_for_a_dead_leader_one_leads(server: RedisServer, pair: tuple[Replica, Replica]) -> None:
    """The lease is taken from the dead one once; the other follower waits on and gets the new leader's entry."""
    for _ in range(3):
        await die(server)
        following = {await follow(server, each.cache): each for each in pair}
        done, waiting = await asyncio.wait(following, timeout=2 * LEASE_S, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in waiting)
        [leads], [waits] = done, waiting
        lease = leads.result()
        assert isinstance(lease, Lease)
        began = time.monotonic()
        following[leads].cache.put(KEY, ENTRY, lease)
        assert await waits == (ENTRY, CacheOutcome.COALESCED)
        assert time.monotonic() - began < LEASE_S / 3
        await server.command("FLUSHALL")


async def test_thousands_of_leases_cost_a_few_commands(server: RedisServer) -> None:
    """In two seconds 5000 held ones cost the signs, one at every third of a lease; 200 followers ask no more often."""
    lease_s, keys = 3.0, [f"{i:064x}" for i in range(5000)]
    async with replica(server.url, lease_s=lease_s) as one, replica(server.url, lease_s=lease_s) as two:
        await until_both_listen(server)
        leases = []
        for first in range(0, len(keys), 50):
            leases += await asyncio.gather(*(lead(one.cache, key) for key in keys[first : first + 50]))
        looked = two.link.commands
        following = [asyncio.create_task(two.cache.get_or_lead(key)) for key in keys[:200]]
        await eventually(lambda: two.link.commands >= looked + 200)
        held, followed = one.link.commands, two.link.commands
        await asyncio.sleep(2.0)
        assert one.link.commands - held <= 20
        assert two.link.commands - followed <= 20
        assert not any(task.done() for task in following)
        for lease in leases:
            lease.abandon()
        async with asyncio.timeout(10):
            assert all(isinstance(lease, Lease) for lease in await asyncio.gather(*following))


async def test_a_replica_that_was_slow_goes_on(server: RedisServer, pair: tuple[Replica, Replica]) -> None:
    """Its sign ended and came back: leases that nobody took meanwhile are still its own, and are not taken from it."""
    one, two = pair
    lease = await lead(one.cache)
    await server.command("DEL", f"ocrmux:alive:{term_of(lease.holder)}")
    async with asyncio.timeout(LEASE_S):
        while await server.command("EXISTS", f"ocrmux:alive:{term_of(lease.holder)}") != "1":  # noqa: ASYNC110 - its state
            await asyncio.sleep(0.01)
    follower = await follow(server, two.cache)
    await asyncio.sleep(1.5 * LEASE_S)
    assert not follower.done()
    one.cache.put(KEY, ENTRY, lease)
    assert await follower == (ENTRY, CacheOutcome.COALESCED)


async def test_a_long_call_keeps_its_lease(server: RedisServer, pair: tuple[Replica, Replica]) -> None:
    """While the leader lives the follower waits, over several leases."""
    one, two = pair
    lease = await lead(one.cache)
    follower = await follow(server, two.cache)
    await asyncio.sleep(2.2 * LEASE_S)
    assert not follower.done()
    one.cache.put(KEY, ENTRY, lease)
    assert await follower == (ENTRY, CacheOutcome.COALESCED)


async def test_a_forgotten_lease_ends_by_itself(server: RedisServer, pair: tuple[Replica, Replica]) -> None:
    """A lease whose owner has lost it is given back."""
    one, two = pair
    lease = await lead(one.cache)
    follower = await follow(server, two.cache)
    del lease
    assert isinstance(await asyncio.wait_for(follower, LEASE_S), Lease)


async def test_a_follower_that_leaves_takes_nothing_along(server: RedisServer, pair: tuple[Replica, Replica]) -> None:
    """The leader's lease stays, the other followers get the entry, and nothing is remembered of who left."""
    one, two = pair
    lease = await lead(one.cache)
    leaving, staying = await follow(server, two.cache), await follow(server, two.cache)
    leaving.cancel()
    await asyncio.wait({leaving})
    assert await server.command("EXISTS", f"ocrmux:lease:{{{KEY}}}") == "1"
    one.cache.put(KEY, ENTRY, lease)
    assert await staying == (ENTRY, CacheOutcome.COALESCED)
    assert await server.command("KEYS", "ocrmux:lease:*") == ""


async def test_who_leaves_in_the_middle_of_a_look_up_holds_no_lease(server: RedisServer) -> None:
    """Whether or not the lease had been given, it is free at once."""
    async with replica(server.url) as one:
        for round_number in range(30):
            asking = asyncio.create_task(one.cache.get_or_lead(f"{round_number:02}"))
            await asyncio.sleep(0.0001 * (round_number % 10))
            asking.cancel()
            await asyncio.wait({asking})
            if not asking.cancelled():
                lease = asking.result()
                assert isinstance(lease, Lease)
                lease.abandon()
        async with asyncio.timeout(LEASE_S / 2):
            while await server.command("KEYS", "ocrmux:lease:*"):  # noqa: ASYNC110 - its state
                await asyncio.sleep(0.01)


async def test_an_entry_for_another_key_frees_the_lease(server: RedisServer, pair: tuple[Replica, Replica]) -> None:
    """When a fallback made the result, under its own key, who waits for the first key leads at once."""
    one, two = pair
    lease = await lead(one.cache)
    follower = await follow(server, two.cache)
    one.cache.put("0c" * 32, ENTRY, lease)
    assert isinstance(await asyncio.wait_for(follower, LEASE_S / 2), Lease)
    assert await two.cache.get("0c" * 32) == (ENTRY, CacheOutcome.STORE)


async def test_a_stalled_redis_costs_a_bounded_time_and_loses_nothing(server: RedisServer) -> None:
    """Every look-up returns with a lease within the bound; the results stay in memory; later Redis is used again."""
    async with replica(server.url, timeout_s=TIMEOUT_S, memory_bytes=1_000_000) as one:
        lease = await lead(one.cache)
        one.cache.put(KEY, ENTRY, lease)
        await stored(server)
        server.stop_signal()
        began = time.monotonic()
        leases = await asyncio.gather(*(lead(one.cache, f"{i:02}") for i in range(100)))
        assert time.monotonic() - began < TIMEOUT_S + SLACK_S
        for one_lease in leases:
            one.cache.put(one_lease.key, ENTRY, one_lease)
        assert one.cache.recall("42") == ENTRY
        assert one.counts.errors >= 1
        errors = one.counts.errors
        began = time.monotonic()
        assert isinstance(await one.cache.get_or_lead("more"), Lease)
        assert await one.cache.get("even more") is None
        assert time.monotonic() - began < TIMEOUT_S
        assert one.counts.errors == errors
        server.continue_signal()
        await eventually(lambda: one.link.in_use)
        one.cache.put("after", ENTRY, await lead(one.cache, "after"))
        await stored(server, "after")


async def test_what_a_stalled_redis_gives_late_is_given_back(server: RedisServer) -> None:
    """A lease that Redis gave after its caller had left holds up nobody once Redis is in use again."""
    async with replica(server.url, timeout_s=TIMEOUT_S, lease_s=30) as one:
        await lead(one.cache, "warm")
        server.stop_signal()
        await lead(one.cache)
        server.continue_signal()
        await eventually(lambda: one.link.in_use)
        async with asyncio.timeout(2):
            lease = await lead(one.cache)
        assert lease.held


async def test_followers_do_not_wait_for_a_redis_that_is_gone(server: RedisServer) -> None:
    """When Redis stalls while they wait, they go their own way within the bound of noticing it."""
    async with (
        replica(server.url, timeout_s=TIMEOUT_S, lease_s=30) as one,
        replica(server.url, timeout_s=TIMEOUT_S, lease_s=30) as two,
    ):
        await until_both_listen(server)
        lease = await lead(one.cache)
        follower = await follow(server, two.cache)
        server.stop_signal()
        began = time.monotonic()
        assert isinstance(await follower, Lease)
        assert time.monotonic() - began < 2 * REST_S + TIMEOUT_S + SLACK_S
        server.continue_signal()
        lease.abandon()


async def test_a_redis_that_forgets_everything(server: RedisServer) -> None:
    """Killed and restarted empty: a result is a miss, a lease that still runs is taken again, scripts are sent anew."""
    async with replica(server.url) as one, replica(server.url) as two:
        one.cache.put(KEY, ENTRY)
        await stored(server)
        lease = await lead(one.cache, "0d")
        await server.restart()
        await eventually(lambda: one.link.in_use and two.link.in_use)
        assert await one.cache.get(KEY) is None
        async with asyncio.timeout(LEASE_S + 1):
            while await server.command("EXISTS", "ocrmux:lease:{0d}") != "1":  # noqa: ASYNC110 - its state
                await asyncio.sleep(0.01)
        assert lease.held
        lease.abandon()


async def test_a_full_redis_is_read_and_not_written() -> None:
    """Refused writes are counted and raise nothing; what is there is found; leases go on; nobody is kept waiting."""
    async with RedisServer({"maxmemory-policy": "noeviction"}) as server, replica(server.url) as one:
        one.cache.put(KEY, ENTRY)
        await stored(server)
        await server.command("CONFIG", "SET", "maxmemory", "100kb")
        lease = await lead(one.cache, "0e")
        assert lease.held
        for i in range(20):
            one.cache.put(f"{i:02}", ENTRY)
        one.cache.put("0e", ENTRY, lease)
        await eventually(lambda: one.counts.errors == 21)
        assert one.link.in_use
        assert await server.command("KEYS", "ocrmux:lease:*") == ""
        assert await one.cache.get_or_lead(KEY) == (ENTRY, CacheOutcome.STORE)
        await server.command("CONFIG", "SET", "maxmemory", "0")
        one.cache.put("0f", ENTRY)
        await stored(server, "0f")


@pytest.mark.parametrize(
    "value", ["", "\x01", "\x02", "\x02no deflate", "\x07later version", "\x01{}\n", "plain words", "\x01not an entry"]
)
async def test_damaged_or_foreign_values_are_misses(server: RedisServer, value: str) -> None:
    """Whatever lies there, it is a miss, the caller leads, and its result takes the place."""
    async with replica(server.url) as one:
        await server.command("SET", f"ocrmux:result:{{{KEY}}}", value)
        assert await one.cache.get(KEY) is None
        one.cache.put(KEY, ENTRY, await lead(one.cache))
        async with asyncio.timeout(5):
            while await one.cache.get(KEY) is None:  # noqa: ASYNC110 - it is written behind our back
                await asyncio.sleep(0.01)


async def test_a_key_of_another_type_is_a_miss(server: RedisServer) -> None:
    """A list under our name is counted as an error, and Redis stays in use."""
    async with replica(server.url) as one:
        await server.command("RPUSH", f"ocrmux:result:{{{KEY}}}", "1")
        assert await one.cache.get(KEY) is None
        assert isinstance(await one.cache.get_or_lead(KEY), Lease)
        assert one.counts.errors == 2
        assert one.link.in_use


async def test_values_are_small_and_expire_with_jitter(server: RedisServer) -> None:
    """They are deflated where that helps, live 24 h give or take a tenth, and not all equally long."""
    async with replica(server.url) as one:
        for i in range(30):
            one.cache.put(f"{i:02}", ENTRY)
        one.cache.put("huge", CacheEntry(b"x" * 200_000, "scripted", "1"))
        one.cache.put("last", ENTRY)
        await stored(server, "last")
        assert await server.command("EXISTS", "ocrmux:result:{huge}") == "0"
        assert int(await server.command("STRLEN", "ocrmux:result:{00}")) < len(ENTRY.document) / 4
        left_s = [int(await server.command("PTTL", f"ocrmux:result:{{{i:02}}}")) / 1000 for i in range(30)]
        assert all(TTL_S * 0.89 < each < TTL_S * 1.11 for each in left_s)
        assert max(left_s) - min(left_s) > TTL_S * 0.05


async def test_over_a_cluster_of_three_masters() -> None:
    """Values, leases and announcements work whatever the slot of the key."""
    async with redis_cluster() as nodes:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
        async with replica(url) as one, replica(url) as two:
            keys = [f"{i:064x}" for i in range(20)]
            leases = [await lead(one.cache, key) for key in keys]
            followers = [asyncio.create_task(two.cache.get_or_lead(key)) for key in keys]
            await asyncio.sleep(0.3)
            assert not any(follower.done() for follower in followers)
            began = time.monotonic()
            for lease in leases:
                one.cache.put(lease.key, ENTRY, lease)
            assert await asyncio.gather(*followers) == [(ENTRY, CacheOutcome.COALESCED)] * 20
            assert time.monotonic() - began < LEASE_S / 2
            assert min([int(await node.command("DBSIZE")) for node in nodes]) > 0


async def test_a_leader_that_dies_over_a_cluster() -> None:
    """Sign and leases may lie on different masters: all leases of the dead one are taken within its lease."""
    async with redis_cluster() as nodes:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
        async with replica(url) as two:
            keys = [f"{i:064x}" for i in range(20)]
            dead = Replica(url, 1.0, 0, LEASE_S)
            await dead.link.open()
            await dead.cache.open()
            leases = [await lead(dead.cache, key) for key in keys]
            following = [asyncio.create_task(two.cache.get_or_lead(key)) for key in keys]
            await asyncio.sleep(1.5 * LEASE_S)
            assert not any(task.done() for task in following)
            await dead.link.close()  # what it held it holds no more than if it had been killed
            began = time.monotonic()
            assert all(isinstance(lease, Lease) for lease in await asyncio.gather(*following))
            assert time.monotonic() - began < LEASE_S + SLACK_S
            await dead.cache.close()
            assert len(leases) == 20
