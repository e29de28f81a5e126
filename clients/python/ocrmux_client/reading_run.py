"""One run of ``ocrmux recognize``: sources in, records and pictures out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from ocrmux.ocr.v1.recognition_pb2 import PageAnswer
from ocrmux_client.annotate import Annotator
from ocrmux_client.client import OcrMuxClient
from ocrmux_client.exporters import Exporter
from ocrmux_client.items import Item, ReadingConfig, Region
from ocrmux_client.page_pictures import NotDrawable
from ocrmux_client.progress import RunProgress
from ocrmux_client.records import PageRecord
from ocrmux_client.result_sink import ResultSink
from ocrmux_client.resume import source_key
from ocrmux_client.run_summary import RunSummary
from ocrmux_client.sources import read_ahead
from ocrmux_client.stream_policy import StreamPolicy

_WATCH_S = 0.5


@dataclass(frozen=True, slots=True)
class ReadingOrder:
    """What is to be read and how. ``done_before`` has the sources to be skipped, by ``source_key``."""

    config: ReadingConfig
    policy: StreamPolicy
    regions: tuple[Region, ...] = ()
    password: str = ""
    done_before: frozenset[str] = frozenset()


class ReadingRun:
    """Reads sources and writes a piece a page, each whole; what is written stands, however the run ends."""

    def __init__(
        self,
        order: ReadingOrder,
        exporter: Exporter,
        sink: ResultSink,
        annotator: Annotator | None,
        progress: RunProgress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.summary = RunSummary()
        self._order = order
        self._exporter = exporter
        self._sink = sink
        self._annotator = annotator
        self._progress = progress
        self._clock = clock
        self._started_s = clock()
        self._sources: dict[str, Path] = {}

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run was made."""
        return self._clock() - self._started_s

    async def run(self, client: OcrMuxClient, paths: Iterator[Path], *, fresh: bool, watch: Callable[[], None]) -> None:
        """Reads all paths. ``fresh``: the output is empty so far. ``watch`` is called twice a second and may raise.

        Raises what ``watch`` raises, OcrMuxError when the server is lost for good, OSError when the output is.
        """
        reading = asyncio.ensure_future(self._read(client, paths, fresh=fresh))
        watching = asyncio.ensure_future(_watch(watch))
        try:
            await asyncio.wait({reading, watching}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (task for task in (reading, watching) if task.done()):
                ended.result()
        finally:
            reading.cancel()
            watching.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)

    async def _read(self, client: OcrMuxClient, paths: Iterator[Path], *, fresh: bool) -> None:
        if fresh and (head := self._exporter.head()):
            await self._sink.write(head)
        answers = client.stream_recognize(self._items(paths), self._order.config, self._order.policy)
        async with aclosing(answers):
            async for answer in answers:
                await self._take(answer)

    async def _items(self, paths: Iterator[Path]) -> AsyncGenerator[Item, None]:
        number = 0
        async with aclosing(read_ahead(paths)) as found:
            async for path in found:
                if source_key(str(path)) in self._order.done_before:
                    self.summary.sources_skipped += 1
                    self._progress.show(self.summary, self.elapsed_s)
                    continue
                number += 1
                request_id = f"{number:08d}"
                self._sources[request_id] = path
                yield Item(request_id, path, self._order.regions, self._order.password)

    async def _take(self, answer: PageAnswer) -> None:
        path = self._sources[answer.request_id]
        if answer.last_page:
            del self._sources[answer.request_id]
        record = PageRecord.of(str(path), answer)
        if piece := self._exporter.piece(record):
            with self._progress.making_way():
                await self._sink.write(piece)
        self.summary.count(record, last_page=answer.last_page)
        self._progress.show(self.summary, self.elapsed_s)
        await self._draw(path, record)

    async def _draw(self, path: Path, record: PageRecord) -> None:
        if self._annotator is None or record.page is None:
            return
        try:
            await asyncio.to_thread(self._annotator.draw, path, record.page, record.page_count)
            self.summary.pictures += 1
        except (NotDrawable, OSError):
            self.summary.not_drawn += 1  # the page was read all the same; the summary tells the count


async def _watch(watch: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(_WATCH_S)
        watch()
