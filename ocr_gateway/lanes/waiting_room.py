"""The items that wait for their turn in a lane."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ocr_gateway.lanes.fair_queue import FairQueue, Place
from ocr_gateway.lanes.permit import Permit
from ocr_gateway.lanes.turn import Asker, Turn


@dataclass(slots=True, eq=False)
class Ticket:
    """An item that waits: since ``began``, when the rate limit had blocked the lane for ``rate_blocked_s`` in all.

    ``size`` is its image's, in bytes. ``hurry``: it gives back a permit whose moment has passed.
    """

    turn: Turn
    granted: asyncio.Future[Permit]
    began: float
    rate_blocked_s: float
    size: int = 0
    again: bool = False
    hurry: bool = True
    places: list[Place[Ticket]] = field(default_factory=list)


class WaitingRoom:
    """Tickets by turn. One that several callers wait for has a place for each of them, and the first that comes up is
    its turn: an urgent caller is not held up by the one who happened to ask for the same image before."""

    def __init__(self, weight_of: Callable[[str], float]) -> None:
        self._queue: FairQueue[Ticket] = FairQueue(weight_of)
        self._tickets: OrderedDict[Ticket, None] = OrderedDict()
        self.waiting_bytes = 0
        """Those of the images of all of them."""

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def tickets(self) -> list[Ticket]:
        """All of them."""
        return list(self._tickets)

    @property
    def oldest(self) -> Ticket:
        """The ticket that came first. Raises StopIteration when nobody waits."""
        return next(iter(self._tickets))

    def enter(self, ticket: Ticket) -> None:
        """Waits from now on; also for those who join its turn later."""
        self._tickets[ticket] = None
        self.waiting_bytes += ticket.size
        for asker in ticket.turn.askers:
            self._place(ticket, asker)
        ticket.turn.on_asker = lambda asker: self._place(ticket, asker)

    def next(self) -> Ticket:
        """The ticket whose turn it is; it leaves. Raises IndexError when nobody waits."""
        ticket = self._queue.pop()
        self.leave(ticket)
        return ticket

    def peek(self) -> Ticket:
        """The ticket that ``next`` would give; it stays. Raises IndexError when nobody waits."""
        return self._queue.peek()

    def leave(self, ticket: Ticket) -> bool:
        """Waits no more; False when it had left before."""
        if ticket not in self._tickets:
            return False
        del self._tickets[ticket]
        self.waiting_bytes -= ticket.size
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
