"""The gateway's resident memory while large images are sent far faster than the provider reads them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.measures import goal_line, scaled
from tests.bench.numbered_load import NumberedPages, TimedLoad, send_over, wrong_count
from tests.fakes.fleet import running_fleet
from tests.fakes.processes import ServiceUnderTest
from tests.fakes.redis_server import RedisServer

IMAGES = 10_000
IMAGE_BYTES = 1_000_000
STREAMS = 4
QUOTA = 70
LATENCY_S = 1.0
AFTER_S = (2.0, 10.0)
_SAMPLE_S = 0.1
_MOST_MB = 200
_BACK_MB = 50
"""So much over idle counts as returned: the process has done its first work by then."""


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    pages = NumberedPages.of_size(IMAGE_BYTES, range(scaled(IMAGES, 4 * QUOTA)))
    baidu = {"features": {"text": {"quota": {"requests_per_second": QUOTA}}}}
    standin = {"quota": QUOTA, "latency_s": LATENCY_S}
    load, samples, after = TimedLoad(), [0.0], []
    async with RedisServer() as redis, running_fleet(folder, redis=redis, standin=standin, baidu=baidu) as fleet:
        gateway = fleet.gateways[0]
        idle, began, cpu = gateway.rss_mb, time.monotonic(), gateway.cpu_s
        async with _sampling(gateway, samples):
            await send_over(fleet, pages, STREAMS, load)
        took_s, cpu_ms = time.monotonic() - began, (gateway.cpu_s - cpu) * 1000 / len(pages)
        ended = time.monotonic()
        for seconds in AFTER_S:
            await asyncio.sleep(max(0.0, ended + seconds - time.monotonic()))
            after.append(gateway.rss_mb)
    grown, kept = max(samples) - idle, after[-1] - idle
    half_time = sorted(samples)[len(samples) // 2]
    wrong = wrong_count(load, pages)
    return [
        (
            f"Memory: {len(pages)} images of {pages.image_bytes / 1e6:.1f} MB over {STREAMS} streams, as fast as the "
            f"gateway takes them; the provider reads {QUOTA} a second and takes {LATENCY_S:.0f} s for each. "
            f"{took_s:.0f} s, {len(pages) / took_s:.1f} images/s, {cpu_ms:.1f} ms of CPU each."
        ),
        "",
        f"| RSS of the gateway, MB | idle | median | peak | {AFTER_S[0]:.0f} s after | {AFTER_S[1]:.0f} s after |",
        "|---|---|---|---|---|---|",
        f"| | {idle:.0f} | {half_time:.0f} | {max(samples):.0f} | {after[0]:.0f} | {after[1]:.0f} |",
        "",
        goal_line("growth over idle", f"{grown:.0f} MB", f"≤ {_MOST_MB} MB", reached=grown <= _MOST_MB),
        goal_line(f"over idle after {AFTER_S[-1]:.0f} s", f"{kept:.0f} MB", "returns", reached=kept <= _BACK_MB),
        goal_line("images wrong or unanswered", f"{wrong}", "0", reached=not wrong),
    ]


@asynccontextmanager
async def _sampling(gateway: ServiceUnderTest, samples: list[float]) -> AsyncIterator[None]:
    """Adds the resident memory to ``samples`` ten times a second."""

    async def sample() -> None:
        while True:
            samples.append(gateway.rss_mb)
            await asyncio.sleep(_SAMPLE_S)

    sampler = asyncio.create_task(sample())
    try:
        yield
    finally:
        sampler.cancel()
        await asyncio.wait([sampler])


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
