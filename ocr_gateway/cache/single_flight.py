"""One call for many who ask for the same key at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

ResultT = TypeVar("ResultT")
CommonT = TypeVar("CommonT")


class _Flight(Generic[ResultT, CommonT]):
    def __init__(self, task: asyncio.Task[ResultT], common: CommonT) -> None:
        self.task = task
        self.common = common
        self.waiters = 0


class SingleFlight(Generic[ResultT, CommonT]):
    """Runs one call a key. A waiter that is cancelled leaves the others alone; with the last one goes the call.

    The call's exception is raised to every waiter.
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[ResultT, CommonT]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def common(self, key: str) -> CommonT | None:
        """What the waiters of the call in progress have in common; None when there is none: ``run`` will begin one."""
        flight = self._to_join(key)
        return None if flight is None else flight.common

    async def run(self, key: str, call: Callable[[], Coroutine[Any, Any, ResultT]], common: CommonT) -> ResultT:
        """The result of the call in progress, or of ``call``, which is begun with ``common``."""
        flight = self._to_join(key)
        if flight is None:
            task = asyncio.create_task(call(), name=f"flight-{key[:12]}")
            flight = self._flights[key] = _Flight(task, common)
            flight.task.add_done_callback(lambda _: self._forget(key, flight))
        flight.waiters += 1
        try:
            await asyncio.wait({flight.task})
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                self._forget(key, flight)  # whoever asks from now on begins anew
                flight.task.cancel()
        return flight.task.result()

    def _to_join(self, key: str) -> _Flight[ResultT, CommonT] | None:
        """The call in progress; also one that has just ended well, and is about to be forgotten."""
        flight = self._flights.get(key)
        if flight is None or not flight.task.done():
            return flight
        failed = flight.task.cancelled() or flight.task.exception() is not None
        return None if failed else flight

    def _forget(self, key: str, flight: _Flight[ResultT, CommonT]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # retrieved here, for the case that no waiter is left
