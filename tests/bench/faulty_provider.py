"""A provider that fails in every way, and one that is down for a while: nothing is lost, all is accounted for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.measures import goal_line, scaled
from tests.bench.numbered_load import NumberedPages, TimedLoad, send_over, wrong_count
from tests.fakes.fleet import Fleet, running_fleet
from tests.fakes.redis_server import RedisServer

FAULTS: dict[str, Any] = {
    "share_500": 0.05,
    "share_reset": 0.02,
    "share_hang": 0.01,
    "share_malformed": 0.01,
    "throttle_every": 250,
    "throttle_burst": 20,
}
"""As the provider's stand-in knows them: every 250 requests a burst of error 18 begins that takes 20 requests."""
QUOTA = 50
LATENCY_S = 0.3
IMAGE_BYTES = 100_000
STREAMS = 8
REPLICAS = 2
IMAGES = 3_000
IMAGES_AROUND_OUTAGE = 1_500
OUTAGE_S = 20.0
_SETTLE_S = 1.0


@dataclass(slots=True)
class _Outage:
    """What a provider's outage looked like; ``back_after_s`` is from its end to the next answer."""

    calls: int = 0
    answers: int = 0
    ended: float = 0.0


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    standin = {"latency_s": LATENCY_S, "quota": QUOTA}
    async with RedisServer() as redis, running_fleet(folder, replicas=REPLICAS, redis=redis, standin=standin) as fleet:
        faults = await _with_faults(fleet)
        outage = await _with_outage(fleet)
    return [*faults, "", *outage]


async def _with_faults(fleet: Fleet) -> list[str]:
    pages = NumberedPages.of_size(IMAGE_BYTES, range(scaled(IMAGES)))
    await fleet.standin.reset()
    await fleet.standin.configure(**FAULTS)
    load = TimedLoad()
    began = time.monotonic()
    await send_over(fleet, pages, STREAMS, load)
    took_s = time.monotonic() - began
    await asyncio.sleep(_SETTLE_S)  # what was given up at the very end is counted by then
    stats = await fleet.standin.stats()
    await fleet.standin.configure(fresh=True)
    happened = ", ".join(f"{count} {name}" for name, count in sorted(stats["faults"].items()))
    return [
        (
            f"Faults: 5 % HTTP 500, 2 % resets, 1 % hangs (given up after 10 s), 1 % malformed bodies, bursts of error "
            f"18 ({FAULTS['throttle_burst']} requests every {FAULTS['throttle_every']});"
        ),
        (
            f"{len(pages)} images of {pages.image_bytes / 1000:.0f} KB, {QUOTA} a second, {REPLICAS} replicas, "
            f"{STREAMS} streams: {took_s:.1f} s, {len(pages) / took_s:.1f} images/s. What happened: {happened}."
        ),
        "",
        _answers_line(load, pages),
        _account_line("attempts", load.attempts, int(stats["requests"])),
        _account_line("billed units", load.billed_units, int(stats["billed_units"])),
        goal_line("images billed twice", f"{stats['duplicates_billed']}", "0", reached=stats["duplicates_billed"] == 0),
        f"- worst sliding second at the provider {stats['worst_second']}, refusals by quota {stats['refusals']}",
    ]


async def _with_outage(fleet: Fleet) -> list[str]:
    first = 10 * IMAGES  # no image of before
    pages = NumberedPages.of_size(IMAGE_BYTES, range(first, first + scaled(IMAGES_AROUND_OUTAGE, 6 * QUOTA)))
    await fleet.standin.reset()
    load, outage = TimedLoad(), _Outage()
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send_over(fleet, pages, STREAMS, load))
        await asyncio.sleep(len(pages) / QUOTA / 3)
        await fleet.standin.configure(down=True)
        answered = load.answered
        await asyncio.sleep(OUTAGE_S)
        outage.calls = (await fleet.standin.stats())["faults"].get("down", 0)
        outage.answers = load.answered - answered
        await fleet.standin.configure(down=False)
        outage.ended = time.monotonic()
    took_s = time.monotonic() - began
    stats = await fleet.standin.stats()
    back_s = next((at - outage.ended for at in load.times_s if at > outage.ended), float("nan"))
    return [
        (
            f"An outage: the provider resets every connection for {OUTAGE_S:.0f} s in the middle of {len(pages)} "
            f"images, which take {took_s:.1f} s in all."
        ),
        "",
        _answers_line(load, pages),
        _account_line("attempts", load.attempts, int(stats["requests"])),
        _account_line("billed units", load.billed_units, int(stats["billed_units"])),
        goal_line(
            "the circuit opens: calls during the outage",
            f"{outage.calls}",
            f"far fewer than the {OUTAGE_S * QUOTA:.0f} that the quota allows",
            reached=outage.calls < OUTAGE_S * QUOTA / 10,
        ),
        (
            f"- answers during the outage (begun before it) {outage.answers}; the first one after it came "
            f"{back_s:.1f} s after its end"
        ),
    ]


def _answers_line(load: TimedLoad, pages: NumberedPages) -> str:
    wrong = wrong_count(load, pages)
    value = f"{load.answered}, of {len(pages)} images {wrong} wrong or unanswered"
    if wrong:
        value += f"; {load.outcomes()}"
    return goal_line("answers", value, "one right one each", reached=not wrong and load.answered == len(pages))


def _account_line(what: str, reported: float, counted: int) -> str:
    value = f"{reported:.0f} reported, {counted} counted by the provider"
    return goal_line(what, value, "the same", reached=reported == counted)


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
