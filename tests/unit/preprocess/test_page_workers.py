"""Worker processes: bounded, fair, cancellable, and replaced when a page brings one down."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import cast

import pytest
import pytest_asyncio
import uvloop

from preprocess_service import worker_desk
from preprocess_service.errors import (
    DecoderCrashed,
    ImageUndecodable,
    PageBeyondTime,
    PageOutOfDocument,
    WorkersUnavailable,
)
from preprocess_service.model import NormalizedPage, PageFailure, Source, SourceLimits
from preprocess_service.page_order import PageOrder
from preprocess_service.page_workers import PageWorkers
from preprocess_service.worker_desk import PageWorkerBug, PageWorkersClosed
from preprocess_service.worker_messages import PageRequest, request_frame
from preprocess_service.worker_process import COMMAND, WorkerProcess
from tests.fakes.images import encoded, photo, tiff_pages
from tests.fakes.page_workshop import UNTOUCHED, is_alive, outcome_of, running_workers, settle, stopped, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = encoded(photo(), "JPEG")
THREE_PAGES = tiff_pages(photo(), photo(), photo())

Outcome = NormalizedPage | PageFailure


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_worker() -> AsyncIterator[PageWorkers]:
    async with running_workers(1) as workers:
        yield workers


@pytest_asyncio.fixture(loop_scope="module")
async def one(shared_worker: PageWorkers) -> PageWorkers:
    """One worker, which is free."""
    await outcome_of(shared_worker, JPEG)
    return shared_worker


def begin(workers: PageWorkers, content: bytes = JPEG) -> asyncio.Task[Outcome]:
    return asyncio.create_task(outcome_of(workers, content))


def failure_of(outcome: Outcome) -> Exception:
    assert isinstance(outcome, PageFailure)
    return outcome.error


async def test_a_file_that_passes_is_the_callers_own_object(one: PageWorkers) -> None:
    """A page that is the file itself does not come back from the worker."""
    page = await outcome_of(one, JPEG)
    assert isinstance(page, NormalizedPage)
    assert page.parts[0].content is JPEG
    assert page.preprocess_ms > 0


async def test_an_error_of_the_file_is_an_outcome(one: PageWorkers) -> None:
    """The worker's error comes as it was raised, and the worker goes on."""
    (pid,) = one.pids
    outcome = await outcome_of(one, b"no image")
    assert isinstance(failure_of(outcome), ImageUndecodable)
    assert isinstance(outcome, PageFailure)
    assert outcome.page_count == 0
    assert isinstance(await outcome_of(one, JPEG), NormalizedPage)
    assert one.pids == (pid,)


@pytest.mark.parametrize("number", [0, 4, -1])
async def test_a_page_that_is_not_there_is_an_outcome(one: PageWorkers, number: int) -> None:
    """A document of three pages has the pages 1 to 3."""
    error = failure_of(await outcome_of(one, THREE_PAGES, number))
    assert isinstance(error, PageOutOfDocument)
    assert error.metadata == {"page": str(number), "page_count": "3"}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT])
async def test_a_crash_costs_one_page(one: PageWorkers, number: signal.Signals) -> None:
    """The page says by which signal its worker ended; the next page has a new worker."""
    (pid,) = one.pids
    with stopped(pid):
        job = begin(one)
        await settle()
        os.kill(pid, number)
    error = failure_of(await job)
    assert isinstance(error, DecoderCrashed)
    assert number.name in str(error)
    assert isinstance(await outcome_of(one, JPEG), NormalizedPage)
    assert pid not in one.pids


async def test_a_page_to_be_begun_again_can_be_cancelled(one: PageWorkers) -> None:
    """Between its two workers it waits like others, and a cancel takes it out."""
    (pid,) = one.pids
    with stopped(pid):
        job = begin(one)
        await settle()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not one.pids)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert isinstance(await outcome_of(one, JPEG), NormalizedPage)


async def test_a_crash_at_one_page_of_several_is_that_pages_own(one: PageWorkers) -> None:
    """A document that was opened keeps its number of pages, so that its other pages can be made."""
    (pid,) = one.pids
    with one.document(Source(THREE_PAGES)) as document:
        assert isinstance(await one.make(document, 1, UNTOUCHED), NormalizedPage)
        with stopped(pid):
            job = asyncio.create_task(one.make(document, 2, UNTOUCHED))
            await settle()
            os.kill(pid, signal.SIGSEGV)
        outcome = await job
        assert isinstance(outcome, PageFailure)
        assert (outcome.number, outcome.page_count) == (2, 3)
        assert isinstance(await one.make(document, 3, UNTOUCHED), NormalizedPage)


async def test_a_free_worker_that_ends_costs_no_page(one: PageWorkers) -> None:
    """A page that is given to a worker that is gone already waits for the next one."""
    (pid,) = one.pids
    os.kill(pid, signal.SIGKILL)
    while is_alive(pid):  # without the loop, which would notice
        os.sched_yield()
    assert isinstance(await outcome_of(one, JPEG), NormalizedPage)


async def test_a_page_that_takes_too_long_is_ended() -> None:
    """A worker that hangs is killed at the time limit and replaced."""
    async with running_workers(1, page_time_limit_s=0.3) as workers:
        (pid,) = workers.pids
        with stopped(pid):
            error = failure_of(await outcome_of(workers, JPEG))
        assert isinstance(error, PageBeyondTime)
        assert error.metadata == {"limit": "0.3", "unit": "seconds"}
        assert not is_alive(pid)
        await until(lambda: bool(workers.pids))
        assert workers.pids != (pid,)


async def test_a_file_that_the_worker_does_not_take_in_is_bounded_in_time_too() -> None:
    """The limit counts from the first byte that is sent: a file larger than the socket's buffers, and nobody reads."""
    async with running_workers(1, page_time_limit_s=0.3) as workers:
        with stopped(workers.pids[0]):
            outcome = await outcome_of(workers, JPEG + bytes(20_000_000))
        assert isinstance(failure_of(outcome), PageBeyondTime)


async def test_a_cancelled_caller_is_free_at_once_and_its_worker_soon(
    one: PageWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that nobody waits for holds its worker for the grace only."""
    monkeypatch.setattr(worker_desk, "CANCEL_GRACE_S", 0.05)
    (pid,) = one.pids
    with stopped(pid):
        job = begin(one)
        await settle()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert isinstance(await outcome_of(one, JPEG), NormalizedPage)
    assert not is_alive(pid)


async def test_a_worker_that_ends_within_the_grace_stays(one: PageWorkers) -> None:
    """A cancel does not cost a process where the page is made anyway, and its answer goes to nobody."""
    (pid,) = one.pids
    with stopped(pid):
        job = begin(one, THREE_PAGES)
        await settle()
        job.cancel()
        await settle()
    assert isinstance(await outcome_of(one, JPEG), NormalizedPage)
    assert one.pids == (pid,)


async def test_pages_are_made_in_the_order_in_which_they_were_asked(one: PageWorkers) -> None:
    """First come, first served; a page that is cancelled while it waits is never begun."""
    order: list[int] = []
    with stopped(one.pids[0]):
        jobs = [begin(one, encoded(photo(40 + number, 40), "PNG")) for number in range(6)]
        for job in jobs:
            job.add_done_callback(lambda done: order.append(jobs.index(done)))
        await settle()
        jobs[3].cancel()
        await settle()
    await asyncio.gather(*jobs, return_exceptions=True)
    assert order == [3, 0, 1, 2, 4, 5]


async def test_fifty_pages_at_once_all_come() -> None:
    """Each of many callers gets the page of its own file."""
    files = [encoded(photo(40 + number, 30), "PNG" if number % 2 else "BMP") for number in range(50)]
    async with running_workers(2, until_all_run=False) as workers:
        outcomes = await asyncio.gather(*(outcome_of(workers, content) for content in files))
    widths = [outcome.source_size.width for outcome in outcomes if isinstance(outcome, NormalizedPage)]
    assert widths == [40 + number for number in range(50)]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[PageRequest]:
    """What the workers are asked."""
    requests: list[PageRequest] = []

    def spy(request: PageRequest) -> list[bytes]:
        requests.append(request)
        return request_frame(request)

    monkeypatch.setattr(worker_desk, "request_frame", spy)
    return requests


async def test_a_document_is_sent_to_a_worker_once(sent: list[PageRequest]) -> None:
    """Its pages are asked of free workers that have it; each worker gets it with its first page only."""
    async with running_workers(2) as workers:
        with workers.document(Source(THREE_PAGES)) as document:
            for number in (1, 2, 3):
                await workers.make(document, number, UNTOUCHED)
            assert [request.source is not None for request in sent] == [True, False, False]
            await asyncio.gather(*(workers.make(document, number, UNTOUCHED) for number in (1, 2, 3)))
    assert sum(request.source is not None for request in sent) == 2


async def test_a_worker_holds_few_documents(one: PageWorkers, sent: list[PageRequest]) -> None:
    """The least recently used one is closed for a ninth, and sent again when it is wanted; pages of all can be made."""
    sent.clear()
    with ExitStack() as contexts:
        documents = [contexts.enter_context(one.document(Source(THREE_PAGES))) for _ in range(9)]
        for document in documents:
            await one.make(document, 1, UNTOUCHED)
        assert [request.closed for request in sent] == [()] * 8 + [(documents[0].token,)]
        await one.make(documents[8], 2, UNTOUCHED)
        assert isinstance(await one.make(documents[0], 2, UNTOUCHED), NormalizedPage)
        assert [request.source is not None for request in sent[9:]] == [False, True]
    assert isinstance(await outcome_of(one, JPEG), NormalizedPage)


async def test_a_bug_in_the_worker_is_raised_with_its_trace(one: PageWorkers) -> None:
    """An error that no file should cause comes as one, and the worker goes on."""
    (pid,) = one.pids
    with pytest.raises(PageWorkerBug, match=r"Traceback(.|\n)*TypeError: an order of type str"):
        await outcome_of(one, JPEG, order=cast(PageOrder, "no order"))
    assert isinstance(await outcome_of(one, JPEG), NormalizedPage)
    assert one.pids == (pid,)


async def test_closing_waits_for_pages_in_hand_and_refuses_the_rest() -> None:
    """The page that is being made comes; one that waits and a new one are refused; closing twice is harmless."""
    async with running_workers(1) as workers:
        pids = workers.pids
        with stopped(pids[0]):
            job, waiting = begin(workers), begin(workers)
            await settle()
            closing = asyncio.create_task(workers.close())
            await settle()
            assert not closing.done()
        assert isinstance(await job, NormalizedPage)
        await closing
        for refused in (waiting, begin(workers)):
            with pytest.raises(PageWorkersClosed):
                await refused
        assert not any(map(is_alive, pids))


async def test_closing_is_bounded() -> None:
    """A page that does not end fails, and its worker is killed."""
    async with running_workers(2) as workers:
        pids = workers.pids
        with stopped(pids[0]):
            job = begin(workers)
            await settle()
            await workers.close(timeout_s=0.05)
            with pytest.raises(PageWorkersClosed):
                await job
        assert not any(map(is_alive, pids))


async def test_closing_while_a_lost_worker_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose worker is gone, but not yet seen to have ended, gets its outcome too."""
    awaited = asyncio.Event()
    end = WorkerProcess.end

    async def slow_end(process: WorkerProcess) -> str:
        if not awaited.is_set():
            awaited.set()
            await asyncio.Event().wait()
        return await end(process)

    async with running_workers(1) as workers:
        monkeypatch.setattr(WorkerProcess, "end", slow_end)
        with stopped(workers.pids[0]):
            job = begin(workers)
            await settle()
            os.kill(workers.pids[0], signal.SIGKILL)
        await awaited.wait()
        await workers.close(timeout_s=0.01)
        with pytest.raises(PageWorkersClosed):
            await job


async def test_closing_while_workers_start_leaves_none() -> None:
    """Workers that are not ready yet are ended too, and no task is left."""
    before = asyncio.all_tasks()
    async with running_workers(2, until_all_run=False) as workers:
        job = begin(workers)
        await settle()
        await workers.close()
        with pytest.raises(PageWorkersClosed):
            await job
    gc.collect()
    assert asyncio.all_tasks() == before


async def test_a_machine_that_cannot_start_workers_says_so_and_recovers() -> None:
    """After some tries pages are refused at once; the tries go on, with growing pauses, until one succeeds."""
    command = [sys.executable, "-c", "raise SystemExit('no room')"]
    states: list[bool] = []
    pauses: list[float] = []
    paused = asyncio.Event()
    go_on = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            paused.set()
            await go_on.wait()

    async def on_state(there_are: bool) -> None:
        states.append(there_are)

    async with running_workers(1, command=command, pause=pause, on_state=on_state, until_all_run=False) as workers:
        with pytest.raises(WorkersUnavailable):
            await outcome_of(workers, JPEG)
        await paused.wait()
        with pytest.raises(WorkersUnavailable):
            await outcome_of(workers, JPEG)
        command[:] = COMMAND
        go_on.set()
        await until(lambda: states == [False, True])
        assert isinstance(await outcome_of(workers, JPEG), NormalizedPage)
    assert pauses == [0.2, 0.4, 0.8]


async def test_the_workers_serve_on_uvloop() -> None:
    """The service's own event loop carries files larger than the socket's buffers both ways."""

    async def scenario() -> None:
        async with running_workers(2) as workers:
            with stopped(workers.pids[0]):
                job = begin(workers)
                await settle()
                os.kill(workers.pids[0], signal.SIGSEGV)
            assert isinstance(failure_of(await job), DecoderCrashed)
            big = encoded(photo(3000, 2500), "BMP")
            outcomes = await asyncio.gather(*(outcome_of(workers, big) for _ in range(4)))
            assert all(isinstance(outcome, NormalizedPage) for outcome in outcomes)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(scenario())

    await asyncio.to_thread(run)


async def test_there_must_be_a_worker() -> None:
    """Zero workers would wait for ever."""
    with pytest.raises(ValueError, match="at least one"):
        PageWorkers(0, limits=SourceLimits(), memory_bytes=1, page_time_limit_s=1)
