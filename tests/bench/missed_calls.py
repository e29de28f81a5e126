"""What the gateway spends on a call that misses the cache: its processor time, and how many it manages a second."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.bench.measures import goal_line, scaled
from tests.bench.numbered_load import NumberedPages, TimedLoad, send_over, wrong_count
from tests.fakes.fleet import Fleet, running_fleet
from tests.fakes.numbered_images import png_of_size
from tests.fakes.redis_server import RedisServer

CALLS = 1_500
WARM_UP = 200
ROUNDS = 3
IMAGE_BYTES = 100_000
LATENCY_S = 0.1
STREAMS = 8
PACE = 150
"""Calls a second where the gateway limits them."""
_GOAL_MS = 2.5


@dataclass(frozen=True, slots=True)
class _Round:
    """``cpu_ms`` is of the gateway, a call."""

    calls_per_s: float
    cpu_ms: float


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    png = png_of_size(IMAGE_BYTES)
    found: dict[str, list[_Round]] = {}
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(RedisServer())
        subjects: dict[str, Fleet] = {}
        for name, pace, store in (
            (f"without Redis, {PACE} a second", PACE, None),
            (f"with Redis, {PACE} a second", PACE, redis),
            ("without Redis, no limit", 0, None),
            ("with Redis, no limit", 0, redis),
        ):
            place = folder / str(len(subjects))
            place.mkdir()
            baidu = {"features": {"text": {"quota": {"requests_per_second": pace}}}}
            standin = {"latency_s": LATENCY_S, "quota": 0}
            subjects[name] = await stack.enter_async_context(
                running_fleet(place, redis=store, standin=standin, baidu=baidu)
            )
        numbers = count()
        for number in range(ROUNDS + 1):
            for name, fleet in subjects.items():
                calls = scaled(CALLS, 150) if number else scaled(WARM_UP, 50)
                result = await _round(fleet, png, _next(numbers, calls))
                if number:  # the first round warms up
                    found.setdefault(name, []).append(result)
    paced = [statistics.median(each.cpu_ms for each in found[name]) for name in list(found)[:2]]
    return [
        (
            f"Calls that miss: PNG of {len(png) / 1000:.0f} KB, {STREAMS} streams, {LATENCY_S * 1000:.0f} ms latency, "
            f"{ROUNDS} rounds of {scaled(CALLS, 150)} in turn, medians."
        ),
        "",
        "| gateway | calls/s | CPU of the gateway a call, ms (min, max) |",
        "|---|---|---|",
        *(_row(name, rounds) for name, rounds in found.items()),
        "",
        *(
            goal_line(f"CPU a call {name}", f"{cpu_ms:.2f} ms", f"≤ {_GOAL_MS} ms", reached=cpu_ms <= _GOAL_MS)
            for name, cpu_ms in zip(found, paced, strict=False)
        ),
    ]


async def _round(fleet: Fleet, png: bytes, numbers: range) -> _Round:
    pages, load, gateway = NumberedPages(png, numbers), TimedLoad(), fleet.gateways[0]
    cpu, began = gateway.cpu_s, time.perf_counter()
    await send_over(fleet, pages, STREAMS, load)
    took_s, used_s = time.perf_counter() - began, gateway.cpu_s - cpu
    if wrong := wrong_count(load, pages):
        raise RuntimeError(f"{wrong} of {len(pages)} were not read right: {load.outcomes()}")
    return _Round(len(pages) / took_s, used_s * 1000 / len(pages))


def _next(numbers: Iterator[int], size: int) -> range:
    """Numbers that no image had before: half a million to each round."""
    first = next(numbers) * 500_000
    return range(first, first + size)


def _row(name: str, rounds: list[_Round]) -> str:
    cpu_ms = [each.cpu_ms for each in rounds]
    return (
        f"| {name} | {statistics.median(each.calls_per_s for each in rounds):.0f} "
        f"| {statistics.median(cpu_ms):.2f} ({min(cpu_ms):.2f}, {max(cpu_ms):.2f}) |"
    )


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
