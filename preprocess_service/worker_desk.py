"""One worker process and its work: a page at a time, the documents that it holds, and what becomes of a lost page."""

from __future__ import annotations

import asyncio
import pickle
from collections import OrderedDict
from dataclasses import replace

import structlog

from preprocess_service.errors import DecoderCrashed, PageBeyondMemory, PageBeyondTime
from preprocess_service.message_values import MalformedMessage
from preprocess_service.model import NormalizedPage, PageFailure, Source
from preprocess_service.page_order import PageOrder
from preprocess_service.worker_messages import (
    Answer,
    Opened,
    PageRequest,
    WorkerBug,
    closing_frame,
    request_frame,
)
from preprocess_service.worker_process import WorkerLost, WorkerProcess

CANCEL_GRACE_S = 0.5
"""A page that nobody waits for any more may still end by itself so long, which is cheaper than a new process."""
_HELD_DOCUMENTS = 8
_HELD_BYTES = 32 * 1024 * 1024
"""What a worker holds of documents together, unless a single one is larger."""

PageOutcome = NormalizedPage | PageFailure
"""A failure whose ``page_count`` is 0 concerns the document as a whole, or one of a single page."""

_log = structlog.get_logger("preprocess_service.page_workers")


class PageWorkersClosed(RuntimeError):
    """A page was asked of closed workers, or was still in hand: a bug of whoever stops the process."""


class PageWorkerBug(RuntimeError):
    """A page met an error in its worker that no file should cause. The message holds the worker's trace."""


class OpenDocument:
    """A document whose pages can be asked for. ``page_count`` is 0 until a worker has opened it and found several."""

    def __init__(self, token: int, source: Source) -> None:
        self.token = token
        self.source = source
        self.page_count = 0
        self.is_closed = False
        self._opened = asyncio.Event()

    def opened(self, page_count: int) -> None:
        """Takes note of what a worker says. Raises MalformedMessage where another one has said otherwise."""
        if self.page_count not in (0, page_count):
            raise MalformedMessage(f"a document of {page_count} pages, or of {self.page_count}")
        self.page_count = page_count
        self._opened.set()

    async def wait_opened(self, page: asyncio.Future[PageOutcome]) -> None:
        """Returns when the number of pages is known, or when that page has come or failed."""
        page.add_done_callback(lambda _: self._opened.set())
        await self._opened.wait()


class Job:
    """A page that someone waits for; ``outcome`` is cancelled when nobody does any more."""

    def __init__(self, document: OpenDocument, number: int, order: PageOrder) -> None:
        self.document = document
        self.number = number
        self.order = pickle.dumps(order)
        self.outcome: asyncio.Future[PageOutcome] = asyncio.get_running_loop().create_future()
        self.was_repeated = False

    def end(self, outcome: PageOutcome) -> None:
        """Gives the page to whoever waits."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Raises the error at whoever waits."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def checked(self, answer: Answer) -> PageOutcome:
        """The answer, where it can be one to this job. Raises MalformedMessage, and PageWorkerBug."""
        if isinstance(answer, WorkerBug):
            raise PageWorkerBug(answer.trace)
        known = self.document.page_count
        counts = (known or 1,) if isinstance(answer, NormalizedPage) else (0, known)
        if not isinstance(answer, NormalizedPage | PageFailure) or answer.number != self.number:
            raise MalformedMessage("an answer to another question")
        if answer.page_count not in counts:
            raise MalformedMessage(f"a document of {answer.page_count} pages, or of {known}")
        return replace(answer, page_count=known) if isinstance(answer, PageFailure) else answer


class WorkerDesk:
    """A worker with its job, if it has one."""

    def __init__(self, process: WorkerProcess, page_time_limit_s: float) -> None:
        self.process = process
        self._page_time_limit_s = page_time_limit_s
        self.job: Job | None = None
        self._turn: asyncio.Future[None] | None = None
        self._is_over_time = False
        self._held: OrderedDict[int, int] = OrderedDict()  # token to bytes, the least recently used one first
        self._to_close: list[int] = []
        self._watch = asyncio.create_task(process.wait_ended())
        self._watch.add_done_callback(self._wake)

    @property
    def is_free(self) -> bool:
        """Whether it waits for a job."""
        return self._turn is not None and not self._turn.done()

    def is_lost(self) -> bool:
        """Whether its process has ended or is about to."""
        return self.process.is_killed or self.process.has_hung_up()

    def holds(self, document: OpenDocument) -> bool:
        """Whether the worker has the document open."""
        return document.token in self._held

    def give(self, job: Job) -> None:
        """Ends the wait of a free worker."""
        self.job = job
        self._wake()

    async def wait_for_job(self) -> Job | None:
        """The job that is given; None when the worker is lost instead."""
        self._turn = asyncio.get_running_loop().create_future()
        self._tell_closed()
        if not self._watch.done():
            await self._turn
        return self.job

    async def work(self, job: Job) -> bool:
        """Has the page made. Whatever happens, the job has its outcome after it, and the worker may be lost; only where
        something else killed the worker, and for the first time over this job, True says that another is to do it.
        """
        if job.outcome.cancelled():
            self.job = None
            return False
        self.job = job
        is_to_repeat = False
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(self._page_time_limit_s, self._run_over_time)]

        def leave(outcome: asyncio.Future[PageOutcome]) -> None:
            if outcome.cancelled() and self.job is job:
                timers.append(loop.call_later(CANCEL_GRACE_S, self.process.kill))

        job.outcome.add_done_callback(leave)
        try:
            job.end(job.checked(await self._exchange(job)))
        except PageWorkerBug as bug:
            job.fail(bug)
        except (WorkerLost, MalformedMessage) as loss:
            is_to_repeat = await self._bury(job, loss)
        except Exception as error:
            job.fail(error)
            raise
        finally:
            if not is_to_repeat:
                job.fail(PageWorkersClosed())  # where a cancel has come before its outcome
            self.job = None
            for timer in timers:
                timer.cancel()
            if job.document.is_closed:
                self.forget(job.document)
        return is_to_repeat

    def forget(self, document: OpenDocument) -> None:
        """Has the worker close the document: now if it is free, else before its next page."""
        if self._held.pop(document.token, None) is not None:
            self._to_close.append(document.token)
            self._tell_closed()

    async def dismiss(self) -> str:
        """Ends the worker, and the job that it was given last. Returns how the process ended."""
        if self.job is not None:
            self.job.fail(PageWorkersClosed())
        self.process.kill()
        ending = await self.process.end()
        self._watch.cancel()
        return ending

    def _tell_closed(self) -> None:
        if self._to_close and self.is_free:
            self.process.tell(closing_frame(self._to_close))
            self._to_close.clear()

    def _wake(self, _ended: object = None) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def _run_over_time(self) -> None:
        self._is_over_time = True
        self.process.kill()

    async def _exchange(self, job: Job) -> Answer:
        """Asks for the page and waits for it. Raises WorkerLost and MalformedMessage."""
        document, content = job.document, job.document.source.content
        request = self._request(job)
        await self.process.send(request_frame(request))
        answer = await self.process.answer(content)
        if isinstance(answer, Opened) and request.source is not None:
            self._held[document.token] = len(content)
            document.opened(answer.page_count)
            answer = await self.process.answer(content)
        if isinstance(answer, PageFailure) and isinstance(answer.error, PageBeyondMemory):
            self._held.clear()  # as the worker does
        return answer

    def _request(self, job: Job) -> PageRequest:
        """Asks with the source where the worker lacks it, and makes room for that."""
        document = job.document
        source = None if self.holds(document) else document.source
        if source is None:
            self._held.move_to_end(document.token)
        while source is not None and self._is_full_for(len(source.content)):
            self._to_close.append(self._held.popitem(last=False)[0])
        closed, self._to_close = tuple(self._to_close), []
        return PageRequest(document.token, job.number, job.order, source, closed)

    def _is_full_for(self, size: int) -> bool:
        held = sum(self._held.values())
        return len(self._held) >= _HELD_DOCUMENTS or (held > 0 and held + size > _HELD_BYTES)

    async def _bury(self, job: Job, loss: WorkerLost | MalformedMessage) -> bool:
        """Tells whoever waits how the page was lost, in words of the service's own; or says that it is to be repeated,
        as SIGKILL tells nothing of the file. A worker that is not killed by now has ended by itself.
        """
        if isinstance(loss, MalformedMessage):
            self.process.kill()
        ending = await self.process.end()
        is_to_repeat = self.process.was_killed_by_others and not job.was_repeated
        job.was_repeated = True
        error: PageBeyondTime | DecoderCrashed
        if self._is_over_time:
            error = PageBeyondTime(limit_s=self._page_time_limit_s)
        elif isinstance(loss, MalformedMessage):
            error = DecoderCrashed("gave an answer that cannot be")
        else:
            error = DecoderCrashed("was stopped" if self.process.is_killed else ending)
        _log.warning(
            "page_workers.worker_lost",
            pid=self.process.pid,
            ending=ending,
            reason=str(error),
            cause=str(loss),
            is_to_repeat=is_to_repeat,
        )
        if not is_to_repeat:
            job.end(PageFailure(job.number, job.document.page_count, error))
        return is_to_repeat
