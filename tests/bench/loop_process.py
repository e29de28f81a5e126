"""A process that does the same work each time it is told to, and says how long that took."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

READY = "ready\n"


@dataclass(frozen=True, slots=True)
class LoopProcess:
    """One that runs ``serve_rounds``."""

    process: asyncio.subprocess.Process

    async def round(self) -> float:
        """Has the work done once; gives the number that it printed. Raises RuntimeError where the process has ended."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self.process.stdin.write(b"go\n")
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the loop ended with {await self.process.wait()}")
        return float(line)


@asynccontextmanager
async def loop_process(module: str, *arguments: str, **environment: str) -> AsyncIterator[LoopProcess]:
    """``python -m module …`` with these variables, once it is ready. Raises RuntimeError where it does not start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        if process.stdout is None or await process.stdout.readline() != READY.encode():
            raise RuntimeError(f"{module} did not start")
        yield LoopProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def serve_rounds(work: Callable[[], float]) -> None:
    """Says that all is ready, then works once for each line on standard input and prints what ``work`` gives."""
    sys.stdout.write(READY)
    sys.stdout.flush()
    for _ in sys.stdin:
        sys.stdout.write(f"{work()}\n")
        sys.stdout.flush()


def seconds_in_threads(calls: Sequence[Callable[[T], object]], items: Iterable[T]) -> float:
    """Has each item taken by one of the calls, which have a thread each; the seconds until all are done."""
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    def take(call: Callable[[T], object]) -> None:
        while True:
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            call(item)

    threads = [threading.Thread(target=take, args=(call,)) for call in calls]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began
