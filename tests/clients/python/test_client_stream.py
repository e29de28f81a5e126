"""The asynchronous client against a strict stub over loopback."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from ocrmux.ocr.v1.recognition_pb2 import PageAnswer, StreamLimits
from ocrmux_client import Item, OcrMux, OcrMuxClient, OcrMuxError, ReadingConfig, Region
from ocrmux_client.backoff import Backoff
from ocrmux_client.stream_policy import StreamPolicy
from tests.fakes.stub_servers import StubPlan, item_error, stub_gateway, stub_preprocess

FAST = Backoff(first_s=0.01, longest_s=0.02, attempts=3)


def items(contents: list[bytes | Path]) -> list[Item]:
    return [Item(f"item-{index}", content) for index, content in enumerate(contents)]


async def read_all(
    plan: StubPlan, wanted: list[Item], policy: StreamPolicy | None = None
) -> list[tuple[str, int, str, bool]]:
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        policy = replace(policy or StreamPolicy(), backoff=FAST)
        return [told(answer) async for answer in client.stream_recognize(wanted, ReadingConfig(), policy)]


def told(answer: PageAnswer) -> tuple[str, int, str, bool]:
    if answer.WhichOneof("outcome") == "error":
        return answer.request_id, answer.page, OcrMuxError.from_status(answer.error).reason, answer.last_page
    return answer.request_id, answer.page, answer.document.pages[0].text, answer.last_page


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


async def test_every_page_of_every_item_is_answered_in_the_order_of_the_items() -> None:
    """Answers that come backwards are given out in the order of the items, pages together."""
    plan = StubPlan(backwards=True)
    answers = await read_all(plan, items([b"pages=2", b"one", b"error=IMAGE_EMPTY"]))
    assert [(name, page, last) for name, page, _, last in answers] == [
        ("item-0", 1, False),
        ("item-0", 2, True),
        ("item-1", 1, True),
        ("item-2", 0, True),
    ]
    assert answers[3][2] == "IMAGE_EMPTY"


async def test_unordered_answers_are_given_as_they_come() -> None:
    """Without order an answer never waits for an earlier item's."""
    answers = await read_all(StubPlan(backwards=True), items([b"a", b"b", b"c"]), StreamPolicy(ordered=False))
    assert [answer[0] for answer in answers] == ["item-2", "item-1", "item-0"]


async def test_a_large_file_goes_in_chunks_and_arrives_whole(tmp_path: Path) -> None:
    """A file above 1 MiB, or above the announced message limit, is chunked within that limit."""
    large, medium = bytes(range(256)) * 14_000, b"m" * 300_000
    path = tmp_path / "large.bin"
    path.write_bytes(large)
    plan = StubPlan(limits=StreamLimits(max_items_in_flight=4, max_message_bytes=200_000))
    answers = await read_all(plan, items([path, medium, b"small"]))
    assert [answer[2] for answer in answers] == [digest(large), digest(medium), digest(b"small")]
    assert plan.chunked == ["item-0", "item-1"]
    assert plan.largest_message_bytes <= 200_000


@pytest.mark.parametrize(("concurrency", "server_max", "expected"), [(3, 16, 3), (8, 2, 2)])
async def test_the_window_is_the_smaller_of_both_limits(concurrency: int, server_max: int, expected: int) -> None:
    """Never more items are on their way than the caller or the server allows."""
    plan = StubPlan(limits=StreamLimits(max_items_in_flight=server_max, max_message_bytes=2 << 20), gated_after=0)
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        policy = StreamPolicy(concurrency=concurrency)
        answers = client.stream_recognize(items([b"x"] * 20), None, policy)
        first = asyncio.ensure_future(anext(answers))
        while plan.most_in_flight < expected:
            await asyncio.wait({first}, timeout=0.01)
        plan.gate.set()
        await first
        assert len([answer async for answer in answers]) == 19
    assert plan.most_in_flight <= expected


async def test_bytes_on_their_way_stay_within_the_servers_limit() -> None:
    """Items wait while the announced bytes are taken; one larger than all of it goes alone."""
    limits = StreamLimits(max_items_in_flight=16, max_bytes_in_flight=1000, max_message_bytes=2 << 20)
    plan = StubPlan(limits=limits)
    answers = await read_all(plan, items([b"a" * 600, b"b" * 600, b"c" * 5000, b"d"]))
    assert len(answers) == 4
    assert plan.most_in_flight == 1


async def test_an_oversized_or_unreadable_file_is_answered_here_and_the_rest_is_read(tmp_path: Path) -> None:
    """A missing path and a file over the announced limit are item errors that never reach the server."""
    limits = StreamLimits(max_items_in_flight=4, max_item_bytes=10, max_message_bytes=2 << 20)
    plan = StubPlan(limits=limits)
    wanted: list[bytes | Path] = [tmp_path / "gone.png", b"x" * 11, b"fine"]
    answers = await read_all(plan, items(wanted))
    assert [answer[2] for answer in answers] == [
        "SOURCE_UNREADABLE",
        "IMAGE_TOO_LARGE_BYTES",
        digest(b"fine"),
    ]
    assert plan.received == ["item-2"]


async def test_items_without_an_answer_are_sent_again_after_a_break() -> None:
    """After a lost stream each page of each item is still given exactly once, in order."""
    plan = StubPlan(breaks_after=[3, 4])
    contents = [b"pages=5", b"a", b"pages=2", b"b", b"c"]
    answers = await read_all(plan, items(list(contents)))
    assert [(name, page) for name, page, _, _ in answers] == [
        *(("item-0", page) for page in range(1, 6)),
        ("item-1", 1),
        ("item-2", 1),
        ("item-2", 2),
        ("item-3", 1),
        ("item-4", 1),
    ]
    assert plan.streams == 3


async def test_an_item_that_the_server_is_too_busy_for_is_sent_again_elsewhere() -> None:
    """DRAINING as an item's answer moves the item to a new stream."""
    plan = StubPlan(moves={"item-1": 2})
    answers = await read_all(plan, items([b"a", b"b", b"c"]))
    assert [answer[2] for answer in answers] == [digest(b"a"), digest(b"b"), digest(b"c")]
    assert plan.streams == 3


async def test_an_item_that_always_breaks_the_connection_fails_alone() -> None:
    """A poisonous item is given up after its sends, and the others are read."""
    plan = StubPlan(breaks_after=[0, 0])
    policy = StreamPolicy(sends_per_item=2, concurrency=1)
    answers = await read_all(plan, items([b"poison", b"fine"]), policy)
    assert [answer[2] for answer in answers] == ["CONNECTION_LOST", digest(b"fine")]


async def test_a_server_that_stays_away_is_given_up_after_the_backoff() -> None:
    """Without a server the stream ends with UNAVAILABLE after the allowed tries, each told."""
    breaks: list[int] = []
    policy = StreamPolicy(backoff=FAST, on_reconnect=lambda failures, wait_s, cause: breaks.append(failures))
    async with OcrMuxClient("127.0.0.1:1") as client:
        with pytest.raises(OcrMuxError) as caught:
            await anext(client.stream_recognize(items([b"a"]), None, policy))
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert breaks == [1, 2, 3]


async def test_a_refused_stream_is_not_tried_again() -> None:
    """A breach of protocol, as the server sees it, is raised with its reason at once."""
    plan = StubPlan(refuses_stream=item_error(grpc.StatusCode.INVALID_ARGUMENT, "PROFILE_UNKNOWN"))
    with pytest.raises(OcrMuxError) as caught:
        await read_all(plan, items([b"a"]))
    assert caught.value.reason == "PROFILE_UNKNOWN"
    assert plan.streams == 1


async def test_a_silent_server_counts_as_lost() -> None:
    """A connection without a word is given up after the silence bound and tried again."""
    plan = StubPlan(gated_after=0)
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        policy = StreamPolicy(silence_s=0.1, backoff=FAST, sends_per_item=2)
        answers = [told(answer) async for answer in client.stream_recognize(items([b"a"]), None, policy)]
    assert [answer[2] for answer in answers] == ["CONNECTION_LOST"]


async def test_leaving_early_cancels_the_stream_on_the_server() -> None:
    """Closing the generator stops the work on the server and closes the caller's items."""
    plan = StubPlan(gated_after=1)
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[Item]:
        try:
            for index in range(1_000_000):
                yield Item(str(index), b"x")
        finally:
            closed.set()

    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        async with aclosing(client.stream_recognize(endless())) as answers:
            await anext(answers)
        await asyncio.wait_for(plan.was_cancelled.wait(), 20)
        assert closed.is_set()
    assert len(plan.received) < 50


async def test_a_digest_is_asked_for_first_and_the_content_follows_only_when_wanted() -> None:
    """With digest_first only unknown content is sent, and the order of answers is kept."""
    plan = StubPlan(knows_digests={hashlib.sha256(b"old").digest()})
    answers = await read_all(plan, items([b"new", b"old", b"newer"]), StreamPolicy(digest_first=True))
    assert [answer[2] for answer in answers] == [digest(b"new"), digest(b"known"), digest(b"newer")]
    assert [item.image.content for item in plan.items] == [b"new", b"newer"]


async def test_digests_that_are_ready_together_go_up_in_one_message(tmp_path: Path) -> None:
    """With digest_first several digests share a message; a missing file among them is answered here."""
    old, new = [b"old %d" % index for index in range(12)], [b"new 1", b"new 2"]
    plan = StubPlan(knows_digests={hashlib.sha256(content).digest() for content in old})
    wanted: list[bytes | Path] = [*old, tmp_path / "gone.png", *new]
    answers = await read_all(plan, items(wanted), StreamPolicy(digest_first=True))
    texts = [digest(b"known")] * len(old) + ["SOURCE_UNREADABLE"] + [digest(content) for content in new]
    assert [answer[2] for answer in answers] == texts
    assert max(plan.items_together) > 1
    assert sum(plan.items_together) <= len(old) + len(new)
    assert plan.most_in_flight <= StreamPolicy().concurrency


async def test_digests_that_are_too_long_for_one_message_go_up_singly() -> None:
    """The server's limit on messages holds for several items together."""
    limits = StreamLimits(max_items_in_flight=8, max_message_bytes=2500)
    plan = StubPlan(limits=limits, knows_digests={hashlib.sha256(b"x").digest()})
    regions = tuple(Region(1, 1, 10 + index, 20) for index in range(60))
    wanted = [Item(f"item-{index}", b"x", regions) for index in range(6)]
    answers = await read_all(plan, wanted, StreamPolicy(digest_first=True))
    assert [answer[2] for answer in answers] == [digest(b"known")] * 6
    assert plan.items_together == []
    assert plan.largest_message_bytes <= 2500


async def test_answers_that_come_together_are_given_one_by_one() -> None:
    """Batched answers are asked for, and each page of each item is given once, in order."""
    plan = StubPlan(answers_together=8, backwards=True)
    answers = await read_all(plan, items([b"pages=3", b"one", b"error=IMAGE_EMPTY", b"two"]))
    assert [(name, page, last) for name, page, _, last in answers] == [
        ("item-0", 1, False),
        ("item-0", 2, False),
        ("item-0", 3, True),
        ("item-1", 1, True),
        ("item-2", 0, True),
        ("item-3", 1, True),
    ]
    assert plan.configs[0].batched_answers
    assert max(plan.batch_sizes) > 1


async def test_a_batch_that_is_lost_with_its_connection_is_asked_for_again() -> None:
    """Batches and a break in between still give each page once."""
    plan = StubPlan(answers_together=3, breaks_after=[4])
    answers = await read_all(plan, items([b"a", b"pages=4", b"b", b"c"]))
    assert [(name, page) for name, page, _, _ in answers] == [
        ("item-0", 1),
        *(("item-1", page) for page in range(1, 5)),
        ("item-2", 1),
        ("item-3", 1),
    ]


async def test_two_items_with_one_id_are_refused() -> None:
    """One id for two items on their way is the caller's mistake."""
    with pytest.raises(ValueError, match="used by two items"):
        await read_all(StubPlan(gated_after=0), [Item("same", b"a"), Item("same", b"b")])


async def test_the_configuration_and_regions_reach_the_server() -> None:
    """What the caller wants stands in the first message and at the item."""
    plan = StubPlan()
    config = ReadingConfig(provider="stub", languages=("de", "fr"), item_timeout_s=1.5, profile="none")
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        wanted = [Item("one", b"x", (Region(1, 2, 3, 4),), password="open")]
        assert len([answer async for answer in client.stream_recognize(wanted, config)]) == 1
    told_config = plan.configs[0]
    assert told_config.recognition.provider == "stub"
    assert list(told_config.recognition.languages) == ["de", "fr"]
    assert told_config.recognition.item_timeout.ToMilliseconds() == 1500
    assert told_config.normalization.profile == "none"
    assert (plan.items[0].regions[0].width, plan.items[0].password) == (3, "open")


async def test_recognize_gives_the_pages_and_raises_for_the_item() -> None:
    """One image is read by one call; above 3 MiB it goes in chunks with the same result."""
    async with stub_preprocess(StubPlan()) as target, OcrMuxClient(target) as client:
        reading = await client.recognize(b"pages=2")
        assert reading.text == "\f".join([digest(b"pages=2")] * 2)
        assert (await client.recognize(b"z" * (4 << 20))).text == digest(b"z" * (4 << 20))
        with pytest.raises(OcrMuxError) as caught:
            await client.recognize(b"error=IMAGE_EMPTY")
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_EMPTY")
        assert (await client.normalize(b"n")).content == b"n"


async def test_a_file_above_the_servers_message_limit_goes_in_chunks() -> None:
    """A unary call that gRPC refuses for its size is made again as a stream, whatever the server's limit is."""
    plan = StubPlan(limits=StreamLimits(max_items_in_flight=4, max_message_bytes=100_000))
    content = b"y" * 300_000
    async with stub_preprocess(plan, max_message_bytes=100_000) as target, OcrMuxClient(target) as client:
        assert (await client.recognize(b"small")).text == digest(b"small")
        assert plan.streams == 0
        assert (await client.recognize(content)).text == digest(content)
    assert plan.chunked == ["whole"]


async def test_a_slow_reader_holds_the_server_up() -> None:
    """While the caller takes nothing, only a bounded number of items is sent."""
    plan = StubPlan()
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        answers = client.stream_recognize(items([b"x"] * 500), None, StreamPolicy(concurrency=2))
        await anext(answers)
        for _ in range(2000):
            await asyncio.sleep(0)
        assert len(plan.received) < 40
        assert len([answer async for answer in answers]) == 499


async def test_providers_are_listed() -> None:
    """ListProviders is asked of the gateway."""
    async with stub_gateway() as target, OcrMuxClient(target) as client:
        assert [provider.name for provider in (await client.list_providers()).providers] == ["stub", "bare"]


async def test_the_blocking_client_reads_without_an_event_loop(tmp_path: Path) -> None:
    """OcrMux does what OcrMuxClient does, from plain code, and closes cleanly after an early leave."""
    path = tmp_path / "page.bin"
    path.write_bytes(b"from a file")

    def plainly(target: str) -> list[str]:
        with OcrMux(target) as ocr:
            texts = [ocr.recognize(b"x").text, ocr.recognize(path).text]
            for answer in ocr.stream_recognize(items([b"a", b"b", b"c"])):
                texts.append(answer.document.pages[0].text)
                if len(texts) == 4:
                    break
            with pytest.raises(OcrMuxError, match="SOURCE_UNREADABLE"):
                ocr.recognize(tmp_path / "gone")
            ocr.close()
            return texts

    async with stub_preprocess(StubPlan()) as target:
        texts = await asyncio.to_thread(plainly, target)
    assert texts == [digest(b"x"), digest(b"from a file"), digest(b"a"), digest(b"b")]
