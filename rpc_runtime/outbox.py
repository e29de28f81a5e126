"""What is on its way to the one task that writes: bounded, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

EntryT = TypeVar("EntryT")


class Outbox(Generic[EntryT]):
    """At most ``max_entries`` entries, for any number of tasks that put and one that takes.

    It does what a bounded ``asyncio.Queue`` does, in a third of the time: every answer goes through it.
    """

    def __init__(self, max_entries: int) -> None:
        self._max = max_entries
        self._entries: deque[EntryT] = deque()
        self._taker: asyncio.Future[None] | None = None
        self._putters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    def offer(self, entry: EntryT) -> bool:
        """Puts the entry if there is room; says whether it did."""
        if len(self._entries) >= self._max:
            return False
        self._entries.append(entry)
        _wake(self._taker)
        return True

    async def put(self, entry: EntryT) -> None:
        """Puts the entry, waiting for room if need be."""
        while not self.offer(entry):
            room = asyncio.get_running_loop().create_future()
            self._putters.append(room)
            try:
                await room
            except asyncio.CancelledError:
                if room.done() and not room.cancelled():
                    self._make_room()  # it was this one's turn
                else:
                    self._putters.remove(room)
                raise

    async def wait(self) -> bool:
        """Returns once there is an entry; or False once it is closed and empty. For the one task that takes."""
        while not self._entries:
            if self._closed:
                return False
            self._taker = asyncio.get_running_loop().create_future()
            try:
                await self._taker
            finally:
                self._taker = None
        return True

    def peek(self) -> EntryT:
        """The first entry, which stays."""
        return self._entries[0]

    def take(self) -> EntryT:
        """The first entry, which goes."""
        entry = self._entries.popleft()
        self._make_room()
        return entry

    def close(self) -> None:
        """Says that no entry will come."""
        self._closed = True
        _wake(self._taker)

    def _make_room(self) -> None:
        while self._putters:
            room = self._putters.popleft()
            if not room.done():
                room.set_result(None)
                return


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
