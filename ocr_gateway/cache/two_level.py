"""Memory first, then the store; a store that fails or is slow is bypassed for a while, visibly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from ocr_gateway.cache.entry import CacheEntry, EntryDamaged
from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.store import Store, StoreUnavailable
from ocr_gateway.model import CacheOutcome

_log = structlog.get_logger("ocr_gateway.cache")
_OPEN_TIMEOUT_S = 5.0
_WRITE_TIMEOUT_S = 2.0
_FLUSH_TIMEOUT_S = 2.0
_MAX_UNWRITTEN = 256


class TwoLevelCache:
    """Entries by key. Never raises for the store's sake: what cannot be looked up is a miss.

    A look-up in the store costs at most ``store_timeout_s``; entries are written behind the answers' backs, up to 256
    of them waiting. After a failure the store is left alone for ``store_rest_s``. ``on_store_state`` is told whether it
    is in use, each time that changes.
    """

    def __init__(
        self,
        memory: MemoryCache,
        store: Store | None,
        *,
        store_timeout_s: float,
        store_rest_s: float,
        clock: Callable[[], float],
        on_store_state: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._memory = memory
        self._store = store
        self._store_timeout_s = store_timeout_s
        self._store_rest_s = store_rest_s
        self._clock = clock
        self._on_store_state = on_store_state
        self._rested_until = 0.0
        self._store_in_use = False
        self._unwritten: asyncio.Queue[tuple[str, CacheEntry]] = asyncio.Queue(_MAX_UNWRITTEN)
        self._writer: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Opens the store, within a bound of seconds; one that cannot be opened is bypassed."""
        if self._store is not None:
            await self._guarded(self._store.open(), _OPEN_TIMEOUT_S)
            self._writer = asyncio.create_task(self._write_all(self._store))

    async def get(self, key: str) -> tuple[CacheEntry, CacheOutcome] | None:
        """The entry and the level that it came from, or None."""
        entry = self._memory.get(key)
        if entry is not None:
            return entry, CacheOutcome.MEMORY
        if self._store is None or self._resting():
            return None
        value = await self._guarded(self._store.get(key), self._store_timeout_s)
        if not isinstance(value, bytes):
            return None
        try:
            entry = CacheEntry.from_bytes(value)
        except EntryDamaged:
            _log.warning("cache.entry_damaged", key=key, bytes=len(value))
            return None
        self._memory.put(key, entry)
        return entry, CacheOutcome.STORE

    def put(self, key: str, entry: CacheEntry) -> None:
        """Keeps the entry in memory now, and in the store soon."""
        self._memory.put(key, entry)
        if self._store is not None and not self._resting():
            if self._unwritten.full():
                _log.warning("cache.store_falls_behind", waiting=_MAX_UNWRITTEN)
            else:
                self._unwritten.put_nowait((key, entry))

    async def close(self) -> None:
        """Writes what waits, within a bound of seconds, and closes the store."""
        if self._store is None:
            return
        if self._writer is not None:
            written = asyncio.create_task(self._unwritten.join())
            await asyncio.wait({written, self._writer}, timeout=_FLUSH_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            written.cancel()
            self._writer.cancel()
        await self._store.close()

    async def _write_all(self, store: Store) -> None:
        while True:
            key, entry = await self._unwritten.get()
            if not self._resting():
                await self._guarded(store.put(key, entry.to_bytes()), _WRITE_TIMEOUT_S)
            self._unwritten.task_done()

    def _resting(self) -> bool:
        return self._clock() < self._rested_until

    async def _guarded(self, operation: Awaitable[bytes | None], timeout_s: float) -> bytes | None:
        try:
            async with asyncio.timeout(timeout_s):
                value = await operation
        except (StoreUnavailable, TimeoutError) as error:
            self._rested_until = self._clock() + self._store_rest_s
            await self._tell(False, str(error) or f"no answer within {timeout_s:g} s")
            return None
        await self._tell(True, "")
        return value

    async def _tell(self, in_use: bool, detail: str) -> None:
        if in_use is self._store_in_use:
            return
        self._store_in_use = in_use
        if in_use:
            _log.info("cache.store_in_use")
        else:
            _log.warning("cache.store_bypassed", detail=detail, rest_s=self._store_rest_s)
        await self._on_store_state(in_use)
