"""A bounded pool of threads for work on the CPU. OpenCV and Pillow release the GIL, so N workers use N cores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import cv2

P = ParamSpec("P")
T = TypeVar("T")


class WorkerPoolClosed(RuntimeError):
    """A job was given to a pool that is closed, or was still waiting in it: a bug of whoever stops the process."""


class WorkerPool:
    """Runs plain functions, at most ``workers`` at a time, first come first served.

    Belongs to the event loop that first uses it. Sets OpenCV to one thread a call for the whole process.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"a pool needs at least one worker, not {workers}")
        cv2.setNumThreads(1)
        self._workers = workers
        self._free = asyncio.Semaphore(workers)
        self._executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="preprocess")
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises. Raises WorkerPoolClosed once the pool is closed.

        Waits for a free worker. A cancel while waiting leaves the queue at once; a cancel while the function runs
        returns at once too, and its worker is free again when the thread really ends.
        """
        self._check_open()
        await self._free.acquire()
        try:
            self._check_open()
            job = self._executor.submit(function, *args, **kwargs)
        except BaseException:
            self._free.release()
            raise
        loop = asyncio.get_running_loop()
        job.add_done_callback(lambda ended: self._give_back(loop, ended))
        return await asyncio.wrap_future(job)

    async def close(self) -> None:
        """Refuses new jobs and those that still wait, and returns when the running ones have ended. May be repeated."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self._workers):
            await self._free.acquire()
        self._executor.shutdown(wait=False)
        for _ in range(self._workers):
            self._free.release()

    def _check_open(self) -> None:
        if self._closed:
            raise WorkerPoolClosed

    def _give_back(self, loop: asyncio.AbstractEventLoop, _ended: Future[T]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._free.release)
