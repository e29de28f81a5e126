"""One run of ``ocrmux compare``: every source to every provider, each page compared once all have answered."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from ocrmux.ocr.v1.recognition_pb2 import PageAnswer
from ocrmux_client.client import OcrMuxClient
from ocrmux_client.comparison.compared_page import ComparedPage, compared, pages_of
from ocrmux_client.comparison.ground_truth import GroundTruth
from ocrmux_client.comparison.json_report import JsonReport
from ocrmux_client.comparison.shared_walk import SharedWalk
from ocrmux_client.comparison.totals import Comparison
from ocrmux_client.items import Item, ReadingConfig, Region
from ocrmux_client.progress import RunProgress
from ocrmux_client.records import PageRecord
from ocrmux_client.run_summary import RunSummary
from ocrmux_client.source_run import WatchedRun
from ocrmux_client.sources import read_ahead
from ocrmux_client.stream_policy import StreamPolicy

_LEAD_MIN = 32
"""Sources by which the fastest provider may be ahead of the slowest, at least."""


@dataclass(frozen=True, slots=True)
class CompareOrder:
    """What each provider is asked. ``in_turn``: one page in work at a time, so that engines do not slow each other."""

    configs: Mapping[str, ReadingConfig]
    policy: StreamPolicy
    regions: tuple[Region, ...] = ()
    password: str = ""
    in_turn: bool = False


@dataclass(slots=True)
class _Pending:
    """What has come of one source so far; ``ended`` counts the providers that have answered it all."""

    records: defaultdict[str, list[PageRecord]] = field(default_factory=lambda: defaultdict(list))
    ended: int = 0


class CompareRun(WatchedRun):
    """Puts pages into ``comparison``, and into ``report`` if there is one."""

    def __init__(
        self,
        order: CompareOrder,
        comparison: Comparison,
        truth: GroundTruth | None,
        report: JsonReport | None,
        progress: RunProgress,
    ) -> None:
        super().__init__(RunSummary(page="reading"), progress)
        self._order = order
        self._comparison = comparison
        self._truth = truth
        self._report = report
        self._pending: dict[int, _Pending] = {}
        self._one_page_at_a_time = asyncio.Lock()
        self._paths: dict[int, Path] = {}

    async def _work(self, client: OcrMuxClient, paths: Iterator[Path]) -> None:
        lead = max(_LEAD_MIN, 2 * self._order.policy.concurrency)
        async with aclosing(read_ahead(paths)) as found:
            walk = SharedWalk(found, len(self._order.configs), lead=lead, in_turn=self._order.in_turn)
            try:
                async with asyncio.TaskGroup() as streams:
                    for stream, provider in enumerate(self._order.configs):
                        streams.create_task(self._read(client, walk, stream, provider))
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from failures

    async def _read(self, client: OcrMuxClient, walk: SharedWalk, stream: int, provider: str) -> None:
        items = self._items(walk.of(stream))
        reading = client.stream_recognize(items, self._order.configs[provider], self._order.policy)
        async with aclosing(reading) as answers:
            async for answer in answers:
                await self._take(provider, answer)
                if answer.last_page:
                    await walk.answered(stream)

    async def _items(self, walked: AsyncGenerator[tuple[int, Path], None]) -> AsyncGenerator[Item, None]:
        async with aclosing(walked):
            async for number, path in walked:
                self._paths[number] = path
                yield Item(f"{number:08d}", path, self._order.regions, self._order.password)

    async def _take(self, provider: str, answer: PageAnswer) -> None:
        number = int(answer.request_id)
        path = self._paths[number]
        record = PageRecord.of(str(path), answer)
        self.summary.count(replace(record, source=f"{provider}: {path}"), last_page=answer.last_page)
        self.summary.pay(record.provenance.cost, record.provenance.currency)
        self._show()
        pending = self._pending.setdefault(number, _Pending())
        pending.records[provider].append(record)
        pending.ended += answer.last_page
        if pending.ended == len(self._order.configs):
            del self._pending[number], self._paths[number]
            await self._compare(path, {name: pending.records[name] for name in self._order.configs})

    async def _compare(self, path: Path, answers: Mapping[str, list[PageRecord]]) -> None:
        truths = await asyncio.to_thread(self._truth.pages, path) if self._truth is not None else []
        pages = pages_of(answers)
        for number, records in enumerate(pages):
            truth = truths[number] if len(truths) == len(pages) else None
            page = await asyncio.to_thread(compared, self._comparison.feature, records, truth)
            async with self._one_page_at_a_time:
                await self._tell(page)

    async def _tell(self, page: ComparedPage) -> None:
        self._comparison.add(page)
        if self._report is not None:
            with self._progress.making_way():
                await self._report.add(page)
