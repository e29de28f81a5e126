"""A replica's side of the shared rate in virtual time: leases, lateness, the share, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.lanes.rate_limit import QuotaExhausted
from ocr_gateway.lanes.rate_window import RateWindow, Spacing
from ocr_gateway.lanes.server_clock import ServerClock
from ocr_gateway.lanes.shared_rate import SharedRate
from ocr_gateway.model import Quota
from ocr_gateway.redis_link import RedisLink, RedisRefused, RedisUnavailable, Script
from tests.fakes.virtual_time import now, run_virtual

SERVER_AHEAD_S = 1_000_000.0
INTERVAL_S = 1.02 / 50
ARGUMENTS = (
    "replica",
    "wanted",
    "calls",
    "window",
    "burst",
    "interval",
    "lead",
    "deadline",
    "day_limit",
    "month_limit",
    "offset",
    "correction",
    "returned",
    "known",
    "recovery",
    "unused",
    "sent",
    "since",
    "held",
    "day",
    "day_used",
    "month",
    "month_used",
)


@dataclass
class ScriptedLink:
    """A link to a Redis of one replica: ``asked`` are the requests by argument name. ``failure`` is raised instead."""

    spacing: Spacing = field(default_factory=lambda: Spacing.of(50))
    latency_s: float = 0.0005
    failure: Exception | None = None
    in_use: bool = True
    since_us: int = 7
    replicas: int = 3
    day_used: int = 0
    holding: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    tells: list[Callable[[bool, str], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.window = RateWindow(self.spacing)

    def watch(self, tell: Callable[[bool, str], None]) -> None:
        self.tells.append(tell)

    def turn(self, in_use: bool) -> None:
        """In use or out of use from now on."""
        self.in_use = in_use
        for tell in self.tells:
            tell(in_use, "test")

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int | float] = ()) -> Any:
        assert script.source.startswith("#!lua flags=allow-oom\n")
        assert {key[key.index("{") : key.index("}")] for key in keys} == {"{stub:text"}
        request = dict(zip(ARGUMENTS, map(str, args), strict=True))
        self.asked.append(request)
        await asyncio.sleep(self.latency_s / 2)
        if self.failure is not None:
            raise self.failure
        server_s = now() + SERVER_AHEAD_S
        slots: list[int] = []
        if request["since"] in ("0", str(self.since_us)):
            wanted, limit = 0 if self.holding else int(request["wanted"]), int(request["day_limit"])
            wanted = min(wanted, limit - self.day_used) if limit else wanted
            self.day_used += max(0, wanted)
            slots = [round(at * 1e6) for at in self.window.next_slots(server_s + int(request["lead"]) / 1e6, wanted)]
            replicas = self.replicas
        else:
            replicas = 0
        await asyncio.sleep(self.latency_s / 2)
        return [round(server_s * 1e6), self.since_us, replicas, 20, self.day_used, 1, self.day_used, slots]


def made(link: ScriptedLink, quota: Quota | None = None, **options: Any) -> SharedRate:
    return SharedRate(
        cast("RedisLink", link),
        "stub:text",
        quota or Quota(requests_per_second=50),
        replica="r1",
        clock=now,
        wall_clock=now,
        **options,
    )


async def opened(link: ScriptedLink, quota: Quota | None = None, **options: Any) -> SharedRate:
    rate = made(link, quota, **options)
    await rate.open()
    await asyncio.sleep(0.01)
    assert rate.sharing
    link.asked.clear()
    return rate


async def permit(rate: SharedRate, wanted: int = 1) -> float:
    """Waits for a permit as a lane does; returns when it came. At most three steps: no wait makes its caller spin."""
    changed = asyncio.Event()
    rate.on_change(changed.set)
    for _ in range(4):
        wait_s = rate.take(now(), wanted)
        if wait_s == 0.0:
            return now()
        changed.clear()
        if wait_s is None:
            await changed.wait()
        else:
            assert wait_s >= 0.001
            await asyncio.sleep(wait_s)
    raise AssertionError("asked in vain")


def test_one_request_leases_a_quarter_of_a_second() -> None:
    """Where many wait, 13 slots of 50 a second come at once, and no other request is made until they are used."""

    async def main() -> None:
        link = ScriptedLink()
        link.window.start_cold(now() + SERVER_AHEAD_S)
        rate = await opened(link)
        times = [await permit(rate, wanted=1_000) for _ in range(13)]
        assert [request["wanted"] for request in link.asked] == ["13"]
        assert [after - before for before, after in pairwise(times)] == pytest.approx([INTERVAL_S] * 12, abs=0.001)
        await permit(rate, wanted=2)
        assert [request["wanted"] for request in link.asked] == ["13", "2"]
        assert (rate.permits_shared, rate.permits_share, rate.late_slots) == (14, 0, 0)
        assert rate.script_calls == 2 + 1
        await rate.close()

    run_virtual(main())


def test_who_asks_while_redis_is_asked_causes_no_second_request() -> None:
    """Calls that come before the answer share its slots."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link)
        assert [rate.take(now(), wanted) for wanted in (1, 2, 3)] == [None] * 3
        await asyncio.sleep(0.0002)
        assert rate.take(now(), 4) is None
        await asyncio.sleep(0.001)
        assert [rate.take(now(), wanted) for wanted in (3, 2, 1)] == [0.0] * 3
        assert [request["wanted"] for request in link.asked] == ["3"]
        await rate.close()

    run_virtual(main())


def test_a_late_slot_is_given_back_and_never_used() -> None:
    """A slot is good for 8 ms; one that is later is told to Redis with the next request, by Redis's own time."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link)
        assert rate.take(now(), 2) is None
        await asyncio.sleep(0.005)
        assert rate.take(now(), 2) == 0.0
        await asyncio.sleep(0.009)
        assert rate.take(now(), 1) is None
        await asyncio.sleep(0.001)
        assert rate.take(now(), 1) == 0.0
        assert rate.late_slots == 1
        (unused,) = link.asked[1]["unused"].split()
        assert int(unused) / 1e6 == pytest.approx(1000.01 + SERVER_AHEAD_S, abs=0.001)
        await permit(rate)
        assert link.asked[2]["unused"] == ""
        await rate.close()

    run_virtual(main())


def test_a_slow_link_gets_slots_that_it_can_use() -> None:
    """With 60 ms a round trip every answer comes too late for its slots, until they are asked for later."""

    async def main() -> None:
        link = ScriptedLink(latency_s=0.06)
        rate = made(link)
        await rate.open()
        await asyncio.sleep(1.0)
        for _ in range(6):
            await permit(rate)
            await asyncio.sleep(0.1)
        assert rate.permits_shared == 6
        assert rate.late_slots <= 3
        await rate.close()

    run_virtual(main())


def test_a_lost_redis_leaves_the_leased_slots_and_then_the_share() -> None:
    """What was leased is used at its time; then calls go on at N / replicas, those of the last second counted."""

    async def main() -> None:
        link = ScriptedLink()
        link.window.start_cold(now() + SERVER_AHEAD_S)
        rate = await opened(link)
        began = await permit(rate, wanted=1_000)
        link.turn(in_use=False)
        assert not rate.sharing
        leased = [await permit(rate, wanted=1_000) for _ in range(12)]
        assert leased[-1] - began == pytest.approx(12 * INTERVAL_S, abs=0.002)
        assert rate.permits_share == 0
        first = [await permit(rate) for _ in range(4)]
        assert rate.permits_share == 4
        assert first[3] - began >= 1.02 - 0.001, "16 of 50 / 3 were made in this window"
        await rate.close()

    run_virtual(main())


def test_a_request_that_fails_is_made_good_by_the_share() -> None:
    """When Redis does not answer, who waits is told and gets a permit of the share at once."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link)
        link.failure = RedisUnavailable("no answer")
        link.latency_s = 0.1
        asked = now()
        assert await permit(rate) - asked < 0.1
        assert (rate.sharing, rate.permits_share) == (False, 1)
        await rate.close()

    run_virtual(main())


def test_what_was_done_without_redis_is_told_when_it_is_back() -> None:
    """The first request tells the ages of the calls of the last second and how many count for days and months."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link, Quota(requests_per_second=50, requests_per_day=1_000))
        link.turn(in_use=False)
        for _ in range(3):
            await permit(rate)
        await asyncio.sleep(0.2)
        link.turn(in_use=True)
        await asyncio.sleep(0.01)
        assert rate.sharing
        (told,) = link.asked
        assert (told["returned"], told["known"], told["correction"], told["wanted"]) == ("1", "3", "3", "0")
        ages = [int(age) / 1e6 for age in told["sent"].split()]
        assert len(ages) == 3
        assert ages[-1] == pytest.approx(0.2, abs=0.01)
        assert ages[0] - ages[1] == pytest.approx(1.02 / 16, abs=0.002)
        await permit(rate)
        assert (link.asked[1]["returned"], link.asked[1]["sent"], link.asked[1]["correction"]) == ("0", "", "0")
        await rate.close()

    run_virtual(main())


def test_an_emptied_redis_is_told_of_the_slots_that_are_held() -> None:
    """When Redis has begun anew, nothing is granted until it knows this replica's slots of the last second."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link)
        await permit(rate)
        link.since_us = 8
        await asyncio.sleep(0.1)
        await permit(rate)
        assert [request["since"] for request in link.asked] == ["7", "7", "0"]
        assert [len(request["held"].split()) for request in link.asked] == [0, 0, 1]
        assert rate.sharing
        await rate.close()

    run_virtual(main())


def test_an_emptied_redis_is_told_what_was_counted() -> None:
    """A Redis that has begun anew learns how many calls of the day and the month this replica knows of."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link, Quota(requests_per_second=50, requests_per_day=100, requests_per_month=100))
        link.day_used = 40
        await permit(rate)
        link.since_us = 8
        await asyncio.sleep(0.1)
        await permit(rate)
        told = [[request[name] for name in ("day", "day_used", "month", "month_used")] for request in link.asked]
        assert told == [["0"] * 4, ["0"] * 4, ["20", "41", "1", "41"]]
        await rate.close()

    run_virtual(main())


def test_a_redis_that_waits_for_others_to_tell_is_asked_again_soon() -> None:
    """Where nothing is granted although the day has calls left, the lane waits for a tenth of a second at a time."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link, Quota(requests_per_second=50, requests_per_day=100))
        link.holding = True
        assert rate.take(now(), 1) is None
        await asyncio.sleep(0.01)
        assert rate.take(now(), 1) == pytest.approx(0.09, abs=0.001)
        await asyncio.sleep(0.095)
        assert rate.take(now(), 1) is None
        link.holding = False
        await asyncio.sleep(0.11)
        assert await permit(rate) == now()
        assert [request["wanted"] for request in link.asked] == ["1", "1", "1"]
        await rate.close()

    run_virtual(main())


def test_before_redis_is_found_calls_go_at_the_share_of_the_settings() -> None:
    """Without ever a Redis the quota is divided by the replicas that the settings tell."""

    async def main() -> None:
        link = ScriptedLink(in_use=False)
        rate = made(link, replicas=5)
        await rate.open()
        times = [await permit(rate) for _ in range(12)]
        assert times[10] - times[0] >= 1.02 - 1e-9
        assert (rate.permits_share, rate.sharing, link.asked) == (12, False, [])
        await rate.close()

    run_virtual(main())


def test_a_script_that_redis_refuses_leaves_the_share(capsys: pytest.CaptureFixture[str]) -> None:
    """A Redis that cannot run the script is tried at each heartbeat; the lane goes on at its share and says so once."""

    async def main() -> None:
        link = ScriptedLink(failure=RedisRefused("ERR unknown flag"))
        rate = made(link)
        await rate.open()
        await asyncio.sleep(5.0)
        await permit(rate)
        assert (rate.sharing, rate.permits_share, len(link.asked)) == (False, 1, 3)
        link.failure = None
        await asyncio.sleep(2.0)
        assert rate.sharing
        await rate.close()

    run_virtual(main())
    assert capsys.readouterr().out.count("rate.script_refused") == 1


def test_a_slowed_replica_leases_less_and_wider() -> None:
    """At half the quota slots are two intervals apart and a request asks for half as many."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link)
        rate.slow_to(0.5)
        await permit(rate, wanted=1_000)
        assert link.asked[0]["wanted"] == "7"
        assert float(link.asked[0]["interval"]) == pytest.approx(40_800)
        await rate.close()

    run_virtual(main())


def test_a_spent_day_is_refused_until_the_next() -> None:
    """When the day's quota is granted, no more requests are made for it, and the refusal names midnight."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link, Quota(requests_per_second=50, requests_per_day=3))
        for _ in range(3):
            await permit(rate, wanted=3)
        with pytest.raises(QuotaExhausted) as refused:
            rate.take(now(), 1)
        assert refused.value.opens_in_s == pytest.approx(86_400 - (now() + SERVER_AHEAD_S) % 86_400, abs=0.01)
        assert len(link.asked) == 1
        await rate.close()

    run_virtual(main())


def test_without_redis_a_replica_takes_its_part_of_the_day() -> None:
    """Of ten calls that are left three replicas make three each; asking again soon is worth it."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link, Quota(requests_per_day=10))
        link.turn(in_use=False)
        assert [rate.take(now(), 1) for _ in range(3)] == [0.0] * 3
        with pytest.raises(QuotaExhausted) as refused:
            rate.take(now(), 1)
        assert refused.value.opens_in_s == 2.0
        await rate.close()

    run_virtual(main())


def test_an_idle_replica_is_seen_every_two_seconds() -> None:
    """Who asks for nothing still tells that it lives, and who asks often does not tell it besides."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link)
        await asyncio.sleep(10.0)
        assert [request["wanted"] for request in link.asked] == ["0"] * 5
        link.asked.clear()
        for _ in range(10):
            await permit(rate)
            await asyncio.sleep(1.0)
        assert [request["wanted"] for request in link.asked] == ["1"] * 10
        await rate.close()

    run_virtual(main())


def test_closing_gives_slots_back_and_signs_off() -> None:
    """What was leased and not used is free for others at once."""

    async def main() -> None:
        link = ScriptedLink()
        rate = await opened(link)
        await permit(rate, wanted=10)
        await rate.close()
        await rate.close()
        assert [(request["wanted"], len(request["unused"].split())) for request in link.asked] == [("10", 0), ("-1", 9)]

    run_virtual(main())


def test_waits_of_many_are_lower_bounds() -> None:
    """The 13th leased call waits for its slot; a hundred more need at least two windows less a burst."""

    async def main() -> None:
        link = ScriptedLink()
        link.window.start_cold(now() + SERVER_AHEAD_S)
        rate = await opened(link)
        assert rate.wait_of(now(), 1) == 0.0
        await permit(rate, wanted=1_000)
        assert rate.wait_of(now(), 12) == pytest.approx(12 * INTERVAL_S, abs=0.002)
        assert 1.8 < rate.wait_of(now(), 112) < 112 * INTERVAL_S
        await rate.close()

    run_virtual(main())


def test_a_quota_of_zeros_cannot_be_shared() -> None:
    """Where there is no limit there is nothing to share."""

    async def main() -> None:
        with pytest.raises(ValueError, match="no limit"):
            made(ScriptedLink(), Quota())

    run_virtual(main())


@given(
    trips=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 0.1), st.floats(0, 1)), min_size=1, max_size=30),
    drift=st.floats(-4e-4, 4e-4),
)
def test_the_servers_time_is_known_to_within_the_stated_error(
    trips: list[tuple[float, float, float]], drift: float
) -> None:
    """However round trips are split, and clocks drift, the estimate's error is no more than it says."""
    clock, here = ServerClock(), 100.0

    def server(at: float) -> float:
        return 5_000.0 + at * (1 + drift)

    for pause_s, trip_s, part in trips:
        here += pause_s
        clock.heard(here, here + trip_s, server(here + trip_s * part))
        here += trip_s
    assert abs(clock.local(server(here)) - here) <= clock.error_s(here) + 1e-6
    assert clock.server(clock.local(4_321.0)) == pytest.approx(4_321.0)


def test_a_servers_clock_that_is_set_is_believed_at_once() -> None:
    """A reading that contradicts all earlier ones takes their place, though its round trip is longer."""
    clock = ServerClock()
    clock.heard(10.0, 10.001, 500.0)
    clock.heard(11.0, 11.01, 601.0)
    assert clock.local(601.0) == pytest.approx(11.005)


def test_no_time_is_told_before_a_reading() -> None:
    """Without a reading there is no estimate to rely on."""
    clock = ServerClock()
    assert not clock.known
    with pytest.raises(RuntimeError, match="no reading"):
        clock.local(1.0)
    with pytest.raises(RuntimeError, match="no reading"):
        clock.server(1.0)
