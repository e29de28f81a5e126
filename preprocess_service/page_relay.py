"""The pages of one item on their way: normalised one after the other, read side by side, answered in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from google.rpc import code_pb2

from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.errors import ContentRequired, DeadlineUnreachable, PageTimeout
from preprocess_service.gateway_connection import PageToRead
from preprocess_service.gateway_link import GatewayRoute
from preprocess_service.known_pages import KnownPage, KnownPages, SourceKey, source_digest, without_content
from preprocess_service.model import NormalizedPage, PageFailure, PageFit, Source
from preprocess_service.pipeline import Pipeline
from preprocess_service.profiles import Profile
from preprocess_service.translation import SourceSpec, facts_message, regions_on_page, relay_answer
from rpc_runtime.faults import ExpectedError, FaultTable, StatusError
from rpc_runtime.stream_messages import Item

_GATEWAY_SLACK_S = 2.0
"""The gateway keeps the same time for a page and knows better what took it: it answers first."""

Answers = AsyncGenerator[recognition_pb2.PageAnswer, None]


@dataclass(frozen=True, slots=True)
class Normalization:
    """How pages are made: the profile, what its parameters are called in the cache's key, and what the reader takes."""

    profile: Profile
    fingerprint: str
    fit: PageFit


async def made_pages(
    pipeline: Pipeline, item: Item[SourceSpec], how: Normalization, *, timeout_s: float, only_page: int | None = None
) -> AsyncGenerator[NormalizedPage | PageFailure, None]:
    """The item's pages in order, or one of them, each within ``timeout_s`` seconds.

    Raises what concerns the item as a whole, and DeadlineUnreachable.
    """
    if item.content is None:
        raise ContentRequired
    source = Source(item.content, item.spec.password)
    pages = pipeline.pages(source, how.profile, how.fit, first_page=only_page or 1, last_page=only_page)
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
    decoded. ``use_known`` is off where the caller wants the provider asked in any case.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        route: GatewayRoute,
        how: Normalization,
        known: KnownPages,
        faults: FaultTable,
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
        self._timeout_s = timeout_s
        self._pages_ahead = pages_ahead
        self._use_known = use_known

    async def answers(self, item: Item[SourceSpec]) -> Answers:
        """The answers of the item's pages, in order. Raises what concerns the item as a whole."""
        digest = item.digest if item.content is None else source_digest(item.content)
        key = SourceKey(digest or b"", self._how.fingerprint, item.spec.password)
        if self._use_known and (pages := self._known.get(key)) is not None:
            recalled = await self._recall(pages, item)
            if recalled is not None:
                for answer in recalled:
                    yield answer
                return
            self._known.forget(key)
        async with aclosing(self._read(item, key)) as answers:
            async for answer in answers:
                yield answer

    async def aclose(self) -> None:
        """Ends the way to the gateway."""
        await self._route.aclose()

    async def _recall(
        self, pages: tuple[KnownPage, ...], item: Item[SourceSpec]
    ) -> list[recognition_pb2.PageAnswer] | None:
        """The answers of all pages by their digests, or None when the gateway lacks one."""
        answers: list[recognition_pb2.PageAnswer] = []
        for page in pages:
            answer = await self._ask(page.page, page.facts, item, content=None, digest=page.digest)
            if answer.error.code == code_pb2.NOT_FOUND:
                return None
            answers.append(answer)
        return answers

    async def _read(self, item: Item[SourceSpec], key: SourceKey) -> Answers:
        """Normalises and reads; up to ``pages_ahead`` pages are being read at one time.

        What goes wrong with one page is that page's answer. A file whose pages could all be made is known from then on.
        """
        reads: asyncio.Queue[asyncio.Task[recognition_pb2.PageAnswer] | None] = asyncio.Queue()
        room = asyncio.Semaphore(self._pages_ahead)
        begun: set[asyncio.Task[recognition_pb2.PageAnswer]] = set()

        async def produce() -> None:
            made: list[KnownPage] = []
            whole = True
            try:
                pages = made_pages(self._pipeline, item, self._how, timeout_s=self._timeout_s)
                async with aclosing(pages):
                    async for page in pages:
                        await room.acquire()
                        task = asyncio.create_task(self._answer(page, item))
                        begun.add(task)
                        reads.put_nowait(task)
                        if isinstance(page, NormalizedPage):
                            made.append(without_content(page, item.content or b"", key.digest))
                        else:
                            whole = False
                if whole:
                    self._known.put(key, tuple(made))
            finally:
                reads.put_nowait(None)

        producer = asyncio.create_task(produce())
        try:
            while (task := await reads.get()) is not None:
                answer = await task
                begun.discard(task)
                room.release()
                yield answer
            await producer
        finally:
            producer.cancel()
            for begun_task in begun:
                begun_task.cancel()
            await asyncio.gather(producer, *begun, return_exceptions=True)

    async def _answer(self, page: NormalizedPage | PageFailure, item: Item[SourceSpec]) -> recognition_pb2.PageAnswer:
        if isinstance(page, NormalizedPage):
            return await self._ask(page, facts_message(page), item, content=page.content, digest=None)
        return recognition_pb2.PageAnswer(
            request_id=item.request_id,
            page=page.number,
            page_count=page.page_count,
            last_page=page.number == page.page_count,
            error=self._faults.status_of(page.error),
        )

    async def _ask(
        self,
        page: NormalizedPage,
        facts: recognition_pb2.PageAnswer,
        item: Item[SourceSpec],
        *,
        content: bytes | None,
        digest: bytes | None,
    ) -> recognition_pb2.PageAnswer:
        began = time.monotonic()
        try:
            regions = regions_on_page(item.spec.regions, page)
            to_read = PageToRead(content, digest, self._how.fingerprint, regions)
            async with asyncio.timeout(self._timeout_s + _GATEWAY_SLACK_S):
                answer = await self._route.ask(to_read)
        except TimeoutError:
            answer = recognition_pb2.PageAnswer(error=self._faults.status_of(PageTimeout(self._timeout_s)))
        except (ExpectedError, StatusError) as error:
            answer = recognition_pb2.PageAnswer(error=self._faults.status_of(error))
        total_ms = page.preprocess_ms + (time.monotonic() - began) * 1000
        return relay_answer(answer, item.request_id, page, facts, total_ms=total_ms)
