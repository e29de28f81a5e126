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
from preprocess_service.model import NormalizedPage, PageFailure, SourceLimits
from preprocess_service.page_workers import PageWorkers
from preprocess_service.worker_messages import Terms
from preprocess_service.worker_process import COMMAND, WorkerProcess, WorkerStartFailed
from tests.fakes.documents import heic_of
from tests.fakes.images import encoded, photo
from tests.fakes.page_workshop import outcome_of, running_workers, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY_BYTES = 128 * 1024 * 1024
SECRET = "WORKER_TEST_SECRET"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[PageWorkers]:
    async with running_workers(1, memory_bytes=MEMORY_BYTES) as running:
        yield running


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


async def test_a_worker_knows_none_of_the_services_secrets() -> None:
    """Of the service's environment a worker has what it needs to start."""
    end = "import socket, os\nend = socket.socket(fileno=0)\nend.recv(9999)\nraise SystemExit(' '.join(os.environ))"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, "hidden")
        with pytest.raises(WorkerStartFailed) as failed:
            await WorkerProcess.start(Terms(SourceLimits(), 2**28), [*COMMAND[:-2], "-c", end])
    names = set(str(failed.value).split())
    assert "PATH" in names
    assert names <= {
        *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH"),
        *("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX"),
        *("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"),
    }


async def test_a_worker_keeps_one_thread(workers: PageWorkers) -> None:
    """Decoders that could use several work in one, and leave none behind."""
    picture = photo(500, 400)
    for content in (encoded(picture, "WEBP"), encoded(picture, "AVIF"), heic_of(picture, tile_size=128)):
        assert isinstance(await outcome_of(workers, content), NormalizedPage)
    assert "\nThreads:\t1\n" in _proc(workers, "status")


async def test_a_worker_gains_no_privileges(workers: PageWorkers) -> None:
    """By whatever it could execute."""
    assert "\nNoNewPrivs:\t1\n" in _proc(workers, "status")


async def _said(program: str) -> str:
    """What a Python program wrote, to either stream."""
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=PIPE, stderr=STDOUT)
    output, _ = await ended.communicate()
    return output.decode()


async def test_a_silenced_process_writes_nowhere() -> None:
    """Its standard streams are the null device: libraries' chatter reaches no terminal."""
    program = (
        "import os\nfrom preprocess_service.page_worker.process_limits import silence\nprint('before', flush=True)\n"
        "silence()\nos.write(1, b'out')\nos.write(2, b'err')\nassert os.read(0, 1) == b''\n"
    )
    assert await _said(program) == "before\n"


_AS_NOBODY = "import os\nif os.getuid() == 0: os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
_ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")


@_ON_LINUX
@pytest.mark.parametrize("path", ["environ", "mem", "fd/0"])
async def test_a_process_that_is_closed_to_neighbours_keeps_its_secrets(path: str) -> None:
    """Another process of the same user, a forked child here, reads neither its environment nor its memory nor its
    files.
    """
    program = (
        f"from preprocess_service.page_worker.process_limits import close_to_neighbours\n{_AS_NOBODY}"
        f"def look():\n    try:\n        open('/proc/%d/{path}' % os.getpid(), 'rb').close()\n"
        "    except OSError:\n        return 'closed'\n    return 'open'\n"
    )
    look = program.replace("os.getpid()", "os.getppid()")
    open_to = "import os\nos.setpgid(0, 0)\n"
    child = "if os.fork() == 0:\n    print(look(), flush=True)\n    os._exit(0)\nos.wait()\n"
    assert await _said(f"{open_to}{look}import ctypes\nctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n{child}") == "open\n"
    assert await _said(f"{open_to}{look}close_to_neighbours()\n{child}") == "closed\n"


@_ON_LINUX
async def test_the_service_is_closed_to_its_workers() -> None:
    """It is so before the first of them starts (3 is PR_GET_DUMPABLE)."""
    program = (
        "import asyncio, ctypes\nfrom preprocess_service.composition import PreprocessProcess, PreprocessSettings\n"
        "from rpc_runtime.drain import DrainSignal\n"
        "async def main():\n    process = PreprocessProcess(PreprocessSettings(workers=1), DrainSignal())\n"
        "    await process.start(None)\n    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n    await process.close()\n"
        "asyncio.run(main())\n"
    )
    assert await _said(program) == "0\n"


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
    assert await _said(program) == "refused\n"
