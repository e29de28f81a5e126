"""A stall of the server as an open loop sees it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from ocrmux.ocr.v1 import recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2, preprocess_pb2_grpc
from ocrmux_client.errors import OcrMuxError
from ocrmux_client.items import CacheUse, ReadingConfig
from ocrmux_client.load.arrivals import Spacing, arrival_times
from ocrmux_client.load.load_images import DrawnImages
from ocrmux_client.load.load_run import LoadOrder, LoadRun
from ocrmux_client.load.load_tally import NOT_SENT, UNANSWERED, LoadTally
from ocrmux_client.load.load_target import LoadTarget
from ocrmux_client.load.send_plan import SendPlan
from tests.fakes.stub_servers import StubPlan, StubPreprocess, pages_of

RATE, SPAN_S, WINDOW = 150, 3.0, 2
STALL_S = 1.0
ITEMS = round(RATE * SPAN_S)


@dataclass(slots=True)
class StallPlan:
    """When the server answers nothing: from an item's arrival on, for so long; ``breaks_at`` ends the stream there."""

    stalls_at: int | None = None
    stall_s: float = STALL_S
    breaks_at: int | None = None
    received: int = 0
    streams: int = 0


class StallingService(StubPreprocess):
    """Answers each item at once, one after the other, but for the stall."""

    def __init__(self, stalls: StallPlan) -> None:
        super().__init__(StubPlan())
        self.stalls = stalls

    async def StreamRecognize(self, request_iterator: Any, context: Any) -> Any:
        """Limits, then an answer an item."""
        self.stalls.streams += 1
        yield preprocess_pb2.StreamRecognizeResponse(limits=recognition_pb2.StreamLimits(max_items_in_flight=64))
        async for request in request_iterator:
            if request.WhichOneof("message") != "item":
                continue
            self.stalls.received += 1
            if self.stalls.received == self.stalls.breaks_at:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
            if self.stalls.received == self.stalls.stalls_at:
                await asyncio.sleep(self.stalls.stall_s)
            for answer in pages_of(request.item.request_id, b"page"):
                yield preprocess_pb2.StreamRecognizeResponse(answer=answer)


async def loaded(plan: StallPlan, *, drain_s: float = 20.0) -> LoadTally:
    """The load on a server that behaves as the plan says."""
    server = grpc.aio.server()
    preprocess_pb2_grpc.add_PreprocessServiceServicer_to_server(StallingService(plan), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    config = ReadingConfig(cache=CacheUse.BYPASS)
    order = LoadOrder(config, DrawnImages(1, 1, unique=False), 1, WINDOW, drain_s)
    tally = LoadTally(0.0, SPAN_S)
    due = arrival_times(Spacing.UNIFORM, RATE, SPAN_S, 0)
    try:
        run = LoadRun(LoadTarget(f"127.0.0.1:{port}"), order, SendPlan(due, SPAN_S), tally)
        await asyncio.wait_for(run.run(), 60)
    finally:
        await server.stop(0)
    return tally


async def test_a_stall_is_in_the_response_times_and_not_in_the_service_times() -> None:
    """The items that were due while nothing was answered count from then; only those in the window were with the
    server. A load that waits for answers would have seen but these, under one in a hundred."""
    tally = await loaded(StallPlan(stalls_at=ITEMS // 3))
    assert (tally.arrivals, tally.answered, tally.failed) == (ITEMS, ITEMS, 0)
    half_s = STALL_S / 2
    assert tally.service.above(half_s) <= WINDOW < ITEMS / 100
    assert tally.response.above(half_s) >= RATE * half_s - WINDOW
    assert tally.service.percentile_ms(99) < half_s * 1000 < tally.response.percentile_ms(99)


async def test_what_never_finds_room_fails_and_counts_with_its_wait() -> None:
    """A server that answers nothing more: what it has is UNANSWERED, the rest NOT_SENT, and all of it is slow."""
    third = ITEMS // 3
    tally = await loaded(StallPlan(stalls_at=third, stall_s=600.0), drain_s=1.0)
    assert tally.arrivals == ITEMS
    assert tally.answered == third - 1
    assert tally.errors == {UNANSWERED: WINDOW, NOT_SENT: ITEMS - third + 1 - WINDOW}
    assert tally.response.count == ITEMS
    assert tally.service.count == tally.answered


async def test_a_stream_that_breaks_fails_its_items_and_is_opened_again() -> None:
    """Nothing is sent twice: what was on it has failed, and the load goes on."""
    plan = StallPlan(breaks_at=ITEMS // 3)
    tally = await loaded(plan)
    assert (plan.streams, tally.reconnects) == (2, 1)
    assert 1 <= tally.errors["UNAVAILABLE"] <= WINDOW
    assert tally.answered + tally.failed == tally.arrivals == ITEMS
    assert plan.received <= ITEMS


async def test_a_target_that_is_not_there_is_told() -> None:
    """No stream opens, so the run does not begin."""
    order = LoadOrder(ReadingConfig(), DrawnImages(1, 1, unique=False), 1, 1, 1.0)
    run = LoadRun(LoadTarget("127.0.0.1:1"), order, SendPlan(iter([0.0]), 1.0), LoadTally(0.0, 1.0))
    with pytest.raises(OcrMuxError, match="UNAVAILABLE"):
        await asyncio.wait_for(run.run(), 60)
