"""The memory of a process and its children, watched while something runs, by what the kernel says in /proc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

_LOOK_EVERY_S = 0.05
_KIB = 1024 / 1e6


@dataclass(slots=True)
class MemoryWatch:
    """MB (10^6 bytes). ``peak_rss_mb``: the most of the sum at one look. ``peaks_mb``: each process's own, by VmHWM."""

    peak_rss_mb: float = 0.0
    peak_bound_mb: float = 0.0
    """The most of the sum of the peaks of those that lived at one time: no moment between two looks was above it."""
    peaks_mb: dict[int, float] = field(default_factory=dict)

    def look(self, root: int) -> None:
        """Takes note of what these processes hold now."""
        resident = bound = 0.0
        for pid in (root, *_children_of(root)):
            now_mb, peak_mb = _memory_mb(pid)
            resident += now_mb
            bound += peak_mb
            self.peaks_mb[pid] = max(self.peaks_mb.get(pid, 0.0), peak_mb)
        self.peak_rss_mb = max(self.peak_rss_mb, resident)
        self.peak_bound_mb = max(self.peak_bound_mb, bound)


@asynccontextmanager
async def watched_memory(root: int) -> AsyncIterator[MemoryWatch]:
    """Looks every 50 ms at the process and its descendants until the block ends."""
    watch = MemoryWatch()

    async def look() -> None:
        while True:
            watch.look(root)
            await asyncio.sleep(_LOOK_EVERY_S)

    task = asyncio.create_task(look())
    try:
        yield watch
        watch.look(root)
    finally:
        task.cancel()


def _children_of(pid: int) -> list[int]:
    """All descendants. A process that has just ended has none."""
    children: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += map(int, listing.read_text().split())
        except OSError:
            continue
    return [*children, *(below for child in children for below in _children_of(child))]


def _memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory and its peak; zeros for a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    values = {name: value for name, _, value in (line.partition(":") for line in lines)}
    kib = (int(values.get(name, "0").split()[0]) for name in ("VmRSS", "VmHWM"))
    resident, peak = (value * _KIB for value in kib)
    return resident, peak
