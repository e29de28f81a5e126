"""One image at a time: tries, the time limit for all of them, and the blocking client."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2

from ocrmux.ocr.v1.recognition_pb2 import PageAnswer, StreamLimits
from ocrmux_client import Backoff, Item, OcrMux, OcrMuxClient, OcrMuxError, StreamPolicy
from tests.fakes.redis_server import eventually, free_port
from tests.fakes.stub_servers import StubPlan, item_error, pages_of, stub_preprocess

FAST = Backoff(first_s=0.01, longest_s=0.02, attempts=4)
UNAVAILABLE = item_error(grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE")
BUSY = item_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY")
LARGE = b"z" * (4 << 20)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@pytest.mark.parametrize("failure", [UNAVAILABLE, BUSY])
async def test_four_passing_failures_are_borne_and_the_fifth_is_told(failure: status_pb2.Status) -> None:
    """UNAVAILABLE and SERVER_BUSY are tried again; more than four times is too often."""
    plan = StubPlan(unary_failures=[failure] * 4)
    async with stub_preprocess(plan) as target, OcrMuxClient(target, backoff=FAST) as client:
        assert (await client.recognize(b"x")).text == digest(b"x")
        assert plan.unary_calls == 5
        plan.unary_failures[:] = [failure] * 5
        with pytest.raises(OcrMuxError) as caught:
            await client.recognize(b"x")
        assert caught.value.details == failure
        assert plan.unary_calls == 10


async def test_a_failure_for_good_is_told_at_once() -> None:
    """What another try would not mend is not tried."""
    plan = StubPlan(unary_failures=[item_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_QUOTA")])
    async with stub_preprocess(plan) as target, OcrMuxClient(target, backoff=FAST) as client:
        with pytest.raises(OcrMuxError, match="TENANT_QUOTA"):
            await client.recognize(b"x")
    assert plan.unary_calls == 1


async def test_content_in_chunks_has_the_same_tries() -> None:
    """A large image is tried again like a small one, whether its stream breaks or its answer says so."""
    answers = [UNAVAILABLE, BUSY, BUSY, BUSY]  # the first two are lost with their streams

    def moody(name: str, content: bytes) -> list[PageAnswer]:
        if answers:
            return [PageAnswer(request_id=name, last_page=True, error=answers.pop())]
        return pages_of(name, content)

    plan = StubPlan(pages_of=moody, breaks_after=[0, 0])
    async with stub_preprocess(plan) as target, OcrMuxClient(target, backoff=FAST) as client:
        assert (await client.recognize(LARGE)).text == digest(LARGE)
        assert plan.streams == 5
        plan.breaks_after[:] = [0] * 5
        with pytest.raises(OcrMuxError) as caught:
            await client.recognize(LARGE)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        assert plan.streams == 10


@pytest.mark.parametrize("content", [b"small", LARGE])
async def test_the_time_limit_holds_for_all_tries_together(content: bytes) -> None:
    """A server that never answers, and one that is never there, end in DEADLINE_EXCEEDED."""
    plan = StubPlan(unary_gate=asyncio.Event(), gated_after=0)
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        with pytest.raises(OcrMuxError) as caught:
            await client.recognize(content, timeout_s=0.3)
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    patient = Backoff(attempts=1_000)
    async with OcrMuxClient(f"127.0.0.1:{free_port()}", backoff=patient) as client:
        with pytest.raises(OcrMuxError, match=r"no answer within 0.5 s; the last try: UNAVAILABLE") as caught:
            await client.recognize(content, timeout_s=0.5)
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_cancel_is_a_cancel_within_the_limit() -> None:
    """Who cancels the task gets CancelledError, not a deadline."""
    plan = StubPlan(unary_gate=asyncio.Event())
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        reading = asyncio.create_task(client.recognize(b"x"))
        await eventually(lambda: plan.unary_calls)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_a_path_is_read_and_a_missing_one_is_told(tmp_path: Path) -> None:
    """recognize takes the path of a file, small or large."""
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(b"small")
    large.write_bytes(LARGE)
    plan = StubPlan(limits=StreamLimits(max_items_in_flight=2, max_message_bytes=2 << 20))
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        assert (await client.recognize(small)).text == digest(b"small")
        assert (await client.recognize(large)).text == digest(LARGE)
        with pytest.raises(OcrMuxError) as caught:
            await client.recognize(tmp_path / "gone.png")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "SOURCE_UNREADABLE")


async def test_the_blocking_client_waits_for_items_that_block() -> None:
    """An iterator that waits for the answer to its own item before is drawn on one thread of its own, to the end."""
    answered = threading.Semaphore(1)
    threads: set[str] = set()
    closed = threading.Event()

    def one_at_a_time() -> Iterator[Item]:
        try:
            for index in range(4):
                assert answered.acquire(timeout=20)
                threads.add(threading.current_thread().name)
                yield Item(f"item-{index}", b"%d" % index)
        finally:
            closed.set()

    def plainly(target: str) -> list[str]:
        texts = []
        with OcrMux(target, token="s3cret") as ocr:
            ocr.wait_until_reachable(20)
            for answer in ocr.stream_recognize(one_at_a_time(), None, StreamPolicy(concurrency=2)):
                texts.append(answer.document.pages[0].text)
                answered.release()
        return texts

    plan = StubPlan()
    async with stub_preprocess(plan) as target:
        texts = await asyncio.wait_for(asyncio.to_thread(plainly, target), 60)
    assert texts == [digest(b"%d" % index) for index in range(4)]
    assert threads == {"ocrmux-items"}
    assert await asyncio.to_thread(closed.wait, 20)
    assert plan.metadata[0]["authorization"] == "Bearer s3cret"


async def test_the_blocking_client_tells_the_iterators_own_error_and_closes_it_on_leaving() -> None:
    """What the iterator raises reaches the caller; who leaves early has it closed."""
    closed = threading.Event()

    def failing() -> Iterator[Item]:
        yield Item("a", b"a")
        raise LookupError("no row")

    def endless() -> Iterator[Item]:
        try:
            for index in range(1_000_000):
                yield Item(str(index), b"x")
        finally:
            closed.set()

    def plainly(target: str) -> None:
        with OcrMux(target) as ocr:
            with pytest.raises(LookupError, match="no row"):
                list(ocr.stream_recognize(failing()))
            for _ in ocr.stream_recognize(endless()):
                break

    async with stub_preprocess(StubPlan()) as target:
        await asyncio.wait_for(asyncio.to_thread(plainly, target), 60)
    assert await asyncio.to_thread(closed.wait, 20)


def test_a_blocking_client_that_cannot_be_made_leaves_no_thread() -> None:
    """A refused token ends the thread that was begun for it."""
    before = {thread.ident for thread in threading.enumerate()}
    with pytest.raises(ValueError, match="in the clear"):
        OcrMux("ocr.example:1", token="s3cret")
    assert {thread.ident for thread in threading.enumerate()} <= before
