"""Whose turn it is: priorities, then tenants by weight, then a tenant's sources one after the other."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from ocr_gateway.model import Caller, Priority

ItemT = TypeVar("ItemT")

TURNS_BEFORE_LOWER = 8
"""A lower priority that was passed over so many times in a row has the next turn."""
_REMEMBERED_TENANTS = 1024
_STALE_ENTRIES = 16
"""Of tenants that left before their turn; beyond that, and beyond as many as wait, they are cleared away."""
_BY_PRIORITY = sorted(Priority, reverse=True)


@dataclass(slots=True, eq=False)
class Place(Generic[ItemT]):
    """An item's place in the queue; ``item`` is None once it has left."""

    item: ItemT | None
    caller: Caller
    priority: Priority


class FairQueue(Generic[ItemT]):
    """Items that wait. ``pop`` gives the one whose turn it is; a turn takes O(log tenants).

    Higher priorities go first; a lower one that was passed over eight times in a row has the next turn. Within a
    priority tenants take turns by weight (start-time fair queueing, Goyal and others 1996: a tenant that was idle gets
    no credit for it), and within a tenant its sources take turns one after the other, first come first served each. So
    with S sources of T tenants of one weight an item that is alone in its source waits for at most S + T turns.
    """

    def __init__(self, weight_of: Callable[[str], float] = lambda _: 1.0) -> None:
        self._levels = {priority: _Level[ItemT](weight_of) for priority in _BY_PRIORITY}
        self._passed_over = dict.fromkeys(_BY_PRIORITY, 0)

    def __len__(self) -> int:
        return sum(len(level) for level in self._levels.values())

    def __iter__(self) -> Iterator[Place[ItemT]]:
        """Every place, in no order that means anything."""
        for level in self._levels.values():
            yield from level

    @property
    def size_in_memory(self) -> int:
        """How many tenants it keeps something of, those that have left included; bounded by those that wait."""
        return sum(level.size_in_memory for level in self._levels.values())

    def push(self, item: ItemT, caller: Caller, priority: Priority, *, again: bool = False) -> Place[ItemT]:
        """Puts the item at the end of its source; ``again``: at its front, for one that had its turn before."""
        place = Place(item, caller, priority)
        self._levels[priority].push(place, front=again)
        return place

    def pop(self) -> ItemT:
        """The item whose turn it is. Raises IndexError when nobody waits."""
        chosen = self._level_in_turn()
        for priority in _BY_PRIORITY:
            if priority is chosen:
                self._passed_over[priority] = 0
            elif priority < chosen and len(self._levels[priority]):
                self._passed_over[priority] += 1
        return self._levels[chosen].pop()

    def peek(self) -> ItemT:
        """The item that ``pop`` would give; it stays. Raises IndexError when nobody waits."""
        return self._levels[self._level_in_turn()].peek()

    def discard(self, place: Place[ItemT]) -> bool:
        """Takes out an item that gave up; False when it had left before."""
        return self._levels[place.priority].discard(place)

    def ahead_in_source(self, caller: Caller, priority: Priority) -> int:
        """How many items of the same source and priority wait."""
        return self._levels[priority].waiting_of(caller)

    def _level_in_turn(self) -> Priority:
        waiting = [priority for priority in _BY_PRIORITY if len(self._levels[priority])]
        if not waiting:
            raise IndexError("nobody waits")
        starved = [priority for priority in waiting if self._passed_over[priority] >= TURNS_BEFORE_LOWER]
        return (starved or waiting)[0]


class _Source(Generic[ItemT]):
    __slots__ = ("live", "places")

    def __init__(self) -> None:
        self.places: deque[Place[ItemT]] = deque()
        self.live = 0


class _Tenant(Generic[ItemT]):
    """Its sources in the order of their turns, and its entry in the heap, with the time at which its turn begins."""

    __slots__ = ("entry", "sources", "start")

    def __init__(self) -> None:
        self.sources: OrderedDict[str, _Source[ItemT]] = OrderedDict()
        self.start = 0.0
        self.entry = 0


class _Level(Generic[ItemT]):
    """One priority: tenants by virtual time, each with its sources in a ring."""

    def __init__(self, weight_of: Callable[[str], float]) -> None:
        self._weight_of = weight_of
        self._tenants: dict[str, _Tenant[ItemT]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._finish: dict[str, float] = {}
        self._now = 0.0
        self._arrivals = 0
        self._live = 0

    def __len__(self) -> int:
        return self._live

    @property
    def size_in_memory(self) -> int:
        return max(len(self._heap), len(self._tenants)) + len(self._finish)

    def __iter__(self) -> Iterator[Place[ItemT]]:
        for tenant in self._tenants.values():
            for source in tenant.sources.values():
                yield from [place for place in source.places if place.item is not None]

    def push(self, place: Place[ItemT], *, front: bool) -> None:
        caller = place.caller
        tenant = self._tenants.get(caller.tenant)
        if tenant is None:
            tenant = self._tenants[caller.tenant] = _Tenant()
            self._enter(caller.tenant, tenant, max(self._now, self._finish.pop(caller.tenant, 0.0)))
        source = tenant.sources.get(caller.source)
        if source is None:
            source = tenant.sources[caller.source] = _Source()
        if front:
            source.places.appendleft(place)
        else:
            source.places.append(place)
        source.live += 1
        self._live += 1

    def pop(self) -> ItemT:
        start, name, tenant = self._tenant_in_turn()
        heapq.heappop(self._heap)
        item = self._pop_of(tenant)
        self._now = max(self._now, start)
        self._live -= 1
        finish = start + 1.0 / self._weight_of(name)
        if tenant.sources:
            self._enter(name, tenant, finish)
        else:
            self._leave(name, finish)
        return item

    def peek(self) -> ItemT:
        _, _, tenant = self._tenant_in_turn()
        source = next(iter(tenant.sources.values()))
        return next(place.item for place in source.places if place.item is not None)

    def _tenant_in_turn(self) -> tuple[float, str, _Tenant[ItemT]]:
        """With the time at which its turn begins. Clears away tenants whose items all gave up while they waited."""
        while True:
            start, entry, name = self._heap[0]
            tenant = self._tenants.get(name)
            if tenant is not None and tenant.entry == entry:
                return start, name, tenant
            heapq.heappop(self._heap)

    def discard(self, place: Place[ItemT]) -> bool:
        if place.item is None:
            return False
        place.item = None
        tenant = self._tenants[place.caller.tenant]
        source = tenant.sources[place.caller.source]
        source.live -= 1
        self._live -= 1
        if source.live == 0:
            del tenant.sources[place.caller.source]
            if not tenant.sources:
                self._leave(place.caller.tenant, tenant.start)
                self._clear_away()
        elif len(source.places) > 2 * source.live + 16:
            source.places = deque(place for place in source.places if place.item is not None)
        return True

    def waiting_of(self, caller: Caller) -> int:
        tenant = self._tenants.get(caller.tenant)
        source = tenant.sources.get(caller.source) if tenant is not None else None
        return source.live if source is not None else 0

    def _enter(self, name: str, tenant: _Tenant[ItemT], start: float) -> None:
        self._arrivals += 1
        tenant.start, tenant.entry = start, self._arrivals
        heapq.heappush(self._heap, (start, self._arrivals, name))

    def _leave(self, name: str, finish: float) -> None:
        """A tenant that comes back soon goes on where it was; who was away for longer begins at the present.

        Of more tenants than are remembered, which have all left just now, those that had the most turns are.
        """
        del self._tenants[name]
        if finish <= self._now:
            return
        self._finish[name] = finish
        if len(self._finish) > 2 * _REMEMBERED_TENANTS:
            ahead = ((name, finish) for name, finish in self._finish.items() if finish > self._now)
            self._finish = dict(heapq.nlargest(_REMEMBERED_TENANTS, ahead, key=lambda pair: pair[1]))

    def _clear_away(self) -> None:
        """Drops the entries of those that left without a turn, once there are as many as of those that wait."""
        if len(self._heap) > 2 * len(self._tenants) + _STALE_ENTRIES:
            self._heap = [(tenant.start, tenant.entry, name) for name, tenant in self._tenants.items()]
            heapq.heapify(self._heap)

    def _pop_of(self, tenant: _Tenant[ItemT]) -> ItemT:
        """The next item of the source whose turn it is."""
        name, source = next(iter(tenant.sources.items()))
        while (place := source.places.popleft()).item is None:
            pass
        item, place.item = place.item, None
        source.live -= 1
        if source.live:
            tenant.sources.move_to_end(name)
        else:
            del tenant.sources[name]
        return item
