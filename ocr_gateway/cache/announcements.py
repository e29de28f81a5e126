"""Who in this process waits for what another replica makes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class Announcements:
    """An event for each look-up that may have to wait, set when its key is announced."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    @contextlib.contextmanager
    def listening(self, key: str) -> Iterator[asyncio.Event]:
        """The event; it is forgotten at the end."""
        announced = asyncio.Event()
        listeners = self._listeners.setdefault(key, set())
        listeners.add(announced)
        try:
            yield announced
        finally:
            listeners.discard(announced)
            if not listeners and self._listeners.get(key) is listeners:
                del self._listeners[key]

    def announce(self, key: str) -> None:
        """Has everybody who waits for the key look again."""
        for announced in self._listeners.get(key, ()):
            announced.set()

    def announce_all(self) -> None:
        """Has everybody look again, whatever it is that they wait for."""
        for key in self._listeners:
            self.announce(key)
