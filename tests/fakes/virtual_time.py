"""An event loop whose time passes only when nothing else is left to do: hours of waiting take milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

_OTHER_THREADS_S = 5.0


class _Selector(selectors.SelectSelector):
    """Instead of waiting for the next timer it moves the loop's time there."""

    def __init__(self) -> None:
        super().__init__()
        self.pass_time: Callable[[float], None] = lambda _: None

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:  # no timer is set: only another thread can go on
            return super().select(_OTHER_THREADS_S)
        self.pass_time(max(0.0, timeout))
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 1000 s. ``time`` is virtual; timers, sleeps and time-outs go by it."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        self._now = 1000.0
        selector.pass_time = self._pass

    def time(self) -> float:
        return self._now

    def _pass(self, seconds: float) -> None:
        self._now += seconds


def run_virtual(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """The result of ``main``, run in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    """The running loop's time, for whatever takes a clock."""
    return asyncio.get_running_loop().time()
