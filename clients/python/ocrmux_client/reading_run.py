"""One run of ``ocrmux recognize``: sources in, records and pictures out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
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
from ocrmux_client.run_summary import RunSummary
from ocrmux_client.source_run import SourceRun
from ocrmux_client.stream_policy import StreamPolicy


@dataclass(frozen=True, slots=True)
class ReadingOrder:
    """What is to be read and how. ``done_before`` has the sources to be skipped, by ``source_key``."""

    config: ReadingConfig
    policy: StreamPolicy
    regions: tuple[Region, ...] = ()
    password: str = ""
    done_before: frozenset[str] = frozenset()


class ReadingRun(SourceRun[PageAnswer]):
    """Reads sources and writes a piece a page, each whole. ``fresh``: the output is empty so far."""

    def __init__(
        self,
        order: ReadingOrder,
        exporter: Exporter[PageRecord],
        sink: ResultSink,
        annotator: Annotator | None,
        progress: RunProgress,
        *,
        fresh: bool,
    ) -> None:
        super().__init__(RunSummary(), progress, order.done_before)
        self._order = order
        self._exporter = exporter
        self._sink = sink
        self._annotator = annotator
        self._fresh = fresh

    async def _begin(self) -> None:
        if self._fresh and (head := self._exporter.head()):
            await self._sink.write(head)

    def _stream(self, client: OcrMuxClient, items: AsyncIterable[Item]) -> AsyncGenerator[PageAnswer, None]:
        return client.stream_recognize(items, self._order.config, self._order.policy)

    def _item(self, request_id: str, path: Path) -> Item:
        return Item(request_id, path, self._order.regions, self._order.password)

    async def _take(self, path: Path, answer: PageAnswer) -> None:
        record = PageRecord.of(str(path), answer)
        if piece := self._exporter.piece(record):
            with self._progress.making_way():
                await self._sink.write(piece)
        self.summary.count(record, last_page=answer.last_page)
        self.summary.pay(record.provenance.cost, record.provenance.currency)
        self._show()
        await self._draw(path, record)

    async def _draw(self, path: Path, record: PageRecord) -> None:
        if self._annotator is None or record.page is None:
            return
        try:
            await asyncio.to_thread(self._annotator.draw, path, record.page, record.page_count)
            self.summary.pictures += 1
        except (NotDrawable, OSError):
            self.summary.not_drawn += 1  # the page was read all the same; the summary tells the count
