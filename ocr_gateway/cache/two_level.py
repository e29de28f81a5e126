"""Memory first, then the store; and one replica at a time that makes what neither has."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

import structlog

from ocr_gateway.cache.announcements import Announcements
from ocr_gateway.cache.entry import CacheEntry, EntryDamaged
from ocr_gateway.cache.lease import Lease, LeaseBook, term_of
from ocr_gateway.cache.life_signs import LifeSigns
from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.store import Store, StoreRefused, StoreUnavailable
from ocr_gateway.cache.write_behind import WriteBehind
from ocr_gateway.model import CacheOutcome

_log = structlog.get_logger("ocr_gateway.cache")
_MAX_LEASES_WAITED = 6

Found = tuple[CacheEntry, CacheOutcome]


class CacheObserver(Protocol):
    """Who counts. Each method is quick and does not raise."""

    def cache_outcome(self, outcome: str) -> None:
        """A look-up ended: memory, store, coalesced or miss."""
        ...

    def store_error(self) -> None:
        """The store failed or refused one operation that it was asked for."""
        ...

    def store_in_use(self, in_use: bool) -> None:
        """The store is in use now, or is bypassed."""
        ...


class Unobserved:
    """Counts nothing."""

    def cache_outcome(self, outcome: str) -> None:
        """Nothing."""

    def store_error(self) -> None:
        """Nothing."""

    def store_in_use(self, in_use: bool) -> None:
        """Nothing."""


class TwoLevelCache:
    """Entries by key. Never raises for the store's sake: what cannot be looked up is a miss.

    A look-up costs at most the store's own bound, and nothing while the store is not in use; entries are written behind
    the answers' backs. ``lease_s`` is how long others wait at most for a replica that died while it led.
    """

    def __init__(
        self, memory: MemoryCache, store: Store | None, *, lease_s: float = 5.0, observer: CacheObserver | None = None
    ) -> None:
        self._memory = memory
        self._store = store
        self._lease_s = lease_s
        self._observer = observer or Unobserved()
        self._store_in_use = False
        self._announcements = Announcements()
        self._writes: WriteBehind | None = None
        self._leases: LeaseBook | None = None
        self._life_signs: LifeSigns | None = None
        if store is not None:
            self._writes = WriteBehind(store, self._observer.store_error)
            self._leases = LeaseBook(store, lease_s=lease_s, release=self._writes.release)
            self._life_signs = LifeSigns(store, retry_s=lease_s)

    async def open(self) -> None:
        """Opens the store, within a bound of seconds; one that cannot be opened is bypassed."""
        if self._store is None or self._writes is None:
            return
        self._store.watch(self._on_store_state)
        self._writes.open()
        await self._store.open()
        await self._store.listen(self._announcements.announce, self._announcements.announce_all)
        if not self._store_in_use:
            self._on_store_state(False, "it was not to be had at the start")
        if self._leases is not None:
            await self._leases.open()

    async def close(self) -> None:
        """Writes what waits, within a bound of seconds, and closes the store."""
        if self._store is None or self._writes is None or self._leases is None or self._life_signs is None:
            return
        await self._life_signs.close()
        await self._leases.close()
        await self._writes.close()
        await self._store.close()

    def recall(self, key: str) -> CacheEntry | None:
        """The entry that memory has, or None. Costs nothing but itself; a None is not counted as a miss."""
        entry = self._memory.get(key)
        if entry is not None:
            self._observer.cache_outcome(CacheOutcome.MEMORY.value)
        return entry

    async def get(self, key: str) -> Found | None:
        """The entry and the level that it came from, or None."""
        entry = self.recall(key)
        if entry is not None:
            return entry, CacheOutcome.MEMORY
        if self._store is not None:
            was_in_use = self._store_in_use
            try:
                value = await self._store.get(key)
            except (StoreUnavailable, StoreRefused) as error:
                self._store_failed(key, error, was_in_use)
            else:
                entry = self._decoded(key, value)
        found = self._found(entry, CacheOutcome.STORE, key)
        if found is None:
            self._observer.cache_outcome(CacheOutcome.MISS.value)
        return found

    async def get_or_lead(self, key: str) -> Found | Lease:
        """The entry and where it came from, or the lease of the key: the caller is to make the entry.

        While another replica makes it, waits: until that is done or given up, or the other is dead. A caller with a
        lease ends it by ``put`` or by ``Lease.abandon``.
        """
        entry = self.recall(key)
        if entry is not None:
            return entry, CacheOutcome.MEMORY
        if self._store is None or self._leases is None or self._life_signs is None:
            self._observer.cache_outcome(CacheOutcome.MISS.value)
            return Lease(key)
        with self._announcements.listening(key) as wake:
            found = await self._find_or_lead(self._store, self._leases, self._life_signs, key, wake)
        if isinstance(found, Lease):
            self._observer.cache_outcome(CacheOutcome.MISS.value)
        return found

    def put(self, key: str, entry: CacheEntry, lease: Lease | None = None) -> None:
        """Keeps the entry in memory now, and in the store soon; the lease ends when it is there."""
        self._memory.put(key, entry)
        kept = self._writes is not None and self._store_in_use
        holder = ""
        if lease is not None:
            lease.fulfil()
            if kept and lease.key == key:
                holder = lease.holder
            else:  # who waits for the lease waits in vain: the store is gone, or the entry is another key's after all
                self._release(lease.key, lease.holder)
        if kept and self._writes is not None:
            self._writes.put(key, entry, holder)

    async def _find_or_lead(
        self, store: Store, leases: LeaseBook, life_signs: LifeSigns, key: str, wake: asyncio.Event
    ) -> Found | Lease:
        dead, wait_s = None, 0.0
        while True:
            await leases.ready()
            holder, was_in_use = leases.name(), self._store_in_use
            wake.clear()
            try:
                look = await store.get_or_lead(key, holder, dead)
            except (StoreUnavailable, StoreRefused) as error:
                self._store_failed(key, error, was_in_use)
                if was_in_use:
                    self._release(key, holder)  # a stalled store may yet give it
                return Lease(key)
            except asyncio.CancelledError:
                self._release(key, holder)  # it may have been given
                raise
            if isinstance(look, bytes):
                entry = self._decoded(key, look)
                return self._found(entry, CacheOutcome.COALESCED if wait_s else CacheOutcome.STORE, key) or Lease(key)
            if look.leads:
                return leases.enter(key, holder)
            if look.holder == dead:
                return Lease(key)  # no holder of ours: it cannot be taken
            wait_s = min(2 * wait_s or self._lease_s, _MAX_LEASES_WAITED * self._lease_s)
            with life_signs.watching(term_of(look.holder), wake) as watch:
                with contextlib.suppress(TimeoutError):  # an announcement may be lost
                    async with asyncio.timeout(wait_s):
                        await wake.wait()
                dead = look.holder if watch.over else None

    def _found(self, entry: CacheEntry | None, outcome: CacheOutcome, key: str) -> Found | None:
        if entry is None:
            return None
        self._memory.put(key, entry)
        self._observer.cache_outcome(outcome.value)
        return entry, outcome

    def _decoded(self, key: str, value: bytes | None) -> CacheEntry | None:
        if value is None:
            return None
        try:
            return CacheEntry.from_bytes(value)
        except EntryDamaged:
            _log.warning("cache.entry_damaged", key=key, bytes=len(value))
            return None

    def _release(self, key: str, holder: str) -> None:
        if self._writes is not None:
            self._writes.release(key, holder)

    # The store's state

    def _store_failed(self, key: str, error: Exception, was_in_use: bool) -> None:
        if was_in_use:
            self._observer.store_error()
            _log.info("cache.store_failed", key=key, detail=str(error))

    def _on_store_state(self, in_use: bool, why: str) -> None:
        self._store_in_use = in_use
        self._observer.store_in_use(in_use)
        if in_use:
            _log.info("cache.store_in_use")
        else:
            _log.warning("cache.store_bypassed", detail=why)
            self._announcements.announce_all()  # nobody would be told any more: each goes its own way
