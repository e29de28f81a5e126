"""What an item brings along to a lane."""

from __future__ import annotations

from dataclasses import dataclass

from ocr_gateway.model import Caller, Priority


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

    def join(self, other: Turn) -> None:
        """Somebody else waits for the same call: it is wanted for as long as the more patient one of them wants it."""
        if other.deadline > self.deadline:
            self.deadline, self.timeout_s = other.deadline, other.timeout_s
        self.patient = self.patient or other.patient
