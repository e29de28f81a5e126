"""What a worker process may do and what it may not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from preprocess_service.errors import PageBeyondMemory
from preprocess_service.model import NormalizedPage, PageFailure
from preprocess_service.page_workers import PageWorkers
from tests.fakes.images import encoded, photo
from tests.fakes.page_workshop import outcome_of, running_workers, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY_BYTES = 128 * 1024 * 1024
SECRET = "WORKER_TEST_SECRET"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[PageWorkers]:
    os.environ[SECRET] = "hidden"
    try:
        async with running_workers(1, memory_bytes=MEMORY_BYTES) as running:
            yield running
    finally:
        del os.environ[SECRET]


def _proc(workers: PageWorkers, name: str) -> str:
    (pid,) = workers.pids
    return Path(f"/proc/{pid}/{name}").read_text()


async def test_a_page_that_needs_too_much_memory_fails_and_its_worker_goes_on(workers: PageWorkers) -> None:
    """A bomb costs one item; the worker serves the next one with the memory that it had before."""
    pids = workers.pids
    outcome = await outcome_of(workers, encoded(Image.new("RGB", (9000, 9000)), "PNG"))
    assert isinstance(outcome, PageFailure)
    assert isinstance(outcome.error, PageBeyondMemory)
    assert outcome.error.metadata == {"limit": str(MEMORY_BYTES), "unit": "bytes"}
    assert isinstance(await outcome_of(workers, encoded(photo(3000, 2000), "BMP")), NormalizedPage)
    assert workers.pids == pids


async def test_an_idle_worker_gives_memory_back(workers: PageWorkers) -> None:
    """Once nothing is asked for a second, what the C library keeps of freed images goes back to the system."""
    await outcome_of(workers, encoded(photo(2000, 1500), "BMP"))
    await until(lambda: _resident_bytes(workers) < 110_000_000)


def _resident_bytes(workers: PageWorkers) -> int:
    return int(_proc(workers, "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_the_workers_ceilings_stand(workers: PageWorkers) -> None:
    """No core, no file written, few files open, and a ceiling on its data: the idle process's and the page's."""
    limits = {line[:26].strip(): line[26:].split()[:2] for line in _proc(workers, "limits").splitlines()}
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max file size"] == ["0", "0"]
    assert limits["Max open files"] == ["64", "64"]
    soft, hard = map(int, limits["Max data size"])
    assert soft == hard
    assert MEMORY_BYTES < soft < MEMORY_BYTES + 120_000_000


async def test_a_worker_knows_none_of_the_services_secrets(workers: PageWorkers) -> None:
    """Of the service's environment a worker has what it needs to start."""
    names = {line.partition("=")[0] for line in _proc(workers, "environ").split("\0") if line}
    assert SECRET not in names
    assert names <= {
        *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH"),
        *("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX"),
        *("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"),
    }


async def test_a_worker_works_in_one_thread_and_writes_nowhere(workers: PageWorkers) -> None:
    """Its standard streams are the null device: libraries' chatter reaches no terminal."""
    assert isinstance(await outcome_of(workers, encoded(photo(500, 400), "WEBP")), NormalizedPage)
    assert "\nThreads:\t1\n" in _proc(workers, "status")
    assert _standard_streams(workers) == {Path(os.devnull)}


def _standard_streams(workers: PageWorkers) -> set[Path]:
    (pid,) = workers.pids
    return {Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signals_to_all_are_the_services_affair(workers: PageWorkers, number: signal.Signals) -> None:
    """Ctrl-C on a terminal and a supervisor's stop reach the workers too, which the service still needs to drain."""
    pids = workers.pids
    os.kill(pids[0], number)
    assert isinstance(await outcome_of(workers, encoded(photo(), "BMP")), NormalizedPage)
    assert workers.pids == pids


_ALLOCATIONS = {
    "numpy": "import numpy; numpy.ones(400_000_000, numpy.uint8)",
    "opencv": "import cv2, numpy; cv2.resize(numpy.zeros((10, 10), numpy.uint8), (20_000, 20_000))",
    "python": "b'x' * 400_000_000",
}


@pytest.mark.parametrize("what", _ALLOCATIONS)
async def test_the_ceiling_holds_for_every_allocator(what: str) -> None:
    """400 MB are refused under a ceiling of 300 MB above the libraries' own, as an error and not as an end."""
    allocation = _ALLOCATIONS[what]
    program = (
        "import cv2, numpy\nfrom preprocess_service.page_worker.process_limits import set_ceilings\n"
        "set_ceilings(300_000_000)\nnumpy.ones(200_000_000, numpy.uint8)\n"
        f"try:\n    {allocation}\nexcept (MemoryError, cv2.error):\n    print('refused')\n"
    )
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=PIPE, stderr=STDOUT)
    output, _ = await ended.communicate()
    assert output.decode() == "refused\n"
