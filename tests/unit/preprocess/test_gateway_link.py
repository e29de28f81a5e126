"""The streams to the gateway: when they connect, and when never again."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.errors import GatewayUnavailable
from preprocess_service.gateway_connection import ConnectionLost, PageToRead
from preprocess_service.gateway_link import GatewayStream

PAGE = PageToRead(b"page", None, "v2:none")


class _Connection:
    """Answers every page until it is closed."""

    def __init__(self) -> None:
        self.lost = self.ended = False

    async def ask(self, _page: PageToRead) -> recognition_pb2.PageAnswer:
        if self.lost:
            raise ConnectionLost("closed")
        return recognition_pb2.PageAnswer(page=1)

    async def close(self) -> None:
        self.cancel()

    def cancel(self) -> None:
        self.lost = self.ended = True


class _Link:
    """Counts the connections that are made; ``open`` holds them up."""

    retry_s = 5.0
    random = random.Random(1)

    def __init__(self) -> None:
        self.made: list[_Connection] = []
        self.open = asyncio.Event()
        self.open.set()

    async def call(self, *_: Any) -> _Connection:
        await self.open.wait()
        self.made.append(_Connection())
        return self.made[-1]

    async def tell(self, _reachable: bool) -> None:
        """Is not of interest."""


def stream_on(link: _Link) -> GatewayStream:
    """A stream of the default config."""
    return GatewayStream(link, recognition_pb2.RecognitionConfig(), ())  # type: ignore[arg-type]


async def test_a_lost_stream_connects_anew_and_a_closed_one_never() -> None:
    """Whoever asks on it after the end is refused at once, and the gateway hears nothing of it."""
    link = _Link()
    stream = stream_on(link)
    assert (await stream.ask(PAGE)).page == 1
    link.made[0].cancel()
    assert (await stream.ask(PAGE)).page == 1
    await stream.aclose()
    for _ in range(2):
        with pytest.raises(GatewayUnavailable):
            await stream.ask(PAGE)
        with pytest.raises(GatewayUnavailable):
            await stream.connect()
    assert len(link.made) == 2


async def test_an_end_while_it_connects_leaves_no_connection() -> None:
    """Those who wait for the connection are let go; none is made afterwards."""
    link = _Link()
    link.open.clear()
    stream = stream_on(link)
    asking = asyncio.create_task(stream.ask(PAGE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await stream.aclose()
    link.open.set()
    await asyncio.wait({asking}, timeout=5)
    assert asking.done()
    assert asking.cancelled() or isinstance(asking.exception(), GatewayUnavailable)
    assert link.made == []
