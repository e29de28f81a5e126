"""A bounded pool of threads for work on the CPU. OpenCV and Pillow release the GIL, so N workers use N cores."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

import cv2
import structlog

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger("preprocess_service.worker_pool")


class WorkerPoolClosed(RuntimeError):
    """A job was given to a pool that is closed, or was still waiting in it: a bug of whoever stops the process."""


class _Job:
    """A call and its outcome."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.outcome: Future[object] = Future()
        self._call = call

    def work(self) -> None:
        """Makes the call, unless it was cancelled."""
        if not self.outcome.set_running_or_notify_cancel():
            return
        try:
            result = self._call()
        except BaseException as error:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(result)

    def refuse(self) -> None:
        """Gives up a job that has not begun."""
        if self.outcome.set_running_or_notify_cancel():
            self.outcome.set_exception(WorkerPoolClosed())


class WorkerPool:
    """Runs plain functions, at most ``workers`` at a time, first come first served.

    Sets OpenCV to one thread a call for the whole process. Its threads are daemons: a process that ends does not wait
    for a job that is stuck.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"a pool needs at least one worker, not {workers}")
        cv2.setNumThreads(1)
        self._workers = workers
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises. Raises WorkerPoolClosed once the pool is closed.

        Waits for a free worker. A cancel while waiting leaves the queue at once; a cancel while the function runs
        returns at once too, and its worker is free again when the thread really ends.
        """
        job = _Job(lambda: function(*args, **kwargs))
        self._enqueue(job)
        try:
            return await asyncio.wrap_future(job.outcome)  # type: ignore[arg-type]  # it holds what function returns
        except asyncio.CancelledError:
            with self._changed:
                if job in self._waiting:
                    self._waiting.remove(job)
            raise

    async def close(self, timeout_s: float = 3.0) -> None:
        """Refuses new jobs and those that still wait, and returns when the running ones have ended, after at most
        ``timeout_s``: a job that runs longer is left behind, which a log line tells. May be repeated.
        """
        with self._changed:
            self._closed = True
            refused = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for job in refused:
            job.refuse()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                await asyncio.to_thread(thread.join, max(deadline - time.monotonic(), 0.0))
        left_behind = sum(thread.is_alive() for thread in self._threads)
        if left_behind:
            _log.warning("worker_pool.jobs_left_behind", jobs=left_behind, timeout_s=timeout_s)

    def _enqueue(self, job: _Job) -> None:
        with self._changed:
            if self._closed:
                raise WorkerPoolClosed
            self._waiting.append(job)
            if self._idle < len(self._waiting) and len(self._threads) < self._workers:
                number = len(self._threads) + 1
                thread = threading.Thread(target=self._serve, name=f"preprocess-{number}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def _serve(self) -> None:
        while (job := self._next_job()) is not None:
            job.work()
            del job

    def _next_job(self) -> _Job | None:
        with self._changed:
            while not self._closed and not self._waiting:
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return None if self._closed else self._waiting.popleft()
