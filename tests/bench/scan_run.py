"""A thousand A4 scans through both services to a stand-in provider, side by side with the textbook recipe.

Every subject is a set of processes of its own; the client is ocrmux's, in this process. Where the provider's quota is
the bottleneck the pages a second stand just below it; else the bottleneck is what has the cores (the table says it).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ocrmux_client import Item, OcrMuxClient, ReadingConfig
from ocrmux_client.stream_policy import StreamPolicy
from tests.bench.faulty_provider import FAULTS, LATENCY_S, QUOTA
from tests.bench.measures import SCALE, goal_line, scaled
from tests.bench.memory_plot import IMAGES, plot_memory
from tests.bench.numbered_load import TimedLoad
from tests.bench.process_watch import Members, ProcessWatch, alone, children_of, watching
from tests.bench.recipe_run import RunOutcome, run_recipe
from tests.bench.scan_pages import ScanPages, draw_sheets, scan_page
from tests.fakes.fleet import Fleet, running_fleet
from tests.fakes.processes import ServiceUnderTest, service
from tests.fakes.redis_server import RedisServer

SCANS = 1_000
WORKED_SCANS = 300
"""For the profile that works on every page."""
TRIAL_SCANS = 120
"""For finding the recipe's best worker count."""
WORKER_COUNTS = (4, 8, 16, 32)
STREAMS = 4
IN_FLIGHT = 16
"""Of a stream; 64 at the provider's 50 a second and 300 ms are enough for it four times over."""
DIGESTS_IN_FLIGHT = 32
CACHED_ROUNDS = 3
_FLAT_MB = 30
_RECIPE = "tests.bench.scan_recipe"
_MEMORY_PLOT = "bench_scans_memory.svg"
_NEEDED = ReadingConfig(provider="baidu")
_WORKED = ReadingConfig(provider="baidu", profile="document")


@dataclass(frozen=True, slots=True)
class _Rig:
    """What runs, and how it is put back to a beginning."""

    fleet: Fleet
    redis: RedisServer
    preprocess: ServiceUnderTest

    async def begin(self, faults: Mapping[str, Any], *, keep: bool = False) -> None:
        """Counts from 0, with these faults, and with an empty store unless it is to be kept."""
        if not keep:
            await self.redis.command("FLUSHALL")
        await self.fleet.standin.configure(fresh=True)  # bursts begin anew, too
        await self.fleet.standin.configure(**faults)
        await self.fleet.standin.reset()

    @property
    def members(self) -> dict[str, Members]:
        """The processes by name."""
        below, above = self.fleet.gateways[0].process.pid, self.preprocess.process.pid
        return {
            "client": alone(os.getpid()),
            "preprocess": alone(above),
            "its workers": children_of(above),
            "gateway": alone(below),
            "stand-in": alone(self.fleet.standin.process.pid),
            "Redis": alone(self.redis.pid),
        }


@dataclass(frozen=True, slots=True)
class _Served:
    """One of our runs."""

    outcome: RunOutcome
    load: TimedLoad
    watch: ProcessWatch


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    draw_sheets()
    scans = scaled(SCANS)
    async with _rig(folder) as rig:
        best, trials = await _best_workers(rig)
        recipe = await _by_recipe(rig, best, range(scans), {})
        recipe_cached = await _by_recipe(rig, best, range(scans), {}, keep=True)
        recipe_looking = await _by_recipe(rig, best, range(scans), {}, looks="before", keep=True)
        ours = await _by_pair(rig, range(scans), _NEEDED, {})
        cached = await _by_pair(rig, range(scans), _NEEDED, {}, digest_first=True, rounds=CACHED_ROUNDS)
        worked = await _by_pair(rig, range(scaled(WORKED_SCANS)), _WORKED, {})
        faulty = await _by_pair(rig, range(scans, 2 * scans), _NEEDED, FAULTS)
        recipe_faulty = await _by_recipe(rig, best, range(scans, 2 * scans), FAULTS)
    _draw(folder, ours.watch)
    recipe_name = f"textbook recipe, {best} threads"
    rows = {
        recipe_name: recipe,
        f"ocrmux, {STREAMS} streams": ours.outcome,
        f"ocrmux, profile document ({scaled(WORKED_SCANS)} scans)": worked.outcome,
        f"{recipe_name}, faults": recipe_faulty,
        "ocrmux, faults": faulty.outcome,
        f"{recipe_name}, all cached": recipe_cached,
        f"{recipe_name}, all cached, looked up before preparing": recipe_looking,
        "ocrmux, all cached, digest first": cached.outcome,
    }
    return [
        _introduction(scans, trials),
        "",
        "| way | pages/s | seconds | lost | wrong | requests to the provider | its refusals by quota |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, outcome) for name, outcome in rows.items()),
        "",
        _ratio_line("without faults", ours.outcome, recipe, 1.3),
        _ratio_line("under faults", faulty.outcome, recipe_faulty, 2.0),
        _ratio_line("all cached", cached.outcome, recipe_cached, 20.0),
        *(_lost_line(name, each.outcome) for name, each in (("without faults", ours), ("under faults", faulty))),
        _memory_line(ours.watch),
        "",
        *_where_it_goes("Without faults", ours),
        *_where_it_goes("Profile document", worked),
        *_where_it_goes("All cached, digest first", cached),
    ]


@asynccontextmanager
async def _rig(folder: Path) -> AsyncIterator[_Rig]:
    standin = {"latency_s": LATENCY_S, "quota": QUOTA}
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(RedisServer())
        fleet = await stack.enter_async_context(running_fleet(folder, redis=redis, standin=standin))
        preprocess = service(
            "preprocess_service", "PREPROCESS_", folder, gateway_target=fleet.gateways[0].address, log_level="warning"
        )
        yield _Rig(fleet, redis, await stack.enter_async_context(preprocess))


async def _best_workers(rig: _Rig) -> tuple[int, dict[int, RunOutcome]]:
    """The worker count that reads most a second, lost pages not counted, and each count's short run."""
    trials: dict[int, RunOutcome] = {}
    for place, workers in enumerate(WORKER_COUNTS):
        count = scaled(TRIAL_SCANS, max(WORKER_COUNTS))
        first = 10 * SCANS + place * TRIAL_SCANS
        trials[workers] = await _by_recipe(rig, workers, range(first, first + count), {})
    return max(trials, key=lambda workers: trials[workers].right / trials[workers].seconds), trials


async def _by_recipe(
    rig: _Rig,
    workers: int,
    numbers: range,
    faults: Mapping[str, Any],
    *,
    looks: str = "after",
    keep: bool = False,
) -> RunOutcome:
    """``keep`` lets Redis have what the recipe wrote there before."""
    await rig.begin(faults, keep=keep)
    words = (str(workers), str(numbers.start), str(len(numbers)), looks)
    return await run_recipe(_RECIPE, rig.fleet.standin, rig.redis, *words)


async def _by_pair(
    rig: _Rig,
    numbers: range,
    config: ReadingConfig,
    faults: Mapping[str, Any],
    *,
    digest_first: bool = False,
    rounds: int = 1,
) -> _Served:
    """The median of so many rounds, by seconds; with ``digest_first`` the store is kept as it is."""
    await rig.begin(faults, keep=digest_first)
    policy = StreamPolicy(IN_FLIGHT, ordered=False)
    if digest_first:
        policy = replace(policy, concurrency=DIGESTS_IN_FLIGHT, digest_first=True)
    served = [await _round(rig, ScanPages(numbers), config, policy) for _ in range(rounds)]
    return sorted(served, key=lambda each: each.outcome.seconds)[rounds // 2]


async def _round(rig: _Rig, pages: ScanPages, config: ReadingConfig, policy: StreamPolicy) -> _Served:
    load = TimedLoad()
    async with watching(rig.members) as watch:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(STREAMS):
                tasks.create_task(_stream(rig.preprocess.address, pages[number::STREAMS], config, policy, load))
        seconds = time.perf_counter() - began
    read = load.outcomes().get("OK", 0)
    wrong = _wrong(load, pages)
    seen = await rig.fleet.standin.stats()
    return _Served(RunOutcome(seconds, read - wrong, len(pages) - read, wrong, seen), load, watch)


async def _stream(address: str, pages: ScanPages, config: ReadingConfig, policy: StreamPolicy, load: TimedLoad) -> None:
    async with (
        OcrMuxClient(address) as client,
        aclosing(client.stream_recognize(_items(pages), config, policy)) as read,
    ):
        async for answer in read:
            load.take(answer)


def _items(pages: ScanPages) -> Iterator[Item]:
    for request_id, content in pages:
        yield Item(request_id, content)


def _wrong(load: TimedLoad, pages: ScanPages) -> int:
    """Pages with another's text. A page that reached the provider as it came has its own digest as text.

    Of the pages that were worked on, which have that of the page as it was made, no two may have the same.
    """
    read = {request_id: answer for request_id, answer in load.answers.items() if answer.HasField("document")}
    texts = {request_id: answer.document.pages[0].text for request_id, answer in read.items()}
    doubled = len(texts) - len(set(texts.values()))
    as_came = [request_id for request_id, answer in read.items() if not answer.steps]
    return doubled + sum(not texts[each].startswith(pages.text_of(each)) for each in as_came)


def _introduction(scans: int, trials: Mapping[int, RunOutcome]) -> str:
    tried = ", ".join(f"{workers}: {trial.per_second:.1f}" for workers, trial in trials.items())
    return (
        f"Scans: {scans} distinct A4 pages at 300 dpi, JPEG in colour of {len(scan_page(0)) / 1e6:.1f} MB; a provider "
        f"of {QUOTA} a second at {LATENCY_S * 1000:.0f} ms, where said with faults (5 % HTTP 500, 2 % resets, 1 % "
        f"hangs, 1 % malformed bodies, bursts of error 18 that take {FAULTS['throttle_burst']} requests every "
        f"{FAULTS['throttle_every']}). ocrmux: the Python client with {STREAMS} streams of {IN_FLIGHT} scans, "
        "preprocess service, gateway, Redis; profile auto unless said. The recipe: queue and threads; grey, "
        "1200 x 800, blur, threshold 150, PNG; Redis by the raw file's SHA-256 once the page is prepared; requests "
        "with 10 s, three "
        f"tries. Its pages a second by threads in short runs: {tried}."
    )


def _row(name: str, outcome: RunOutcome) -> str:
    return (
        f"| {name} | {outcome.per_second:.1f} | {outcome.seconds:.1f} | {outcome.lost} | {outcome.wrong} "
        f"| {outcome.seen['requests']} | {outcome.seen['refusals']} |"
    )


def _ratio_line(what: str, ours: RunOutcome, theirs: RunOutcome, goal: float) -> str:
    ratio = ours.per_second / theirs.per_second
    return goal_line(f"ocrmux over the recipe, {what}", f"{ratio:.2f}", f"≥ {goal:g}", reached=ratio >= goal)


def _lost_line(what: str, outcome: RunOutcome) -> str:
    return goal_line(
        f"lost or wrong, {what}",
        f"{outcome.lost} and {outcome.wrong}",
        "0",
        reached=not outcome.lost and not outcome.wrong,
    )


def _memory_line(watch: ProcessWatch) -> str:
    grown = watch.growth_mb("preprocess", "its workers", "gateway")
    value = f"{grown:+.0f} MB"
    return goal_line("memory of our processes, last quarter to second", value, "flat", reached=grown <= _FLAT_MB)


def _where_it_goes(what: str, served: _Served) -> list[str]:
    pages = len(served.load.answers)
    shares = {name: served.watch.cpu_share(name) for name in served.watch.uses}
    used, cores = sum(shares.values()) + served.watch.others_share, os.cpu_count() or 1
    if served.outcome.per_second >= 0.95 * QUOTA and served.outcome.seen["requests"] >= pages:
        bottleneck = "the provider's quota"
    elif used >= 0.85 * cores:
        bottleneck = f"the {cores} cores, most of all {max(shares, key=lambda name: shares[name])}"
    else:
        bottleneck = f"waiting, as {used:.2f} of {cores} cores are used"
    return [f"{what}: {served.outcome.per_second:.1f} pages/s. The bottleneck: {bottleneck}.", "",
            *served.watch.table(pages), ""]  # fmt: skip


def _draw(folder: Path, watch: ProcessWatch) -> None:
    """The plot of a full run is the documentation's."""
    place = IMAGES if SCALE == 1 else folder
    rss = {name: use.rss_mb for name, use in watch.uses.items()}
    plot_memory(place / _MEMORY_PLOT, "Resident memory, scans through both services", watch.times_s, rss)


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
