"""One driver over a long stream of generated items, before a pair whose provider answers at once."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.clients.conformance.driver_run import DriverRun, run_driver
from tests.clients.conformance.drivers import Driver
from tests.clients.conformance.item_files import base_file
from tests.clients.conformance.live_pair import LivePair

ITEM_BYTES = 1 << 20
CONCURRENCY = 8
_RUN_MAX_S = 1800.0
_EARLY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class LongStream:
    """What one driver used. MB are of 10^6 bytes; ``samples`` are seconds since its start and resident MB."""

    language: str
    items: int
    seconds: float
    heap_peak_mb: float | None
    samples: list[tuple[float, float]]

    @property
    def early_mb(self) -> float:
        """Resident when a tenth of the time was over: all of a window is there by then."""
        return self.samples[int(_EARLY_SHARE * (len(self.samples) - 1))][1]

    @property
    def peak_mb(self) -> float:
        """The most that was resident."""
        return max(mb for _, mb in self.samples)

    @property
    def late_mb(self) -> float:
        """Resident at the end, the median of the last tenth."""
        late = sorted(mb for _, mb in self.samples[-max(1, len(self.samples) // 10) :])
        return late[len(late) // 2]


async def measure(driver: Driver, pair: LivePair, count: int, folder: Path) -> LongStream:
    """Runs it. Raises ValueError where an item was not answered as it should be, DriverFailed."""
    told = {
        "target": pair.target,
        "call": "stream",
        "config": {"features": ["TEXT"], "profile": "none"},
        "policy": {"concurrency": CONCURRENCY},
        "generated": {"count": count, "bytes": ITEM_BYTES, "base": str(base_file(folder, driver.name))},
    }
    began = time.monotonic()
    run = await run_driver(driver.command, told, folder, [], _nothing, limit_s=_RUN_MAX_S)
    seconds = time.monotonic() - began
    answered = {answer["id"] for answer in run.answers if answer["code"] == "OK"}
    if len(answered) != count or len(run.answers) != count or run.end["code"] != "OK":
        raise ValueError(f"{driver.name}: {len(answered)} of {count} items were read, the end was {run.end}")
    heap = run.end.get("heap_peak_bytes")
    return LongStream(driver.name, count, seconds, None if heap is None else heap / 1e6, run.memory.samples)


async def _nothing(_action: str, _run: DriverRun) -> None:
    """Nothing happens to the servers."""


def kept(file: Path) -> dict[str, LongStream]:
    """The streams measured before, by language."""
    if not file.exists():
        return {}
    return {each["language"]: LongStream(**each) for each in json.loads(file.read_text())}


def keep(file: Path, streams: dict[str, LongStream]) -> None:
    """Writes them, for the next run to draw them beside its own."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(each) for each in streams.values()]))
