"""Which item goes out when, and over which stream: decided purely, acted on by ``load_run``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Arrival:
    """One item of the load. ``due_s``: when it was to be sent, in seconds from the beginning of the run."""

    number: int
    due_s: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send this now. ``late_s``: how much later than it could have been, which is the driver's own fault."""

    arrival: Arrival
    stream: int
    late_s: float


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing is due before this time."""

    at_s: float


@dataclass(frozen=True, slots=True)
class WaitForRoom:
    """Something is due and every window is full, or every stream lost. Ask again at ``at_s`` at the latest, if any."""

    at_s: float | None


@dataclass(frozen=True, slots=True)
class Finished:
    """Everything has been sent."""


Decision: TypeAlias = Send | WaitUntil | WaitForRoom | Finished


class SendPlan:
    """Arrivals in order, each over the stream with the fewest items in flight, never more than its window.

    With ``due_times`` it is an open loop: an arrival that finds no room keeps its time and goes first when there is
    room. Without, it is a closed loop: whenever there is room an item is due, until ``ends_s``. Times are those that
    the caller says, in seconds, and never go back.
    """

    def __init__(self, due_times: Iterator[float] | None, ends_s: float) -> None:
        self._due_times = due_times
        self._ends_s = ends_s
        self._number = 0
        self._due_s = next(due_times, None) if due_times is not None else None
        self._windows: dict[int, int] = {}
        self._in_flight: dict[int, int] = {}
        self._room_since_s = 0.0

    @property
    def in_flight(self) -> int:
        """Items sent and not answered."""
        return sum(self._in_flight.values())

    def next(self, now_s: float) -> Decision:
        """What is to be done now; a Send counts as done."""
        if self._due_times is None:
            return self._next_closed(now_s)
        if self._due_s is None:
            return Finished()
        if self._due_s > now_s:
            return WaitUntil(self._due_s)
        stream = self._freest()
        if stream is None:
            return WaitForRoom(None)
        return self._send(self._take(self._due_s), stream, now_s)

    def overdue(self, now_s: float) -> Iterator[Arrival]:
        """The arrivals that are due and were not sent; they never will be."""
        while self._due_s is not None and self._due_s <= now_s:
            yield self._take(self._due_s)

    def opened(self, stream: int, window: int, now_s: float) -> None:
        """The stream takes items from now on, ``window`` at a time."""
        self._room_comes(now_s)
        self._windows[stream] = window
        self._in_flight[stream] = 0

    def answered(self, stream: int, now_s: float) -> None:
        """One of the stream's items has been answered."""
        self._room_comes(now_s)
        self._in_flight[stream] -= 1

    def lost(self, stream: int) -> None:
        """The stream takes no more; what was in flight on it is not any longer."""
        self._windows.pop(stream, None)
        self._in_flight.pop(stream, None)

    def _next_closed(self, now_s: float) -> Decision:
        if now_s >= self._ends_s:
            return Finished()
        stream = self._freest()
        if stream is None:
            return WaitForRoom(self._ends_s)
        return self._send(self._take(now_s), stream, now_s)

    def _send(self, arrival: Arrival, stream: int, now_s: float) -> Send:
        self._in_flight[stream] += 1
        return Send(arrival, stream, max(0.0, now_s - max(arrival.due_s, self._room_since_s)))

    def _take(self, due_s: float) -> Arrival:
        arrival = Arrival(self._number, due_s)
        self._number += 1
        if self._due_times is not None:
            self._due_s = next(self._due_times, None)
        return arrival

    def _room_comes(self, now_s: float) -> None:
        if self._freest() is None:
            self._room_since_s = now_s

    def _freest(self) -> int | None:
        free = [stream for stream, window in self._windows.items() if self._in_flight[stream] < window]
        return min(free, key=lambda stream: (self._in_flight[stream], stream), default=None)
