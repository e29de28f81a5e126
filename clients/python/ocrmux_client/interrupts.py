"""Work of a command that a signal ends in an orderly way."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def interruptible(work: Coroutine[Any, Any, T]) -> T | KeyboardInterrupt:
    """Runs the work; SIGINT and SIGTERM cancel it, once, and give KeyboardInterrupt."""

    async def main() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, lambda: None)  # a second one must not cut short what this sets going
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, cancel)
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        return KeyboardInterrupt()
