"""The items of a stream that have no last answer yet, and which of them may be sent."""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass
from itertools import chain

from ocrmux.ocr.v1.recognition_pb2 import StreamLimits
from ocrmux_client.items import Item


@dataclass(slots=True, eq=False)
class Entry:
    """An item on its way. ``is_sent``: the present connection has it, or a part of it."""

    item: Item
    place: int
    by_digest: bool
    size_bytes: int = 0
    pages_given: int = 0
    is_sent: bool = False
    losses: int = 0
    moves: int = 0


class ItemWindow:
    """Items that wait to be sent, are with the server, or are to be moved to another one. Plain state, no waiting."""

    def __init__(self, concurrency: int) -> None:
        self.waiting: deque[Entry] = deque()
        self.in_flight: dict[str, Entry] = {}
        self.moving: list[Entry] = []
        self._concurrency = concurrency

    def admit(self, item: Item, place: int, *, by_digest: bool) -> None:
        """Puts a new item behind the others. Raises ValueError for an id that is in use."""
        on_their_way = chain(self.in_flight.values(), self.waiting, self.moving)
        if any(entry.item.request_id == item.request_id for entry in on_their_way):
            raise ValueError(f"the request_id {item.request_id!r} is used by two items")
        self.waiting.append(Entry(item, place, by_digest))

    def has_place(self, limits: StreamLimits) -> bool:
        """Whether an item more than are on their way could be sent, were it small."""
        return len(self.in_flight) + len(self.waiting) < self._items_max(limits)

    def take(self, limits: StreamLimits) -> Entry | None:
        """The first waiting item, in flight from now on, if there is room for it; one alone always has it."""
        entry = self.waiting[0]
        held_bytes = sum(other.size_bytes for other in self.in_flight.values())
        over = 0 < limits.max_bytes_in_flight < held_bytes + entry.size_bytes
        if self.in_flight and (over or len(self.in_flight) >= self._items_max(limits)):
            return None
        self.in_flight[entry.item.request_id] = self.waiting.popleft()
        return entry

    def again(self, entry: Entry) -> None:
        """Has an item that was with the server sent again, before those that are new."""
        entry.is_sent = False
        insort(self.waiting, entry, key=_place)

    def regather(self) -> list[Entry]:
        """After a connection: all items wait again, in their order; gives those that were with the server."""
        left = list(self.in_flight.values())
        lost = [entry for entry in left if entry.is_sent]
        self.in_flight.clear()
        self.waiting = deque(sorted([*self.waiting, *left, *self.moving], key=_place))
        self.moving.clear()
        for entry in self.waiting:
            entry.is_sent = False
        return lost

    @property
    def awaits_answers(self) -> bool:
        """Whether any item is with the server."""
        return any(entry.is_sent for entry in self.in_flight.values())

    @property
    def may_ask_for_content(self) -> bool:
        """Whether the content of any item in flight may still be wanted."""
        return any(entry.by_digest for entry in self.in_flight.values())

    def _items_max(self, limits: StreamLimits) -> int:
        return min(self._concurrency, limits.max_items_in_flight or self._concurrency)


def _place(entry: Entry) -> int:
    return entry.place
