"""Whether the others live whose leases are waited for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from ocr_gateway.cache.store import StoreRefused, StoreUnavailable

_log = structlog.get_logger("ocr_gateway.cache")
_AFTER_SIGN_S = 0.01


class Living(Protocol):
    """The store's part that knows signs of life."""

    async def life_left_s(self, term: str) -> float:
        """How long the term's sign still lasts; 0: it is gone. Raises StoreUnavailable, StoreRefused."""
        ...


@dataclass(slots=True)
class Watch:
    """``over``: the term has died. Whoever waits is woken then, and also when that can be found out no more."""

    over: bool = False
    waiting: set[asyncio.Event] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


class LifeSigns:
    """Watches the terms of others, each one once, however many wait for its leases.

    A term is asked about when its last known sign ends, so at most so much later than it dies as a sign lasts, and not
    more often than every ``retry_s`` when the store refuses to tell.
    """

    def __init__(self, store: Living, *, retry_s: float) -> None:
        self._store = store
        self._retry_s = retry_s
        self._watches: dict[str, Watch] = {}

    def __len__(self) -> int:
        return len(self._watches)

    @contextlib.contextmanager
    def watching(self, term: str, wake: asyncio.Event) -> Iterator[Watch]:
        """Has ``wake`` set when the term dies, or cannot be watched any more."""
        watch = self._watches.get(term)
        if watch is None:
            watch = self._watches[term] = Watch()
            watch.task = asyncio.create_task(self._look_after(term, watch), name="life-watch")
        watch.waiting.add(wake)
        try:
            yield watch
        finally:
            watch.waiting.discard(wake)

    async def close(self) -> None:
        """Ends the watches; who waits is woken."""
        tasks = [watch.task for watch in self._watches.values() if watch.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._watches.clear()

    async def _look_after(self, term: str, watch: Watch) -> None:
        try:
            while True:
                left_s = await self._left_s(term)
                if left_s <= 0:
                    watch.over = True
                    _log.info("cache.leader_died", term=term, waiting=len(watch.waiting))
                    return
                await asyncio.sleep(left_s + _AFTER_SIGN_S)
                if not watch.waiting:
                    return
        except StoreUnavailable as error:
            _log.info("cache.life_sign_unknown", term=term, detail=str(error))
        finally:
            del self._watches[term]
            for wake in watch.waiting:
                wake.set()

    async def _left_s(self, term: str) -> float:
        try:
            return await self._store.life_left_s(term)
        except StoreRefused as error:
            _log.info("cache.life_sign_unknown", term=term, detail=str(error))
            return self._retry_s
