"""A plain store made fit for the cache: bounded in time, and left alone for a while after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from ocr_gateway.cache.store import PlainStore, StoreUnavailable, Turn

ResultT = TypeVar("ResultT")

_log = structlog.get_logger("ocr_gateway.cache")
_OPEN_TIMEOUT_S = 5.0
_WRITE_TIMEOUT_S = 2.0


class GuardedStore:
    """A look-up costs at most ``timeout_s``; a failing store is not asked again for ``rest_s``. Everybody leads."""

    def __init__(self, store: PlainStore, *, timeout_s: float, rest_s: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._rest_s = rest_s
        self._clock = clock
        self._rested_until = 0.0
        self._in_use = False
        self._watchers: list[Callable[[bool, str], None]] = []

    def watch(self, tell: Callable[[bool, str], None]) -> None:
        """Has ``tell`` called at each change, and at once where the store is in use already."""
        self._watchers.append(tell)
        if self._in_use:
            tell(True, "")

    async def open(self) -> None:
        """Opens the store, within seconds; one that cannot be opened is left alone for its rest."""
        try:
            await self._guarded(self._store.open, _OPEN_TIMEOUT_S)
        except StoreUnavailable as error:
            _log.warning("cache.store_not_opened", detail=str(error))

    async def listen(self, heard: Callable[[str], None], resumed: Callable[[], None]) -> None:
        """Nothing is ever announced: nobody waits where everybody leads."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None. Raises StoreUnavailable, at once while the store rests."""
        return await self._guarded(lambda: self._store.get(key), self._timeout_s)

    async def get_or_lead(
        self,
        key: str,
        holder: str,  # noqa: ARG002 - the port's
        dead: str | None = None,  # noqa: ARG002 - the port's
    ) -> bytes | Turn:
        """The value, or the turn, to everybody. Raises StoreUnavailable."""
        value = await self.get(key)
        return Turn(leads=True) if value is None else value

    async def put(self, key: str, value: bytes, holder: str = "") -> None:  # noqa: ARG002 - the port's
        """Keeps the value. Raises StoreUnavailable."""
        await self._guarded(lambda: self._store.put(key, value), _WRITE_TIMEOUT_S)

    async def renew(self, key: str, holder: str) -> bool:  # noqa: ARG002 - the port's
        """True: nobody else holds anything."""
        return True

    async def release(self, key: str, holder: str) -> None:
        """Nothing is held."""

    async def sign(self, term: str, life_s: float) -> bool:  # noqa: ARG002 - the port's
        """True: nobody asks for signs."""
        return True

    async def life_left_s(self, term: str) -> float:  # noqa: ARG002 - the port's
        """0: nobody holds anything."""
        return 0.0

    async def close(self) -> None:
        """Closes the store."""
        await self._store.close()

    async def _guarded(self, operation: Callable[[], Awaitable[ResultT]], timeout_s: float) -> ResultT:
        if self._clock() < self._rested_until:
            raise StoreUnavailable(f"rested for {self._rest_s:g} s after a failure")
        try:
            async with asyncio.timeout(timeout_s):
                result = await operation()
        except (StoreUnavailable, TimeoutError) as error:
            self._rested_until = self._clock() + self._rest_s
            why = str(error) or f"no answer within {timeout_s:g} s"
            self._tell(False, why)
            raise StoreUnavailable(why) from error
        self._tell(True, "")
        return result

    def _tell(self, in_use: bool, why: str) -> None:
        if in_use is not self._in_use:
            self._in_use = in_use
            for tell in self._watchers:
                tell(in_use, why)
