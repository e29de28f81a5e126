"""Worker threads with an engine of their own each, for engines that compute inside this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from ocr_gateway.errors import ProviderNotConfigured, ProviderUnavailable
from ocr_gateway.model import ProviderState

Engine = TypeVar("Engine")
Result = TypeVar("Result")

_log = structlog.get_logger("ocr_gateway.providers")


@dataclass(frozen=True, slots=True)
class ProviderLoad:
    """Calls being worked on now, and calls that wait for a worker."""

    in_progress: int
    waiting: int


class CallAbandoned(Exception):
    """Raised inside a worker, by work that found its caller gone. No caller ever sees it."""


class CallerWatch:
    """Lets running work ask, at a convenient place, whether anybody still waits for it."""

    def __init__(self) -> None:
        self._gone = threading.Event()

    def leave(self) -> None:
        """Says that the caller is gone."""
        self._gone.set()

    def check(self) -> None:
        """Raises ``CallAbandoned`` once the caller is gone."""
        if self._gone.is_set():
            raise CallAbandoned


@dataclass(slots=True, eq=False)
class _Job(Generic[Engine]):
    work: Callable[[Engine, CallerWatch], object]
    future: Future[object] = field(default_factory=Future)
    watch: CallerWatch = field(default_factory=CallerWatch)


class EnginePool(Generic[Engine]):
    """``workers`` threads; each loads an engine by ``load`` and then works calls off, first come, first served.

    Calls made before an engine is ready wait for it. A call cancelled while it waits never begins; one cancelled while
    it runs goes on until its work looks at its ``CallerWatch``, and its worker then takes the next. The threads are
    daemons: a process that ends does not wait for a page.
    """

    def __init__(self, provider: str, workers: int, load: Callable[[], Engine]) -> None:
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        self._provider = provider
        self._workers = workers
        self._load = load
        self._changed = threading.Condition()
        self._waiting: deque[_Job[Engine]] = deque()
        self._in_progress = 0
        self._threads: list[threading.Thread] = []
        self._ready = 0
        self._failures: list[str] = []
        self._closed = False

    @property
    def load(self) -> ProviderLoad:
        """How busy the pool is."""
        with self._changed:
            return ProviderLoad(in_progress=self._in_progress, waiting=len(self._waiting))

    @property
    def state(self) -> tuple[ProviderState, str]:
        """STARTING, SERVING from the first ready engine on, or NOT_CONFIGURED when none could be loaded; and why."""
        with self._changed:
            if self._closed:
                return ProviderState.NOT_CONFIGURED, "it is closed"
            if self._ready:
                return ProviderState.SERVING, ""
            if len(self._failures) == self._workers:
                return ProviderState.NOT_CONFIGURED, self._failures[0]
            return ProviderState.STARTING, "the engine is being loaded"

    def start(self) -> None:
        """Starts the threads; a second call does nothing."""
        with self._changed:
            if self._threads or self._closed:
                return
            self._threads = [
                threading.Thread(target=self._serve, name=f"{self._provider}-{number}", daemon=True)
                for number in range(self._workers)
            ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[Engine, CallerWatch], Result]) -> Result:
        """What ``work`` returns, worked in a thread.

        Raises what it raises, ``ProviderNotConfigured`` when no engine could be loaded, and ``ProviderUnavailable``
        when the pool is closed.
        """
        job: _Job[Engine] = _Job(work)
        with self._changed:
            self._refuse_when_useless()
            self._waiting.append(job)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.future)  # type: ignore[arg-type]  # the job holds what work returns
        except asyncio.CancelledError:
            self._give_up(job)
            raise

    async def close(self, timeout_s: float = 3.0) -> None:
        """Refuses the waiting calls and waits at most ``timeout_s`` for running ones, which are then left behind."""
        with self._changed:
            self._closed = True
            refused = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for job in refused:
            self._fail(job, ProviderUnavailable(self._provider, "it is being stopped"))
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                await asyncio.to_thread(thread.join, max(deadline - time.monotonic(), 0.0))

    def _refuse_when_useless(self) -> None:
        if self._closed:
            raise ProviderUnavailable(self._provider, "it is being stopped")
        if len(self._failures) == self._workers:
            raise ProviderNotConfigured(self._provider, self._failures[0])
        if not self._threads:
            raise ProviderUnavailable(self._provider, "it was not started")

    def _give_up(self, job: _Job[Engine]) -> None:
        job.watch.leave()
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def _serve(self) -> None:
        try:
            engine = self._load()
        except Exception as error:
            _log.warning("provider.engine_failed", provider=self._provider, exc_info=error)
            self._load_failed(f"{type(error).__name__}: {error}")
            return
        with self._changed:
            self._ready += 1
        while (job := self._next_job()) is not None:
            self._work(job, engine)
            del job

    def _next_job(self) -> _Job[Engine] | None:
        with self._changed:
            while True:
                if self._closed:
                    return None
                while self._waiting:
                    job = self._waiting.popleft()
                    if job.future.set_running_or_notify_cancel():
                        self._in_progress += 1
                        return job
                self._changed.wait()

    def _work(self, job: _Job[Engine], engine: Engine) -> None:
        result: object = None
        failure: BaseException | None = None
        try:
            result = job.work(engine, job.watch)
        except BaseException as error:
            failure = error
        with self._changed:
            self._in_progress -= 1
        if failure is not None:
            job.future.set_exception(failure)
        else:
            job.future.set_result(result)

    def _load_failed(self, detail: str) -> None:
        with self._changed:
            self._failures.append(detail)
            if len(self._failures) < self._workers:
                return
            refused = list(self._waiting)
            self._waiting.clear()
        for job in refused:
            self._fail(job, ProviderNotConfigured(self._provider, detail))

    @staticmethod
    def _fail(job: _Job[Engine], error: Exception) -> None:
        if job.future.set_running_or_notify_cancel():
            job.future.set_exception(error)
