"""The pages of one item on their way: normalised one after the other, read side by side, answered in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.errors import ContentRequired, DeadlineUnreachable, PageTimeout
from preprocess_service.gateway_link import GatewayStream, PageToRead
from preprocess_service.model import NormalizedPage, PageFailure, PageFit, Source
from preprocess_service.pipeline import Pipeline
from preprocess_service.profiles import Profile
from preprocess_service.translation import SourceSpec, regions_on_page, relay_answer
from rpc_runtime.faults import ExpectedError, FaultTable, StatusError
from rpc_runtime.stream_messages import Item

_GATEWAY_SLACK_S = 2.0
"""The gateway keeps the same time for a page and knows better what took it: it answers first."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """How pages are made: the profile, what its parameters are called in the cache's key, and what the reader takes."""

    profile: Profile
    fingerprint: str
    fit: PageFit


async def made_pages(
    pipeline: Pipeline, item: Item[SourceSpec], how: Normalization, *, timeout_s: float
) -> AsyncGenerator[NormalizedPage | PageFailure, None]:
    """The item's pages in order, each within ``timeout_s`` seconds.

    Raises what concerns the item as a whole, and DeadlineUnreachable.
    """
    if item.content is None:
        raise ContentRequired
    source = Source(item.content, item.spec.password)
    async with aclosing(pipeline.pages(source, how.profile, how.fit)) as pages:
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    page = await anext(pages, None)
            except TimeoutError:
                raise DeadlineUnreachable(timeout_s) from None
            if page is None:
                return
            yield page


async def read_pages(
    pages: AsyncGenerator[NormalizedPage | PageFailure, None],
    stream: GatewayStream,
    item: Item[SourceSpec],
    how: Normalization,
    faults: FaultTable,
    *,
    timeout_s: float,
    pages_ahead: int,
) -> AsyncGenerator[recognition_pb2.PageAnswer, None]:
    """An answer for each page, in order; up to ``pages_ahead`` of them are being read at one time.

    What goes wrong with one page is that page's answer; what ``pages`` raises is raised after the answers before it.
    """
    reads: asyncio.Queue[asyncio.Task[recognition_pb2.PageAnswer] | None] = asyncio.Queue()
    room = asyncio.Semaphore(pages_ahead)
    begun: set[asyncio.Task[recognition_pb2.PageAnswer]] = set()

    async def read(page: NormalizedPage | PageFailure) -> recognition_pb2.PageAnswer:
        if isinstance(page, PageFailure):
            return _failure(page, item.request_id, faults)
        return await _read_page(page, stream, item, how, faults, timeout_s)

    async def produce() -> None:
        try:
            async with aclosing(pages):
                async for page in pages:
                    await room.acquire()
                    task = asyncio.create_task(read(page))
                    begun.add(task)
                    reads.put_nowait(task)
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


async def _read_page(
    page: NormalizedPage,
    stream: GatewayStream,
    item: Item[SourceSpec],
    how: Normalization,
    faults: FaultTable,
    timeout_s: float,
) -> recognition_pb2.PageAnswer:
    began = time.monotonic()
    try:
        to_read = PageToRead(page.content, how.fingerprint, regions_on_page(item.spec.regions, page))
        async with asyncio.timeout(timeout_s + _GATEWAY_SLACK_S):
            answer = await stream.ask(to_read)
    except TimeoutError:
        answer = recognition_pb2.PageAnswer(error=faults.status_of(PageTimeout(timeout_s)))
    except (ExpectedError, StatusError) as error:
        answer = recognition_pb2.PageAnswer(error=faults.status_of(error))
    total_ms = page.preprocess_ms + (time.monotonic() - began) * 1000
    return relay_answer(answer, item.request_id, page, total_ms=total_ms)


def _failure(page: PageFailure, request_id: str, faults: FaultTable) -> recognition_pb2.PageAnswer:
    return recognition_pb2.PageAnswer(
        request_id=request_id,
        page=page.number,
        page_count=page.page_count,
        last_page=page.number == page.page_count,
        error=faults.status_of(page.error),
    )
