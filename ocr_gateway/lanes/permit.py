"""What an item gets with its turn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ocr_gateway.lanes.batch import Seat
from ocr_gateway.lanes.lane_errors import TooLate


def _no_time() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to make one call, for the moment ``at`` and until ``latest``, by ``clock``.

    ``probe``: the call tries a provider that was rested. ``batch`` is the item's seat where the call is for the images
    of several items, else None; then the attempt joins the batch and makes no call of its own.
    """

    at: float = 0.0
    latest: float = math.inf
    probe: bool = False
    clock: Callable[[], float] = _no_time
    batch: Seat | None = None

    def __call__(self) -> None:
        """To be called at the last moment before the image is sent (ProviderCall.begin). Raises TooLate."""
        if self.clock() > self.latest:
            raise TooLate
