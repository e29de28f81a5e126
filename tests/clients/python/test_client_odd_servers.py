"""What a stream makes of servers that break the protocol, or never take an item."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import status_pb2

from ocrmux.ocr.v1.recognition_pb2 import PageAnswer, StreamLimits
from ocrmux.preprocess.v1.preprocess_pb2 import StreamRecognizeRequest, StreamRecognizeResponse
from ocrmux_client import Backoff, Item, OcrMuxClient, OcrMuxError, StreamPolicy
from ocrmux_client.silence import Silence
from tests.fakes.stub_servers import PREPROCESS, StubPlan, item_error, pages_of, stub_preprocess

FAST = Backoff(first_s=0.01, longest_s=0.02, attempts=3)
LIMITS = StreamRecognizeResponse(limits=StreamLimits())
Response = StreamRecognizeResponse | bytes
Script = Callable[[AsyncIterator[str]], AsyncGenerator[Response, None]]
"""Of the ids of the items as they come, what the server sends."""


@asynccontextmanager
async def server_of(script: Script) -> AsyncIterator[str]:
    """Serves StreamRecognize by the script, bytes as they are; gives its address."""

    async def ids(requests: AsyncIterator[StreamRecognizeRequest]) -> AsyncGenerator[str, None]:
        async for request in requests:
            for item in [request.item] if request.HasField("item") else request.batch.items:
                yield item.request_id

    async def handle(
        requests: AsyncIterator[StreamRecognizeRequest], _: object
    ) -> AsyncGenerator[StreamRecognizeResponse | bytes, None]:
        async for response in script(ids(requests)):
            yield response

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler = grpc.stream_stream_rpc_method_handler(
        handle,
        request_deserializer=StreamRecognizeRequest.FromString,
        response_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(PREPROCESS, {"StreamRecognize": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@dataclass(frozen=True)
class CountedBackoff(Backoff):
    """Tells of each wait, and waits for a millisecond."""

    waited: Callable[[], object] = lambda: None

    def wait_s(
        self, failures: int, *, at_least_s: float | None = None, draw: Callable[[], float] | None = None
    ) -> float:
        self.waited()
        return 0.001


def refused(request_id: str, status: status_pb2.Status) -> StreamRecognizeResponse:
    return StreamRecognizeResponse(answer=PageAnswer(request_id=request_id, last_page=True, error=status))


def items(count: int) -> list[Item]:
    return [Item(f"item-{index}", b"%d" % index) for index in range(count)]


async def test_bytes_that_are_no_message_are_a_breach_of_protocol() -> None:
    """What cannot be parsed is told as INTERNAL PROTOCOL_BROKEN, at once, and is no end of the stream."""

    async def script(ids: AsyncIterator[str]) -> AsyncGenerator[Response, None]:
        yield LIMITS
        async for _ in ids:
            yield b"\xff\xff\xff"

    async with server_of(script) as target, OcrMuxClient(target) as client:
        with pytest.raises(OcrMuxError) as caught:
            await anext(client.stream_recognize(items(1), None, StreamPolicy(backoff=FAST)))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INTERNAL, "PROTOCOL_BROKEN")


async def test_details_that_are_damaged_are_left_out() -> None:
    """An ErrorInfo that cannot be parsed costs the reason, not the stream."""
    damaged = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff\xff")
    status = status_pb2.Status(code=grpc.StatusCode.ABORTED.value[0], message="odd", details=[damaged])

    async def script(ids: AsyncIterator[str]) -> AsyncGenerator[Response, None]:
        yield LIMITS
        async for request_id in ids:
            yield refused(request_id, status)

    async with server_of(script) as target, OcrMuxClient(target) as client:
        answers = [answer async for answer in client.stream_recognize(items(2), None, StreamPolicy(backoff=FAST))]
    errors = [OcrMuxError.from_status(answer.error) for answer in answers]
    assert [(error.code, error.reason) for error in errors] == [(grpc.StatusCode.ABORTED, "")] * 2


async def test_a_server_that_only_moves_items_is_given_up() -> None:
    """DRAINING for every item, for ever, is no answer that ends the row of failures."""
    status = item_error(grpc.StatusCode.UNAVAILABLE, "DRAINING")
    heard: list[int] = []

    async def script(ids: AsyncIterator[str]) -> AsyncGenerator[Response, None]:
        yield LIMITS
        async for request_id in ids:
            yield refused(request_id, status)

    backoff = Backoff(first_s=0.001, longest_s=0.002, attempts=6)
    policy = StreamPolicy(
        backoff=backoff, concurrency=1, sends_per_item=2, on_reconnect=lambda failures, *_: heard.append(failures)
    )
    async with server_of(script) as target, OcrMuxClient(target) as client:
        answers = client.stream_recognize(items(50), None, policy)
        given = [(await anext(answers)).request_id for _ in range(3)]
        with pytest.raises(OcrMuxError) as caught:
            await anext(answers)
    assert caught.value.reason == "DRAINING"
    assert heard == [1, 2, 3, 4, 5, 6]
    assert given == ["item-0", "item-1", "item-2"]  # each after two moves of its own


async def test_a_server_that_hangs_up_at_once_is_not_asked_in_a_loop() -> None:
    """Also where every item is answered here, so that nothing is left to answer, each stream comes after a wait."""
    waits: list[None] = []
    streams = 0

    async def script(ids: AsyncIterator[str]) -> AsyncGenerator[Response, None]:
        nonlocal streams
        streams += 1
        yield LIMITS

    policy = StreamPolicy(backoff=CountedBackoff(waited=lambda: waits.append(None)))
    gone = [Item(f"gone-{index}", Path("/nowhere/gone.png")) for index in range(30)]
    async with server_of(script) as target, OcrMuxClient(target) as client:
        with contextlib.suppress(OcrMuxError):  # one that hangs up while items wait is a failure
            async for _ in client.stream_recognize(gone, None, policy):
                pass
    assert streams <= len(waits) + 1


async def test_a_content_required_ends_the_row_of_failures() -> None:
    """A server that gets so far as to ask for content works: the breaks that follow are counted anew."""
    heard: list[int] = []
    wanted = item_error(grpc.StatusCode.NOT_FOUND, "CONTENT_REQUIRED")
    streams = 0

    async def script(ids: AsyncIterator[str]) -> AsyncGenerator[Response, None]:
        nonlocal streams
        streams += 1
        yield LIMITS
        came = [await anext(ids) for _ in range(4)]
        if streams <= 4:
            yield refused(f"item-{streams - 1}", wanted)
            return
        for request_id in came:
            yield StreamRecognizeResponse(answer=pages_of(request_id, b"x")[0])

    policy = StreamPolicy(
        backoff=Backoff(first_s=0.01, longest_s=0.02, attempts=2),
        digest_first=True,
        sends_per_item=99,
        on_reconnect=lambda failures, *_: heard.append(failures),
    )
    async with server_of(script) as target, OcrMuxClient(target) as client:
        answers = [answer async for answer in client.stream_recognize(items(4), None, policy)]
    assert (len(answers), heard) == (4, [1, 1, 1, 1])


@pytest.mark.parametrize("is_blocked", [False, True])
async def test_a_pause_of_the_caller_is_no_silence_of_the_server(is_blocked: bool) -> None:
    """A caller that takes no answers for longer than the silence, or blocks the event loop, loses no connection."""
    plan = StubPlan()
    policy = StreamPolicy(backoff=FAST, concurrency=2, silence_s=1.0)
    taken = 0
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        async for _ in client.stream_recognize(items(6), None, policy):
            taken += 1
            if taken in {1, 2}:
                if is_blocked:
                    time.sleep(1.3)  # noqa: ASYNC251 - what a caller should not do
                else:
                    await asyncio.sleep(1.3)
    assert (taken, plan.streams) == (6, 1)


def test_a_silence_is_counted_while_it_is_listened_to() -> None:
    """Eight slices make up the time; the ninth in a row is too much, and a word begins anew."""
    silence = Silence(4.0)
    assert silence.slice_s == 0.5
    assert not any(silence.is_too_long() for _ in range(8))
    silence.end()
    assert [silence.is_too_long() for _ in range(9)] == [False] * 8 + [True]


async def test_the_error_of_the_only_page_is_the_calls_on_the_chunked_way_too() -> None:
    """Whether content went whole or in chunks makes no difference to what is raised."""
    status = item_error(grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_UNDECODABLE")

    def one_bad_page(request_id: str, content: bytes) -> list[PageAnswer]:
        return [PageAnswer(request_id=request_id, page=1, page_count=1, last_page=True, error=status)]

    plan = StubPlan(pages_of=one_bad_page)
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        for content in (b"small", bytes(4 << 20)):
            with pytest.raises(OcrMuxError) as caught:
                await client.recognize(content)
            assert caught.value.reason == "IMAGE_UNDECODABLE"
    assert (plan.unary_calls, plan.streams) == (1, 1)


async def test_an_error_of_one_page_of_several_stands_in_the_reading() -> None:
    """The pages that were read are not thrown away for one that was not."""
    status = item_error(grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_UNDECODABLE")

    def second_is_bad(request_id: str, content: bytes) -> list[PageAnswer]:
        good, bad = pages_of(request_id, b"pages=2")
        bad.error.CopyFrom(status)
        return [good, bad]

    async with stub_preprocess(StubPlan(pages_of=second_is_bad)) as target, OcrMuxClient(target) as client:
        for content in (b"small", bytes(4 << 20)):
            reading = await client.recognize(content)
            assert [(page, error.reason) for page, error in reading.errors] == [(2, "IMAGE_UNDECODABLE")]
            assert len(reading.document.pages) == 1
