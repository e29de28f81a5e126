"""How much a server holds at one time, over all its streams and calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rpc_runtime.protocol_errors import ServerBusy


class Capacity:
    """A bounded number of items and of bytes, handed out in the order of asking.

    A holder that has nothing yet is always let in (``first=True``), so that streams whose readers are slow, and who
    fill the whole of it, never lock out another caller. The total is therefore bounded by ``max_items`` and
    ``max_bytes`` plus one item a stream. ``on_idle`` is told, whenever nothing is held any more, how many bytes were
    held at the most since the last time.
    """

    def __init__(self, *, max_items: int, max_bytes: int, on_idle: Callable[[int], None] = lambda _: None) -> None:
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.items = 0
        self.bytes = 0
        self._most_bytes = 0
        self._on_idle = on_idle
        self._waiters: deque[tuple[asyncio.Future[None], int]] = deque()

    def fits(self, size: int) -> bool:
        """Whether one more item of ``size`` bytes is within the bounds now."""
        return self.items == 0 or (self.items < self.max_items and self.bytes + size <= self.max_bytes)

    async def acquire(self, size: int, *, first: bool = False) -> None:
        """Takes room for one item of ``size`` bytes, waiting for it if need be. A cancelled wait takes nothing."""
        if self.acquire_now(size, first=first):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((turn, size))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(size)  # the room was handed over in the same instant
            else:
                self._waiters.remove((turn, size))
                self._wake()  # the one behind may be smaller
            raise

    def acquire_now(self, size: int, *, first: bool = False) -> bool:
        """Takes room for one item of ``size`` bytes if there is some and nobody waits for it; says whether it did."""
        if first or (not self._waiters and self.fits(size)):
            self._take(size)
            return True
        return False

    @contextmanager
    def claim(self, size: int) -> Iterator[None]:
        """Holds room for one item of ``size`` bytes, for a unary call, whose bytes are here already: never waits.

        Raises ServerBusy when there is none.
        """
        if not self.fits(size):
            full = self.items >= self.max_items
            raise ServerBusy("images", self.max_items) if full else ServerBusy("bytes of images", self.max_bytes)
        self._take(size)
        try:
            yield
        finally:
            self.release(size)

    def release(self, size: int) -> None:
        """Gives back the room of one item of ``size`` bytes."""
        self.items -= 1
        self.bytes -= size
        self._wake()
        if self.items == 0:
            most, self._most_bytes = self._most_bytes, 0
            self._on_idle(most)

    def _take(self, size: int) -> None:
        self.items += 1
        self.bytes += size
        if self.bytes > self._most_bytes:
            self._most_bytes = self.bytes

    def _wake(self) -> None:
        while self._waiters:
            turn, size = self._waiters[0]
            if turn.cancelled():
                self._waiters.popleft()
                continue
            if not self.fits(size):
                return
            self._waiters.popleft()
            self._take(size)
            turn.set_result(None)
