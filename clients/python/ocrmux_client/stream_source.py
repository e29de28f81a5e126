"""Reads a stream's items ahead by one, in a way that survives a broken connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable

import grpc

from ocrmux_client.errors import OcrMuxError
from ocrmux_client.items import Item


class SourceFailed(Exception):
    """The caller's iterator raised ``error``; wrapped, so that it is never taken for an error of the connection."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class StreamSource:
    """The caller's items, one at a time. A plain iterable is stepped on the event loop, so it should not block.

    ``wait`` may be cancelled at any time without losing an item. ``take`` raises SourceFailed for an error of the
    caller's iterator.
    """

    def __init__(self, items: AsyncIterable[Item] | Iterable[Item]) -> None:
        self._items = aiter(items if isinstance(items, AsyncIterable) else _stepped(items))
        self._pull: asyncio.Task[Item | None] | None = None
        self.exhausted = False

    def look_ahead(self) -> None:
        """Has the next item fetched meanwhile; does not wait."""
        if self._pull is None and not self.exhausted:
            self._pull = asyncio.create_task(self._next())

    async def wait(self) -> None:
        """Returns once ``take`` has something to tell: an item, or the end."""
        self.look_ahead()
        if self._pull is not None:
            await asyncio.wait({self._pull})

    def take(self) -> Item | None:
        """The item that is ready, or None."""
        if self._pull is None or not self._pull.done():
            return None
        pull, self._pull = self._pull, None
        try:
            item = pull.result()
        except asyncio.CancelledError as error:
            cancelled = OcrMuxError(grpc.StatusCode.CANCELLED, "", "the iterator of the items was cancelled")
            raise SourceFailed(cancelled) from error
        except Exception as error:
            raise SourceFailed(error) from error
        self.exhausted = item is None
        return item

    async def close(self) -> None:
        """Stops reading the caller's items."""
        if self._pull is not None:
            self._pull.cancel()
            await asyncio.gather(self._pull, return_exceptions=True)
        if isinstance(self._items, AsyncGenerator):
            await self._items.aclose()

    async def _next(self) -> Item | None:
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            return None


async def _stepped(items: Iterable[Item]) -> AsyncGenerator[Item, None]:
    for item in items:
        yield item
