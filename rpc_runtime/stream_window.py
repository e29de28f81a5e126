"""What one stream holds: its window, the ids that it has seen, and the item whose chunks are coming."""

from __future__ import annotations

import asyncio
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
        while self.items and (self.items >= self._limits.max_items or self.bytes + size > self._limits.max_bytes):
            self._room.clear()
            await self._room.wait()
        await self._capacity.acquire(size, first=self.items == 0)
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
        self._answered: dict[str, None] = {}

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
        self._answered[request_id] = None
        if len(self._answered) > self._remembered:
            del self._answered[next(iter(self._answered))]


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
