"""Worker processes that are killed, lie, or leave something behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from preprocess_service.errors import DecoderCrashed, PageBeyondTime
from preprocess_service.model import NormalizedPage, PageFailure, Source
from preprocess_service.worker_desk import PageWorkersClosed
from preprocess_service.worker_process import COMMAND
from tests.fakes.images import encoded, photo, tiff_pages
from tests.fakes.page_workshop import UNTOUCHED, is_alive, outcome_of, running_workers, settle, stopped, until

JPEG = encoded(photo(), "JPEG")
THREE_PAGES = tiff_pages(photo(), photo(), photo())


def failure_of(outcome: NormalizedPage | PageFailure) -> Exception:
    assert isinstance(outcome, PageFailure)
    return outcome.error


async def test_a_worker_that_is_killed_from_outside_costs_no_page() -> None:
    """The system's killer for memory and an operator say nothing of the file: its page is made by another worker, the
    one that is free.
    """
    async with running_workers(2) as workers:
        with workers.document(Source(THREE_PAGES)) as document:
            first, second = workers.pids
            with stopped(first), stopped(second):
                jobs = [asyncio.create_task(workers.make(document, number, UNTOUCHED)) for number in (1, 2)]
                await settle()
                os.kill(first, signal.SIGKILL)
                await until(lambda: first not in workers.pids)
            for outcome in await asyncio.gather(*jobs):
                assert isinstance(outcome, NormalizedPage)
        assert second in workers.pids


async def test_all_workers_killed_from_outside_cost_no_page() -> None:
    """Pages that are given to workers in the moment of their end are made by those that follow."""
    async with running_workers(2) as workers:
        for pid in workers.pids:
            os.kill(pid, signal.SIGKILL)
        outcomes = await asyncio.gather(*(outcome_of(workers, JPEG) for _ in range(4)))
        assert all(isinstance(outcome, NormalizedPage) for outcome in outcomes)


async def test_closing_refuses_a_page_to_be_begun_again() -> None:
    """Its worker was killed from outside and no other is to come."""
    async with running_workers(1) as workers:
        with stopped(workers.pids[0]):
            job = asyncio.create_task(outcome_of(workers, JPEG))
            await settle()
            closing = asyncio.create_task(workers.close())
            await settle()
            os.kill(workers.pids[0], signal.SIGKILL)
        await closing
        with pytest.raises(PageWorkersClosed):
            await job


_READY = (
    "import socket, sys\nfrom preprocess_service.worker_messages import *\nfrom preprocess_service.model import *\n"
)
_READY += "s = socket.socket(fileno=0)\ndef say(answer): s.sendall(b''.join(answer_frame(answer)))\n"
_READY += "s.recv(9999)\nsay(Ready())\ns.recv(9999)\n"
_FAILURE = "s.sendall(b''.join(frame({{'number': 1, 'page_count': 0, 'error': {}}})))"
_NONSENSE = "gave an answer that cannot be"
_PAGE = "NormalizedPage({}, {}, (PagePart(b'x', PNG, Size(1, 1)),), Size(1, 1), Size(1, 1), IDENTITY, (), None, 1.0)"


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ("s.sendall(b'\\xff' * 12)", _NONSENSE),
        ("s.sendall(b''.join(frame({'page': {}})))", _NONSENSE),
        ("s.sendall(b'\\0\\0\\0\\3' + bytes(8) + b'{[(')", _NONSENSE),
        (_FAILURE.format("{'name': 'SystemExit', 'attributes': {}}"), _NONSENSE),
        (_FAILURE.format("{'name': 'ImageUndecodable', 'attributes': {'detail': chr(0xd800)}}"), _NONSENSE),
        ("say(Ready())", _NONSENSE),
        ("say(Opened(2001))", _NONSENSE),
        ("say(Opened(3)); say(Opened(3))", _NONSENSE),
        ("say(Opened(3)); say(Opened(4))", _NONSENSE),
        ("say(" + _PAGE.format(2, 1) + ")", _NONSENSE),
        ("say(" + _PAGE.format(1, 2) + ")", _NONSENSE),
        ("s.shutdown(1)", "ended with status 0"),
        ("sys.exit(3)", "ended with status 3"),
    ],
)
async def test_a_worker_that_talks_nonsense_is_replaced(lie: str, told: str) -> None:
    """What a worker says that cannot be fails its page, in words of the service's own, and ends the worker."""
    command = [*COMMAND[:-2], "-c", f"{_READY}{lie}\ns.recv(9999)\n"]
    async with running_workers(1, command=command) as workers:
        (pid,) = workers.pids
        error = failure_of(await outcome_of(workers, JPEG))
        assert isinstance(error, DecoderCrashed)
        assert str(error) == f"the image cannot be decoded: the process that decoded it {told}"
        assert not is_alive(pid)


async def test_a_page_is_begun_twice_and_no_more(tmp_path: Path) -> None:
    """A second SIGKILL over the same page is taken for the page's doing."""
    note = tmp_path / "starts"
    end = f"import os\nopen({str(note)!r}, 'a').write('x')\nos.kill(os.getpid(), 9)\n"
    async with running_workers(1, command=[*COMMAND[:-2], "-c", _READY + end]) as workers:
        error = failure_of(await outcome_of(workers, JPEG))
        assert isinstance(error, DecoderCrashed)
        assert str(error).endswith("the process that decoded it was ended by SIGKILL")
        assert await asyncio.to_thread(note.read_text) == "xx"


async def test_what_a_worker_has_forked_ends_with_it(tmp_path: Path) -> None:
    """A process that a file's code left in the worker's group does not outlive the kill."""
    note = tmp_path / "pid"
    fork = f"import os\npid = os.fork()\nif pid: open({str(note)!r}, 'w').write(str(pid))\n"
    command = [*COMMAND[:-2], "-c", f"{_READY}{fork}s.recv(9999)\ns.recv(9999)\n"]
    async with running_workers(1, command=command, page_time_limit_s=1.0) as workers:
        assert isinstance(failure_of(await outcome_of(workers, JPEG)), PageBeyondTime)
    forked = int(await asyncio.to_thread(note.read_text))
    await until(lambda: not is_alive(forked))


_PARENT = """
import asyncio
from preprocess_service.model import SourceLimits
from preprocess_service.page_workers import PageWorkers

async def main():
    workers = PageWorkers(2, limits=SourceLimits(), memory_bytes=2**28, page_time_limit_s=30)
    workers.start()
    while len(workers.pids) < 2:
        await asyncio.sleep(0.01)
    print(*workers.pids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_workers_do_not_outlive_a_service_that_is_killed() -> None:
    """Where the service ends without a word its workers end too, one that hangs included."""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", _PARENT, stdout=PIPE)
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    os.kill(pids[0], signal.SIGSTOP)
    parent.kill()
    await until(lambda: not any(map(is_alive, pids)))
    await parent.wait()
