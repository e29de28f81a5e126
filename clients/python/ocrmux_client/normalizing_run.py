"""One run of ``ocrmux normalize``: sources in, normalised pages and what is to be said of them out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from pathlib import Path

from ocrmux_client.client import OcrMuxClient
from ocrmux_client.exporters import Exporter
from ocrmux_client.items import Item, NormalizingConfig
from ocrmux_client.normalization_record import NormalizationRecord
from ocrmux_client.normalized_folder import NormalizedFolder
from ocrmux_client.normalized_image import NormalizedAnswer
from ocrmux_client.page_pictures import NotDrawable
from ocrmux_client.progress import RunProgress
from ocrmux_client.result_sink import ResultSink
from ocrmux_client.run_summary import RunSummary
from ocrmux_client.source_run import SourceRun
from ocrmux_client.stream_policy import StreamPolicy


@dataclass(frozen=True, slots=True)
class NormalizingOrder:
    """How pages are to be made. ``compares``: pictures of before and after are wanted."""

    config: NormalizingConfig
    policy: StreamPolicy
    password: str = ""
    compares: bool = False


class NormalizingRun(SourceRun[NormalizedAnswer]):
    """Writes each page into the folder, then its piece to the sink."""

    def __init__(
        self,
        order: NormalizingOrder,
        exporter: Exporter[NormalizationRecord],
        sink: ResultSink,
        folder: NormalizedFolder,
        progress: RunProgress,
    ) -> None:
        super().__init__(RunSummary(undone="not normalised", tells_cache=False, picture="picture"), progress)
        self._order = order
        self._exporter = exporter
        self._sink = sink
        self._folder = folder

    async def _begin(self) -> None:
        if head := self._exporter.head():
            await self._write(head)

    def _stream(self, client: OcrMuxClient, items: AsyncIterable[Item]) -> AsyncGenerator[NormalizedAnswer, None]:
        return client.stream_normalize(items, self._order.config, self._order.policy)

    def _item(self, request_id: str, path: Path) -> Item:
        return Item(request_id, path, (), self._order.password)

    async def _take(self, path: Path, answer: NormalizedAnswer) -> None:
        image = answer.image
        file = None
        if image is not None:
            file = await asyncio.to_thread(self._folder.write, path, image)
            self.summary.pictures += 1
        record = NormalizationRecord.of(str(path), answer, file)
        await self._write(self._exporter.piece(record))
        self.summary.count(record, last_page=answer.last_page)
        self._show()
        await self._compare(path, record)

    async def _write(self, piece: str) -> None:
        with self._progress.making_way():
            await self._sink.write(piece)

    async def _compare(self, path: Path, record: NormalizationRecord) -> None:
        if not self._order.compares or record.image is None:
            return
        try:
            await asyncio.to_thread(self._folder.compare, path, record.image, record.done)
            self.summary.pictures += 1
        except (NotDrawable, OSError):
            self.summary.not_drawn += 1  # the page was written all the same; the summary tells the count
