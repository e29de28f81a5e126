"""What a stream does when connections break, servers are full, time is over, or its items come to an end oddly."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from ocrmux.ocr.v1.recognition_pb2 import PageAnswer, StreamLimits
from ocrmux_client import Backoff, Item, OcrMuxClient, OcrMuxError, StreamPolicy
from tests.fakes.redis_server import eventually
from tests.fakes.stub_servers import StubPlan, item_error, stub_preprocess

FAST = Backoff(first_s=0.01, longest_s=0.02, attempts=3)


class Breaks:
    """Hears of breaks: failures in a row, the cause's code and reason."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, str, str]] = []

    def __call__(self, failures: int, wait_s: float, cause: OcrMuxError) -> None:
        self.heard.append((failures, cause.code.name, cause.reason))


def items(count: int) -> list[Item]:
    return [Item(f"item-{index}", b"%d" % index) for index in range(count)]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def told(answer: PageAnswer) -> str:
    if answer.WhichOneof("outcome") == "error":
        return OcrMuxError.from_status(answer.error).reason
    return answer.document.pages[0].text


async def read_all(plan: StubPlan, wanted: list[Item], policy: StreamPolicy) -> list[str]:
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        return [told(answer) async for answer in client.stream_recognize(wanted, None, policy)]


@pytest.mark.parametrize(
    ("ending", "heard"),
    [
        (status_pb2.Status(code=grpc.StatusCode.INTERNAL.value[0], message="RST_STREAM"), ("INTERNAL", "")),
        (status_pb2.Status(code=grpc.StatusCode.CANCELLED.value[0], message="stopping"), ("CANCELLED", "")),
        (status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="gone"), ("UNAVAILABLE", "")),
        (item_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY"), ("RESOURCE_EXHAUSTED", "SERVER_BUSY")),
        (item_error(grpc.StatusCode.UNAVAILABLE, "DRAINING"), ("UNAVAILABLE", "DRAINING")),
        (None, ("UNAVAILABLE", "CONNECTION_LOST")),
    ],
)
async def test_a_lost_connection_is_followed_by_another(
    ending: status_pb2.Status | None, heard: tuple[str, str]
) -> None:
    """Whatever a connection is lost with, also OK with items unanswered, the rest is read on the next one."""
    breaks = Breaks()
    plan = StubPlan(breaks_after=[2], breaks_with=ending)
    answers = await read_all(plan, items(6), StreamPolicy(backoff=FAST, on_reconnect=breaks))
    assert answers == [digest(b"%d" % index) for index in range(6)]
    assert plan.streams == 2
    assert breaks.heard[0][0] == 1
    assert breaks.heard[0][1:] in {heard, ("UNAVAILABLE", "CONNECTION_LOST")}  # a write may have met the end first


@pytest.mark.parametrize(
    "ending",
    [
        item_error(grpc.StatusCode.INTERNAL, "INTERNAL"),
        item_error(grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED"),
        item_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_QUOTA"),
    ],
)
async def test_any_other_ending_is_the_streams_error_after_the_answers_before_it(ending: status_pb2.Status) -> None:
    """What is no lost connection is raised at once, with its reason."""
    plan = StubPlan(breaks_after=[2], breaks_with=ending)
    policy = StreamPolicy(backoff=FAST, concurrency=3)
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        answers = client.stream_recognize(items(3), None, policy)
        given = [told(await anext(answers)) for _ in range(2)]
        with pytest.raises(OcrMuxError) as caught:
            await anext(answers)
    assert given == [digest(b"0"), digest(b"1")]
    assert caught.value.code.value[0] == ending.code
    assert caught.value.reason
    assert plan.streams == 1


async def test_internal_without_a_reason_is_borne_no_longer_than_the_backoff() -> None:
    """A server that always ends streams so is given up, with its own words."""
    plan = StubPlan(refuses_stream=status_pb2.Status(code=grpc.StatusCode.INTERNAL.value[0], message="broken"))
    breaks = Breaks()
    with pytest.raises(OcrMuxError) as caught:
        await read_all(plan, items(1), StreamPolicy(backoff=FAST, on_reconnect=breaks))
    assert caught.value.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}
    assert [failures for failures, _, _ in breaks.heard] == [1, 2, 3]
    assert plan.streams == 4


async def test_an_answer_ends_the_row_of_failures() -> None:
    """More breaks than the backoff bears do no harm while answers come in between."""
    breaks = Breaks()
    plan = StubPlan(breaks_after=[1] * 6)
    policy = StreamPolicy(backoff=FAST, concurrency=1, on_reconnect=breaks)
    assert len(await read_all(plan, items(7), policy)) == 7
    assert {failures for failures, _, _ in breaks.heard} == {1}


async def test_a_server_that_hangs_up_before_it_takes_an_item_is_given_up() -> None:
    """OK right after the limits, again and again, is no reason to go on for ever."""
    plan = StubPlan(breaks_after=[0] * 50, breaks_with=None)
    policy = StreamPolicy(backoff=FAST, sends_per_item=50)
    with pytest.raises(OcrMuxError) as caught:
        await read_all(plan, items(1), policy)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "CONNECTION_LOST")
    assert plan.streams == 4


@pytest.mark.parametrize(("breaks", "expected"), [([1, 0, 0], digest(b"0")), ([1, 0, 0, 0], "CONNECTION_LOST")])
async def test_an_item_is_blamed_once_for_each_lost_connection(breaks: list[int], expected: str) -> None:
    """Asked for by digest and then sent is one stay with the server: four connections are lost before it is blamed."""
    plan = StubPlan(breaks_after=breaks)
    policy = StreamPolicy(backoff=Backoff(first_s=0.01, longest_s=0.02), digest_first=True, concurrency=1)
    assert await read_all(plan, items(2), policy) == [expected, digest(b"1")]


async def test_an_item_that_is_moved_too_often_has_its_answer() -> None:
    """After ``sends_per_item`` moves DRAINING is the item's answer, and the others are read."""
    plan = StubPlan(moves={"item-1": 100})
    policy = StreamPolicy(backoff=Backoff(first_s=0.01, longest_s=0.02), sends_per_item=2)
    assert await read_all(plan, items(3), policy) == [digest(b"0"), "DRAINING", digest(b"2")]
    assert plan.moves["item-1"] == 97


async def test_the_server_names_the_least_wait() -> None:
    """RetryInfo holds the next try back, up to the longest wait."""
    status = item_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(5000)
    status.details.add().Pack(retry)
    waits: list[float] = []
    plan = StubPlan(breaks_after=[0], breaks_with=status)  # after all was written: no write meets the end
    policy = StreamPolicy(
        backoff=Backoff(first_s=0.01, longest_s=0.3), on_reconnect=lambda failures, wait_s, cause: waits.append(wait_s)
    )
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        stream = client.stream_recognize(items(1), None, policy)
        assert len([answer async for answer in stream]) == 1
    assert waits == [0.3]


async def test_a_streams_time_is_over_with_deadline_exceeded() -> None:
    """The limit holds for the whole stream; what came before it is given, and the work on the server stops."""
    plan = StubPlan(gated_after=2)
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        answers = client.stream_recognize(items(5), None, StreamPolicy(timeout_s=0.5))
        given = [told(await anext(answers)) for _ in range(2)]
        with pytest.raises(OcrMuxError, match=r"not read to its end within 0.5 s") as caught:
            await anext(answers)
        await asyncio.wait_for(plan.was_cancelled.wait(), 20)
    assert given == [digest(b"0"), digest(b"1")]
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "")
    with pytest.raises(ValueError, match="above 0"):
        StreamPolicy(timeout_s=0)


async def test_the_callers_own_timeout_is_not_taken_for_the_streams() -> None:
    """A TimeoutError of the items' iterator is raised as it is."""

    async def late() -> AsyncIterator[Item]:
        yield Item("a", b"a")
        raise TimeoutError("the database")

    async with stub_preprocess(StubPlan()) as target, OcrMuxClient(target) as client:
        with pytest.raises(TimeoutError, match="the database"):
            async for _ in client.stream_recognize(late(), None, StreamPolicy(timeout_s=60)):
                pass


async def test_an_item_is_drawn_only_when_there_is_room_for_it() -> None:
    """While the window is full nothing is taken from the source, not even one item ahead."""
    plan = StubPlan(gated_after=2)
    drawn = 0

    def counted() -> Iterator[Item]:
        nonlocal drawn
        for item in items(20):
            drawn += 1
            yield item

    async with (
        stub_preprocess(plan) as target,
        OcrMuxClient(target) as client,
        aclosing(client.stream_recognize(counted(), None, StreamPolicy(concurrency=3))) as answers,
    ):
        for _ in range(2):
            await anext(answers)
        await eventually(lambda: len(plan.received) == 5)  # two answered, three on their way
        for _ in range(200):
            await asyncio.sleep(0)
        assert drawn == 5
        plan.gate.set()
        assert len([answer async for answer in answers]) == 18
    assert drawn == 20


async def test_contents_that_are_asked_for_go_in_the_order_of_the_items() -> None:
    """Several unknown digests at once: their contents follow in order, before items that are new."""
    plan = StubPlan(limits=StreamLimits(max_items_in_flight=4, max_message_bytes=2 << 20))
    policy = StreamPolicy(digest_first=True, concurrency=4)
    answers = await read_all(plan, items(9), policy)
    assert answers == [digest(b"%d" % index) for index in range(9)]
    sent = [item.request_id for item in plan.items]
    assert sent == sorted(sent)


async def test_an_error_has_the_whole_status() -> None:
    """Code, reason and all details, for a call and for an item alike; a reason of another domain is none of ours."""
    status = item_error(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="config.languages[0]", description="no language")
    status.details.add().Pack(bad)
    plan = StubPlan(
        refuses_stream=status,
        pages_of=lambda name, content: [PageAnswer(request_id=name, last_page=True, error=status)],
    )
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        for call in (client.recognize(b"x"), anext(client.stream_recognize(items(1)))):
            with pytest.raises(OcrMuxError) as caught:
                await call
            assert caught.value.details == status
            assert caught.value.reason == "FIELD_INVALID"
    foreign = status_pb2.Status(code=grpc.StatusCode.INTERNAL.value[0], message="a proxy's")
    foreign.details.add().Pack(error_details_pb2.ErrorInfo(reason="SOMETHING", domain="proxy.example"))
    assert OcrMuxError.from_status(foreign).reason == ""
    made = OcrMuxError(grpc.StatusCode.UNAVAILABLE, "", "gone")
    assert (made.details.code, made.details.message) == (14, "gone")
