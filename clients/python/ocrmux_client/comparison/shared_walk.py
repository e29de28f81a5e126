"""The same files for several streams, none of which runs far ahead of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path


class SharedWalk:
    """Gives every stream each path in order, with its number from 0.

    A stream is at most ``lead`` sources ahead of the slowest one, so that what waits for a comparison is bounded. With
    ``in_turn`` one source is with one stream at any time: the first stream has it, then the next.
    """

    def __init__(self, found: AsyncGenerator[Path, None], streams: int, *, lead: int, in_turn: bool) -> None:
        self._found = found
        self._lead = lead
        self._in_turn = in_turn
        self._paths: dict[int, Path] = {}
        self._known = 0
        self._ended = False
        self._taken = [0] * streams
        self._answered = [0] * streams
        self._changed = asyncio.Condition()
        self._reading = asyncio.Lock()

    async def of(self, stream: int) -> AsyncGenerator[tuple[int, Path], None]:
        """The paths for this stream, each once its turn has come."""
        number = 0
        while (path := await self._next(stream, number)) is not None:
            yield number, path
            number += 1

    async def answered(self, stream: int) -> None:
        """Tells that the stream is done with one more source."""
        async with self._changed:
            self._answered[stream] += 1
            self._changed.notify_all()

    async def _next(self, stream: int, number: int) -> Path | None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._may_start(stream, number) or self._is_past_end(number))
        async with self._reading:
            if number == self._known and not self._ended:
                await self._read()
        if self._is_past_end(number):
            return None
        path = self._paths[number]
        self._taken[stream] = number + 1
        if min(self._taken) > number:
            del self._paths[number]
        return path

    async def _read(self) -> None:
        path = await anext(self._found, None)
        async with self._changed:
            if path is None:
                self._ended = True
            else:
                self._paths[self._known] = path
                self._known += 1
            self._changed.notify_all()

    def _is_past_end(self, number: int) -> bool:
        return self._ended and number >= self._known

    def _may_start(self, stream: int, number: int) -> bool:
        if not self._in_turn:
            return number - min(self._answered) < self._lead
        if stream == 0:
            return self._answered[-1] >= number
        return self._answered[stream - 1] > number
