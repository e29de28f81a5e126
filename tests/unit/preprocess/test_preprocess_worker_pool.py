"""The worker pool is bounded, fair and cancellable."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import cv2
import pytest
from structlog.testing import capture_logs

from preprocess_service.worker_pool import WorkerPool, WorkerPoolClosed

TIMEOUT_S = 10


class Gate:
    """A job that tells when it has started and ends when it is let go."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.released = threading.Event()

    def run(self) -> str:
        self.started.set()
        assert self.released.wait(TIMEOUT_S)
        return "done"

    async def wait_started(self) -> None:
        assert await asyncio.to_thread(self.started.wait, TIMEOUT_S)


async def settle() -> None:
    """Lets every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_job_returns_and_raises_as_a_call_does() -> None:
    """Results and exceptions come through, and a failed job gives its worker back."""
    pool = WorkerPool(1)
    assert await pool.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 7, 0)
    assert await pool.run(divmod, 9, 2) == (4, 1)
    assert cv2.getNumThreads() == 1
    await pool.close()


async def test_no_more_jobs_run_than_there_are_workers() -> None:
    """A third job of two workers starts only when one of the first two has ended."""
    pool = WorkerPool(2)
    gates = [Gate() for _ in range(3)]
    jobs = [asyncio.create_task(pool.run(gate.run)) for gate in gates]
    await gates[0].wait_started()
    await gates[1].wait_started()
    await settle()
    assert not gates[2].started.is_set()
    gates[1].released.set()
    await gates[2].wait_started()
    for gate in gates:
        gate.released.set()
    assert await asyncio.gather(*jobs) == ["done"] * 3
    await pool.close()


async def test_jobs_start_in_the_order_in_which_they_came() -> None:
    """First come, first served."""
    pool = WorkerPool(1)
    gate = Gate()
    order: list[int] = []
    first = asyncio.create_task(pool.run(gate.run))
    await gate.wait_started()
    others = [asyncio.create_task(pool.run(order.append, number)) for number in range(5)]
    await settle()
    gate.released.set()
    await asyncio.gather(first, *others)
    assert order == [0, 1, 2, 3, 4]
    await pool.close()


async def test_a_waiting_job_that_is_cancelled_never_runs() -> None:
    """A cancel takes it out of the queue, and the next one has its turn."""
    pool = WorkerPool(1)
    gate = Gate()
    ran: list[str] = []
    first = asyncio.create_task(pool.run(gate.run))
    await gate.wait_started()
    cancelled = asyncio.create_task(pool.run(ran.append, "cancelled"))
    after = asyncio.create_task(pool.run(ran.append, "after"))
    await settle()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    gate.released.set()
    await asyncio.gather(first, after)
    assert ran == ["after"]
    await pool.close()


async def test_a_cancelled_running_job_holds_its_worker_until_its_thread_ends() -> None:
    """The caller is free at once, the worker only when the thread has really ended."""
    pool = WorkerPool(1)
    stuck, following = Gate(), Gate()
    running = asyncio.create_task(pool.run(stuck.run))
    await stuck.wait_started()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    after = asyncio.create_task(pool.run(following.run))
    await settle()
    assert not following.started.is_set()
    stuck.released.set()
    following.released.set()
    assert await after == "done"
    await pool.close()


async def test_closing_waits_for_running_jobs_and_refuses_the_rest() -> None:
    """The running job ends well; a waiting one and a new one are refused; closing twice is harmless."""
    pool = WorkerPool(1)
    gate = Gate()
    running = asyncio.create_task(pool.run(gate.run))
    await gate.wait_started()
    waiting = asyncio.create_task(pool.run(divmod, 1, 1))
    await settle()
    closing = asyncio.create_task(pool.close())
    await settle()
    assert not closing.done()
    gate.released.set()
    await closing
    assert await running == "done"
    with pytest.raises(WorkerPoolClosed):
        await waiting
    with pytest.raises(WorkerPoolClosed):
        await pool.run(divmod, 1, 1)
    await pool.close()


def test_a_pool_needs_a_worker() -> None:
    """Zero workers would wait for ever."""
    with pytest.raises(ValueError, match="at least one"):
        WorkerPool(0)


async def test_closing_leaves_a_stuck_job_behind() -> None:
    """Closing ends with its own time, says in the log what still runs, and the job's caller gets its result if it
    comes after all.
    """
    pool = WorkerPool(2)
    gate = Gate()
    running = asyncio.create_task(pool.run(gate.run))
    await gate.wait_started()
    with capture_logs() as logs:
        await pool.close(timeout_s=0.01)
    assert [(line["event"], line["jobs"]) for line in logs] == [("worker_pool.jobs_left_behind", 1)]
    gate.released.set()
    assert await running == "done"


async def test_a_cancelled_close_can_be_repeated() -> None:
    """A close that is cancelled has refused what waits already, and another one ends well."""
    pool = WorkerPool(1)
    gate = Gate()
    running = asyncio.create_task(pool.run(gate.run))
    await gate.wait_started()
    closing = asyncio.create_task(pool.close(timeout_s=TIMEOUT_S))
    await settle()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(WorkerPoolClosed):
        await pool.run(divmod, 1, 1)
    gate.released.set()
    assert await running == "done"
    await pool.close()


_STUCK_PROCESS = """
import asyncio, threading
from preprocess_service.worker_pool import WorkerPool

async def main():
    pool = WorkerPool(1)
    started = threading.Event()
    def stuck():
        started.set()
        threading.Event().wait()
    job = asyncio.ensure_future(pool.run(stuck))
    await asyncio.to_thread(started.wait)
    job.cancel()
    await pool.close(timeout_s=0.01)

asyncio.run(main())
"""


def test_a_stuck_job_does_not_hold_up_the_end_of_the_process() -> None:
    """A process whose worker never returns ends all the same."""
    ended = subprocess.run([sys.executable, "-c", _STUCK_PROCESS], timeout=60, check=False, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()
