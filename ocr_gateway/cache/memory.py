"""The cache's first level: this process's memory, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ocr_gateway.cache.entry import CacheEntry


class MemoryCache:
    """The most recently used entries, at most ``max_bytes`` of them, each for at most ``ttl_s`` seconds."""

    def __init__(self, *, max_bytes: int, ttl_s: float, clock: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: OrderedDict[str, tuple[CacheEntry, float]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> CacheEntry | None:
        """The entry, now the most recently used one; or None."""
        found = self._entries.get(key)
        if found is None:
            return None
        entry, expires_at = found
        if self._clock() >= expires_at:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: CacheEntry) -> None:
        """Keeps the entry, and lets go of the least recently used ones for it. One over the bound is not kept."""
        if key in self._entries:
            self._drop(key)
        if entry.size > self._max_bytes:
            return
        self._entries[key] = (entry, self._clock() + self._ttl_s)
        self.bytes += entry.size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        entry, _ = self._entries.pop(key)
        self.bytes -= entry.size
