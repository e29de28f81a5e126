"""What goes to the store behind the answers' backs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ocr_gateway.cache.entry import CacheEntry
from ocr_gateway.cache.store import Store, StoreRefused, StoreUnavailable

_log = structlog.get_logger("ocr_gateway.cache")
_FLUSH_TIMEOUT_S = 2.0
_MAX_ENTRIES = 256
_MAX_BYTES = 32 * 1024 * 1024
_MAX_RELEASES_DUE = 10_000
_REFUSALS_BETWEEN_LOGS = 1000


@dataclass(frozen=True, slots=True)
class _Write:
    """A value to keep, or (without an entry) a lease to give up."""

    key: str
    entry: CacheEntry | None
    holder: str


class WriteBehind:
    """Writes in turn, at most 256 entries and 32 MiB of them waiting; what is over that is left out.

    ``on_error`` is told of each write that the store failed or refused. A value is tried once; a lease is given up
    again once the store is in use again.
    """

    def __init__(self, store: Store, on_error: Callable[[], None]) -> None:
        self._store = store
        self._on_error = on_error
        self._writes: asyncio.Queue[_Write] = asyncio.Queue()
        self._entries = 0
        self._bytes = 0
        self._refusals = 0
        self._releases_due: deque[tuple[str, str]] = deque(maxlen=_MAX_RELEASES_DUE)
        self._in_use = False
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begins to write."""
        self._store.watch(self._on_state)
        self._task = asyncio.create_task(self._write_all(), name="cache-writes")

    def put(self, key: str, entry: CacheEntry, holder: str) -> None:
        """Has the entry kept soon and the holder's lease given up with it."""
        if self._entries >= _MAX_ENTRIES or self._bytes + entry.size > _MAX_BYTES:
            _log.warning("cache.store_falls_behind", entries=self._entries, bytes=self._bytes)
            self.release(key, holder)
        else:
            self._entries += 1
            self._bytes += entry.size
            self._writes.put_nowait(_Write(key, entry, holder))

    def release(self, key: str, holder: str) -> None:
        """Has the lease given up soon, without a value; while the store is not in use, as soon as it is again."""
        if not holder:
            return
        if self._in_use:
            self._writes.put_nowait(_Write(key, None, holder))
        else:
            self._releases_due.append((key, holder))

    async def close(self) -> None:
        """Writes what waits, within a bound of seconds."""
        if self._task is None:
            return
        written = asyncio.create_task(self._writes.join())
        await asyncio.wait({written, self._task}, timeout=_FLUSH_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        for task in (written, self._task):
            task.cancel()
        await asyncio.wait({written, self._task})
        self._task = None

    def _on_state(self, in_use: bool, why: str) -> None:  # noqa: ARG002 - what a watcher is told
        self._in_use = in_use
        if in_use:
            due, self._releases_due = self._releases_due, deque(maxlen=_MAX_RELEASES_DUE)
            for key, holder in due:
                self.release(key, holder)

    async def _write_all(self) -> None:
        while True:
            write = await self._writes.get()
            was_in_use = self._in_use
            try:
                await self._write(write)
            except StoreUnavailable as error:
                if was_in_use:
                    self._on_error()
                    _log.info("cache.not_written", key=write.key, detail=str(error))
                self.release(write.key, write.holder)
            except StoreRefused as error:
                self._refused(write.key, error)
            except Exception:  # a bug; it must not end the writing for everybody
                self._on_error()
                _log.exception("cache.write_failed", key=write.key)
            if write.entry is not None:
                self._entries -= 1
                self._bytes -= write.entry.size
            self._writes.task_done()

    async def _write(self, write: _Write) -> None:
        if write.entry is None:
            await self._store.release(write.key, write.holder)
        else:
            await self._store.put(write.key, write.entry.to_bytes(), write.holder)

    def _refused(self, key: str, error: StoreRefused) -> None:
        self._on_error()
        if self._refusals % _REFUSALS_BETWEEN_LOGS == 0:
            _log.warning("cache.store_refuses", key=key, detail=str(error), refusals_before=self._refusals)
        self._refusals += 1
