"""Which of the items that wait go together in one call, and how long the first of them waits for others."""

from __future__ import annotations

from collections.abc import Callable

from ocr_gateway.lanes.waiting_room import Ticket, WaitingRoom
from ocr_gateway.model import BatchLimits

_SOON_S = 0.0002
"""Less than this is not waited for; event loops count in milliseconds."""


class Gathering:
    """Up to ``limits`` go together. Who came first waits for others for ``gather_s`` seconds at the most."""

    def __init__(self, limits: BatchLimits, gather_s: float) -> None:
        self._most = max(1, limits.max_images)
        self.several = self._most > 1
        """Whether a call may be for more than one."""
        self._max_bytes = limits.max_bytes
        self._gather_s = gather_s

    def calls(self, items: int) -> int:
        """How many calls so many items make at the least."""
        return -(-items // self._most)

    def wait_s(self, room: WaitingRoom, now: float) -> float:
        """Seconds for which it is worth waiting for more items; 0.0 when as many wait as one call takes."""
        if not self.several or len(room) >= self._most or (self._max_bytes and room.waiting_bytes >= self._max_bytes):
            return 0.0
        left_s = room.oldest.began + self._gather_s - now
        return left_s if left_s >= _SOON_S else 0.0

    def take(self, room: WaitingRoom, is_wanted: Callable[[Ticket], bool]) -> list[Ticket]:
        """Those that go together, in the order of their turns. One that is not wanted leaves the room without a turn.

        Nobody is passed over: the first one whose bytes do not fit in waits, and those behind it do.
        """
        taken: list[Ticket] = []
        size = 0
        while len(room) and len(taken) < self._most:
            if taken and self._max_bytes and size + room.peek().size > self._max_bytes:
                break
            ticket = room.next()
            if is_wanted(ticket):
                taken.append(ticket)
                size += ticket.size
        return taken
