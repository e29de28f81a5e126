"""What one stream holds: its window, the ids that it has seen, and the item whose chunks are coming."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from rpc_runtime.capacity import Capacity
from rpc_runtime.stream_messages import Announcement, StreamLimits

SpecT = TypeVar("SpecT")


class Window:
    """Bounds the items and bytes in flight of one stream, within the capacity of the server. For one asking task."""

    def __init__(self, limits: StreamLimits, capacity: Capacity) -> None:
        self._limits = limits
        self._capacity = capacity
        self._room = asyncio.Event()
        self.items = 0
        self.bytes = 0

    async def acquire(self, size: int) -> None:
        """Takes room for an item of ``size`` bytes, waiting for it if need be. A lone item always fits."""
        while not self._fits(size):
            self._room.clear()
            await self._room.wait()
        await self._capacity.acquire(size, first=self.items == 0)
        self._take(size)

    def acquire_now(self, size: int) -> bool:
        """Takes room for an item of ``size`` bytes if there is some; says whether it did."""
        if not (self._fits(size) and self._capacity.acquire_now(size, first=self.items == 0)):
            return False
        self._take(size)
        return True

    def _fits(self, size: int) -> bool:
        limits = self._limits
        return not self.items or (self.items < limits.max_items and self.bytes + size <= limits.max_bytes)

    def _take(self, size: int) -> None:
        self.items += 1
        self.bytes += size

    def release(self, size: int) -> None:
        """Gives back the room of an item of ``size`` bytes."""
        self.items -= 1
        self.bytes -= size
        self._capacity.release(size)
        self._room.set()

    def release_all(self) -> None:
        """Gives back all that is held, when the stream has ended."""
        while self.items:
            share = self.bytes if self.items == 1 else 0
            self.release(share)


class SeenIds:
    """Tells duplicate ids: all ids in flight, and the last ``remembered`` of those that were answered."""

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._in_flight: set[str] = set()
        self._answered: set[str] = set()
        self._by_age: deque[str] = deque()

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._in_flight or request_id in self._answered

    def add(self, request_id: str) -> None:
        """Takes note of an accepted item."""
        self._in_flight.add(request_id)

    def settle(self, request_id: str, *, frees_id: bool) -> None:
        """Takes note of its last answer; ``frees_id`` forgets the id."""
        self._in_flight.discard(request_id)
        if frees_id:
            return
        self._answered.add(request_id)
        self._by_age.append(request_id)
        if len(self._by_age) > self._remembered:
            self._answered.remove(self._by_age.popleft())


class Assembly(Generic[SpecT]):
    """The one item of a stream whose chunks are coming."""

    def __init__(self, announced: Announcement[SpecT], total_bytes: int) -> None:
        self.announced = announced
        self.total_bytes = total_bytes
        self._parts = bytearray()

    @property
    def received_bytes(self) -> int:
        """Bytes that have come so far."""
        return len(self._parts)

    def add(self, data: bytes) -> bool:
        """Appends a chunk; says whether the item has ended, by as many bytes as announced or more."""
        self._parts += data
        return len(self._parts) >= self.total_bytes

    def content(self) -> bytes:
        """What has come, as one piece."""
        return bytes(self._parts)
