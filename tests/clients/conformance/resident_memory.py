"""The resident memory of one process alone, by what the kernel says in /proc."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

EVERY_S = 0.2
_KIB = 1024 / 1e6


@dataclass
class ResidentMemory:
    """MB (10^6 bytes), each ``EVERY_S`` seconds."""

    samples: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the beginning, and MB."""
    first_mb: float = 0.0
    """When ``begin`` was first called."""
    _began: float = field(default_factory=time.monotonic)
    _pid: int = 0

    async def watch(self, pid: int) -> None:
        """Takes samples until it is cancelled."""
        self._pid = pid
        while True:
            self._look()
            await asyncio.sleep(EVERY_S)

    def begin(self) -> None:
        """What it holds now is what growth is counted from. Later calls mean nothing."""
        if not self.first_mb and self._look():
            self.first_mb = self.samples[-1][1]

    @property
    def peak_mb(self) -> float:
        """The most of all samples."""
        return max((mb for _, mb in self.samples), default=0.0)

    @property
    def growth_mb(self) -> float:
        """From the beginning to the peak."""
        return self.peak_mb - self.first_mb

    def _look(self) -> bool:
        try:
            status = Path(f"/proc/{self._pid}/status").read_text()
        except OSError:
            return False
        found = next((line for line in status.splitlines() if line.startswith("VmRSS:")), "")
        if found:
            self.samples.append((time.monotonic() - self._began, int(found.split()[1]) * _KIB))
        return bool(found)
