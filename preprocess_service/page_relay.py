"""The pages of one item on their way: normalised one after the other, read side by side, answered in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from google.rpc import code_pb2

from ocrmux.ocr.v1 import geometry_pb2, recognition_pb2
from preprocess_service.errors import ContentRequired, DeadlineUnreachable, PageTimeout
from preprocess_service.gateway_connection import PageToRead
from preprocess_service.gateway_link import GatewayRoute
from preprocess_service.known_pages import (
    KnownPage,
    KnownPages,
    SourceKey,
    content_digest,
    source_key,
    without_content,
)
from preprocess_service.look_ahead import in_order
from preprocess_service.model import IDENTITY, NormalizedPage, PageFailure, PageFit, PagePart, Reader, Source
from preprocess_service.page_order import PageOrder
from preprocess_service.page_regions import RegionPlan, plan_regions
from preprocess_service.pipeline import Pipeline
from preprocess_service.profiles import Profile, fingerprint, resolve
from preprocess_service.tile_merge.answers import merged_answer
from preprocess_service.tile_merge.confinement import confined
from preprocess_service.translation import SourceSpec, empty_answer, facts_message, relay_answer
from rpc_runtime.capacity import Capacity
from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.faults import FaultTable, StatusError
from rpc_runtime.stream_messages import Item

_GATEWAY_SLACK_S = 1.0
"""The gateway keeps the same time for a page and knows better what took it: it shall answer first."""

_MANY_PIECES = 64
"""So many regions times parts are planned on the loop; it takes about a millisecond."""

PageAnswer = recognition_pb2.PageAnswer
Answers = AsyncGenerator[PageAnswer, None]
PageTasks = AsyncGenerator[asyncio.Task[PageAnswer], None]


@dataclass(frozen=True, slots=True)
class Normalization:
    """How pages are made: the profile, what its parameters are called in the cache's key, and for whom."""

    profile: Profile
    fingerprint: str
    reader: Reader

    def order(self, *, may_tile: bool) -> PageOrder:
        """What the pipeline is asked for; tiles only where their results are merged."""
        return PageOrder(self.profile, self.reader, may_tile)


class Preparation:
    """How one caller's pages are made: by its profile, for the reader as the gateway describes it at the time.

    Raises ProfileUnknown or ProfileParameterInvalid.
    """

    def __init__(self, profile: str, overrides: Mapping[str, str], reader: Callable[[], Awaitable[Reader]]) -> None:
        self._profile = resolve(profile, overrides)
        self._name = profile
        self._overrides = dict(overrides)
        self._reader = reader
        self._last: Normalization | None = None

    async def now(self) -> Normalization:
        """What holds for the next item. Raises what the asking for the reader raises."""
        reader = await self._reader()
        if self._last is None or self._last.reader != reader:
            named = fingerprint(self._name, self._overrides, reader.preference)
            self._last = Normalization(self._profile, named, reader)
        return self._last


async def made_pages(
    pipeline: Pipeline,
    item: Item[SourceSpec],
    order: PageOrder,
    *,
    timeout_s: float,
    first_page: int = 1,
    last_page: int | None = None,
) -> AsyncGenerator[NormalizedPage | PageFailure, None]:
    """The item's pages from the first to the last of these, in order, each within ``timeout_s`` seconds.

    Raises what concerns the item as a whole, and DeadlineUnreachable.
    """
    if item.content is None:
        raise ContentRequired
    source = Source(item.content, item.spec.password)
    pages = pipeline.pages(source, order, first_page=first_page, last_page=last_page)
    async with aclosing(pages):
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    page = await anext(pages, None)
            except TimeoutError:
                raise DeadlineUnreachable(timeout_s) from None
            if page is None:
                return
            yield page


class PageRelay:
    """Takes the items of one stream to the gateway and back, by way of the pipeline where it must.

    A file whose pages are known is asked for by their digests first: where the gateway has the results, nothing is
    decoded. ``use_known`` is off where the caller wants the provider asked in any case. ``slots`` bounds the pages of
    all streams that are made and not yet read.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        route: GatewayRoute,
        preparation: Preparation,
        known: KnownPages,
        faults: FaultTable,
        slots: Capacity,
        *,
        timeout_s: float,
        pages_ahead: int,
        use_known: bool,
    ) -> None:
        self._pipeline = pipeline
        self._route = route
        self._preparation = preparation
        self._known = known
        self._faults = faults
        self._slots = slots
        self._held_slots = 0
        self._timeout_s = timeout_s
        self._pages_ahead = pages_ahead
        self._use_known = use_known

    async def answers(self, item: Item[SourceSpec]) -> Answers:
        """The answers of the item's pages, in order. Raises what concerns the item as a whole."""
        how = await self._preparation.now()
        key = source_key(await _digest_of(item), how.fingerprint, how.reader, item.spec.password)
        known = self._known.get(key) if self._use_known else None
        recalled = 0
        if known is not None:
            async with aclosing(self._recalled(known, item, how)) as answers:
                async for answer in answers:
                    if answer.error.code == code_pb2.NOT_FOUND:
                        break
                    recalled += 1
                    yield answer
            if recalled == len(known):
                return
            self._known.forget(key)
        made = list(known[:recalled]) if known is not None else []
        async with aclosing(in_order(self._reads(item, how, key, made), ahead=self._pages_ahead)) as answers:
            async for answer in answers:
                yield answer

    async def aclose(self) -> None:
        """Ends the way to the gateway."""
        await self._route.aclose()

    async def _recalled(self, pages: Sequence[KnownPage], item: Item[SourceSpec], how: Normalization) -> Answers:
        """What the gateway has for the pages' digests, in order; NOT_FOUND for one that it lacks."""
        if len(pages) == 1:  # nearly every file, and the cheapest way to an answer: without a task of its own
            yield await self._look_up(pages[0], item, how)
            return
        async with aclosing(in_order(self._lookups(pages, item, how), ahead=self._pages_ahead)) as answers:
            async for answer in answers:
                yield answer

    async def _lookups(self, pages: Sequence[KnownPage], item: Item[SourceSpec], how: Normalization) -> PageTasks:
        for page in pages:
            yield asyncio.create_task(self._look_up(page, item, how))

    async def _look_up(self, known: KnownPage, item: Item[SourceSpec], how: Normalization) -> PageAnswer:
        began = time.monotonic()
        to_read = [PageToRead(None, digest, how.fingerprint) for digest in known.digests]
        return await self._ask(known.page, known.facts, item, how, began, to_read)

    async def _reads(
        self, item: Item[SourceSpec], how: Normalization, key: SourceKey, made: list[KnownPage]
    ) -> PageTasks:
        """Normalises and reads the pages after ``made``. A file whose pages could all be made is known from then on."""
        content = item.content or b""
        whole = True
        pages = made_pages(
            self._pipeline, item, how.order(may_tile=True), timeout_s=self._timeout_s, first_page=len(made) + 1
        )
        async with aclosing(pages):
            while True:
                began = time.monotonic()
                await self._take_slot()
                try:
                    page = await anext(pages, None)
                    if isinstance(page, NormalizedPage):
                        made.append(await without_content(page, content, key.digest))
                except BaseException:
                    self._give_back_slot()
                    raise
                if page is None:
                    self._give_back_slot()
                    break
                whole = whole and isinstance(page, NormalizedPage)
                task = asyncio.create_task(self._answer(page, item, how, began))  # no await until it is handed on
                task.add_done_callback(self._give_back_slot)
                yield task
        if whole:
            self._known.put(key, tuple(made))

    async def _take_slot(self) -> None:
        """Waits for a slot within a page's time. A stream that holds none is let in, whoever holds the others."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._slots.acquire(0, first=self._held_slots == 0)
        except TimeoutError:
            raise DeadlineUnreachable(self._timeout_s) from None
        self._held_slots += 1

    def _give_back_slot(self, _done: object = None) -> None:
        self._held_slots -= 1
        self._slots.release(0)

    async def _answer(
        self, page: NormalizedPage | PageFailure, item: Item[SourceSpec], how: Normalization, began: float
    ) -> PageAnswer:
        if isinstance(page, NormalizedPage):
            to_read = [PageToRead(part.content, None, how.fingerprint) for part in page.parts]
            return await self._ask(page, facts_message(page), item, how, began, to_read)
        return PageAnswer(
            request_id=item.request_id,
            page=page.number,
            page_count=page.page_count,
            last_page=page.number == page.page_count,
            error=self._faults.status_of(page.error),
        )

    async def _ask(
        self,
        page: NormalizedPage,
        facts: PageAnswer,
        item: Item[SourceSpec],
        how: Normalization,
        began: float,
        to_read: Sequence[PageToRead],
    ) -> PageAnswer:
        """Asks for all parts in what is left of the page's time, which began at ``began`` of the monotonic clock."""
        left_s = self._timeout_s - (time.monotonic() - began) + _GATEWAY_SLACK_S
        try:
            async with asyncio.timeout(left_s):
                plan = await _plan(item.spec.regions, page, how.reader.fit)
                answer = await self._read_parts(page, plan, to_read)
        except TimeoutError:
            was_asked = any(part.sent for part in to_read)
            late = PageTimeout(self._timeout_s) if was_asked else DeadlineUnreachable(self._timeout_s)
            answer = PageAnswer(error=self._faults.status_of(late))
        except ExpectedError as error:
            answer = PageAnswer(error=self._faults.status_of(error))
        return relay_answer(answer, item.request_id, page, facts, total_ms=(time.monotonic() - began) * 1000)

    async def _read_parts(
        self, page: NormalizedPage, plan: RegionPlan | None, to_read: Sequence[PageToRead]
    ) -> PageAnswer:
        """The gateway's answer for the page; a part without any of the regions is not asked for, and nothing is where
        no region shows on the page.
        """
        asked = list(zip(page.parts, to_read, strict=True))
        if plan is None:
            return await self._read_all(page, asked)
        for image, regions in zip(to_read, plan.on_parts, strict=True):
            image.regions = regions or ()
        asked = [each for each, regions in zip(asked, plan.on_parts, strict=True) if regions is not None]
        if not asked:
            return empty_answer()
        answer = await self._read_all(page, asked)
        if plan.exceeds and answer.document.pages:
            kept = await asyncio.to_thread(confined, answer.document.pages[0], plan.on_page)
            answer.document.pages[0].CopyFrom(kept)
        return answer

    async def _read_all(self, page: NormalizedPage, asked: Sequence[tuple[PagePart, PageToRead]]) -> PageAnswer:
        """One answer for these parts, read side by side, in pixels of the normalised page."""
        if len(page.parts) == 1 and page.parts[0].to_page == IDENTITY:
            return await self._read(asked[0][1])
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(self._read(image)) for _, image in asked]
        answers = [(part, read.result()) for (part, _), read in zip(asked, reads, strict=True)]
        return await asyncio.to_thread(merged_answer, page, answers)  # thousands of lines take a second

    async def _read(self, image: PageToRead) -> PageAnswer:
        try:
            return await self._route.ask(image)
        except (ExpectedError, StatusError) as error:
            return PageAnswer(error=self._faults.status_of(error))


async def _plan(regions: Sequence[geometry_pb2.Rect], page: NormalizedPage, fit: PageFit) -> RegionPlan | None:
    """Where the regions are read; on a thread where they are many."""
    if len(regions) * len(page.parts) < _MANY_PIECES:
        return plan_regions(regions, page, fit)
    return await asyncio.to_thread(plan_regions, regions, page, fit)


async def _digest_of(item: Item[SourceSpec]) -> bytes:
    return item.digest or b"" if item.content is None else await content_digest(item.content)
