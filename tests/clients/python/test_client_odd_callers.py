"""What callers may do to a client: odd items, iterators that fail, and leaving at any time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from ocrmux.ocr.v1.recognition_pb2 import PageAnswer, StreamLimits
from ocrmux_client import Backoff, Item, OcrMux, OcrMuxClient, OcrMuxError, StreamPolicy, item_messages
from ocrmux_client.channel import call_metadata, is_loopback
from tests.fakes.redis_server import eventually
from tests.fakes.stub_servers import StubPlan, stub_preprocess

FAST = Backoff(first_s=0.01, longest_s=0.02, attempts=3)
BOUND_S = 20.0


def items(count: int) -> list[Item]:
    return [Item(f"item-{index}", b"%d" % index) for index in range(count)]


async def read_all(target: str, wanted: AsyncIterator[Item] | list[Item]) -> list[PageAnswer]:
    async with OcrMuxClient(target) as client:
        return [answer async for answer in client.stream_recognize(wanted, None, StreamPolicy(backoff=FAST))]


@pytest.mark.parametrize(
    "name",
    ["no\0name", os.fsdecode(b"/nowhere/\xff\xfe.png"), "/nowhere/\ud800.png", "/nowhere/" + "x" * 5000],
)
async def test_a_path_that_no_file_can_have_is_its_items_own_error(name: str) -> None:
    """NUL, bytes that are no UTF-8, lone surrogates, too long: SOURCE_UNREADABLE, and the stream goes on."""
    async with stub_preprocess(StubPlan()) as target:
        answers = await asyncio.wait_for(read_all(target, [Item("odd", Path(name)), Item("b", b"x")]), BOUND_S)
        with pytest.raises(OcrMuxError) as caught:
            async with OcrMuxClient(target) as client:
                await client.recognize(Path(name))
    assert OcrMuxError.from_status(answers[0].error).reason == caught.value.reason == "SOURCE_UNREADABLE"
    assert answers[1].document.pages


def test_a_file_that_has_grown_over_the_limit_is_refused_here(tmp_path: Path) -> None:
    """What was looked at before it was read is looked at again."""
    file, limits = tmp_path / "growing", StreamLimits(max_item_bytes=100)
    file.write_bytes(bytes(100))
    item = Item("a", file)
    assert item_messages.size_bytes(item, limits) == 100
    file.write_bytes(bytes(101))
    with pytest.raises(item_messages.ItemRefused) as caught:
        item_messages.load(item, limits)
    error = OcrMuxError.from_status(caught.value.status)
    assert (error.reason, error.metadata["value"]) == ("IMAGE_TOO_LARGE_BYTES", "101")


def test_a_file_without_an_end_is_refused_here() -> None:
    """No more of it is held, or hashed, than the limit."""
    endless, limits = Item("a", Path("/dev/zero")), StreamLimits(max_item_bytes=3 << 20)
    for prepare in (item_messages.load, item_messages.by_digest):
        with pytest.raises(item_messages.ItemRefused) as caught:
            prepare(endless, limits)
        assert OcrMuxError.from_status(caught.value.status).reason == "IMAGE_TOO_LARGE_BYTES"


def test_an_id_that_cannot_be_sent_is_refused_when_the_item_is_made() -> None:
    """128 characters of any script do; none, more, or a lone surrogate do not."""
    assert Item("图" * 128, b"").request_id
    for request_id in ("", "x" * 129, "\ud800"):
        with pytest.raises(ValueError, match="request_id"):
            Item(request_id, b"")


@pytest.mark.parametrize(
    "error",
    [
        OcrMuxError(grpc.StatusCode.UNAVAILABLE, "", "the source's own"),
        grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "the source's own"),
        asyncio.InvalidStateError("the source's own"),
    ],
)
async def test_an_error_of_the_source_is_never_taken_for_one_of_the_connection(error: Exception) -> None:
    """Also one that looks the same is raised as it is, and no item is lost without a word."""

    async def failing() -> AsyncIterator[Item]:
        yield Item("a", b"a")
        raise error

    async with stub_preprocess(StubPlan()) as target:
        with pytest.raises(type(error), match="the source's own") as caught:
            await asyncio.wait_for(read_all(target, failing()), BOUND_S)
    assert caught.value is error


async def test_a_source_that_was_cancelled_ends_the_stream() -> None:
    """Not the caller's task was cancelled: it is told with an error."""

    async def cancelled() -> AsyncIterator[Item]:
        yield Item("a", b"a")
        raise asyncio.CancelledError

    async with stub_preprocess(StubPlan()) as target:
        with pytest.raises(OcrMuxError, match="iterator of the items was cancelled"):
            await asyncio.wait_for(read_all(target, cancelled()), BOUND_S)


async def test_closing_the_client_ends_what_is_running() -> None:
    """A stream and a call that wait end with CANCELLED, and so does what is begun afterwards."""
    plan = StubPlan(gated_after=1, unary_gate=asyncio.Event())
    async with stub_preprocess(plan) as target:
        client = OcrMuxClient(target)
        answers = client.stream_recognize(items(3))
        assert (await anext(answers)).request_id == "item-0"
        call = asyncio.ensure_future(client.recognize(b"x"))
        await eventually(lambda: plan.unary_calls == 1)
        running = [asyncio.ensure_future(anext(answers)), call]
        await client.close()
        ended = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), BOUND_S)
        later = await asyncio.gather(
            client.recognize(b"x"), anext(client.stream_recognize(items(1))), return_exceptions=True
        )
    for error in (*ended, *later):
        assert isinstance(error, OcrMuxError)
        assert (error.code, error.message) == (grpc.StatusCode.CANCELLED, "the client was closed")


async def test_closing_the_blocking_client_ends_what_other_threads_wait_for() -> None:
    """The thread that waits is told, a stream that was left open is closed, and later calls are refused."""
    plan = StubPlan(gated_after=1)
    async with stub_preprocess(plan) as target:

        def use() -> list[object]:
            ended: list[object] = []
            with OcrMux(target) as ocr:
                left_open = ocr.stream_recognize(items(3))
                ended.append(next(left_open).request_id)
                waiting = threading.Thread(target=lambda: ended.append(error_of(ocr)))
                waiting.start()
                while plan.streams < 2:
                    threading.Event().wait(0.01)
            waiting.join(BOUND_S)
            left_open.close()
            ended.append(error_of(ocr))
            return ended

        def error_of(ocr: OcrMux) -> object:
            try:
                return list(ocr.stream_recognize([Item("late", b"late")]))
            except OcrMuxError as error:
                return error.code

        ended = await asyncio.wait_for(asyncio.to_thread(use), BOUND_S)
    assert ended == ["item-0", grpc.StatusCode.CANCELLED, grpc.StatusCode.CANCELLED]


async def test_an_exit_in_a_blocking_iterator_ends_the_stream() -> None:
    """SystemExit on the iterator's thread is raised where the answers are taken."""

    def leaving() -> Iterator[Item]:
        yield Item("a", b"a")
        raise SystemExit(3)

    async with stub_preprocess(StubPlan()) as target:

        def use() -> str:
            with OcrMux(target) as ocr:
                try:
                    return str(list(ocr.stream_recognize(leaving())))
                except OcrMuxError as error:
                    return error.message

        told = await asyncio.wait_for(asyncio.to_thread(use), BOUND_S)
    assert told == "the iterator of the items ended with SystemExit(3)"


def test_a_backoff_waits_for_its_longest_however_many_failures() -> None:
    """The power overflows after a thousand; values that make no sense are refused."""
    assert 5.0 <= Backoff(attempts=10_000).wait_s(5_000) <= 10.0
    assert Backoff().wait_s(1, at_least_s=86_400.0 * 30) == 10.0
    for wrong in ({"attempts": -1}, {"first_s": -1.0}, {"factor": 0.5}, {"longest_s": float("nan")}):
        with pytest.raises(ValueError, match="backoff"):
            Backoff(**wrong)
    for silence_s in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            StreamPolicy(silence_s=silence_s)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
async def test_no_time_at_all_is_over_at_once(timeout_s: float) -> None:
    """A limit of 0 or less is DEADLINE_EXCEEDED; an infinite one is none."""
    async with stub_preprocess(StubPlan()) as target, OcrMuxClient(target) as client:
        with pytest.raises(OcrMuxError) as caught:
            await client.recognize(b"x", timeout_s=timeout_s)
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await client.recognize(b"x", timeout_s=float("inf"))).text


@pytest.mark.parametrize("tenant", ["ä", "a\nb", "a\0"])
def test_a_tenant_that_no_header_holds_is_refused(tenant: str) -> None:
    """It is told when the client is made, not with each call."""
    with pytest.raises(ValueError, match="tenant"):
        call_metadata(None, tenant, ())


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:1@evil.example:443",
        "localhost:1@evil.example",
        "[::1]evil.example:443",
        "127.0.0.1:1,evil.example:2",
        "dns:///127.0.0.1:1,evil.example:2",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "127.evil.example:1",
    ],
)
def test_an_address_that_only_begins_like_loopback_is_none(target: str) -> None:
    """Nothing may stand behind the port."""
    assert not is_loopback(target)
