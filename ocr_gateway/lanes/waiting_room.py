"""The items that wait for their turn in a lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ocr_gateway.lanes.fair_queue import FairQueue, Place
from ocr_gateway.lanes.turn import Asker, Turn


@dataclass(frozen=True, slots=True)
class Grant:
    """A turn: the permit is for ``permit_at``; ``probe``: the call tries a provider that was rested."""

    permit_at: float
    probe: bool


@dataclass(slots=True, eq=False)
class Ticket:
    """An item that waits: since ``began``, when the rate limit had blocked the lane for ``rate_blocked_s`` in all."""

    turn: Turn
    granted: asyncio.Future[Grant]
    began: float
    rate_blocked_s: float
    again: bool = False
    places: list[Place[Ticket]] = field(default_factory=list)


class WaitingRoom:
    """Tickets by turn. One that several callers wait for has a place for each of them, and the first that comes up is
    its turn: an urgent caller is not held up by the one who happened to ask for the same image before."""

    def __init__(self, weight_of: Callable[[str], float]) -> None:
        self._queue: FairQueue[Ticket] = FairQueue(weight_of)
        self._tickets: dict[Ticket, None] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def tickets(self) -> list[Ticket]:
        """All of them."""
        return list(self._tickets)

    def enter(self, ticket: Ticket) -> None:
        """Waits from now on; also for those who join its turn later."""
        self._tickets[ticket] = None
        for asker in ticket.turn.askers:
            self._place(ticket, asker)
        ticket.turn.on_asker = lambda asker: self._place(ticket, asker)

    def next(self) -> Ticket:
        """The ticket whose turn it is; it leaves. Raises IndexError when nobody waits."""
        ticket = self._queue.pop()
        self.leave(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> bool:
        """Waits no more; False when it had left before."""
        if ticket not in self._tickets:
            return False
        del self._tickets[ticket]
        ticket.turn.on_asker = None
        for place in ticket.places:
            self._queue.discard(place)
        return True

    def ahead_of(self, turn: Turn, *, again: bool) -> int:
        """How many turns pass before the item's at the least; none, for one that had its turn before."""
        if again:
            return 0
        return min(self._queue.ahead_in_source(caller, priority) for caller, priority in turn.askers)

    def _place(self, ticket: Ticket, asker: Asker) -> None:
        caller, priority = asker
        ticket.places.append(self._queue.push(ticket, caller, priority, again=ticket.again))
