"""StreamRecognize over real gRPC: exactly one answer an item, whatever the caller or the provider does."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from typing import Any

import grpc
import pytest

from ocr_gateway.errors import ProviderUnavailable
from ocr_gateway.model import Feature, Page, ProviderCall
from ocrmux.gateway.v1.gateway_pb2 import GatewayItem, GatewayItemBatch, GatewayStreamConfig
from tests.fakes.gateway_calls import answers_of, failure_of, iter_async
from tests.fakes.gateway_messages import (
    Request,
    announced,
    by_digest,
    chunk,
    config,
    image,
    item,
    outcome,
    reason_of,
)
from tests.fakes.providers import Gate, ScriptedProvider, at_once, page_saying
from tests.fakes.servers import running_gateway

CANCELLED_STREAM = (asyncio.CancelledError, grpc.RpcError)


async def test_every_item_is_answered_after_an_early_half_close() -> None:
    """A caller that half-closes at once gets one answer an item, then status OK."""
    async with running_gateway(ScriptedProvider(max_concurrency=3)) as gateway:
        answers = await answers_of(gateway, [config(), *(item(str(i), image(i)) for i in range(100))])
    assert Counter(answer.request_id for answer in answers) == Counter(str(i) for i in range(100))
    assert {outcome(answer) for answer in answers} == {"OK"}
    assert all(answer.last_page and answer.page == 1 for answer in answers)


async def test_answers_come_as_they_are_ready_or_in_order() -> None:
    """A slow first item is overtaken, unless the stream is ordered."""
    first = image(0, width=40)

    async def slow_first(call: ProviderCall) -> Page | None:
        if call.width == 40:
            await others_done.wait()
        elif len(provider.calls) == 10:
            others_done.set()
        return await at_once(call)

    for ordered in (False, True):
        others_done = asyncio.Event()
        provider = ScriptedProvider(slow_first)
        async with running_gateway(provider) as gateway:
            requests = [config(ordered=ordered), item("0", first), *(item(str(i), image(i)) for i in range(1, 10))]
            ids = [answer.request_id for answer in await answers_of(gateway, requests)]
        assert sorted(ids) == [str(i) for i in range(10)]
        assert (ids == [str(i) for i in range(10)]) is ordered
        assert (ids[0] == "0") is ordered


async def test_a_cancelled_stream_stops_its_work() -> None:
    """A caller that cancels ends the calls in progress, and those that wait never begin."""
    gate = Gate()
    provider = ScriptedProvider(gate, max_concurrency=2)
    async with running_gateway(provider) as gateway:
        call = gateway.stub.StreamRecognize(iter_async([config(), *(item(str(i), image(i)) for i in range(8))]))
        await call.read()
        await provider.until(lambda: provider.in_progress == 2)
        call.cancel()
        with pytest.raises(CANCELLED_STREAM):
            await call.read()
        async with asyncio.timeout(10):
            await gateway.drain.wait_idle()
        assert provider.in_progress == 0
        assert provider.cancelled == len(provider.calls) == 2
        gate.opened.set()
        assert [outcome(a) for a in await answers_of(gateway, [config(), item("x", image(99))])] == ["OK"]


async def test_a_slow_reader_holds_no_more_than_its_window_and_delays_nobody() -> None:
    """500 images whose answers nobody reads stop being worked on; another caller is served meanwhile."""

    async def verbose(call: ProviderCall) -> Page | None:
        return page_saying("x" * (1 if call.width == 24 else 300_000), call)

    provider = ScriptedProvider(verbose)
    window = 8
    async with running_gateway(provider, stream_max_items=window) as gateway:
        call = gateway.stub.StreamRecognize()

        async def send() -> None:
            await call.write(config())
            for i in range(500):
                await call.write(item(str(i), image(i, 256, 256)))

        async def others(numbers: range) -> int:
            for i in numbers:
                other = await answers_of(gateway, [config(), item("other", image(i))])
                assert [outcome(answer) for answer in other] == ["OK"]
            return sum(call.width == 256 for call in provider.calls)

        sender = asyncio.create_task(send())
        await provider.until(lambda: len(provider.calls) >= window)
        await others(range(1000, 1050))
        begun = await others(range(1050, 1100))
        still = await others(range(1100, 1200))
        assert not sender.done()
        # The window, and what lies in the transport's own buffers on its way to the caller.
        assert begun == still < window + 30
        sender.cancel()
        call.cancel()


async def test_a_duplicate_id_is_refused_and_the_first_one_answered() -> None:
    """The second item of an id gets DUPLICATE_REQUEST_ID, in flight and after; the first gets its result once."""
    async with running_gateway(ScriptedProvider()) as gateway:
        call = gateway.stub.StreamRecognize(timeout=30)
        await call.write(config())
        await call.read()
        await call.write(item("a", image(1)))
        assert outcome((await call.read()).answer) == "OK"
        await call.write(item("a", image(2)))
        late = (await call.read()).answer
        assert (late.request_id, outcome(late)) == ("a", "DUPLICATE_REQUEST_ID")
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


class _Odd(BaseException):
    """An exception that is not an Exception."""


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (ProviderUnavailable("scripted", "down"), "PROVIDER_UNAVAILABLE"),
        (ValueError("secret"), "INTERNAL"),
        (MemoryError(), "INTERNAL"),
        (StopAsyncIteration(), "INTERNAL"),
        (asyncio.CancelledError(), "INTERNAL"),
        (TimeoutError("its own"), "INTERNAL"),
        (SystemExit(3), "INTERNAL"),
        (KeyboardInterrupt(), "INTERNAL"),
        (GeneratorExit(), "INTERNAL"),
        (_Odd("odd"), "INTERNAL"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_whatever_a_provider_raises_is_the_items_answer(raised: BaseException, reason: str) -> None:
    """A provider that raises anything costs its item, opaquely when it is a bug, and the next item is served."""

    async def script(call: ProviderCall) -> Page | None:
        if call.width == 99:
            raise raised
        return await at_once(call)

    async with running_gateway(ScriptedProvider(script)) as gateway:
        requests = [config(ordered=True), item("bad", image(1, width=99)), item("good", image(2))]
        bad, good = await answers_of(gateway, requests)
    assert (outcome(bad), outcome(good)) == (reason, "OK")
    assert "secret" not in bad.error.message


async def test_bad_items_get_their_reasons_and_the_stream_goes_on() -> None:
    """Empty, damaged, foreign and id-less items, and those over a limit, each get the contract's reason."""
    async with running_gateway(ScriptedProvider(), max_pixels=10_000, max_item_bytes=5_000) as gateway:
        requests = [
            config(ordered=True),
            item("empty", b""),
            item("text", b"hello, I am no image"),
            item("pdf", b"%PDF-1.7 ..."),
            item("", image(1)),
            item("x" * 129, image(1)),
            item("wide", image(1, width=200, height=51)[:4_900]),
            item("bytes", b"\x00" * 5_001),
            Request(item=GatewayItem(request_id="nothing")),
            item("good", image(2)),
        ]
        answers = await answers_of(gateway, requests)
    assert [outcome(answer) for answer in answers] == [
        "IMAGE_EMPTY",
        "IMAGE_UNDECODABLE",
        "FORMAT_UNSUPPORTED",
        "REQUEST_ID_INVALID",
        "REQUEST_ID_INVALID",
        "IMAGE_TOO_LARGE_PIXELS",
        "IMAGE_TOO_LARGE_BYTES",
        "PAYLOAD_MISSING",
        "OK",
    ]


async def test_chunks_make_one_item() -> None:
    """An announced image is read when its last chunk came, as if it had come whole."""
    content = image(5, 120, 80)
    parts = [content[at : at + 700] for at in range(0, len(content), 700)]
    async with running_gateway(ScriptedProvider()) as gateway:
        answers = await answers_of(
            gateway,
            [config(), announced("a", len(content)), *(chunk("a", part) for part in parts), item("b", content)],
        )
    assert {answer.request_id: outcome(answer) for answer in answers} == {"a": "OK", "b": "OK"}
    assert {page.text for answer in answers for page in answer.document.pages} == {"120x80"}


async def test_chunks_that_do_not_add_up_cost_their_item() -> None:
    """Too many bytes, too large an announcement, or a half-close in the middle: a Status, and the rest is served."""
    async with running_gateway(ScriptedProvider(), max_item_bytes=5_000) as gateway:
        requests = [
            config(ordered=True),
            announced("over", 10),
            chunk("over", b"x" * 11),
            chunk("over", b"more"),
            announced("large", 5_001),
            chunk("large", b"x" * 5_001),
            item("good", image(1)),
            announced("short", 10),
            chunk("short", b"x" * 9),
        ]
        answers = await answers_of(gateway, requests)
    assert [(answer.request_id, outcome(answer)) for answer in answers] == [
        ("over", "CHUNKS_MISMATCHED"),
        ("large", "IMAGE_TOO_LARGE_BYTES"),
        ("good", "OK"),
        ("short", "CHUNKS_MISMATCHED"),
    ]


async def test_chunks_that_never_come_cost_their_item() -> None:
    """An announced item whose chunks stay away is answered when its time has ended."""
    async with running_gateway(ScriptedProvider()) as gateway:
        call = gateway.stub.StreamRecognize(timeout=30)
        await call.write(config(item_timeout={"nanos": 50_000_000}))
        await call.write(announced("a", 10))
        await call.read()
        assert outcome((await call.read()).answer) == "DEADLINE_UNREACHABLE"
        await call.write(chunk("a", b"late"))
        await call.write(item("b", image(1)))
        assert outcome((await call.read()).answer) == "OK"


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        ([item("a", b"x")], "CONFIG_MISSING"),
        ([], "CONFIG_MISSING"),
        ([config(), item("a", image(1)), config()], "CONFIG_REPEATED"),
        ([config(), item("a", image(1)), chunk("z", b"x")], "MESSAGE_UNEXPECTED"),
        ([config(), item("a", image(1)), Request()], "MESSAGE_UNEXPECTED"),
        ([config(), item("a", image(1)), announced("c", 9), item("d", image(2))], "MESSAGE_UNEXPECTED"),
    ],
)
async def test_a_breach_of_protocol_ends_the_stream_after_its_answers(requests: list[Any], reason: str) -> None:
    """A breach ends the stream with INVALID_ARGUMENT, and what was accepted before it is answered first."""
    async with running_gateway(ScriptedProvider()) as gateway:
        answers, status = await failure_of(gateway, requests)
    assert (status.code, reason_of(status)) == (grpc.StatusCode.INVALID_ARGUMENT.value[0], reason)
    accepted = [request.item.request_id for request in requests[1:] if request.item.request_id in ("a", "c")]
    assert sorted(answer.request_id for answer in answers) == accepted
    assert [outcome(answer) for answer in answers if answer.request_id == "a"] == ["OK"] * bool(answers)


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"provider": "nobody"}, grpc.StatusCode.NOT_FOUND, "PROVIDER_UNKNOWN"),
        ({"route": "nowhere"}, grpc.StatusCode.NOT_FOUND, "PROVIDER_UNKNOWN"),
        (
            {"provider": "scripted", "features": [2]},
            grpc.StatusCode.FAILED_PRECONDITION,
            "FEATURE_UNSUPPORTED_BY_PROVIDER",
        ),
        ({"features": [77]}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        ({"item_timeout": {"seconds": -1}}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        ({"item_timeout": {"seconds": -(2**62)}}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        ({"priority": 99}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        ({"features": [2]}, grpc.StatusCode.FAILED_PRECONDITION, "FEATURE_UNSUPPORTED_BY_PROVIDER"),
    ],
)
async def test_a_config_that_cannot_be_served_is_refused_at_once(
    fields: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    """A wrong config is refused before an item is accepted."""
    async with running_gateway(ScriptedProvider()) as gateway:
        answers, status = await failure_of(gateway, [config(**fields), item("a", image(1))])
    assert (answers, status.code, reason_of(status)) == ([], code.value[0], reason)


async def test_who_reads_a_feature_is_told_where_the_provider_asked_for_does_not() -> None:
    """A caller sees whom to ask instead."""
    plain = ScriptedProvider(name="plain")
    other = ScriptedProvider(name="tables", features=(Feature.TEXT, Feature.TABLE))
    async with running_gateway(plain, other) as gateway:
        _, status = await failure_of(gateway, [config(provider="plain", features=[2]), item("a", image(1))])
    assert status.message == "the provider 'plain' does not read the feature 'table'; known to read it: tables"


async def test_a_digest_is_answered_from_the_cache_or_asks_for_the_content() -> None:
    """CONTENT_REQUIRED frees the id; once the content was read its digest alone is enough."""
    content = image(3)
    digest = hashlib.sha256(content).digest()
    provider = ScriptedProvider()
    async with running_gateway(provider) as gateway:
        call = gateway.stub.StreamRecognize(timeout=30)
        await call.write(config())
        await call.read()
        seen = []
        for request in (by_digest("a", digest), item("a", content), by_digest("b", digest), by_digest("a", digest)):
            await call.write(request)
            answer = (await call.read()).answer
            seen.append((answer.request_id, outcome(answer)))
    assert seen == [("a", "CONTENT_REQUIRED"), ("a", "OK"), ("b", "OK"), ("a", "DUPLICATE_REQUEST_ID")]
    assert len(provider.calls) == 1


async def test_batches_mean_the_same_as_items_by_themselves() -> None:
    """Items of a batch are answered each for itself, a duplicate and a bad one too; answers may come together."""
    requests = [
        Request(config=GatewayStreamConfig(batched_answers=True)),
        Request(
            batch=GatewayItemBatch(
                items=[
                    *(item(str(i), image(i)).item for i in range(40)),
                    item("7", image(7)).item,
                    item("bad", b"no image").item,
                    by_digest("digest", b"d" * 32).item,
                ]
            )
        ),
        item("alone", image(99)),
    ]
    async with running_gateway(ScriptedProvider(), stream_max_items=16) as gateway:
        responses = [response async for response in gateway.stub.StreamRecognize(iter_async(requests), timeout=30)]
    answers = [answer for r in responses[1:] for answer in (r.batch.answers if r.HasField("batch") else [r.answer])]
    outcomes = Counter((answer.request_id, outcome(answer)) for answer in answers)
    expected = Counter({(str(i), "OK"): 1 for i in range(40)})
    expected[("7", "DUPLICATE_REQUEST_ID")] = expected[("bad", "IMAGE_UNDECODABLE")] = 1
    expected[("digest", "CONTENT_REQUIRED")] = expected[("alone", "OK")] = 1
    assert outcomes == expected
    assert len(responses) - 1 < len(answers)


async def test_a_draining_server_finishes_what_it_accepted() -> None:
    """When the server stops, accepted items are answered, new ones get DRAINING, and the stream ends by itself."""
    gate = Gate()
    provider = ScriptedProvider(gate)
    async with running_gateway(provider) as gateway:
        call = gateway.stub.StreamRecognize(timeout=30)
        await call.write(config())
        await call.read()
        for i in range(5):
            await call.write(item(str(i), image(i)))
        await provider.until(lambda: provider.in_progress == 5)
        stopping = asyncio.create_task(gateway.server.stop(20))
        async with asyncio.timeout(10):
            await gateway.drain.wait_begun()
        await call.write(item("new", image(77)))
        refused = (await call.read()).answer
        assert (refused.request_id, outcome(refused)) == ("new", "DRAINING")
        gate.opened.set()
        ids = [(await call.read()).answer for _ in range(5)]
        assert sorted(answer.request_id for answer in ids) == [str(i) for i in range(5)]
        assert {outcome(answer) for answer in ids} == {"OK"}
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await stopping
    assert provider.closed
