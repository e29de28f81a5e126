"""Bounds the calls in progress of one lane, in the order of asking."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ConcurrencyLimit:
    """At most ``max_concurrency`` holders at a time; 0 means no bound. First come, first served."""

    def __init__(self, max_concurrency: int) -> None:
        self._max = max_concurrency
        self._turns: deque[asyncio.Future[None]] = deque()
        self.in_progress = 0

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._turns)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Waits for a turn and holds it. A cancelled wait takes none."""
        await self._acquire()
        try:
            yield
        finally:
            self._release()

    async def _acquire(self) -> None:
        if self._max == 0 or (not self._turns and self.in_progress < self._max):
            self.in_progress += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # the turn was handed over in the same instant
            else:
                self._turns.remove(turn)
            raise

    def _release(self) -> None:
        while self._turns:
            turn = self._turns.popleft()
            if not turn.cancelled():
                turn.set_result(None)  # the place goes on to the next holder
                return
        self.in_progress -= 1
