"""One run over files: sources in, answers taken, each page counted."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Generic

from ocrmux_client.client import OcrMuxClient
from ocrmux_client.items import Item
from ocrmux_client.progress import RunProgress
from ocrmux_client.resume import source_key
from ocrmux_client.run_summary import RunSummary
from ocrmux_client.sources import read_ahead
from ocrmux_client.stream_dialect import AnswerT

_WATCH_S = 0.5


class WatchedRun(ABC):
    """Work on files that is counted and shown, and watched over; what was done stands, however the run ends."""

    def __init__(self, summary: RunSummary, progress: RunProgress, clock: Callable[[], float] = time.monotonic) -> None:
        self.summary = summary
        self._progress = progress
        self._clock = clock
        self._started_s = clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run was made."""
        return self._clock() - self._started_s

    async def run(self, client: OcrMuxClient, paths: Iterator[Path], *, watch: Callable[[], None]) -> None:
        """Takes all paths. ``watch`` is called twice a second and may raise.

        Raises what ``watch`` raises, OcrMuxError when the server is lost for good, OSError when an output is.
        """
        working = asyncio.ensure_future(self._work(client, paths))
        watching = asyncio.ensure_future(_watch(watch))
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (task for task in (working, watching) if task.done()):
                ended.result()
        finally:
            working.cancel()
            watching.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    def _show(self) -> None:
        self._progress.show(self.summary, self.elapsed_s)

    @abstractmethod
    async def _work(self, client: OcrMuxClient, paths: Iterator[Path]) -> None:
        """The work on all paths."""


class SourceRun(WatchedRun, Generic[AnswerT]):
    """Sends sources over one stream and takes their answers.

    ``done_before`` has the sources to be skipped, by ``source_key``.
    """

    def __init__(
        self,
        summary: RunSummary,
        progress: RunProgress,
        done_before: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(summary, progress, clock)
        self._done_before = done_before
        self._sources: dict[str, Path] = {}

    async def _work(self, client: OcrMuxClient, paths: Iterator[Path]) -> None:
        await self._begin()
        async with aclosing(self._stream(client, self._items(paths))) as answers:
            async for answer in answers:
                path = self._sources[answer.request_id]
                if answer.last_page:
                    del self._sources[answer.request_id]
                await self._take(path, answer)

    async def _items(self, paths: Iterator[Path]) -> AsyncGenerator[Item, None]:
        number = 0
        async with aclosing(read_ahead(paths)) as found:
            async for path in found:
                if source_key(str(path)) in self._done_before:
                    self.summary.sources_skipped += 1
                    self._show()
                    continue
                number += 1
                request_id = f"{number:08d}"
                self._sources[request_id] = path
                yield self._item(request_id, path)

    @abstractmethod
    async def _begin(self) -> None:
        """What comes before the first item."""

    @abstractmethod
    def _stream(self, client: OcrMuxClient, items: AsyncIterable[Item]) -> AsyncGenerator[AnswerT, None]:
        """The stream's answers."""

    @abstractmethod
    def _item(self, request_id: str, path: Path) -> Item:
        """The source as it is sent."""

    @abstractmethod
    async def _take(self, path: Path, answer: AnswerT) -> None:
        """One page's answer."""


async def _watch(watch: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(_WATCH_S)
        watch()
