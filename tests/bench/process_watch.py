"""What each of several processes uses over a run: processor time, and resident memory several times a second."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil

EVERY_S = 0.25

Members = Callable[[], list[psutil.Process]]
"""The processes that count as one; asked again for each sample, as they may come and go."""


@dataclass(slots=True)
class ProcessUse:
    """One name's use: ``rss_mb`` has a sample for each of ``ProcessWatch.times_s`` (MB of 10^6 bytes)."""

    rss_mb: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def peak_mb(self) -> float:
        """The most that was seen; 0 without samples."""
        return max(self.rss_mb, default=0.0)


@dataclass(slots=True)
class ProcessWatch:
    """The use by name. Time is counted while the watch lasts."""

    uses: dict[str, ProcessUse]
    times_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    machine_cpu_s: float = 0.0
    """Of all cores, whoever used them; what the host took from a virtual machine counts too."""

    @property
    def others_share(self) -> float:
        """Of one core, used by processes that are not watched: what makes a run's figures worse than they are."""
        return max(0.0, self.machine_cpu_s - sum(use.cpu_s for use in self.uses.values())) / self.seconds

    def cpu_share(self, name: str) -> float:
        """Of one core: 1.0 is a core that does nothing else."""
        return self.uses[name].cpu_s / self.seconds

    def cpu_ms(self, name: str, pages: int) -> float:
        """Processor milliseconds a page."""
        return self.uses[name].cpu_s * 1000 / pages

    def growth_mb(self, *names: str) -> float:
        """By how much these processes together held more in the run's last quarter than in its second, on average."""
        held = [sum(sample) for sample in zip(*(self.uses[name].rss_mb for name in names), strict=True)]
        quarter = max(1, len(held) // 4)
        return statistics.fmean(held[-quarter:]) - statistics.fmean(held[quarter : 2 * quarter] or held)

    def table(self, pages: int) -> list[str]:
        """Markdown: each name's share of a core, time a page and memory."""
        rows = [
            f"| {name} | {100 * self.cpu_share(name):.0f} % | {self.cpu_ms(name, pages):.1f} "
            f"| {use.rss_mb[0]:.0f} | {use.peak_mb:.0f} | {use.rss_mb[-1]:.0f} |"
            for name, use in self.uses.items()
        ]
        total = sum(use.cpu_s for use in self.uses.values())
        return [
            "| process | share of a core | CPU a page, ms | RSS at first, MB | peak | at last |",
            "|---|---|---|---|---|---|",
            *rows,
            f"| all | {100 * total / self.seconds:.0f} % | {total * 1000 / pages:.1f} | | | |",
            f"| others on the machine | {100 * self.others_share:.0f} % | | | | |",
        ]


@asynccontextmanager
async def watching(members: Mapping[str, Members]) -> AsyncIterator[ProcessWatch]:
    """Watches until the context is left; the sampling itself takes about half a hundredth of a core."""
    watch = ProcessWatch({name: ProcessUse() for name in members})
    known: dict[psutil.Process, tuple[str, float, float]] = {}
    began = time.perf_counter()

    def sample(*, first: bool = False) -> None:
        watch.times_s.append(time.perf_counter() - began)
        for name, of in members.items():
            rss = 0.0
            for process in of():
                seen = _seen(process)
                if seen is not None:
                    cpu_s, rss_mb = seen
                    rss += rss_mb
                    before = known[process][1] if process in known else cpu_s if first else 0.0
                    known[process] = (name, before, cpu_s)
            watch.uses[name].rss_mb.append(rss)

    async def keep_sampling() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            sample()

    busy_s = _machine_busy_s()
    sample(first=True)
    sampler = asyncio.create_task(keep_sampling())
    try:
        yield watch
    finally:
        sampler.cancel()
        await asyncio.wait([sampler])
        watch.seconds = time.perf_counter() - began
        sample()
        watch.machine_cpu_s = _machine_busy_s() - busy_s
        for name, before, last in known.values():
            watch.uses[name].cpu_s += last - before


def alone(pid: int) -> Members:
    """One process without its children."""
    return lambda: [psutil.Process(pid)] if psutil.pid_exists(pid) else []


def children_of(pid: int) -> Members:
    """Its children and theirs, as they are now."""

    def members() -> list[psutil.Process]:
        try:
            return psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    return members


def _machine_busy_s() -> float:
    times = psutil.cpu_times()
    waiting = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times) - waiting - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def _seen(process: psutil.Process) -> tuple[float, float] | None:
    """Processor seconds so far and resident MB; None for one that has ended."""
    try:
        with process.oneshot():
            times = process.cpu_times()
            return times.user + times.system, process.memory_info().rss / 1e6
    except psutil.Error:
        return None
