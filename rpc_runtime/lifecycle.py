"""A process around one server: settings, logging, signals, drain, exit status."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import structlog
import uvloop

from rpc_runtime.drain import DrainSignal
from rpc_runtime.log_setup import set_up_logging
from rpc_runtime.memory import set_start_aside
from rpc_runtime.server import RpcServer, Service
from rpc_runtime.settings import ServerSettings
from rpc_runtime.settings_source import SettingsInvalid

SettingsT = TypeVar("SettingsT", bound=ServerSettings)
CANNOT_START = 2
"""Exit status of a process with a wrong setting or a taken address."""

_log = structlog.get_logger("rpc_runtime.lifecycle")


def run_service(name: str, load: Callable[[], SettingsT], build: Callable[[SettingsT, DrainSignal], Service]) -> int:
    """Runs the service until SIGTERM or SIGINT, drains, and returns the process's exit status.

    0: every accepted item was finished within the grace. 1: some were cut short. 2: it could not start, for a wrong
    setting or a taken address; one line on standard error says why. A second signal ends the grace at once.
    """
    settings = load_or_say_why(name, load)
    if settings is None:
        return CANNOT_START
    set_up_logging(service=name, level=settings.log_level, format=settings.log_format)
    for variable in settings.unknown_variables():
        _log.warning("settings.unknown_variable", variable=variable)
    try:
        # The runner is not closed: that would wait for threads without a bound, and ``end_process`` comes next.
        return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_serve(settings, build))
    except SettingsInvalid as error:
        _say_why(name, error)
        return CANNOT_START
    except OSError as error:
        _log.error("lifecycle.cannot_start", error=str(error))
        return CANNOT_START


def load_or_say_why(name: str, load: Callable[[], SettingsT]) -> SettingsT | None:
    """The settings; or None, when one line on standard error for each fault has said what is wrong with which key."""
    try:
        return load()
    except SettingsInvalid as error:
        _say_why(name, error)
        return None


def _say_why(name: str, error: SettingsInvalid) -> None:
    for fault in error.faults:
        sys.stderr.write(f"{name}: setting {fault}\n")


def end_process(status: int) -> NoReturn:
    """Ends the process at once with this status, its output written.

    Not by way of the interpreter's own end: a thread that is still inside of native code then, such as an engine that
    is being loaded, would have the process aborted. ``run_service`` has given back what must be.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


async def _serve(settings: SettingsT, build: Callable[[SettingsT, DrainSignal], Service]) -> int:
    asked = asyncio.Event()
    insisted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: insisted.set() if asked.is_set() else asked.set())
    drain = DrainSignal()
    server = RpcServer(build(settings, drain), settings, drain)
    address = await server.start()
    set_start_aside()
    if settings.ready_file is not None:
        _write_whole(settings.ready_file, address)
    try:
        await asked.wait()
    finally:
        if settings.ready_file is not None:
            settings.ready_file.unlink(missing_ok=True)
    stop = asyncio.create_task(server.stop(settings.drain_grace_s))
    hurry = asyncio.create_task(insisted.wait())
    await asyncio.wait({stop, hurry}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.done():
        _log.warning("lifecycle.second_signal")
        stop.cancel()
        await asyncio.wait({stop})
        return 1
    hurry.cancel()
    return 0 if stop.result() else 1


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)
