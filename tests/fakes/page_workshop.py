"""Running page workers for tests: real processes, which take about half a second to start."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from preprocess_service.model import NormalizedPage, PageFailure, Reader, Source, SourceLimits
from preprocess_service.page_order import PageOrder
from preprocess_service.page_workers import PageWorkers
from preprocess_service.pipeline import Pipeline
from preprocess_service.profiles import resolve
from preprocess_service.worker_process import COMMAND

UNTOUCHED = PageOrder(resolve("none", {}), Reader(), may_tile=False)
TIMEOUT_S = 30.0
_POLL_S = 0.005


@asynccontextmanager
async def running_workers(
    count: int = 1,
    *,
    limits: SourceLimits | None = None,
    memory_bytes: int = 256 * 1024 * 1024,
    page_time_limit_s: float = TIMEOUT_S,
    on_state: Callable[[bool], Awaitable[None]] | None = None,
    command: Sequence[str] = COMMAND,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    until_all_run: bool = True,
) -> AsyncIterator[PageWorkers]:
    """Workers that have all started, unless the test does not want to wait for that. Closed at the end."""
    workers = PageWorkers(
        count,
        limits=limits or SourceLimits(),
        memory_bytes=memory_bytes,
        page_time_limit_s=page_time_limit_s,
        on_state=on_state,
        command=command,
        pause=pause,
    )
    workers.start()
    try:
        if until_all_run:
            await until(lambda: len(workers.pids) == count)
        yield workers
    finally:
        await workers.close()


async def until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds, which it must within TIMEOUT_S."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - of processes, which set no events here
            await asyncio.sleep(_POLL_S)


async def settle() -> None:
    """Lets every task that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def outcome_of(
    workers: PageWorkers, content: bytes, number: int = 1, order: PageOrder = UNTOUCHED
) -> NormalizedPage | PageFailure:
    """What becomes of one page of a document that only this call asks for."""
    with workers.document(Source(content)) as document:
        return await workers.make(document, number, order)


async def pages_of(
    workers: PageWorkers,
    content: bytes,
    order: PageOrder = UNTOUCHED,
    *,
    first_page: int = 1,
    last_page: int | None = None,
) -> list[NormalizedPage | PageFailure]:
    """All pages of a file, or those from the first to the last."""
    pages = Pipeline(workers).pages(Source(content), order, first_page=first_page, last_page=last_page)
    return [page async for page in pages]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing until the context ends, or until it is killed."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGCONT)


def is_alive(pid: int) -> bool:
    """Whether the process is there and has not ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter: it went between the opening and the reading
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"
