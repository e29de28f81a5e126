"""``python -m tests.fakes.standin``: a stand-in as a process, until it is terminated.

STANDIN_VENDOR says whose service it stands in for (baidu), STANDIN_LISTEN where it listens (127.0.0.1:0, a free port),
STANDIN_READY_FILE is the file that tells HOST:PORT once it does, STANDIN_KEEP_ALIVE_S how long it keeps idle
connections, and STANDIN_SETTINGS a JSON object of its settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import uvloop

from rpc_runtime.memory import set_start_aside
from tests.fakes.standin.server import StandIn
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendors.every import VENDORS, vendor_of


async def run() -> None:
    """Serves until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with contextlib.suppress(PermissionError):  # it measures when calls arrive: the machine's load should not count
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    host, _, port = os.environ.get("STANDIN_LISTEN", "127.0.0.1:0").rpartition(":")
    settings = StandInSettings().changed(json.loads(os.environ.get("STANDIN_SETTINGS", "{}")))
    name = os.environ.get("STANDIN_VENDOR", "baidu")
    if name not in VENDORS:
        raise SystemExit(f"no stand-in is named {name!r}; there are {', '.join(sorted(VENDORS))}")
    stand_in = StandIn(vendor_of(name), settings)
    bound = await stand_in.serve(host, int(port), keep_alive_s=float(os.environ.get("STANDIN_KEEP_ALIVE_S", "75")))
    set_start_aside()  # a full garbage collection would date arrivals tens of milliseconds late
    announce(f"{bound[0]}:{bound[1]}")
    try:
        await stop.wait()
    finally:
        await stand_in.close()


def announce(address: str) -> None:
    """Writes the address to the file, which appears whole."""
    ready = os.environ.get("STANDIN_READY_FILE")
    if ready is None:
        print(address, flush=True)
        return
    draft = Path(f"{ready}.part")
    draft.write_text(address)
    draft.replace(ready)


if __name__ == "__main__":
    uvloop.run(run())
