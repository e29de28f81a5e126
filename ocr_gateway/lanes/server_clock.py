"""What time it is here when a server's clock says so: an estimate from round trips. No clock inside."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

_KEEP_S = 10.0
_DRIFT = 5e-4
"""How far two clocks run apart, seconds a second; NTP slews by no more (ntp_adjtime: 500 ppm)."""


@dataclass(frozen=True, slots=True)
class _Sample:
    offset_s: float
    error_s: float
    at: float

    def error_at(self, now: float) -> float:
        return self.error_s + (now - self.at) * _DRIFT


class ServerClock:
    """Turns a server's times into local ones, in seconds.

    Each round trip tells that the server's reading was made between sending and receiving; its midpoint is off by no
    more than half of it (Cristian's algorithm). The best one of the last 10 s counts, older ones by what the clocks may
    have drifted since. A reading that contradicts the estimate means that the server's clock was set: it alone counts.
    """

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()
        self._offset_s: float | None = None

    @property
    def known(self) -> bool:
        """Whether there was a reading."""
        return self._offset_s is not None

    def error_s(self, now: float) -> float:
        """By how much the estimate may be wrong; infinity before a reading."""
        return min((each.error_at(now) for each in self._samples), default=math.inf)

    def heard(self, sent: float, received: float, server: float) -> None:
        """A reading ``server`` of the server's clock came with the answer to what was sent."""
        sample = _Sample((sent + received) / 2 - server, (received - sent) / 2, sent)
        self._samples = deque(each for each in self._samples if received - each.at <= _KEEP_S)
        if any(
            abs(each.offset_s - sample.offset_s) > each.error_at(received) + sample.error_s for each in self._samples
        ):
            self._samples.clear()
        self._samples.append(sample)
        self._offset_s = min(self._samples, key=lambda each: each.error_at(received)).offset_s

    def local(self, server: float) -> float:
        """The local time at which the server's clock shows ``server``. Only after a reading."""
        if self._offset_s is None:
            raise RuntimeError("no reading of the server's clock yet")
        return server + self._offset_s

    def server(self, local: float) -> float:
        """What the server's clock shows at the time ``local``. Only after a reading."""
        if self._offset_s is None:
            raise RuntimeError("no reading of the server's clock yet")
        return local - self._offset_s
