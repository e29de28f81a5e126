"""The port of the cache's second level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class StoreUnavailable(Exception):
    """The store cannot be used now. Its message says why."""


class StoreRefused(Exception):
    """The store is well and does not take or give this one value. Its message says why."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Nothing is kept for a key: the asker is to make it (``leads``), or the ``holder`` of its lease does."""

    leads: bool
    holder: str = ""


class PlainStore(Protocol):
    """Bytes by key, shared by processes, forgotten after a time. Methods raise StoreUnavailable or StoreRefused."""

    async def open(self) -> None:
        """Makes it usable."""
        ...

    async def get(self, key: str) -> bytes | None:
        """The value, or None when there is none or it has expired."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keeps the value for the store's time to live. A value over the store's bound is not kept."""
        ...

    async def close(self) -> None:
        """Gives everything back. Never raises."""
        ...


class Store(Protocol):
    """A plain store that is bounded in time itself, says whether it is in use, and has leases where processes share it.

    While it is not in use, every method raises StoreUnavailable at once. A ``holder`` is a name that is used for one
    lease only, ``TERM:NUMBER``; a lease stands until it is given up, but for a bound of hours, and may be taken from a
    holder whose term has given no sign of life. A store without leases lets everybody lead.
    """

    def watch(self, tell: Callable[[bool, str], None]) -> None:
        """Has ``tell`` called at each change: in use or not, and why not. At once where it is in use already."""
        ...

    async def open(self) -> None:
        """Makes it usable, if it can be. Never raises."""
        ...

    async def listen(self, heard: Callable[[str], None], resumed: Callable[[], None]) -> None:
        """Has ``heard`` called with each key whose lease has ended with somebody waiting for it.

        ``resumed`` is called where announcements may have been missed.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """The value, or None when there is none or it has expired."""
        ...

    async def get_or_lead(self, key: str, holder: str, dead: str | None = None) -> bytes | Turn:
        """The value; where there is none, the lease, or who has it. From the ``dead`` holder it is taken."""
        ...

    async def put(self, key: str, value: bytes, holder: str = "") -> None:
        """Keeps the value, unless it is over the store's bound, and gives up the holder's lease."""
        ...

    async def renew(self, key: str, holder: str) -> bool:
        """Takes the holder's lease again where the store has forgotten it. False: it was lost to another."""
        ...

    async def release(self, key: str, holder: str) -> None:
        """Gives the lease up without a value."""
        ...

    async def sign(self, term: str, life_s: float) -> bool:
        """Says that the term lives, for so long. False: it had not been said, or no longer held."""
        ...

    async def life_left_s(self, term: str) -> float:
        """How long the last such sign still holds; 0: no longer."""
        ...

    async def close(self) -> None:
        """Gives everything back. Never raises."""
        ...
