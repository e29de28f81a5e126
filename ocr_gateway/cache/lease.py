"""The right to make the value of a key while other replicas wait for it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from ocr_gateway.cache.store import StoreRefused, StoreUnavailable

_log = structlog.get_logger("ocr_gateway.cache")
_RENEWALS_A_LEASE = 3


class Lease:
    """Held from the look-up that found nothing until ``TwoLevelCache.put`` or ``abandon``; renewed in between.

    A lease that nobody refers to any more is not renewed, so that it ends by itself. One without a ``holder`` stands
    where there is nothing to hold: no store, or none that can be used.
    """

    __slots__ = ("__weakref__", "_end", "holder", "key")

    def __init__(self, key: str, holder: str = "", end: Callable[[Lease, bool], None] | None = None) -> None:
        self.key = key
        self.holder = holder
        self._end = end

    @property
    def held(self) -> bool:
        """Whether it is to be renewed and given up."""
        return self._end is not None

    def abandon(self) -> None:
        """Gives it up without a value, in the background: who waits for it looks again at once. May be repeated."""
        self._close(release=True)

    def fulfil(self) -> None:
        """Ends the renewals; whoever writes the value gives the lease up with it. May be repeated."""
        self._close(release=False)

    def _close(self, *, release: bool) -> None:
        if self._end is not None:
            end, self._end = self._end, None
            end(self, release)


class Renewing(Protocol):
    """The store's part that renews leases."""

    async def renew(self, key: str, holder: str, lease_s: float) -> bool:
        """Lets the lease run anew. False: it was lost. Raises StoreUnavailable, StoreRefused."""
        ...


class LeaseBook:
    """The leases that this replica holds, each for ``lease_s`` seconds and renewed at every third of that."""

    def __init__(self, store: Renewing, *, lease_s: float, release: Callable[[str, str], None]) -> None:
        self._store = store
        self._lease_s = lease_s
        self._release = release
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._renewals: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._timers)

    def enter(self, key: str, holder: str) -> Lease:
        """The lease that the holder has just been given."""
        lease = Lease(key, holder, self._strike_out)
        self._schedule(weakref.ref(lease), holder)
        return lease

    async def close(self) -> None:
        """Ends the renewals; what is held ends by itself."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for renewal in self._renewals:
            renewal.cancel()
        if self._renewals:
            await asyncio.wait(self._renewals)

    def _strike_out(self, lease: Lease, release: bool) -> None:
        timer = self._timers.pop(lease.holder, None)
        if timer is not None:
            timer.cancel()
        if release:
            self._release(lease.key, lease.holder)

    def _schedule(self, lease: weakref.ref[Lease], holder: str) -> None:
        loop = asyncio.get_running_loop()
        self._timers[holder] = loop.call_later(self._lease_s / _RENEWALS_A_LEASE, self._due, lease, holder)

    def _due(self, reference: weakref.ref[Lease], holder: str) -> None:
        lease = reference()
        if lease is None:
            del self._timers[holder]
            return
        self._schedule(reference, holder)
        self._begin(self._renew(lease.key, holder))

    def _begin(self, renewal: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(renewal, name="lease-renewal")
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)

    async def _renew(self, key: str, holder: str) -> None:
        try:
            renewed = await self._store.renew(key, holder, self._lease_s)
        except (StoreUnavailable, StoreRefused) as error:
            _log.info("cache.lease_not_renewed", key=key, detail=str(error))  # the next renewal tries again
            return
        if holder not in self._timers:  # it was given up meanwhile, and perhaps taken again by this
            self._release(key, holder)
        elif not renewed:
            _log.warning("cache.lease_lost", key=key, lease_s=self._lease_s)
