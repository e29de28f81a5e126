"""What an item brings along to a lane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ocr_gateway.model import Caller, Priority

Asker = tuple[Caller, Priority]

_MAX_ASKERS = 8
"""Callers of one item that each have a place for it; of those who join later only one of a higher priority has."""


@dataclass(slots=True)
class Turn:
    """Whose item it is, and until when it is wanted: ``deadline`` on the lane's clock, ``timeout_s`` as it was given.

    A patient item has no other provider to go to and waits out a short rest of this one.
    """

    caller: Caller
    priority: Priority
    timeout_s: float
    deadline: float
    patient: bool = True
    askers: list[Asker] = field(init=False)
    """Who waits for it: whichever of them has the next turn, it is the item's."""
    on_asker: Callable[[Asker], None] | None = field(default=None, init=False)
    """Told of each further one while the item waits."""

    def __post_init__(self) -> None:
        self.askers = [(self.caller, self.priority)]

    def join(self, other: Turn) -> None:
        """Somebody else waits for the same call: it is wanted for as long as the more patient one of them wants it, and
        as soon as the sooner one of them has a turn."""
        if other.deadline > self.deadline:
            self.deadline, self.timeout_s = other.deadline, other.timeout_s
        self.patient = self.patient or other.patient
        asker = (other.caller, other.priority)
        if asker in self.askers:
            return
        if len(self.askers) < _MAX_ASKERS or other.priority > max(priority for _, priority in self.askers):
            self.askers.append(asker)
            if self.on_asker is not None:
                self.on_asker(asker)
