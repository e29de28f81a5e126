"""A lane in virtual time whose calls are for several images: who goes together, and what becomes of each."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest
import structlog

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
from ocr_gateway.model import BatchLimits, Priority, ProviderCall, ProviderResult, ProviderState, Quota, Trail
from tests.fakes.batch_bench import Answer, BatchBench, result_for
from tests.fakes.lane_bench import most_in_any_window
from tests.fakes.virtual_time import now, run_virtual

PATIENT_CIRCUIT = LanePolicy(circuit=CircuitPolicy(window=10_000, min_calls=10_000))
ATTEMPTS = "ocrmux_provider_attempts_total"


def width(outcome: ProviderResult | BaseException) -> int:
    assert isinstance(outcome, ProviderResult)
    return outcome.page.width


def bad(*names: str) -> Callable[[str], Answer]:
    """These images cannot be read, all others can."""
    return lambda name: ImageUndecodable(name) if name in names else result_for(name)


def test_items_that_come_together_go_in_one_call() -> None:
    """Three of at most four wait 4 ms for a fourth, go in one call, and each gets its own result."""

    async def main() -> tuple[BatchBench, list[int], float]:
        bench, began = BatchBench(), now()
        results = await asyncio.gather(*(bench.ask(name) for name in ("1", "2", "3")))
        return bench, [result.page.width for result in results], bench.times[0] - began

    bench, widths, waited_s = run_virtual(main())
    assert bench.names == [["1", "2", "3"]]
    assert widths == [1, 2, 3]
    assert waited_s == pytest.approx(0.004, abs=1e-6)
    assert bench.is_at_rest


def test_the_window_begins_with_the_first_item() -> None:
    """One that comes 3 ms later goes along and the first one waits no longer; one after 5 ms does not."""

    async def main() -> tuple[BatchBench, float]:
        bench, began = BatchBench(), now()
        first = bench.ask("1")
        await asyncio.sleep(0.003)
        second = bench.ask("2")
        await asyncio.sleep(0.002)
        third = bench.ask("3")
        await asyncio.gather(first, second, third)
        return bench, began

    bench, began = run_virtual(main())
    assert bench.names == [["1", "2"], ["3"]]
    assert [at - began for at in bench.times] == pytest.approx([0.004, 0.009], abs=1e-6)


def test_a_full_call_goes_at_once() -> None:
    """Four of four do not wait, nor do the four after them; the last one waits for others in vain."""

    async def main() -> tuple[BatchBench, float]:
        bench, began = BatchBench(), now()
        await asyncio.gather(*(bench.ask(str(number)) for number in range(9)))
        return bench, began

    bench, began = run_virtual(main())
    assert bench.names == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8"]]
    assert [at - began for at in bench.times] == pytest.approx([0.0, 0.0, 0.004], abs=1e-6)


def test_who_has_waited_for_a_place_does_not_wait_for_company() -> None:
    """With one call at a time, what has come meanwhile goes in the moment in which the place is free."""

    async def main() -> tuple[BatchBench, float]:
        bench, began = BatchBench(quota=Quota(max_concurrency=1)), now()
        first = bench.ask("1")
        await asyncio.sleep(0.05)
        await asyncio.gather(first, bench.ask("2"), bench.ask("3"))
        return bench, began

    bench, began = run_virtual(main())
    assert bench.names == [["1"], ["2", "3"]]
    assert [at - began for at in bench.times] == pytest.approx([0.004, 0.104], abs=1e-6)


def test_the_wait_for_company_is_queue_time() -> None:
    """The trail tells the 4 ms as time in the queue, not as the rate limit's."""

    async def main() -> Trail:
        bench, trail = BatchBench(quota=Quota(requests_per_second=50)), Trail()
        await bench.ask("1", trail=trail)
        return trail

    trail = run_virtual(main())
    assert trail.queue_ms == pytest.approx(4, abs=0.01)
    assert trail.rate_limit_ms == 0
    assert trail.provider_ms == pytest.approx(100)


def test_one_image_a_call_waits_for_nobody() -> None:
    """A lane whose provider takes one image a call makes it at once, and counts no images."""

    async def main() -> tuple[BatchBench, float]:
        bench, began = BatchBench(BatchLimits(1)), now()
        await asyncio.gather(bench.ask("1"), bench.ask("2"))
        return bench, began

    bench, began = run_virtual(main())
    assert bench.calls == [(began, ["1"]), (began, ["2"])]
    assert bench.counted("ocrmux_provider_call_images_count") == 0


def test_bytes_bound_a_call() -> None:
    """Images go together as long as their bytes fit; one that does not is not passed over by smaller ones behind it."""

    async def main() -> BatchBench:
        bench = BatchBench(BatchLimits(4, max_bytes=100), Quota(max_concurrency=1))
        sizes = {"a": 40, "b": 40, "c": 40, "d": 10, "e": 500, "f": 1}
        await asyncio.gather(*(bench.ask(name, size=size) for name, size in sizes.items()))
        return bench

    assert run_virtual(main()).names == [["a", "b"], ["c", "d"], ["e"], ["f"]]


def test_as_many_bytes_as_a_call_takes_go_at_once() -> None:
    """Two images that fill a call do not wait for a third one, which could not come along."""

    async def main() -> tuple[BatchBench, float, float]:
        bench, began = BatchBench(BatchLimits(4, max_bytes=100)), now()
        await asyncio.gather(bench.ask("a", size=50), bench.ask("b", size=50))
        again = now()
        await asyncio.gather(bench.ask("c", size=20), bench.ask("d", size=20))
        return bench, began, again

    bench, began, again = run_virtual(main())
    assert bench.calls[0] == (began, ["a", "b"])
    assert bench.times[1] == pytest.approx(again + 0.004, abs=1e-6)  # those before them count no more


def test_turns_are_kept_inside_a_call() -> None:
    """A stream of a hundred items has no more seats in the next call than the others, and a high item the first one."""

    async def main() -> BatchBench:
        bench = BatchBench(quota=Quota(max_concurrency=1))
        tasks = [bench.ask("bulk", source="bulk") for _ in range(100)]
        await asyncio.sleep(0.01)
        tasks += [bench.ask("one", source="one"), bench.ask("two", source="two")]
        tasks += [bench.ask("other", tenant="other"), bench.ask("high", priority=Priority.HIGH)]
        await asyncio.gather(*tasks)
        return bench

    names = run_virtual(main()).names
    assert names[0] == ["bulk"] * 4
    assert names[1][0] == "high"
    assert sorted(names[1] + names[2]) == sorted(["high", "one", "two", "other"] + ["bulk"] * 4)


def test_the_quota_counts_calls_not_images() -> None:
    """2000 images at 10 calls a second, 16 in each: never more than 10 in a second, and 160 images are read in it."""

    async def main() -> BatchBench:
        bench = BatchBench(BatchLimits(16), Quota(requests_per_second=10), latency_s=0.3)
        await asyncio.gather(*(bench.ask(str(number)) for number in range(2000)))
        return bench

    bench = run_virtual(main())
    assert len(bench.calls) == 2000 // 16
    assert most_in_any_window(bench.times, 1.0) <= 10
    assert (len(bench.calls) - 10) / (bench.times[-1] - bench.times[0] - 1) >= 0.97 * 10


def test_a_days_quota_counts_calls() -> None:
    """Three calls of four images are twelve images; the thirteenth is refused."""

    async def main() -> list[ProviderResult | BaseException]:
        bench = BatchBench(quota=Quota(requests_per_day=3, max_concurrency=1))
        tasks = [bench.ask(str(number)) for number in range(13)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = run_virtual(main())
    assert [type(outcome) for outcome in outcomes] == [ProviderResult] * 12 + [ProviderQuotaSpent]


def test_concurrency_counts_calls() -> None:
    """Two at a time, four images in each."""

    async def main() -> tuple[BatchBench, float]:
        bench, began = BatchBench(quota=Quota(max_concurrency=2)), now()
        tasks = [bench.ask(str(number)) for number in range(32)]
        await asyncio.sleep(0.05)
        assert bench.lane.in_progress == 2
        await asyncio.gather(*tasks)
        return bench, now() - began

    bench, took_s = run_virtual(main())
    assert bench.most_in_progress == 2
    assert took_s == pytest.approx(32 / 4 / 2 * 0.1)


def test_the_metrics_tell_calls_and_their_images() -> None:
    """One call of four and one of one image: two attempts, five images, five units, and two permits."""

    async def main() -> BatchBench:
        bench = BatchBench()
        await asyncio.gather(*(bench.ask(str(number)) for number in range(5)))
        return bench

    bench = run_virtual(main())
    assert bench.counted(ATTEMPTS, outcome="ok") == 2
    assert bench.counted("ocrmux_provider_attempt_seconds_count") == 2
    assert bench.counted("ocrmux_provider_call_images_count") == 2
    assert bench.counted("ocrmux_provider_call_images_sum") == 5
    assert bench.counted("ocrmux_billed_units_total") == 5
    assert bench.counted("ocrmux_lane_permits_total", source="local") == 2


# One image among others


def test_one_bad_image_does_not_fail_its_neighbours() -> None:
    """It gets its error, after one attempt, and the others their results; the call counts as one that succeeded."""

    async def main() -> tuple[BatchBench, list[ProviderResult | BaseException], list[Trail]]:
        bench, trails = BatchBench(each=bad("1")), [Trail() for _ in range(4)]
        tasks = [bench.ask(str(number), trail=trail) for number, trail in enumerate(trails)]
        return bench, await asyncio.gather(*tasks, return_exceptions=True), trails

    bench, outcomes, trails = run_virtual(main())
    assert isinstance(outcomes[1], ImageUndecodable)
    assert [width(outcome) for outcome in (outcomes[0], outcomes[2], outcomes[3])] == [0, 2, 3]
    assert [trail.attempts for trail in trails] == [1] * 4
    assert [trail.billed_units for trail in trails] == [1.0, 0.0, 1.0, 1.0]
    assert bench.counted(ATTEMPTS, outcome="ok") == 1
    assert len(bench.calls) == 1


def test_one_image_that_may_be_tried_again_is_tried_again_alone() -> None:
    """A passing error of one image is no failure of the call; only that image is sent once more."""

    async def main() -> tuple[BatchBench, list[Trail]]:
        failed: list[str] = []

        def each(name: str) -> Answer:
            if name == "2" and not failed:
                failed.append(name)
                return ProviderUnavailable("stub", "13 for one image")
            return result_for(name)

        bench, trails = BatchBench(each=each), [Trail() for _ in range(4)]
        await asyncio.gather(*(bench.ask(str(number), trail=trail) for number, trail in enumerate(trails)))
        return bench, trails

    bench, trails = run_virtual(main())
    assert bench.names == [["0", "1", "2", "3"], ["2"]]
    assert [trail.attempts for trail in trails] == [1, 1, 2, 1]
    assert bench.counted(ATTEMPTS, outcome="failed") == 0


def test_many_bad_images_do_not_rest_the_provider() -> None:
    """In 40 calls one image of four fails in a way that would be the provider's fault: the circuit stays closed."""

    async def main() -> tuple[ProviderState, str]:
        bench = BatchBench(each=lambda name: ProviderUnavailable("stub", "13") if name == "bad" else result_for(name))
        for _ in range(40):
            tasks = [bench.ask("good") for _ in range(3)] + [bench.ask("bad", timeout_s=0.15)]
            await asyncio.gather(*tasks, return_exceptions=True)
        return bench.lane.state

    assert run_virtual(main())[0] is ProviderState.SERVING


def test_a_call_in_which_every_image_fails_is_one_failure() -> None:
    """Each of its images says UNAVAILABLE: the provider is at fault, once."""

    async def main() -> BatchBench:
        bench = BatchBench(policy=PATIENT_CIRCUIT, each=lambda _: ProviderUnavailable("stub", "13"))
        tasks = [bench.ask(str(number), timeout_s=0.15) for number in range(4)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, ProviderUnavailable) for outcome in outcomes)
        return bench

    bench = run_virtual(main())
    assert bench.counted(ATTEMPTS, outcome="failed") == 1
    assert bench.is_at_rest


def test_a_throttled_image_throttles_the_lane() -> None:
    """What the provider says for one image of a call holds for all that come: they wait as long as it says."""

    async def main() -> tuple[BatchBench, float]:
        said: list[str] = []

        def each(name: str) -> Answer:
            if name == "2" and not said:
                said.append(name)
                return ProviderThrottled("stub", "8", retry_after_s=5.0)
            return result_for(name)

        bench = BatchBench(each=each)
        tasks = [bench.ask(str(number)) for number in range(4)]
        await asyncio.sleep(1)
        began = now()
        await asyncio.gather(bench.ask("other", source="other"), *tasks)
        return bench, began

    bench, began = run_virtual(main())
    assert [sorted(names) for names in bench.names[1:]] in ([["2", "other"]], [["other"], ["2"]])
    assert bench.times[1] >= began - 1 + 5


# The whole call


def test_a_call_that_fails_is_made_again_by_each() -> None:
    """All four get an error of their own, wait on their own, and have their result in the end; it is one failure."""

    async def main() -> tuple[BatchBench, list[ProviderResult], list[Trail]]:
        bench = BatchBench(whole=lambda number: ProviderUnavailable("stub", "503") if number == 1 else None)
        trails = [Trail() for _ in range(4)]
        tasks = [bench.ask(str(number), trail=trail) for number, trail in enumerate(trails)]
        return bench, await asyncio.gather(*tasks), trails

    bench, results, trails = run_virtual(main())
    assert [result.page.width for result in results] == [0, 1, 2, 3]
    assert [trail.attempts for trail in trails] == [2] * 4
    assert [trail.billed_units for trail in trails] == [1.0] * 4
    assert sorted(name for names in bench.names[1:] for name in names) == ["0", "1", "2", "3"]
    assert bench.counted(ATTEMPTS, outcome="failed") == 1


def test_errors_of_one_call_are_different_ones() -> None:
    """Each has all that the provider said, and none grows the others' tracebacks."""

    async def main() -> list[ProviderResult | BaseException]:
        error = ProviderNotConfigured("stub", "wrong key", for_all=False)
        bench = BatchBench(whole=lambda _: error)
        return await asyncio.gather(*(bench.ask(str(number)) for number in range(4)), return_exceptions=True)

    outcomes = run_virtual(main())
    assert len({id(outcome) for outcome in outcomes}) == 4
    for outcome in outcomes:
        assert isinstance(outcome, ProviderNotConfigured)
        assert (outcome.detail, outcome.for_all, outcome.metadata) == ("wrong key", False, {"provider": "stub"})
        assert str(outcome) == "the provider 'stub' is not configured: wrong key"


def test_the_circuit_counts_calls() -> None:
    """Nine failed calls of 16 images are nine failures: ten would open the circuit, 144 would have."""

    async def main() -> tuple[ProviderState, ProviderState]:
        bench = BatchBench(BatchLimits(16), whole=lambda _: ProviderUnavailable("stub", "503"))

        async def fail_once() -> ProviderState:
            tasks = [bench.ask(str(number), timeout_s=0.15) for number in range(16)]
            await asyncio.gather(*tasks, return_exceptions=True)
            return bench.lane.state[0]

        for _ in range(8):
            await fail_once()
        return await fail_once(), await fail_once()

    assert run_virtual(main()) == (ProviderState.SERVING, ProviderState.RESTED)


def test_a_rested_provider_is_tried_by_one_call() -> None:
    """Whoever goes with the one that tries it does not lose by it: all are read when it is back after 20 s."""

    async def main() -> tuple[BatchBench, float]:
        bench = BatchBench(policy=LanePolicy(circuit=CircuitPolicy(window=4, min_calls=2)))
        began = now()
        bench.whole = lambda _: ProviderUnavailable("stub", "503") if now() < began + 20 else None
        await asyncio.gather(*(bench.ask(str(number)) for number in range(40)))
        assert bench.lane.state[0] is ProviderState.SERVING
        return bench, began

    bench, began = run_virtual(main())
    wasted = [at for at in bench.times if began + 0.2 < at < began + 20]
    assert len(wasted) <= 6
    assert bench.is_at_rest


def test_a_throttled_call_throttles_the_lane_once() -> None:
    """All of its images come again after the time that the provider says, and none is refused."""

    async def main() -> tuple[BatchBench, list[Trail]]:
        bench = BatchBench(
            whole=lambda number: ProviderThrottled("stub", "429", retry_after_s=5.0) if number == 1 else None
        )
        trails = [Trail() for _ in range(4)]
        await asyncio.gather(*(bench.ask(str(number), trail=trail) for number, trail in enumerate(trails)))
        return bench, trails

    bench, trails = run_virtual(main())
    assert bench.counted(ATTEMPTS, outcome="throttled") == 1
    assert bench.times[1] >= bench.times[0] + 5.1 - 1e-6
    assert [trail.attempts for trail in trails] == [2] * 4


def test_rejected_credentials_are_told_to_all_of_a_call_and_close_the_lane() -> None:
    """One call finds out for its four images, and the others get to know without one."""

    async def main() -> tuple[BatchBench, list[ProviderResult | BaseException]]:
        bench = BatchBench(quota=Quota(max_concurrency=1), whole=lambda _: ProviderNotConfigured("stub", "wrong key"))
        tasks = [bench.ask(str(number)) for number in range(10)]
        with structlog.testing.capture_logs() as logs:
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [entry["event"] for entry in logs] == ["provider.closed"]
        assert bench.lane.state[0] is ProviderState.NOT_CONFIGURED
        return bench, outcomes

    bench, outcomes = run_virtual(main())
    assert all(isinstance(outcome, ProviderNotConfigured) for outcome in outcomes)
    assert len(bench.calls) == 1


def test_a_provider_that_answers_for_fewer_images_is_at_fault() -> None:
    """Nobody gets another's result, or none: each is told that the provider failed."""

    async def main() -> tuple[BatchBench, list[ProviderResult | BaseException]]:
        bench = BatchBench()
        whole = bench.together

        async def one_short(calls: object) -> list[Answer]:
            return (await whole(calls))[:-1]  # type: ignore[arg-type]

        bench.together = one_short  # type: ignore[method-assign]
        tasks = [bench.ask(str(number)) for number in range(3)]
        return bench, await asyncio.gather(*tasks, return_exceptions=True)

    bench, outcomes = run_virtual(main())
    assert [str(outcome) for outcome in outcomes] == ["a provider gave 2 answers for 3 images"] * 3
    assert bench.counted(ATTEMPTS, outcome="failed") == 1
    assert bench.is_at_rest


def test_a_call_that_is_too_late_is_given_back_by_all() -> None:
    """Its images wait for another permit, at most twice; no attempt is counted until it is made."""

    async def main() -> tuple[BatchBench, list[Trail], float]:
        bench, began = BatchBench(quota=Quota(requests_per_second=10)), now()
        bench.begins_after_s = lambda _: 0.05
        trails = [Trail() for _ in range(4)]
        await asyncio.gather(*(bench.ask(str(number), trail=trail) for number, trail in enumerate(trails)))
        return bench, trails, began

    bench, trails, began = run_virtual(main())
    assert [sorted(names) for names in bench.names] == [["0", "1", "2", "3"]]
    assert bench.times[0] >= began + 3 * 0.05 - 1e-6
    assert [trail.attempts for trail in trails] == [1] * 4
    assert bench.counted(ATTEMPTS, outcome="late") == 0
    assert bench.counted("ocrmux_lane_permits_total", source="local") == 3
    assert bench.is_at_rest


# Deadlines and cancels


def test_an_item_without_time_has_no_seat() -> None:
    """It is told at its turn, and its seat goes to the next item."""

    async def main() -> tuple[BatchBench, list[ProviderResult | BaseException]]:
        bench = BatchBench(quota=Quota(max_concurrency=1), latency_s=2.0)
        for _ in range(8):
            await bench.ask("warm")
        busy = bench.ask("busy")
        await asyncio.sleep(0.01)
        tasks = [bench.ask(f"{number}", timeout_s=2.5 if number == 1 else 100) for number in range(5)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await busy
        return bench, outcomes

    bench, outcomes = run_virtual(main())
    assert isinstance(outcomes[1], DeadlineUnreachable)
    assert bench.names[-1] == ["0", "2", "3", "4"]


def test_an_item_whose_calls_would_all_be_full_of_its_own_is_refused_by_calls() -> None:
    """100 items of one's own ahead at one call a second are 25 calls: 20 s are too short, 30 s are not."""

    async def main() -> tuple[float, BatchBench]:
        bench = BatchBench(quota=Quota(requests_per_second=1))
        bulk = [bench.ask("bulk") for _ in range(100)]
        await asyncio.sleep(0.05)
        with pytest.raises(DeadlineUnreachable):
            await bench.ask("hurried", timeout_s=20)
        began = now()
        await bench.ask("patient", timeout_s=30)
        await asyncio.gather(*bulk)
        return now() - began, bench

    took_s, bench = run_virtual(main())
    assert took_s <= 30
    assert len(bench.calls) == 26


def test_one_that_leaves_a_call_in_flight_does_not_end_it() -> None:
    """The other three have their results; the call was for four, and what it cost is counted in full."""

    async def main() -> tuple[BatchBench, list[ProviderResult | BaseException]]:
        bench = BatchBench()
        tasks = [bench.ask(str(number)) for number in range(4)]
        await asyncio.sleep(0.05)
        tasks[2].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return bench, outcomes

    bench, outcomes = run_virtual(main())
    assert isinstance(outcomes[2], asyncio.CancelledError)
    assert [width(outcomes[index]) for index in (0, 1, 3)] == [0, 1, 3]
    assert bench.names == [["0", "1", "2", "3"]]
    assert bench.counted("ocrmux_billed_units_total") == 4
    assert bench.given_up == 0
    assert bench.is_at_rest


def test_when_all_leave_the_call_is_given_up() -> None:
    """The last one waits until the provider has given it up; place and circuit are as if there had been none."""

    async def main() -> tuple[BatchBench, list[ProviderResult | BaseException]]:
        bench = BatchBench(gives_up_s=2.0)
        tasks = [bench.ask(str(number)) for number in range(4)]
        await asyncio.sleep(0.05)
        began = now()
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert now() - began == pytest.approx(2.0)
        assert bench.is_at_rest
        return bench, outcomes

    bench, outcomes = run_virtual(main())
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert bench.given_up == 1
    assert bench.counted(ATTEMPTS, outcome="abandoned") == 1


def test_who_leaves_before_joining_is_not_waited_for() -> None:
    """One of four is slow to join and gives up: the call goes with the other three at that moment."""

    async def main() -> tuple[BatchBench, float, list[ProviderResult | BaseException]]:
        bench, began = BatchBench(joins_after_s=lambda name: 10.0 if name == "2" else 0.0), now()
        tasks = [bench.ask(str(number)) for number in range(4)]
        await asyncio.sleep(0.5)
        tasks[2].cancel()
        return bench, began, await asyncio.gather(*tasks, return_exceptions=True)

    bench, began, outcomes = run_virtual(main())
    assert bench.names == [["0", "1", "3"]]
    assert bench.times == pytest.approx([began + 0.5])
    assert isinstance(outcomes[2], asyncio.CancelledError)
    assert bench.is_at_rest


def test_who_leaves_after_joining_is_not_sent() -> None:
    """One of four gives up while another one is slow to join: three images are sent."""

    async def main() -> BatchBench:
        bench = BatchBench(joins_after_s=lambda name: 1.0 if name == "3" else 0.0)
        tasks = [bench.ask(str(number)) for number in range(4)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return bench

    bench = run_virtual(main())
    assert bench.names == [["1", "2", "3"]]
    assert bench.is_at_rest


@pytest.mark.parametrize("moment", ["granted", "joining", "joined", "about to begin"])
def test_a_call_that_all_leave_before_it_begins_is_not_made(moment: str) -> None:
    """Place and permit go to the next ones at once, whenever the four gave up."""

    async def main() -> tuple[BatchBench, float]:
        bench = BatchBench(quota=Quota(max_concurrency=1, requests_per_second=10))
        joining: list[str] = []

        def joins_after_s(name: str) -> float:
            joining.append(name)
            if moment == "about to begin" and len(joining) == 4:  # runs before the task that makes the call does
                asyncio.get_running_loop().call_soon(lambda: [task.cancel() for task in tasks])
            return 1.0 if moment == "joining" or (moment == "joined" and name == "3") else 0.0

        bench.joins_after_s = joins_after_s
        tasks = [bench.ask(str(number)) for number in range(4)]
        if moment == "granted":
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # as long as it takes to be made ready
            assert bench.lane.in_progress == 1
        else:
            await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert bench.asked == 0
        assert bench.is_at_rest
        began = now()
        bench.joins_after_s = lambda _: 0.0
        await asyncio.gather(*(bench.ask(str(number)) for number in range(4)))
        return bench, bench.times[0] - began

    bench, waited_s = run_virtual(main())
    assert len(bench.calls) == 1
    assert waited_s == pytest.approx(0, abs=0.11)  # at the most the even turn after a permit that is long past
    assert bench.counted(ATTEMPTS, outcome="abandoned") == 0


async def all_leave(bench: BatchBench, after_s: float) -> None:
    """Four items ask, and leave so many seconds later, when they have their turn and have not joined yet."""
    bench.joins_after_s = lambda _: 1e6
    tasks = [bench.ask(str(number)) for number in range(4)]
    await asyncio.sleep(after_s)
    assert bench.lane.in_progress == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    bench.joins_after_s = lambda _: 0.0


def test_a_permit_of_the_day_that_all_leave_is_for_others() -> None:
    """Two calls a day are two calls that are made."""

    async def main() -> BatchBench:
        bench = BatchBench(quota=Quota(requests_per_day=2))
        await all_leave(bench, 0.5)
        await asyncio.gather(*(bench.ask(str(number)) for number in range(8)))
        return bench

    assert [len(names) for names in run_virtual(main()).names] == [4, 4]


def test_a_rested_provider_is_tried_by_others_when_those_who_would_have_tried_it_left() -> None:
    """A call that was not made says nothing of the provider and is in nobody's way."""

    async def main() -> tuple[BatchBench, ProviderState]:
        bench = BatchBench(policy=LanePolicy(circuit=CircuitPolicy(window=4, min_calls=2)))
        bench.each = lambda _: ProviderUnavailable("stub", "503")
        tasks = [bench.ask(str(number)) for number in range(12)]
        await asyncio.sleep(0.5)
        assert bench.lane.state[0] == ProviderState.RESTED
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        bench.each = result_for
        await all_leave(bench, 5.0)  # the rest is over after a second
        async with asyncio.timeout(5):
            await bench.ask("7")
        return bench, bench.lane.state[0]

    bench, state = run_virtual(main())
    assert (bench.names[-1], state) == (["7"], ProviderState.SERVING)


def test_an_item_that_fails_before_it_joins_concerns_nobody_else() -> None:
    """Its own error is its own; the others' call is made without it."""

    async def main() -> tuple[BatchBench, list[ProviderResult | BaseException]]:
        def joins_after_s(name: str) -> float:
            if name == "1":
                raise ImageUndecodable("found while it was prepared")
            return 0.0

        bench = BatchBench(joins_after_s=joins_after_s)
        tasks = [bench.ask(str(number)) for number in range(4)]
        return bench, await asyncio.gather(*tasks, return_exceptions=True)

    bench, outcomes = run_virtual(main())
    assert isinstance(outcomes[1], ImageUndecodable)
    assert bench.names == [["0", "2", "3"]]
    assert bench.is_at_rest


def test_an_error_for_one_that_leaves_in_the_same_instant_is_no_warning() -> None:
    """The loop's exception handler hears nothing of an error that nobody is there to take."""

    async def main() -> list[str]:
        heard: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["message"]))
        bench = BatchBench(each=bad("0"))
        tasks = [bench.ask(str(number)) for number in range(4)]

        def whole(_: int) -> None:  # runs before the error is handed on, and so does the cancel before its waking
            asyncio.get_running_loop().call_soon(tasks[0].cancel)

        bench.whole = whole
        await asyncio.gather(*tasks, return_exceptions=True)
        assert tasks[0].cancelled()
        tasks.clear()
        gc.collect()
        return heard

    assert run_virtual(main()) == []


def test_images_are_let_go_of_with_the_call() -> None:
    """After the call no image is kept until somebody collects cycles; an error keeps none but its own."""

    def calls() -> int:
        return sum(isinstance(each, ProviderCall) for each in gc.get_objects())

    async def main() -> int:
        bench = BatchBench(each=bad("1"))
        tasks = [bench.ask(str(number)) for number in range(4)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(ProviderResult) == 3
        return calls()

    gc.collect()
    gc.disable()
    try:
        before = calls()
        assert run_virtual(main()) <= before + 1
    finally:
        gc.enable()
