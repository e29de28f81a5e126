"""A lane's retries in virtual time: what a further attempt may cost, whom it waits for, and what its end is called."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from ocr_gateway.errors import (
    DeadlineUnreachable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.lanes.circuit import CircuitPolicy
from ocr_gateway.lanes.lane import LanePolicy
from ocr_gateway.lanes.retry import RetryPolicy
from ocr_gateway.model import ProviderResult, ProviderState, Quota, Trail
from tests.fakes.lane_bench import Bench, most_in_any_window
from tests.fakes.virtual_time import now, run_virtual

NEVER_RESTS = CircuitPolicy(window=10_000, min_calls=10_000)


def test_a_retry_is_not_refused_for_the_items_behind_it() -> None:
    """An item that has had its turn goes before those of its source: their number says nothing of its deadline."""

    async def main() -> Trail:
        bench = Bench(Quota(requests_per_second=10))
        bench.behave = lambda number: ProviderUnavailable("stub", "500") if number == 1 else None
        trail = Trail()
        first = asyncio.ensure_future(bench.call(timeout_s=10, trail=trail))
        await asyncio.sleep(0)
        bulk = [asyncio.ensure_future(bench.call()) for _ in range(300)]
        await first
        for each in bulk:
            each.cancel()
        await asyncio.gather(*bulk, return_exceptions=True)
        return trail

    assert run_virtual(main()).attempts == 2


def test_a_retry_that_cannot_be_in_time_ends_with_what_the_provider_said() -> None:
    """DEADLINE_UNREACHABLE says that nothing was spent; after an attempt that would be wrong."""

    async def main() -> Trail:
        bench = Bench(Quota(requests_per_second=0.1), behave=lambda _: ProviderUnavailable("stub", "500"))
        trail = Trail()
        with pytest.raises(ProviderUnavailable, match="500"):
            await bench.call(timeout_s=5, trail=trail)
        return trail

    assert run_virtual(main()).attempts == 1


def test_items_without_time_for_a_retry_spend_none_of_the_budget() -> None:
    """After 500 items that failed and had no time for another attempt, one that has it waits for nobody's debt."""

    async def main() -> float:
        policy = LanePolicy(RetryPolicy(budget_per_s=1, budget_ratio=0), NEVER_RESTS)
        bench = Bench(policy=policy, behave=lambda _: ProviderUnavailable("stub", "500"))
        hurried = (bench.call(timeout_s=0.15) for _ in range(500))
        outcomes = await asyncio.gather(*hurried, return_exceptions=True)
        assert all(isinstance(outcome, ProviderUnavailable) for outcome in outcomes)
        bench.behave = lambda number: ProviderUnavailable("stub", "500") if number == 501 else None
        began = now()
        await bench.call()
        return now() - began

    assert run_virtual(main()) < 1


def test_a_retry_that_is_given_up_goes_back_into_the_budget() -> None:
    """500 callers that leave between two attempts leave no debt to the next one."""

    async def main() -> float:
        policy = LanePolicy(RetryPolicy(budget_per_s=1, budget_ratio=0, first_backoff_s=5), NEVER_RESTS)
        bench = Bench(policy=policy, behave=lambda _: ProviderUnavailable("stub", "500"))
        tasks = [asyncio.ensure_future(bench.call()) for _ in range(500)]
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert bench.lane.waiting == 0
        bench.behave = lambda number: ProviderUnavailable("stub", "500") if number == 501 else None
        began = now()
        await bench.call()
        return now() - began

    assert run_virtual(main()) < 10


def test_throttling_without_a_wait_is_backed_off_from() -> None:
    """A provider that throttles and says "after 0 seconds" is not asked again at once."""

    async def main() -> Bench:
        bench = Bench(behave=lambda number: ProviderThrottled("stub", "429", retry_after_s=0) if number < 4 else None)
        await bench.call()
        return bench

    calls = run_virtual(main()).calls
    waits = [later - sooner - 0.1 for sooner, later in itertools.pairwise(calls)]
    assert [wait >= least for wait, least in zip(waits, (0.1, 0.2, 0.4), strict=True)] == [True] * 3


def test_a_rested_provider_that_says_at_once_is_not_tried_for_ever() -> None:
    """The item that tries a rested provider has as many attempts as any other, if each is to be made again at once."""

    async def main() -> Bench:
        policy = LanePolicy(circuit=CircuitPolicy(window=2, min_calls=2))
        bench = Bench(Quota(requests_per_second=50), policy=policy, behave=lambda _: ProviderUnavailable("stub", "500"))
        await asyncio.gather(*(bench.call(patient=False) for _ in range(2)), return_exceptions=True)
        assert bench.lane.state[0] is ProviderState.RESTED
        await asyncio.sleep(2)
        bench.calls.clear()
        bench.behave = lambda _: ProviderUnavailable("stub", "token", retry_after_s=0)
        with pytest.raises(ProviderUnavailable, match="token"):
            await bench.call(timeout_s=60)
        return bench

    assert len(run_virtual(main()).calls) == 6


def test_an_item_that_had_no_attempt_is_refused_as_before() -> None:
    """Before anything was spent the deadline is the reason, whatever happened to others."""

    async def main() -> list[type]:
        bench = Bench(Quota(requests_per_second=0.1))
        outcomes = await asyncio.gather(*(bench.call(timeout_s=5) for _ in range(2)), return_exceptions=True)
        return [type(outcome) for outcome in outcomes]

    assert run_virtual(main()) == [ProviderResult, DeadlineUnreachable]


def test_what_is_refused_to_one_item_closes_the_lane_to_nobody() -> None:
    """An option of its own that the account does not cover is the item's misfortune, not the provider's."""

    async def main() -> list[type]:
        outcomes: list[object] = []
        for error in (
            ProviderNotConfigured("stub", "not bought", for_all=False),
            ProviderQuotaSpent("stub", "spent", for_all=False),
        ):
            bench = Bench(Quota(max_concurrency=1))
            bench.behave = lambda number, error=error: error if number == 1 else None  # type: ignore[misc]
            outcomes += await asyncio.gather(bench.call(), bench.call(), return_exceptions=True)
            assert bench.lane.state[0] is ProviderState.SERVING
        return [type(outcome) for outcome in outcomes]

    assert run_virtual(main()) == [ProviderNotConfigured, ProviderResult, ProviderQuotaSpent, ProviderResult]


def test_who_had_no_turn_yet_does_not_go_before_those_who_wait() -> None:
    """An item for which no token could be had at first waits behind those that came meanwhile."""

    async def main() -> list[str]:
        bench = Bench(Quota(max_concurrency=1), latency_s=1.0)
        errors = [ProviderUnavailable("stub", "no token")]
        bench.readying = lambda: errors.pop() if errors else None
        names = ("unlucky", "second", "third", "fourth")
        await asyncio.gather(*(bench.call(name) for name in names))
        return bench.order

    assert run_virtual(main()) == ["second", "third", "fourth", "unlucky"]


def test_a_call_that_would_begin_late_waits_for_another_permit() -> None:
    """A process that stalls between permit and call never puts more into a second than the quota, and loses little."""

    async def main() -> tuple[Bench, Trail]:
        bench = Bench(Quota(requests_per_second=50), latency_s=0.3)
        chance = random.Random(7)
        bench.preparing_s = lambda _: 0.05 if chance.random() < 0.02 else chance.random() * 0.004
        trail = Trail()
        await asyncio.gather(*(bench.call(trail=trail) for _ in range(1000)))
        return bench, trail

    bench, trail = run_virtual(main())
    assert trail.attempts == len(bench.calls) == 1000
    assert most_in_any_window(bench.calls, 1.0) <= 50
    assert (bench.lane.in_progress, bench.lane.waiting) == (0, 0)
    assert 1000 / (bench.calls[-1] - bench.calls[0]) >= 0.95 * 50


def test_a_process_that_is_always_late_gets_on_too() -> None:
    """An item gives its permit back twice at most; then it goes, late as it is."""

    async def main() -> Bench:
        bench = Bench(Quota(requests_per_second=50))
        bench.preparing_s = lambda _: 0.1
        await bench.all(20)
        return bench

    assert len(run_virtual(main()).calls) == 20
