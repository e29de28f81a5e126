"""The port of the cache's second level."""

from __future__ import annotations

from typing import Protocol


class StoreUnavailable(Exception):
    """The store cannot be used now. Its message says why."""


class Store(Protocol):
    """Bytes by key, shared by processes, forgotten after a time. Methods raise StoreUnavailable and nothing else."""

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
