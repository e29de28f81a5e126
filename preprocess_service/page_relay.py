"""The pages of one item on their way: normalised one after the other, read side by side, answered in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from google.rpc import code_pb2

from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.errors import ContentRequired, DeadlineUnreachable, PageTimeout
from preprocess_service.gateway_connection import PageToRead
from preprocess_service.gateway_link import GatewayRoute
from preprocess_service.known_pages import (
    KnownPage,
    KnownPages,
    SourceKey,
    source_digest,
    source_key,
    without_content,
)
from preprocess_service.look_ahead import in_order
from preprocess_service.model import NormalizedPage, PageFailure, PageFit, Source
from preprocess_service.pipeline import Pipeline
from preprocess_service.profiles import Profile
from preprocess_service.translation import SourceSpec, facts_message, regions_on_page, relay_answer
from rpc_runtime.capacity import Capacity
from rpc_runtime.faults import ExpectedError, FaultTable, StatusError
from rpc_runtime.stream_messages import Item

_GATEWAY_SLACK_S = 1.0
"""The gateway keeps the same time for a page and knows better what took it: it shall answer first."""
_LARGE_BYTES = 1024 * 1024

PageAnswer = recognition_pb2.PageAnswer
Answers = AsyncGenerator[PageAnswer, None]
PageTasks = AsyncGenerator[asyncio.Task[PageAnswer], None]


@dataclass(frozen=True, slots=True)
class Normalization:
    """How pages are made: the profile, what its parameters are called in the cache's key, and what the reader takes."""

    profile: Profile
    fingerprint: str
    fit: PageFit


async def made_pages(
    pipeline: Pipeline,
    item: Item[SourceSpec],
    how: Normalization,
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
    pages = pipeline.pages(source, how.profile, how.fit, first_page=first_page, last_page=last_page)
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
        how: Normalization,
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
        self._how = how
        self._known = known
        self._faults = faults
        self._slots = slots
        self._held_slots = 0
        self._timeout_s = timeout_s
        self._pages_ahead = pages_ahead
        self._use_known = use_known

    async def answers(self, item: Item[SourceSpec]) -> Answers:
        """The answers of the item's pages, in order. Raises what concerns the item as a whole."""
        key = source_key(await _digest_of(item), self._how.fingerprint, item.spec.password)
        known = self._known.get(key) if self._use_known else None
        recalled = 0
        if known is not None:
            async with aclosing(self._recalled(known, item)) as answers:
                async for answer in answers:
                    if answer.error.code == code_pb2.NOT_FOUND:
                        break
                    recalled += 1
                    yield answer
            if recalled == len(known):
                return
            self._known.forget(key)
        made = list(known[:recalled]) if known is not None else []
        async with aclosing(in_order(self._reads(item, key, made), ahead=self._pages_ahead)) as answers:
            async for answer in answers:
                yield answer

    async def aclose(self) -> None:
        """Ends the way to the gateway."""
        await self._route.aclose()

    async def _recalled(self, pages: Sequence[KnownPage], item: Item[SourceSpec]) -> Answers:
        """What the gateway has for the pages' digests, in order; NOT_FOUND for one that it lacks."""
        if len(pages) == 1:  # nearly every file, and the cheapest way to an answer: without a task of its own
            yield await self._look_up(pages[0], item)
            return
        async with aclosing(in_order(self._lookups(pages, item), ahead=self._pages_ahead)) as answers:
            async for answer in answers:
                yield answer

    async def _lookups(self, pages: Sequence[KnownPage], item: Item[SourceSpec]) -> PageTasks:
        for page in pages:
            yield asyncio.create_task(self._look_up(page, item))

    async def _look_up(self, page: KnownPage, item: Item[SourceSpec]) -> PageAnswer:
        began = time.monotonic()
        return await self._ask(page.page, page.facts, item, began, content=None, digest=page.digest)

    async def _reads(self, item: Item[SourceSpec], key: SourceKey, made: list[KnownPage]) -> PageTasks:
        """Normalises and reads the pages after ``made``. A file whose pages could all be made is known from then on."""
        content = item.content or b""
        whole = True
        pages = made_pages(self._pipeline, item, self._how, timeout_s=self._timeout_s, first_page=len(made) + 1)
        async with aclosing(pages):
            while True:
                began = time.monotonic()
                await self._take_slot()
                try:
                    page = await anext(pages, None)
                except BaseException:
                    self._give_back_slot()
                    raise
                if page is None:
                    self._give_back_slot()
                    break
                task = asyncio.create_task(self._answer(page, item, began))
                task.add_done_callback(self._give_back_slot)
                if isinstance(page, NormalizedPage):
                    made.append(without_content(page, content, key.digest))
                else:
                    whole = False
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

    async def _answer(self, page: NormalizedPage | PageFailure, item: Item[SourceSpec], began: float) -> PageAnswer:
        if isinstance(page, NormalizedPage):
            return await self._ask(page, facts_message(page), item, began, content=page.content, digest=None)
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
        began: float,
        *,
        content: bytes | None,
        digest: bytes | None,
    ) -> PageAnswer:
        """Asks the gateway in what is left of the page's time, which began at ``began`` of the monotonic clock."""
        to_read = PageToRead(content, digest, self._how.fingerprint)
        left_s = self._timeout_s - (time.monotonic() - began) + _GATEWAY_SLACK_S
        try:
            to_read.regions = regions_on_page(item.spec.regions, page)
            async with asyncio.timeout(left_s):
                answer = await self._route.ask(to_read)
        except TimeoutError:
            late = PageTimeout(self._timeout_s) if to_read.sent else DeadlineUnreachable(self._timeout_s)
            answer = PageAnswer(error=self._faults.status_of(late))
        except (ExpectedError, StatusError) as error:
            answer = PageAnswer(error=self._faults.status_of(error))
        return relay_answer(answer, item.request_id, page, facts, total_ms=(time.monotonic() - began) * 1000)


async def _digest_of(item: Item[SourceSpec]) -> bytes:
    if item.content is None:
        return item.digest or b""
    if len(item.content) < _LARGE_BYTES:
        return source_digest(item.content)
    return await asyncio.to_thread(source_digest, item.content)
