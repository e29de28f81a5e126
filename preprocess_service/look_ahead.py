"""Work on several things of one sequence at a time, with the results in the sequence's order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def in_order(tasks: AsyncGenerator[asyncio.Task[ResultT], None], *, ahead: int) -> AsyncGenerator[ResultT, None]:
    """The tasks' results, in order; ``tasks`` is asked for the next one while fewer than ``ahead`` are unfinished.

    Raises what a task raises, and what ``tasks`` raises after the results before it. Closing it cancels the tasks.
    """
    begun: asyncio.Queue[asyncio.Task[ResultT] | None] = asyncio.Queue()
    unfinished: set[asyncio.Task[ResultT]] = set()
    room = asyncio.Semaphore(ahead)

    async def begin_all() -> None:
        try:
            async with aclosing(tasks):
                while True:
                    await room.acquire()
                    task = await anext(tasks, None)
                    if task is None:
                        return
                    unfinished.add(task)
                    begun.put_nowait(task)
        finally:
            begun.put_nowait(None)

    beginner = asyncio.create_task(begin_all())
    try:
        while (task := await begun.get()) is not None:
            result = await task
            unfinished.discard(task)
            room.release()
            yield result
        await beginner
    finally:
        beginner.cancel()
        for left in unfinished:
            left.cancel()
        await asyncio.gather(beginner, *unfinished, return_exceptions=True)
