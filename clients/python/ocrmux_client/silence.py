"""How long a server has said nothing."""

from __future__ import annotations

_SLICES = 8


class Silence:
    """Counts a silence in slices of the time that was listened, and says when it is too long.

    Who is kept from listening, by a caller that takes no answers or an event loop that is blocked, counts one slice of
    that at most. A silence is too long after ``longest_s`` seconds of listening, or an eighth of it later.
    """

    def __init__(self, longest_s: float) -> None:
        self.slice_s = longest_s / _SLICES
        self._slices = 0

    def end(self) -> None:
        """There was a word, or something new to wait for."""
        self._slices = 0

    def is_too_long(self) -> bool:
        """Whether it is, now that one more slice was listened in vain."""
        self._slices += 1
        return self._slices > _SLICES
