"""``python -m tests.clients.memory [--items N] [DRIVER …]``: measures, and writes docs/clients.md and its plot.

Those that are not named keep the figures of their last run (``build/client_memory.json``).
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.clients.conformance.drivers import DRIVERS, Driver
from tests.clients.conformance.live_pair import pair_pool
from tests.clients.conformance.scenario import Servers
from tests.clients.memory.long_stream import LongStream, keep, kept, measure
from tests.clients.memory.memory_page import PAGE, PLOT, draw, with_figures

_KEPT = Path("build/client_memory.json")
_ITEMS = 5000


async def _measure(drivers: list[Driver], count: int, streams: dict[str, LongStream]) -> None:
    with tempfile.TemporaryDirectory(prefix="ocrmux-memory-") as folder:
        for driver in drivers:
            place = Path(folder) / driver.name
            place.mkdir()
            async with pair_pool(place) as pool:
                stream = await measure(driver, await pool.pair(Servers()), count, place)
            print(f"{driver.name}: {stream.seconds:.0f} s, peak {stream.peak_mb:.0f} MB", flush=True)
            streams[driver.name] = stream
            keep(_KEPT, streams)


def main() -> int:
    """Exit status 0, or 2 where a driver is unknown or not built."""
    arguments = argparse.ArgumentParser(prog="python -m tests.clients.memory")
    arguments.add_argument("--items", type=int, default=_ITEMS)
    arguments.add_argument("drivers", nargs="*", metavar="DRIVER", help=", ".join(each.name for each in DRIVERS))
    chosen = arguments.parse_args()
    if unknown := set(chosen.drivers) - {driver.name for driver in DRIVERS}:
        arguments.error(f"no driver is named {', '.join(sorted(unknown))}")
    drivers = [driver for driver in DRIVERS if not chosen.drivers or driver.name in chosen.drivers]
    if lacking := [driver.name for driver in drivers if not driver.built.exists()]:
        arguments.error(f"not built: {', '.join(lacking)}")
    streams = kept(_KEPT)
    asyncio.run(_measure(drivers, chosen.items, streams))
    in_order = [streams[driver.name] for driver in DRIVERS if driver.name in streams]
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), in_order), encoding="utf-8")
    draw(in_order, PLOT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
