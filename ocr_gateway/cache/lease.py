"""The right to make the value of a key while other replicas wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import structlog

from ocr_gateway.cache.single_flight import SingleFlight
from ocr_gateway.cache.store import StoreRefused, StoreUnavailable

_log = structlog.get_logger("ocr_gateway.cache")
_SIGNS_A_LEASE = 3
_SIGNS_A_TERM = 18


class Lease:
    """Held from the look-up that found nothing until ``TwoLevelCache.put`` or ``abandon``.

    A lease that nobody refers to any more is given up soon. One without a ``holder`` stands where there is nothing to
    hold: no store, or none that can be used.
    """

    __slots__ = ("__weakref__", "_end", "holder", "key")

    def __init__(self, key: str, holder: str = "", end: Callable[[Lease, bool], None] | None = None) -> None:
        self.key = key
        self.holder = holder
        self._end = end

    @property
    def held(self) -> bool:
        """Whether it is to be given up."""
        return self._end is not None

    def abandon(self) -> None:
        """Gives it up without a value, in the background: who waits for it looks again at once. May be repeated."""
        self._close(release=True)

    def fulfil(self) -> None:
        """Takes it off the book; whoever writes the value gives the lease up with it. May be repeated."""
        self._close(release=False)

    def _close(self, *, release: bool) -> None:
        if self._end is not None:
            end, self._end = self._end, None
            end(self, release)


class Signed(Protocol):
    """The store's part that keeps leases alive."""

    def watch(self, tell: Callable[[bool, str], None]) -> None:
        """Has ``tell`` called at each change: in use or not."""
        ...

    async def sign(self, term: str, life_s: float) -> bool:
        """Gives a sign of life. False: the one before was gone. Raises StoreUnavailable, StoreRefused."""
        ...

    async def renew(self, key: str, holder: str) -> bool:
        """Takes the lease again where it is forgotten. False: it was lost. Raises StoreUnavailable, StoreRefused."""
        ...


@dataclass(slots=True)
class _Term:
    """Leases that live and die together, by holder: their keys, and the leases themselves while somebody has them."""

    name: str
    leases: dict[str, tuple[str, weakref.ref[Lease]]] = field(default_factory=dict)
    signs: int = 0
    signed: bool = False
    alive_until: float = float("-inf")


class LeaseBook:
    """The leases that this replica holds, however many, kept alive by one sign of life.

    It lasts ``lease_s`` seconds, is given anew at every third of that, and stands for a *term*: a new one begins after
    every six ``lease_s``, and an old one is signed for as long as leases of it are held. So a lease that the store has
    and the book has not dies with its term.
    """

    def __init__(self, store: Signed, *, lease_s: float, release: Callable[[str, str], None]) -> None:
        self._store = store
        self._lease_s = lease_s
        self._release = release
        self._replica = secrets.token_hex(8)
        self._numbers = count()
        self._terms: dict[str, _Term] = {}
        self._current = self._new_term()
        self._signing: SingleFlight[None, None] = SingleFlight()
        self._in_use = False
        self._wake = asyncio.Event()
        self._lapsed = False
        self._task: asyncio.Task[None] | None = None
        self._reminder: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return sum(len(term.leases) for term in self._terms.values())

    async def open(self) -> None:
        """Gives the first sign, if the store is in use, and begins to give the others."""
        self._store.watch(self._on_state)
        await self.ready()
        self._wake.clear()
        self._task = asyncio.create_task(self._stay_alive(), name="life-signs")

    async def ready(self) -> None:
        """Returns once the sign stands by which a new lease would live, or cannot be given. Costs nothing as a rule."""
        if self._in_use and asyncio.get_running_loop().time() >= self._current.alive_until:
            await self._sign(self._current)

    def name(self) -> str:
        """A holder for one more lease."""
        return f"{self._current.name}:{next(self._numbers)}"

    def enter(self, key: str, holder: str) -> Lease:
        """The lease that the holder has just been given."""
        lease = Lease(key, holder, self._strike_out)
        name = term_of(holder)
        self._terms.setdefault(name, _Term(name)).leases[holder] = (key, weakref.ref(lease))
        return lease

    async def close(self) -> None:
        """Ends the signs; what is held ends with the last one."""
        tasks = [task for task in (self._task, self._reminder) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._terms.clear()

    def _strike_out(self, lease: Lease, release: bool) -> None:
        term = self._terms.get(term_of(lease.holder))
        if term is not None:
            term.leases.pop(lease.holder, None)
        if release:
            self._release(lease.key, lease.holder)

    # Signs of life

    def _on_state(self, in_use: bool, why: str) -> None:  # noqa: ARG002 - what a watcher is told
        self._in_use = in_use
        if in_use:
            for term in self._terms.values():
                term.alive_until = float("-inf")  # the store may have come back empty
            self._wake.set()

    async def _stay_alive(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / _SIGNS_A_LEASE):
                    await self._wake.wait()
            self._wake.clear()
            try:
                self._tidy()
                for term in list(self._terms.values()) if self._in_use else ():
                    await self._sign(term)
            except Exception:  # a bug; the leases must not die of it
                _log.exception("cache.life_sign_failed")
            if self._lapsed and (self._reminder is None or self._reminder.done()):
                self._reminder = asyncio.create_task(self._remind(), name="lease-reminder")

    def _tidy(self) -> None:
        """Gives up what nobody refers to any more, lets go of terms that are over, and begins a new one in its time."""
        for term in list(self._terms.values()):
            for holder, (key, lease) in list(term.leases.items()):
                if lease() is None:
                    del term.leases[holder]
                    self._release(key, holder)
            if not term.leases and term is not self._current:
                del self._terms[term.name]
        if self._current.signs >= _SIGNS_A_TERM:
            self._current = self._new_term()

    def _new_term(self) -> _Term:
        name = f"{self._replica}.{next(self._numbers)}"
        return self._terms.setdefault(name, _Term(name))

    async def _sign(self, term: _Term) -> None:
        await self._signing.run(term.name, lambda: self._sign_once(term), None)

    async def _sign_once(self, term: _Term) -> None:
        began = asyncio.get_running_loop().time()
        try:
            stood = await self._store.sign(term.name, self._lease_s)
        except (StoreUnavailable, StoreRefused) as error:
            _log.info("cache.life_sign_not_given", detail=str(error))  # the next one tries again
            return
        if term.signed and not stood:
            _log.warning("cache.life_sign_lapsed", leases=len(term.leases), lease_s=self._lease_s)
            self._lapsed = True
            self._wake.set()
        term.signs += 1
        term.signed = True
        term.alive_until = began + self._lease_s

    async def _remind(self) -> None:
        """After a lapse: takes again what the store has forgotten, one after the other; from the start if it fails."""
        for term in list(self._terms.values()):
            for holder, (key, _) in list(term.leases.items()):
                if holder not in term.leases:
                    continue
                try:
                    renewed = await self._store.renew(key, holder)
                except StoreUnavailable:
                    return
                except StoreRefused as error:
                    _log.info("cache.lease_not_renewed", key=key, detail=str(error))
                    continue
                if holder not in term.leases:  # it was given up meanwhile, and perhaps taken again by this
                    self._release(key, holder)
                elif not renewed:
                    _log.warning("cache.lease_lost", key=key, lease_s=self._lease_s)
        self._lapsed = False


def term_of(holder: str) -> str:
    """The term that the holder's lease lives and dies with."""
    return holder.rpartition(":")[0]
