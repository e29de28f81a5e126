"""One quota shared by several replicas through a real Redis, while it stalls, restarts, and is full."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from ocr_gateway.lanes.rate_limit import QuotaExhausted
from ocr_gateway.lanes.rate_window import RateWindow, Spacing
from ocr_gateway.lanes.shared_rate import SharedRate
from ocr_gateway.lanes.slot_script import LEAVE, PeriodUse, SlotGrant, SlotRequest, SlotScript
from ocr_gateway.model import Quota
from ocr_gateway.redis_link import RedisLink
from tests.fakes.redis_server import RedisServer, eventually, redis_cluster

pytestmark = pytest.mark.alone

FIFTY = Quota(requests_per_second=50)
SHORT_TIMEOUT_S = 0.06
LONG_TIMEOUT_S = 1.0
"""For tests of the quota, so that a busy machine is not taken for a stalled Redis."""
REST_S = 0.3
DAY_S = 86_400


class Replica:
    """A gateway's lane as far as its rate limit goes: calls wait, and begin when there is a permit for them."""

    def __init__(self, link: RedisLink, rate: SharedRate) -> None:
        self.link = link
        self.rate = rate
        self.waiting = 0
        self.spent = False
        self.calls: list[float] = []
        self.share_calls: list[float] = []
        self._timer: asyncio.TimerHandle | None = None
        rate.on_change(self.pump)

    def want(self, calls: int) -> None:
        """So many more calls wait."""
        self.waiting += calls
        self.pump()

    def pump(self) -> None:
        """Begins the calls that may begin, and sets a timer for the next one."""
        if self._timer is not None:
            self._timer.cancel()
        while self.waiting:
            now, of_share = time.monotonic(), self.rate.permits_share
            try:
                wait_s = self.rate.take(now, self.waiting)
            except QuotaExhausted:
                self.spent = True
                return
            if wait_s is None:
                return
            if wait_s > 0:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self.pump)
                return
            self.waiting -= 1
            self.calls.append(now)
            if self.rate.permits_share > of_share:
                self.share_calls.append(now)

    async def close(self) -> None:
        """Stops calling and signs off."""
        self.waiting = 0
        await self.rate.close()
        await self.link.close()


@contextlib.asynccontextmanager
async def fleet(
    url: str, size: int, quota: Quota = FIFTY, *, known: int = 1, timeout_s: float = LONG_TIMEOUT_S
) -> AsyncIterator[list[Replica]]:
    """Replicas with connections of their own, all at work."""
    replicas = []
    for number in range(size):
        link = RedisLink(url, timeout_s=timeout_s, rest_s=REST_S, clock=time.monotonic)
        rate = SharedRate(
            link,
            "stub:text",
            quota,
            replica=f"r{number}",
            clock=time.monotonic,
            wall_clock=time.time,
            replicas=known,
            recovery_s=REST_S + timeout_s + 1.0,
        )
        replicas.append(Replica(link, rate))
    try:
        for replica in replicas:
            await replica.link.open()
            await replica.rate.open()
        await eventually(lambda: all(replica.rate.sharing for replica in replicas))
        yield replicas
    finally:
        for replica in replicas:
            await replica.close()


@contextlib.asynccontextmanager
async def script(url: str, quota: Quota = FIFTY, replica: str = "r") -> AsyncIterator[SlotScript]:
    """The script alone."""
    link = RedisLink(url, timeout_s=5.0, clock=time.monotonic)
    await link.open()
    try:
        yield SlotScript(link, "stub:text", quota, replica=replica, recovery_s=2.5)
    finally:
        await link.close()


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    """An empty Redis."""
    async with RedisServer() as running:
        yield running


def all_calls(replicas: list[Replica]) -> list[float]:
    return sorted(at for replica in replicas for at in replica.calls)


def worst_second(times: list[float]) -> int:
    """The most calls in any second."""
    worst, begin = 0, 0
    for end, at in enumerate(times):
        while at - times[begin] >= 1.0:
            begin += 1
        worst = max(worst, end - begin + 1)
    return worst


async def test_the_quota_is_used_to_the_full_and_never_exceeded(server: RedisServer) -> None:
    """Three replicas under demand make at most 50 calls in any second and 97 % of 50, at a command for ten calls."""
    async with fleet(server.url, 3) as replicas:
        for replica in replicas:
            replica.want(1_000)
        await eventually(lambda: len(all_calls(replicas)) >= 60)
        commands, begun = sum(r.rate.script_calls for r in replicas), len(all_calls(replicas))
        await eventually(lambda: len(all_calls(replicas)) >= begun + 150)
        commands = sum(r.rate.script_calls for r in replicas) - commands
        calls = all_calls(replicas)
    measured = calls[begun:]
    assert worst_second(calls) <= 50
    assert (len(measured) - 1) / (measured[-1] - measured[0]) >= 0.97 * 50
    assert commands <= 0.1 * len(measured)
    assert all(replica.calls for replica in replicas)


async def test_random_demand_never_exceeds_the_quota(server: RedisServer) -> None:
    """Calls that come in random crowds to random replicas are at most 50 in any second, and all are made."""
    chance = random.Random(7)
    async with fleet(server.url, 4) as replicas:
        wanted = 0
        for _ in range(35):
            crowd = chance.choice([1, 1, 2, 5, 12])
            wanted += crowd
            chance.choice(replicas).want(crowd)
            await asyncio.sleep(chance.uniform(0, 0.05))
        await eventually(lambda: len(all_calls(replicas)) == wanted)
        assert worst_second(all_calls(replicas)) <= 50


async def test_a_single_call_begins_at_once_on_an_idle_lane(server: RedisServer) -> None:
    """With quota free, a call waits for one round trip and no longer."""
    async with fleet(server.url, 1) as [replica]:
        asked = time.monotonic()
        replica.want(1)
        await eventually(lambda: replica.calls)
        assert replica.calls[0] - asked < 0.1
        assert replica.rate.permits_shared == 1


async def test_a_stalled_redis_costs_less_than_100_ms_and_is_used_again(server: RedisServer) -> None:
    """While Redis is stopped calls go on at the share after the link's time-out; later they are shared again."""
    async with fleet(server.url, 1, known=3, timeout_s=SHORT_TIMEOUT_S) as [replica]:
        server.stop_signal()
        asked = time.monotonic()
        replica.want(12)
        await eventually(lambda: len(replica.calls) == 12)
        assert not replica.rate.sharing
        assert replica.calls[0] - asked < 0.1
        assert replica.rate.permits_share == 12
        even_s = Spacing.of(50).share(3).interval_s
        assert replica.calls[11] - replica.calls[0] >= 11 * even_s - 1e-6
        server.continue_signal()
        await eventually(lambda: replica.rate.sharing)
        replica.want(5)
        await eventually(lambda: len(replica.calls) == 17)
        assert replica.rate.permits_shared == 5


async def test_a_loss_of_redis_exceeds_the_quota_by_no_more_than_the_shares(server: RedisServer) -> None:
    """Redis is killed and comes back empty, under demand: shares are kept, and who is back first takes no more."""
    async with fleet(server.url, 3) as replicas:
        for replica in replicas:
            replica.want(2_000)
        await eventually(lambda: len(all_calls(replicas)) >= 70)
        await server.kill()
        await eventually(lambda: all(len(r.share_calls) > 3 for r in replicas))
        await server.start()
        await eventually(lambda: all(r.rate.sharing for r in replicas))
        again = len(all_calls(replicas))
        await eventually(lambda: len(all_calls(replicas)) >= again + 120)
        calls = all_calls(replicas)
    for replica in replicas:
        assert worst_second(replica.share_calls) <= 50 // 3
    shared = sorted(set(calls) - {at for r in replicas for at in r.share_calls})
    assert worst_second(shared) <= 50
    assert worst_second(calls) <= 50 + 3 * Spacing.of(50).share(3).burst
    assert worst_second(calls[again + 60 :]) <= 50


async def test_a_quick_empty_restart_under_demand_keeps_the_quota(server: RedisServer) -> None:
    """A Redis that is emptied between two requests is told what was granted before, so that it counts."""
    async with fleet(server.url, 3) as replicas:
        for replica in replicas:
            replica.want(2_000)
        await eventually(lambda: len(all_calls(replicas)) >= 70)
        await server.command("FLUSHALL")
        await eventually(lambda: len(all_calls(replicas)) >= 200)
        assert worst_second(all_calls(replicas)) <= 50 + Spacing.of(50).burst
        assert all(replica.rate.sharing for replica in replicas)


async def test_a_replica_that_leaves_frees_its_slots(server: RedisServer) -> None:
    """Slots that a closing replica has leased are used by the others, and it counts as a replica no more."""
    async with fleet(server.url, 2) as [one, other]:
        await eventually(lambda: other.rate.replicas == 2)
        one.want(40)
        await eventually(lambda: len(one.calls) >= 2)
        await one.close()
        async with script(server.url) as lane:
            assert (await lane.ask(SlotRequest(0))).replicas == 2  # the other one and this


async def test_a_full_redis_still_shares_the_quota() -> None:
    """Where Redis refuses writes for want of memory, slots are granted all the same."""
    async with RedisServer({"maxmemory": "1mb", "maxmemory-policy": "noeviction"}) as full, script(full.url) as lane:
        assert "OOM" in await full.command("SET", "key", "v" * 2_000_000)
        assert len((await lane.ask(SlotRequest(3))).slots_us) == 3


async def test_a_cluster_keeps_a_lanes_keys_together() -> None:
    """On a cluster of three masters replicas share the quota as on one server."""
    async with redis_cluster() as nodes:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        async with fleet(url, 2) as replicas:
            for replica in replicas:
                replica.want(20)
            await eventually(lambda: len(all_calls(replicas)) == 40)
            assert worst_second(all_calls(replicas)) <= 50
            assert sum(replica.rate.permits_shared for replica in replicas) == 40


async def test_the_script_and_the_window_give_the_same_slots(server: RedisServer) -> None:
    """Any sequence of grants and give-backs gives the slots that RateWindow gives for the same times."""
    chance = random.Random(3)
    quota = Quota(requests_per_second=200)
    window = RateWindow(Spacing.of(200))
    async with script(server.url, quota) as lane:
        granted: list[int] = []
        for number in range(150):
            unused = tuple(sorted(chance.sample(granted, min(len(granted), chance.choice([0, 0, 1, 3])))))
            factor = chance.choice([1.0, 1.0, 0.5])
            grant = await lane.ask(SlotRequest(chance.randint(0, 30), factor=factor, unused_us=unused))
            now = grant.now_us / 1e6
            if number == 0:
                window.start_cold(now)
            window.slow_to(factor)
            for slot in unused:
                window.give_back(_nearest(window.recent(now - 100), slot / 1e6))
            slots = window.next_slots(now, len(grant.slots_us))
            assert [slot / 1e6 for slot in grant.slots_us] == pytest.approx(slots, abs=2e-4)
            granted = list(grant.slots_us)


def _nearest(times: list[float], at: float) -> float:
    return min(times, key=lambda time: abs(time - at))


async def test_replicas_that_are_back_keep_to_their_share_until_all_are(server: RedisServer) -> None:
    """After a loss of Redis one of three replicas gets a third of the rate, two get two thirds, all three all of it."""
    even_us = Spacing.of(50).interval_s * 1e6
    async with (
        script(server.url, replica="a") as a,
        script(server.url, replica="b") as b,
        script(server.url, replica="c") as c,
    ):
        back = SlotRequest(4, returned=True, known_replicas=3)
        for lane, stretch in ((a, 3.0), (b, 1.5), (c, 1.0)):
            slots = (await lane.ask(back)).slots_us
            assert [after - before for before, after in pairwise(slots[1:])] == pytest.approx(
                [even_us * stretch] * 2, abs=2
            )


async def test_calls_made_without_redis_count_when_it_is_back(server: RedisServer) -> None:
    """A replica that made 50 calls in half a second gets its next slot when the first is a window old."""
    async with script(server.url) as lane:
        grant = await lane.ask(SlotRequest(1, returned=True, sent_ages_s=tuple(0.01 * age for age in range(1, 51))))
        assert (grant.slots_us[0] - grant.now_us) / 1e6 == pytest.approx(1.02 - 0.5, abs=1e-4)


async def test_a_restarted_redis_is_told_of_the_slots_that_the_old_one_granted(server: RedisServer) -> None:
    """Slots held from before count where Redis knows nothing, and are not counted twice where it does."""
    held = tuple(0.01 * age for age in range(1, 51))
    async with script(server.url) as lane:
        first = await lane.ask(SlotRequest(1, returned=True, held_ages_s=held))
        assert (first.slots_us[0] - first.now_us) / 1e6 == pytest.approx(0.52, abs=1e-4)
        length = await server.command("LLEN", "ocrmux:rate:{stub:text}:slots")
        await lane.ask(SlotRequest(0, returned=True, since_us=first.since_us, held_ages_s=held))
        assert await server.command("LLEN", "ocrmux:rate:{stub:text}:slots") == length


async def test_a_request_that_comes_too_late_does_nothing(server: RedisServer) -> None:
    """A request that Redis finds after its deadline, as after a stall, takes no slots."""
    async with script(server.url) as lane:
        now_us = (await lane.ask(SlotRequest(1))).now_us
        late = await lane.ask(SlotRequest(5, deadline_us=now_us - 1))
        assert (late.done, late.slots_us) == (False, ())
        assert await server.command("LLEN", "ocrmux:rate:{stub:text}:slots") == "1"


async def test_replicas_are_counted_by_who_asked_lately(server: RedisServer) -> None:
    """Each replica that asks is counted; one that leaves is not."""
    async with script(server.url, replica="a") as a, script(server.url, replica="b") as b:
        assert (await a.ask(SlotRequest(0))).replicas == 1
        assert (await b.ask(SlotRequest(0))).replicas == 2
        assert (await a.ask(SlotRequest(LEAVE))).replicas == 1


async def test_a_clock_set_back_neither_stops_the_lane_nor_frees_slots(server: RedisServer) -> None:
    """Where Redis's clock was an hour ahead when it was last seen, slots go on from there."""
    async with script(server.url) as lane:
        first = await lane.ask(SlotRequest(1))
        ahead = first.now_us + 3_600_000_000
        await server.command("HSET", "ocrmux:rate:{stub:text}:state", "seen", ahead, "even", ahead)
        await server.command("RPUSH", "ocrmux:rate:{stub:text}:slots", ahead)
        grant = await lane.ask(SlotRequest(1))
        again = await lane.ask(SlotRequest(1))
    assert grant.now_us >= ahead
    assert ahead <= grant.slots_us[0] < ahead + 1_000_000
    assert ahead <= again.now_us < ahead + 5_000_000


async def test_a_day_and_a_month_are_counted_by_all(server: RedisServer) -> None:
    """A day's quota is granted once, over all replicas, and slots that come back unused count as not made."""
    quota = Quota(requests_per_second=100, requests_per_day=10, requests_per_month=50)
    async with script(server.url, quota, replica="a") as a, script(server.url, quota, replica="b") as b:
        assert len((await a.ask(SlotRequest(6))).slots_us) == 6
        rest = await b.ask(SlotRequest(6))
        assert (len(rest.slots_us), rest.use.day_used, rest.use.month_used) == (4, 10, 10)
        again = await a.ask(SlotRequest(6, correction=-2))
        assert (len(again.slots_us), again.use.day_used) == (2, 10)


@pytest.mark.parametrize(
    ("before", "after", "month_goes_on"),
    [
        (datetime(2028, 2, 28, 23, tzinfo=UTC), datetime(2028, 2, 29, 1, tzinfo=UTC), True),
        (datetime(2028, 2, 29, 23, tzinfo=UTC), datetime(2028, 3, 1, 1, tzinfo=UTC), False),
        (datetime(2027, 2, 28, 23, tzinfo=UTC), datetime(2027, 3, 1, 1, tzinfo=UTC), False),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, 1, tzinfo=UTC), False),
        (datetime(2027, 7, 31, 1, tzinfo=UTC), datetime(2027, 7, 31, 23, tzinfo=UTC), True),
    ],
)
async def test_days_and_months_turn_by_the_calendar(
    server: RedisServer, before: datetime, after: datetime, month_goes_on: bool
) -> None:
    """A new day begins a new count, and a new month its own, whichever its length."""
    quota = Quota(requests_per_day=20, requests_per_month=30)
    seen = await _ask_on(server, quota, before, SlotRequest(5))
    assert (seen.use.day_used, seen.use.month_used) == (5, 5)
    seen = await _ask_on(server, quota, after, SlotRequest(1))
    assert seen.use.day_used == (1 if after.date() != before.date() else 6)
    assert seen.use.month_used == (6 if month_goes_on else 1)


async def _ask_on(server: RedisServer, quota: Quota, date: datetime, request: SlotRequest) -> SlotGrant:
    async with script(server.url, replace(quota, period_offset_s=round(date.timestamp() - time.time()))) as lane:
        return await lane.ask(request)


async def test_an_emptied_redis_counts_on_from_what_each_replica_knows(server: RedisServer) -> None:
    """After FLUSHALL nothing is granted until all have told; then the most that one knew counts, and what is new."""
    quota = Quota(requests_per_second=100, requests_per_day=20, requests_per_month=50)
    async with script(server.url, quota, replica="a") as a, script(server.url, quota, replica="b") as b:
        knows_less = await a.ask(SlotRequest(6, known_replicas=2))
        knows_more = await b.ask(SlotRequest(6, known_replicas=2))
        await server.command("FLUSHALL")
        one = SlotRequest(8, known_replicas=2, since_us=knows_less.since_us)
        assert not (await a.ask(one)).done
        told = await a.ask(replace(one, since_us=0, use=knows_less.use, correction=1))
        assert (told.done, told.slots_us, told.use.day_used, told.use.month_used) == (True, (), 7, 7)
        other = await b.ask(SlotRequest(8, known_replicas=2, use=knows_more.use))
        assert (len(other.slots_us), other.use.day_used, other.use.month_used) == (7, 20, 20)
        again = await a.ask(replace(one, since_us=told.since_us))
        assert (again.slots_us, again.use.month_used) == ((), 20)


async def test_what_is_told_of_another_day_or_month_does_not_count(server: RedisServer) -> None:
    """A replica that was told yesterday tells an emptied Redis of the month alone, and of nothing in another month."""
    quota = Quota(requests_per_day=20, requests_per_month=50)
    last_of_month, first = datetime(2027, 3, 31, 23, tzinfo=UTC), datetime(2027, 4, 1, 1, tzinfo=UTC)
    eve, seventh = datetime(2027, 4, 6, 23, tzinfo=UTC), datetime(2027, 4, 7, 1, tzinfo=UTC)
    for told_on, asked_on, month_used in ((eve, seventh, 6), (last_of_month, first, 1)):
        await server.command("FLUSHALL")
        told = await _ask_on(server, quota, told_on, SlotRequest(5))
        await server.command("FLUSHALL")
        seen = await _ask_on(server, quota, asked_on, SlotRequest(1, use=told.use))
        assert (seen.use.day_used, seen.use.month_used) == (1, month_used)


async def test_a_period_goes_on_where_an_emptied_redis_has_a_slower_clock(server: RedisServer) -> None:
    """Where replicas know of a later day than Redis's clock says, that day goes on."""
    quota = Quota(requests_per_day=20, requests_per_month=50)
    told = await _ask_on(server, quota, datetime(2027, 4, 1, 1, tzinfo=UTC), SlotRequest(5))
    await server.command("FLUSHALL")
    seen = await _ask_on(server, quota, datetime(2027, 3, 31, 23, tzinfo=UTC), SlotRequest(1, use=told.use))
    assert seen.use == PeriodUse(told.use.day, 6, told.use.month, 6)


async def test_a_day_is_not_granted_twice_by_a_redis_that_was_emptied(server: RedisServer) -> None:
    """Of ten calls a day nine are made; then one more is, although who asks first after FLUSHALL knew of none."""
    async with fleet(server.url, 2, Quota(requests_per_second=100, requests_per_day=10)) as [one, other]:
        await eventually(lambda: one.rate.replicas == other.rate.replicas == 2)
        seen = other.rate.script_calls
        await eventually(lambda: other.rate.script_calls > seen)
        one.want(9)
        await eventually(lambda: len(one.calls) == 9)
        await server.command("FLUSHALL")
        other.want(9)
        one.want(9)
        await eventually(lambda: one.spent and other.spent)
        assert len(all_calls([one, other])) == 10
        assert await server.command("HGET", "ocrmux:rate:{stub:text}:used", "day_used") == "10"


async def test_a_day_is_not_granted_twice_by_a_redis_that_comes_back_empty(server: RedisServer) -> None:
    """What was called at the shares meanwhile counts, too."""
    async with fleet(server.url, 2, Quota(requests_per_second=100, requests_per_day=10)) as [one, other]:
        await eventually(lambda: one.rate.replicas == other.rate.replicas == 2)
        one.want(4)
        await eventually(lambda: len(one.calls) == 4)
        await server.kill()
        await eventually(lambda: not (one.rate.sharing or other.rate.sharing))
        other.want(2)
        await eventually(lambda: len(other.calls) == 2)
        await server.start()
        await eventually(lambda: one.rate.sharing and other.rate.sharing)
        for replica in (one, other):
            replica.want(9)
        await eventually(lambda: one.spent and other.spent)
        assert len(all_calls([one, other])) == 10


async def test_a_spent_day_is_refused_with_the_time_of_the_next(server: RedisServer) -> None:
    """When all replicas have spent the day's quota, each says so, and when it opens."""
    async with fleet(server.url, 2, Quota(requests_per_second=100, requests_per_day=7)) as [one, other]:
        one.want(4)
        await eventually(lambda: len(one.calls) == 4)
        other.want(3)
        await eventually(lambda: len(other.calls) == 3)
        with pytest.raises(QuotaExhausted) as refused:
            other.rate.take(time.monotonic(), 1)
        assert refused.value.period == "day"
        assert 0 < refused.value.opens_in_s <= DAY_S


async def test_a_quota_of_the_day_alone_is_not_slowed(server: RedisServer) -> None:
    """Without a limit a second, permits come as fast as they are asked for, until the day's quota is spent."""
    async with fleet(server.url, 1, Quota(requests_per_day=100)) as [replica]:
        replica.want(100)
        await eventually(lambda: len(replica.calls) == 100)
        assert replica.rate.permits_shared == 100
        assert replica.rate.script_calls <= 10
