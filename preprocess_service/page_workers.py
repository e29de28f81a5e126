"""Worker processes: decoding, measuring and encoding happen there, so that what a file does there costs one page only.

OpenCV and the decoders are C and C++ fed with strangers' files. In a process of its own such work can be killed when it
takes too long, cannot take more memory than its ceiling, and a crash is an answer like another.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import structlog

from preprocess_service.errors import WorkersUnavailable
from preprocess_service.model import Source, SourceLimits
from preprocess_service.page_order import PageOrder
from preprocess_service.worker_desk import Job, OpenDocument, PageOutcome, PageWorkersClosed, WorkerDesk
from preprocess_service.worker_messages import Terms
from preprocess_service.worker_process import COMMAND, WorkerProcess, WorkerStartFailed

_STARTS_BEFORE_REFUSING = 3
_FIRST_PAUSE_S = 0.2
_MAX_PAUSE_S = 10.0

_log = structlog.get_logger("preprocess_service.page_workers")


class PageWorkers:
    """Makes pages in ``count`` processes, first come first served; of free workers one that has the document already.

    A page takes at most ``page_time_limit_s`` in its worker, and ``memory_bytes`` beyond what the worker needs anyway.
    A worker that is lost over a page is followed by another one at once; one that does not start, or ends while it is
    free, by another after a pause, which grows up to 10 s. A page whose worker was killed from outside is begun once
    more, with a time of its own. ``on_state`` is told whether there are any workers;
    ``command`` starts one.
    """

    def __init__(
        self,
        count: int,
        *,
        limits: SourceLimits,
        memory_bytes: int,
        page_time_limit_s: float,
        on_state: Callable[[bool], Awaitable[None]] | None = None,
        command: Sequence[str] = COMMAND,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if count < 1:
            raise ValueError(f"pages need at least one worker, not {count}")
        self.count = count
        self._terms = Terms(limits, memory_bytes)
        self._page_time_limit_s = page_time_limit_s
        self._on_state = on_state
        self._command = command
        self._pause = pause
        self._tokens = itertools.count(1)
        self._waiting: deque[Job] = deque()
        self._desks: dict[asyncio.Task[None], WorkerDesk] = {}
        self._keepers: set[asyncio.Task[None]] = set()
        self._failed_starts = 0
        self._refuses = False
        self._is_closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes that work or wait for work."""
        return tuple(desk.process.pid for desk in self._desks.values())

    def start(self) -> None:
        """Starts the workers in the background; pages may be asked for at once. Called once."""
        self._keepers = {asyncio.create_task(self._keep()) for _ in range(self.count)}

    @contextmanager
    def document(self, source: Source) -> Iterator[OpenDocument]:
        """A document that workers may hold as long as the context is open."""
        document = OpenDocument(next(self._tokens), source)
        try:
            yield document
        finally:
            document.is_closed = True
            for desk in self._desks.values():
                desk.forget(document)

    async def make(self, document: OpenDocument, number: int, order: PageOrder) -> PageOutcome:
        """The page of this number, or how it failed: with an error of the file or of the page, PageBeyondTime,
        PageBeyondMemory or DecoderCrashed.

        Raises WorkersUnavailable where no worker can be started, PageWorkerBug, and PageWorkersClosed. Waits for a free
        worker. A cancel while waiting leaves the queue; a cancel while the page is made returns at once too, and the
        worker is killed when it does not end within 0.5 s.
        """
        job = Job(document, number, order)
        self._admit(job)
        try:
            return await job.outcome
        except asyncio.CancelledError:
            if job in self._waiting:
                self._waiting.remove(job)
            raise

    async def close(self, timeout_s: float = 3.0) -> None:
        """Refuses new pages and those that wait, and ends the workers: free ones at once, the others when their pages
        are made, or after ``timeout_s``, and then these fail too. May be repeated.
        """
        self._is_closed = True
        self._refuse_waiting(PageWorkersClosed)
        at_work = {keeper for keeper, desk in self._desks.items() if desk.job is not None}
        for keeper in self._keepers - at_work:
            keeper.cancel()
        if at_work:
            await asyncio.wait(at_work, timeout=timeout_s)
        for keeper in at_work:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def _admit(self, job: Job) -> None:
        if self._is_closed:
            raise PageWorkersClosed
        if self._refuses:
            raise WorkersUnavailable
        free = [desk for desk in self._desks.values() if desk.is_free]
        if free:
            next((desk for desk in free if desk.holds(job.document)), free[0]).give(job)
        else:
            self._waiting.append(job)

    def _readmit(self, job: Job) -> None:
        """Has a job whose worker is gone done before those that wait."""
        free = [desk for desk in self._desks.values() if desk.is_free]
        if self._is_closed:
            job.fail(PageWorkersClosed())
        elif free:
            free[0].give(job)
        else:
            self._waiting.appendleft(job)

    def _refuse_waiting(self, error: type[Exception]) -> None:
        while self._waiting:
            self._waiting.popleft().fail(error())

    async def _keep(self) -> None:
        """Has one worker after the other do the work of one place."""
        while not self._is_closed:
            try:
                process = await WorkerProcess.start(self._terms, self._command)
            except WorkerStartFailed as error:
                await self._rest(str(error))
                continue
            if not await self._employ(WorkerDesk(process, self._page_time_limit_s)):
                await self._rest("a worker without work has ended")

    async def _employ(self, desk: WorkerDesk) -> bool:
        """Gives a worker its jobs until it is lost or the workers are closed; says whether it was lost over a job."""
        keeper = cast("asyncio.Task[None]", asyncio.current_task())
        self._desks[keeper] = desk
        job: Job | None = None
        try:
            await self._tell_state(True)
            while not (self._is_closed or desk.is_lost()):
                job = self._waiting.popleft() if self._waiting else await desk.wait_for_job()
                if job is not None and desk.is_lost():
                    self._readmit(job)  # that this worker is gone is not the page's fault
                    job = desk.job = None
                elif job is not None and await desk.work(job):
                    self._readmit(job)
        except Exception:
            _log.exception("page_workers.bug")
        finally:
            del self._desks[keeper]
            await desk.dismiss()
        return job is not None or self._is_closed

    async def _rest(self, why: str) -> None:
        """Waits before the next start. Where none of several succeeded, pages are refused until one does."""
        self._failed_starts += 1
        pause_s = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._failed_starts - 1, 10))
        _log.error("page_workers.no_start", reason=why, pause_s=pause_s)
        if self._failed_starts >= _STARTS_BEFORE_REFUSING and not self._desks:
            await self._tell_state(False)
            self._refuse_waiting(WorkersUnavailable)
        await self._pause(pause_s)

    async def _tell_state(self, there_are_workers: bool) -> None:
        self._refuses = not there_are_workers
        if there_are_workers:
            self._failed_starts = 0
        if self._on_state is not None:
            await self._on_state(there_are_workers)
