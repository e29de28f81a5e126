"""A lane whose calls are for several images, over random comings, goings and failures: every item has one outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from ocr_gateway.errors import ImageUndecodable, ProviderThrottled, ProviderUnavailable
from ocr_gateway.model import BatchLimits, ProviderResult, Quota, Trail
from rpc_runtime.expected_error import ExpectedError
from tests.fakes.batch_bench import Answer, BatchBench, result_for
from tests.fakes.lane_bench import most_in_any_window
from tests.fakes.virtual_time import run_virtual

MOMENTS = st.sampled_from([0.0, 0.0, 0.001, 0.003, 0.004, 0.05, 0.1, 0.104, 0.2, 1.0])
ENDS = st.sampled_from(["", "", "", "", "throttled", "failed", "at once", "late", "bug"])


@dataclass(frozen=True)
class Item:
    """Comes after ``comes_s``, is slow to join by ``joins_s``, and leaves ``leaves_s`` after it came, if at all."""

    comes_s: float
    joins_s: float
    leaves_s: float | None
    timeout_s: float
    size: int
    source: str
    is_bad: bool


ITEMS = st.builds(
    Item,
    MOMENTS,
    st.sampled_from([0.0, 0.0, 0.0, 0.002, 0.15]),
    st.none() | MOMENTS,
    st.sampled_from([0.05, 0.5, 1e6, 1e6]),
    st.integers(0, 60),
    st.sampled_from("xy"),
    st.sampled_from([False, False, False, True]),
)
QUOTAS = st.builds(Quota, st.sampled_from([0.0, 5.0, 50.0]), max_concurrency=st.integers(0, 3))
LIMITS = st.builds(BatchLimits, st.integers(1, 5), st.sampled_from([0, 100]))


def error_for(end: str) -> Exception | None:
    match end:
        case "throttled":
            return ProviderThrottled("stub", "429")
        case "failed":
            return ProviderUnavailable("stub", "503")
        case "at once":
            return ProviderUnavailable("stub", "token", retry_after_s=0)
        case "bug":
            return ValueError("a bug of the provider's")
        case _:
            return None


async def outcome_of(bench: BatchBench, number: int, item: Item, trail: Trail) -> ProviderResult | BaseException:
    await asyncio.sleep(item.comes_s)
    task = bench.ask(str(number), source=item.source, timeout_s=item.timeout_s, size=item.size, trail=trail)
    if item.leaves_s is not None:
        asyncio.get_running_loop().call_later(item.leaves_s, task.cancel)
    return (await asyncio.gather(task, return_exceptions=True))[0]


@given(st.lists(ITEMS, min_size=1, max_size=25), LIMITS, QUOTAS, st.lists(ENDS, max_size=12))
@settings(deadline=None, max_examples=300)
def test_every_item_has_exactly_one_outcome(
    items: list[Item], limits: BatchLimits, quota: Quota, ends: list[str]
) -> None:
    """Its own result, an error, or its cancel; then nothing is left in progress, and no bound was broken meanwhile."""

    async def main() -> None:
        heard: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))

        def each(name: str) -> Answer:
            return ImageUndecodable(name) if items[int(name)].is_bad else result_for(name)

        def end(number: int) -> str:
            return ends[number] if number < len(ends) else ""

        bench = BatchBench(
            limits,
            quota,
            each=each,
            whole=lambda number: error_for(end(number - 1)),
            joins_after_s=lambda name: items[int(name)].joins_s,
            begins_after_s=lambda number: 0.02 if end(number) == "late" else 0.0,
        )
        trails = [Trail() for _ in items]
        outcomes = await asyncio.gather(
            *(outcome_of(bench, number, item, trails[number]) for number, item in enumerate(items))
        )
        assert bench.is_at_rest
        assert heard == []
        for number, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
            match outcome:
                case ProviderResult():
                    assert outcome.page.width == number
                    assert not item.is_bad
                case asyncio.CancelledError():
                    assert item.leaves_s is not None
                case _:
                    assert isinstance(outcome, ExpectedError | ValueError)
        sizes = [[items[int(name)].size for name in names] for names in bench.names]
        assert all(len(names) <= limits.max_images for names in bench.names)
        assert all(len(size) == 1 or not limits.max_bytes or sum(size) <= limits.max_bytes for size in sizes)
        sent = Counter(name for names in bench.names for name in names)
        assert all(count <= trails[int(name)].attempts for name, count in sent.items())
        if quota.max_concurrency:
            assert bench.most_in_progress <= quota.max_concurrency
        if quota.requests_per_second and "late" not in ends:
            assert most_in_any_window(bench.times, 1.0) <= quota.requests_per_second

    run_virtual(main())
