"""A lane in virtual time: turns, quota, retries, circuit, deadlines and cancels."""

from __future__ import annotations

import asyncio
import random

import pytest

from ocr_gateway.errors import (
    DeadlineUnreachable,
    ImageUndecodable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.lanes.circuit import CircuitPolicy
from ocr_gateway.lanes.lane import LanePolicy
from ocr_gateway.lanes.retry import RetryPolicy
from ocr_gateway.model import Priority, ProviderResult, ProviderState, Quota, Trail
from tests.fakes.lane_bench import Bench, down_between, most_in_any_window
from tests.fakes.virtual_time import now, run_virtual


def test_the_quota_is_used_to_the_full_and_never_exceeded() -> None:
    """3000 items at 50 a second: never more than 50 in a second, and 97 % of the quota after the first one."""

    async def main() -> Bench:
        bench = Bench(Quota(requests_per_second=50), latency_s=0.3)
        await bench.all(3000)
        return bench

    bench = run_virtual(main())
    assert len(bench.calls) == 3000
    assert most_in_any_window(bench.calls, 1.0) <= 50
    first_second = sum(1 for at in bench.calls if at < bench.calls[0] + 1)
    assert (3000 - first_second) / (bench.calls[-1] - bench.calls[0] - 1) >= 0.97 * 50


def test_concurrency_is_bounded_and_places_are_passed_on() -> None:
    """Never more than four calls at a time, always four while items wait."""

    async def main() -> tuple[Bench, float]:
        bench = Bench(Quota(max_concurrency=4))
        began = now()
        await bench.all(40)
        return bench, now() - began

    bench, took_s = run_virtual(main())
    assert bench.most_in_progress == 4
    assert took_s == pytest.approx(40 / 4 * 0.1)


def test_one_image_beside_a_stream_of_thousands() -> None:
    """While one stream holds 5000 items, another one's single items have their turn after one of its."""

    async def main() -> list[int]:
        bench = Bench(Quota(requests_per_second=50, max_concurrency=100))
        bulk = [asyncio.ensure_future(bench.call("bulk", source="bulk")) for _ in range(5000)]
        await asyncio.sleep(2)
        turns = []
        for _ in range(50):
            before = len(bench.calls)
            await bench.call("single", source="single")
            turns.append(bench.order[before:].index("single"))
        for each in bulk:
            each.cancel()
        await asyncio.gather(*bulk, return_exceptions=True)
        return turns

    assert max(run_virtual(main())) <= 5


def test_weights_of_tenants_show_as_calls() -> None:
    """Weights 3 to 1 are calls 3 to 1 within a tenth, while both wait."""

    async def main() -> float:
        bench = Bench(Quota(requests_per_second=50), weights={"a": 3.0, "b": 1.0})
        calls = [asyncio.ensure_future(bench.call(tenant, tenant=tenant)) for tenant in "ab" for _ in range(400)]
        await asyncio.sleep(6)
        ratio = bench.order.count("a") / bench.order.count("b")
        await asyncio.gather(*calls)
        return ratio

    assert run_virtual(main()) == pytest.approx(3, rel=0.1)


def test_a_high_priority_goes_first() -> None:
    """A high item that comes last is called before normal ones that have waited."""

    async def main() -> list[str]:
        bench = Bench(Quota(max_concurrency=1))
        normal = [asyncio.ensure_future(bench.call("normal")) for _ in range(5)]
        await asyncio.sleep(0.01)
        await bench.call("high", priority=Priority.HIGH, source="other")
        await asyncio.gather(*normal)
        return bench.order

    assert run_virtual(main()).index("high") == 1


def test_transient_failures_are_made_again_with_growing_waits() -> None:
    """Three failures, then the result; the waits grow, and the trail counts every attempt."""

    async def main() -> tuple[Bench, Trail]:
        bench = Bench(behave=lambda number: ProviderUnavailable("stub", "500") if number <= 3 else None)
        trail = Trail()
        await bench.call(trail=trail)
        return bench, trail

    bench, trail = run_virtual(main())
    assert (trail.attempts, trail.billed_units) == (4, 1.0)
    waits = [later - sooner - 0.1 for sooner, later in zip(bench.calls, bench.calls[1:], strict=False)]
    for wait, longest in zip(waits, (0.2, 0.4, 0.8), strict=True):
        assert longest / 2 <= wait <= longest + 0.001
    assert trail.provider_ms == pytest.approx(400)


def test_permanent_errors_are_not_made_again() -> None:
    """An image that the provider refuses costs one attempt."""

    async def main() -> Trail:
        bench = Bench(behave=lambda _: ImageUndecodable("no image"))
        trail = Trail()
        with pytest.raises(ImageUndecodable):
            await bench.call(trail=trail)
        return trail

    assert run_virtual(main()).attempts == 1


@pytest.mark.parametrize(
    ("error", "attempts"), [(ProviderUnavailable("stub", "500"), 6), (ProviderThrottled("stub", "18"), 18)]
)
def test_attempts_are_bounded(error: ProviderUnavailable | ProviderThrottled, attempts: int) -> None:
    """A provider that always fails is asked six times, one that always throttles 18 times."""

    async def main() -> Trail:
        bench = Bench(behave=lambda _: error)
        trail = Trail()
        with pytest.raises(type(error)):
            await bench.call(trail=trail)
        return trail

    assert run_virtual(main()).attempts == attempts


def test_retry_after_is_honoured_by_the_whole_lane() -> None:
    """A provider that says 5 seconds gets no call for so long, also not for other items."""

    async def main() -> Bench:
        bench = Bench(
            behave=lambda number: ProviderThrottled("stub", "429", retry_after_s=5.0) if number == 1 else None
        )
        first = asyncio.ensure_future(bench.call())
        await asyncio.sleep(1)
        await asyncio.gather(first, bench.call(source="other"))
        return bench

    calls = run_virtual(main()).calls
    assert len(calls) == 3
    assert calls[1] >= calls[0] + 5.1


def test_throttling_slows_the_lane_and_it_recovers() -> None:
    """After refusals the lane keeps to less than the quota for a while, then to all of it again."""

    async def main() -> Bench:
        bench = Bench(Quota(requests_per_second=50))
        begin = now()
        bench.behave = lambda _: ProviderThrottled("stub", "18") if 2 <= now() - begin < 3 else None
        await bench.all(1200)
        return bench

    calls = run_virtual(main()).calls
    begin = calls[0]

    def rate(since: float, until: float) -> float:
        return sum(1 for at in calls if begin + since <= at < begin + until) / (until - since)

    assert rate(3.0, 4.0) < 45
    assert rate(14.0, 20.0) > 48


def test_a_token_that_ran_out_costs_no_wait() -> None:
    """A failure that says "at once" is made again at once and does not count against the provider."""

    async def main() -> Bench:
        bench = Bench(
            behave=lambda number: ProviderUnavailable("stub", "token", retry_after_s=0) if number == 1 else None
        )
        await bench.call()
        return bench

    calls = run_virtual(main()).calls
    assert calls[1] - calls[0] == pytest.approx(0.1)


def test_a_provider_that_is_down_for_20_s_loses_nothing() -> None:
    """The circuit opens, few calls are wasted, and all 1000 items that have nobody else to go to are read after it."""

    async def main() -> tuple[Bench, list[Trail]]:
        bench = Bench(Quota(requests_per_second=50))
        bench.behave = down_between(now() + 3, now() + 23)
        trails = [Trail() for _ in range(1000)]
        await asyncio.gather(*(bench.call(trail=trail) for trail in trails))
        return bench, trails

    bench, trails = run_virtual(main())
    assert sum(trail.attempts for trail in trails) == len(bench.calls)
    assert sum(trail.billed_units for trail in trails) == 1000
    begin = bench.calls[0]
    wasted = [at for at in bench.calls if begin + 4 <= at < begin + 23]
    assert len(wasted) <= 8
    assert max(bench.calls) < begin + 3 + 20 + 16.5 + 20  # the outage, the longest rest by then, the work itself


def test_with_another_provider_nobody_waits_for_a_rested_one() -> None:
    """An item that can go elsewhere is told at once, and so are those that were waiting when the circuit opened."""

    async def main() -> tuple[list[BaseException | ProviderResult], float, Bench]:
        bench = Bench(Quota(max_concurrency=2), behave=lambda _: ProviderUnavailable("stub", "down"))
        outcomes = await asyncio.gather(*(bench.call(patient=False) for _ in range(50)), return_exceptions=True)
        began = now()
        with pytest.raises(ProviderUnavailable):
            await bench.call(patient=False)
        assert bench.lane.state[0] is ProviderState.RESTED
        return outcomes, now() - began, bench

    outcomes, waited_s, bench = run_virtual(main())
    assert all(isinstance(outcome, ProviderUnavailable) for outcome in outcomes)
    assert waited_s == 0
    assert len(bench.calls) <= 12


def test_a_provider_that_stays_down_turns_callers_away_after_a_while() -> None:
    """After the circuit's ``wait_s`` even those with nobody else to go to are told, with the time to come again."""

    async def main() -> tuple[float, ProviderUnavailable]:
        policy = LanePolicy(circuit=CircuitPolicy(wait_s=30))
        bench = Bench(policy=policy, behave=lambda _: ProviderUnavailable("stub", "down"))
        began = now()
        outcomes = await asyncio.gather(*(bench.call() for _ in range(40)), return_exceptions=True)
        took_s = now() - began
        assert all(isinstance(outcome, ProviderUnavailable) for outcome in outcomes)
        with pytest.raises(ProviderUnavailable) as told:
            await bench.call()
        began = now()
        await asyncio.sleep(60)
        with pytest.raises(ProviderUnavailable):  # its one call finds the provider down as before
            await bench.call()
        assert now() - began == pytest.approx(60 + bench.latency_s)
        return took_s, told.value

    took_s, told = run_virtual(main())
    assert took_s <= 30 + 31  # and the longest backoff
    assert told.retry_after_s
    assert told.retry_after_s > 1


def test_the_item_that_tries_a_rested_provider_does_not_lose_by_it() -> None:
    """A single item survives an outage that is longer than its six attempts would last."""

    async def main() -> Trail:
        policy = LanePolicy(circuit=CircuitPolicy(window=4, min_calls=2))
        bench = Bench(policy=policy)
        bench.behave = down_between(now(), now() + 50)
        trail = Trail()
        await bench.call(trail=trail)
        return trail

    assert run_virtual(main()).attempts >= 5


def test_a_deadline_that_cannot_be_met_is_refused_before_anything_is_spent() -> None:
    """With 100 items of its own ahead at ten a second, an item that has 5 s is refused at once; another's is not."""

    async def main() -> tuple[float, int]:
        bench = Bench(Quota(requests_per_second=10))
        bulk = [asyncio.ensure_future(bench.call()) for _ in range(100)]
        await asyncio.sleep(0.05)
        began, trail = now(), Trail()
        with pytest.raises(DeadlineUnreachable):
            await bench.call(timeout_s=5, trail=trail)
        waited_s = now() - began
        await bench.call(timeout_s=5, source="other")
        await asyncio.gather(*bulk)
        return waited_s, trail.attempts

    assert run_virtual(main()) == (0.0, 0)


def test_an_item_that_is_too_late_when_its_turn_comes_spends_nothing() -> None:
    """Less time left than half of the shortest call: it is refused at its turn and the next item has the permit."""

    async def main() -> list[str]:
        bench = Bench(Quota(max_concurrency=1), latency_s=2.0)
        for _ in range(8):
            await bench.call("warm")
        busy = asyncio.ensure_future(bench.call("busy"))
        await asyncio.sleep(0.01)
        late = asyncio.ensure_future(bench.call("late", timeout_s=2.5))
        after = asyncio.ensure_future(bench.call("after"))
        with pytest.raises(DeadlineUnreachable):
            await late
        await asyncio.gather(busy, after)
        return bench.order[8:]

    assert run_virtual(main()) == ["busy", "after"]


@pytest.mark.parametrize("seed", range(5))
def test_cancels_leave_nothing_behind(seed: int) -> None:
    """Items cancelled at random, waiting, in a call or between attempts, free their places; the rest is read."""

    async def main() -> tuple[Bench, int]:
        chance = random.Random(seed)
        bench = Bench(Quota(requests_per_second=50, max_concurrency=3))
        bench.behave = lambda number: ProviderUnavailable("stub", "500") if number % 5 == 0 else None
        tasks = [asyncio.ensure_future(bench.call(source=str(chance.randrange(4)))) for _ in range(200)]
        for task in chance.sample(tasks, 150):
            await asyncio.sleep(chance.random() / 20)
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return bench, sum(isinstance(outcome, ProviderResult) for outcome in outcomes)

    bench, read = run_virtual(main())
    assert read >= 50
    assert (bench.lane.in_progress, bench.lane.waiting, bench.in_progress) == (0, 0, 0)
    assert bench.most_in_progress <= 3


def test_a_turn_granted_in_the_instant_of_the_cancel_goes_on() -> None:
    """The place of an item that is cancelled right after its turn came is taken by the next one."""

    async def main() -> list[str]:
        bench = Bench(Quota(max_concurrency=1))
        tasks = [asyncio.ensure_future(bench.call(name)) for name in ("first", "second", "third")]

        def cancel_second(number: int) -> None:
            if number == 1:  # runs between the grant, at the end of this call, and the waking of the one that has it
                asyncio.get_running_loop().call_soon(tasks[1].cancel)

        bench.behave = cancel_second
        await asyncio.gather(*tasks, return_exceptions=True)
        assert tasks[1].cancelled()
        await asyncio.wait_for(bench.call("fourth"), 10)
        return bench.order

    assert run_virtual(main()) == ["first", "third", "fourth"]


def test_rejected_credentials_close_the_lane_for_a_while() -> None:
    """One call finds out; nobody else is sent for half a minute, then it is tried again."""

    async def main() -> Bench:
        bench = Bench(
            Quota(max_concurrency=1),
            behave=lambda number: ProviderNotConfigured("stub", "wrong key") if number == 1 else None,
        )
        outcomes = await asyncio.gather(*(bench.call() for _ in range(20)), return_exceptions=True)
        assert all(isinstance(outcome, ProviderNotConfigured) for outcome in outcomes)
        assert bench.lane.state[0] is ProviderState.NOT_CONFIGURED
        await asyncio.sleep(31)
        await bench.call()
        return bench

    assert len(run_virtual(main()).calls) == 2


def test_a_spent_quota_closes_the_lane_until_it_opens_again() -> None:
    """What the provider says of its own quota, and the configured quota of a day, end in the same answer."""

    async def main() -> tuple[list[type], Bench]:
        bench = Bench(Quota(requests_per_day=10))
        outcomes = await asyncio.gather(*(bench.call() for _ in range(12)), return_exceptions=True)
        assert bench.lane.state[0] is ProviderState.QUOTA_SPENT
        await asyncio.sleep(24 * 3600)
        await bench.call()
        return [type(outcome) for outcome in outcomes], bench

    outcomes, bench = run_virtual(main())
    assert outcomes.count(ProviderResult) == 10
    assert outcomes.count(ProviderQuotaSpent) == 2
    assert len(bench.calls) == 11


def test_the_trail_tells_the_waits_apart() -> None:
    """Waiting for a free place is queue time, waiting for the quota is rate-limit time."""

    async def main() -> tuple[Trail, Trail]:
        queued, limited = Trail(), Trail()
        bench = Bench(Quota(max_concurrency=1), latency_s=1.0)
        await asyncio.gather(bench.call(), bench.call(trail=queued))
        slow = Bench(Quota(requests_per_second=0.5))
        await slow.call()
        await slow.call(trail=limited)
        return queued, limited

    queued, limited = run_virtual(main())
    assert queued.queue_ms == pytest.approx(1000)
    assert queued.rate_limit_ms == 0
    assert limited.rate_limit_ms == pytest.approx(2040 - 100, abs=2)
    assert limited.queue_ms == pytest.approx(0, abs=1)


def test_retries_are_kept_under_a_budget() -> None:
    """When every call fails, retries come at the budget's rate, be there ever so many items."""

    async def main() -> Bench:
        policy = LanePolicy(
            RetryPolicy(budget_per_s=2, budget_ratio=0, max_attempts=3), CircuitPolicy(window=10_000, min_calls=10_000)
        )
        bench = Bench(policy=policy, behave=lambda _: ProviderUnavailable("stub", "500"))
        await asyncio.gather(*(bench.call() for _ in range(100)), return_exceptions=True)
        return bench

    calls = run_virtual(main()).calls
    assert len(calls) == 300
    retries = sorted(calls)[100:]
    assert most_in_any_window(retries[40:], 10.0) <= 22


def test_what_a_call_needs_is_fetched_before_it_takes_a_permit() -> None:
    """While no token can be had no permit is used; failures to get one rest the provider and lose nothing."""

    async def main() -> tuple[Bench, float]:
        bench = Bench(Quota(requests_per_second=50))
        begin = now()
        bench.readying = lambda: ProviderUnavailable("stub", "no token") if now() < begin + 20 else None
        bench.behave = down_between(begin, begin + 20)
        await bench.all(100)
        return bench, begin

    bench, begin = run_virtual(main())
    assert len([at for at in bench.calls if at < begin + 20]) <= 8
    assert len([at for at in bench.calls if at >= begin + 20]) == 100
    assert most_in_any_window(bench.calls, 1.0) <= 50


def test_keys_that_are_missing_close_the_lane_without_a_call() -> None:
    """Not being configured is found out before a turn is taken, and told to everybody."""

    async def main() -> tuple[Bench, Trail, tuple[ProviderState, str]]:
        bench = Bench(readying=lambda: ProviderNotConfigured("stub", "no key"))
        trail = Trail()
        for _ in range(2):
            with pytest.raises(ProviderNotConfigured, match="no key"):
                await bench.call(trail=trail)
        return bench, trail, bench.lane.state

    bench, trail, state = run_virtual(main())
    assert (bench.calls, trail.attempts) == ([], 0)
    assert state == (ProviderState.NOT_CONFIGURED, "the provider 'stub' is not configured: no key")
