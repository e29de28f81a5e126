"""Three replicas on one Redis at a provider's quota: what the provider sees of it, and what Redis sees."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

from tests.bench.measures import goal_line, scaled
from tests.bench.numbered_load import NumberedPages, TimedLoad, send_over, wrong_count
from tests.fakes.fleet import Fleet, running_fleet
from tests.fakes.redis_server import RedisServer

QUOTA = 50
IMAGES = 3_000
IMAGE_BYTES = 100_000
LATENCY_S = 0.3
REPLICAS = 3
STREAMS = 8


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    pages = NumberedPages.of_size(IMAGE_BYTES, range(scaled(IMAGES, 3 * QUOTA)))
    load = TimedLoad()
    standin = {"latency_s": LATENCY_S, "quota": QUOTA}
    async with RedisServer() as redis, running_fleet(folder, replicas=REPLICAS, redis=redis, standin=standin) as fleet:
        before = await _calls_of(redis)
        began, cpu = time.monotonic(), _cpu_s(fleet)
        await send_over(fleet, pages, STREAMS, load)
        took_s, cpu_ms = time.monotonic() - began, (_cpu_s(fleet) - cpu) * 1000 / len(pages)
        after = await _calls_of(redis)
        stats = await fleet.standin.stats()
    runs = {name: after.get(name, 0) - before.get(name, 0) for name in ("time", "lindex", "evalsha")}
    return [
        (
            f"The quota: {QUOTA} calls a second, {LATENCY_S * 1000:.0f} ms latency, {REPLICAS} replicas on one Redis, "
            f"{STREAMS} streams,"
        ),
        (
            f"{len(pages)} distinct images of {pages.image_bytes / 1000:.0f} KB, read in {took_s:.1f} s, "
            f"{cpu_ms:.2f} ms of CPU of the gateways each."
        ),
        "",
        *_quota_lines(stats, load, pages),
        *_redis_lines(runs, int(stats["requests"])),
    ]


def _quota_lines(stats: dict[str, Any], load: TimedLoad, pages: NumberedPages) -> list[str]:
    share = 100 * load.rate_after_first_second() / QUOTA
    wrong, worst = wrong_count(load, pages), stats["worst_second"]
    duplicates, refusals = stats["duplicates_billed"], stats["refusals"]
    right = f"{load.answered}, of {len(pages)} images {wrong} wrong or unanswered"
    return [
        goal_line("worst sliding second at the provider, calls", f"{worst}", f"≤ {QUOTA}", reached=worst <= QUOTA),
        goal_line("refusals by the provider", f"{refusals}", "0", reached=refusals == 0),
        goal_line("throughput after the first second", f"{share:.1f} % of the quota", "≥ 97 %", reached=share >= 97),
        goal_line("answers", right, "one right one each", reached=not wrong and load.answered == len(pages)),
        goal_line("images billed twice", f"{duplicates}", "0", reached=duplicates == 0),
    ]


def _redis_lines(runs: dict[str, int], calls: int) -> list[str]:
    """By what only the script of the rate does: TIME in every run, LINDEX in those that grant slots."""
    granting, all_runs = runs["lindex"] / calls, runs["time"] / calls
    return [
        goal_line("Redis commands for a rate decision", f"{granting:.3f}", "≤ 0.1", reached=granting <= 0.1),
        (
            f"- the same with what is not for a decision (each replica is seen every 2 s in each of its 3 lanes, and "
            f"gives unused slots back): {all_runs:.3f}"
        ),
        f"- scripts run in Redis a call, with those of the cache's leases and results: {runs['evalsha'] / calls:.2f}",
    ]


async def _calls_of(redis: RedisServer) -> dict[str, int]:
    """Calls of each command so far, those by scripts included."""
    info = await redis.command("INFO", "commandstats")
    return {name: int(calls) for name, calls in re.findall(r"cmdstat_([^:]+):calls=(\d+)", info)}


def _cpu_s(fleet: Fleet) -> float:
    return sum(gateway.cpu_s for gateway in fleet.gateways)


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
