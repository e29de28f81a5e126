"""ocrmux against the textbook recipe: the same images, the same provider with the same faults, one after the other."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.bench import textbook_recipe
from tests.bench.faulty_provider import FAULTS, LATENCY_S, QUOTA
from tests.bench.measures import scaled
from tests.bench.numbered_load import NumberedPages, TimedLoad, send_over
from tests.bench.recipe_run import RunOutcome, run_recipe
from tests.fakes.fleet import Fleet, running_fleet
from tests.fakes.redis_server import RedisServer

IMAGES = 1_000
IMAGE_BYTES = 100_000
STREAMS = 4
"""As many as the recipe has threads."""


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    images = scaled(IMAGES)
    standin = {"latency_s": LATENCY_S, "quota": QUOTA, **FAULTS}
    found: dict[str, RunOutcome] = {}
    async with RedisServer() as redis, running_fleet(folder, redis=redis, standin=standin) as fleet:
        found["textbook recipe, 4 threads"] = await run_recipe(
            "tests.bench.textbook_recipe", fleet.standin, redis, str(images), str(IMAGE_BYTES)
        )
        await redis.command("FLUSHALL")
        await fleet.standin.configure(fresh=True)  # bursts begin anew, too
        await fleet.standin.reset()
        found[f"ocrmux, {STREAMS} streams"] = await _by_gateway(fleet, images)
    recipe, ours = found.values()
    return [
        (
            f"Against the textbook recipe: {images} images of {IMAGE_BYTES / 1000:.0f} KB, {QUOTA} calls a second, "
            f"{LATENCY_S * 1000:.0f} ms latency, 5 % HTTP 500, 2 % resets, 1 % hangs, 1 % malformed bodies, bursts of "
            f"error 18 ({FAULTS['throttle_burst']} requests every {FAULTS['throttle_every']}), the same for both. "
            f"The recipe: {textbook_recipe.WORKERS} threads, requests {textbook_recipe.TIMEOUT_S:.0f} s, Queue"
            f"({textbook_recipe.QUEUE_SIZE}), {textbook_recipe.TRIES} tries, Redis get and setex. ocrmux: one gateway "
            "and Redis."
        ),
        "",
        "| way | images/s | seconds | lost | wrong | requests to the provider | its refusals by quota |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, outcome) for name, outcome in found.items()),
        "",
        (
            f"- ocrmux reads {recipe.seconds / ours.seconds:.1f} times as fast; of {images} images the recipe loses "
            f"{recipe.lost}, ocrmux {ours.lost}."
        ),
    ]


async def _by_gateway(fleet: Fleet, images: int) -> RunOutcome:
    pages, load = NumberedPages.of_size(IMAGE_BYTES, range(images)), TimedLoad()
    began = time.perf_counter()
    await send_over(fleet, pages, STREAMS, load)
    seconds = time.perf_counter() - began
    seen = await fleet.standin.stats()
    read = load.outcomes().get("OK", 0)
    wrong = len(load.wrong(pages.text_of)) - (len(load.answers) - read)
    return RunOutcome(seconds, read - wrong, images - read, wrong, seen)


def _row(name: str, outcome: RunOutcome) -> str:
    return (
        f"| {name} | {outcome.per_second:.1f} | {outcome.seconds:.1f} | {outcome.lost} | {outcome.wrong} "
        f"| {outcome.seen['requests']} | {outcome.seen['refusals']} |"
    )


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
