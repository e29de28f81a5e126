"""What the gateway bounds: ids, texts, lists, batches, times, and streams that say nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from ocr_gateway.errors import ProviderUnavailable
from ocr_gateway.model import Page, ProviderCall
from ocrmux.gateway.v1.gateway_pb2 import GatewayItemBatch, GatewayStreamConfig
from tests.fakes.gateway_calls import answers_of, failure_of, iter_async, refusal
from tests.fakes.gateway_messages import Request, announced, by_digest, chunk, config, image, item, outcome, reason_of
from tests.fakes.providers import Gate, ScriptedProvider, page_saying
from tests.fakes.servers import running_gateway


async def test_an_announcement_of_nothing_is_an_empty_image() -> None:
    """0 announced bytes are an item that has come: it gets its Status, and the stream goes on."""
    async with running_gateway(ScriptedProvider()) as gateway:
        answers = await answers_of(gateway, [config(ordered=True), announced("none", 0), item("good", image(1))])
    assert [(answer.request_id, outcome(answer)) for answer in answers] == [("none", "IMAGE_EMPTY"), ("good", "OK")]


async def test_what_callers_write_is_cut_in_answers() -> None:
    """A huge id and a long provider name come back short, so that no answer is larger than its reader takes."""
    huge = "x" * 5_000_000
    async with running_gateway(ScriptedProvider()) as gateway:
        bad, good = await answers_of(gateway, [config(ordered=True), item(huge, image(1)), item("good", image(2))])
        _, status = await failure_of(gateway, [config(provider="y" * 1000)])
    assert (bad.request_id, outcome(bad), outcome(good)) == (huge[:128], "REQUEST_ID_INVALID", "OK")
    assert reason_of(status) == "PROVIDER_UNKNOWN"
    assert len(status.message) <= 300


@pytest.mark.parametrize(
    "fields",
    [
        {"languages": ["en"] * 65},
        {"languages": ["e" * 1025]},
        {"provider_options": {str(i): "" for i in range(65)}},
        {"provider": "p" * 1025},
        {"features": [1] * 4},
    ],
    ids=["languages", "language", "options", "provider", "features"],
)
async def test_a_config_of_more_than_a_sane_number_of_things_is_refused(fields: dict[str, Any]) -> None:
    """Bounds on lists and texts are checked before anything in them is looked at."""
    async with running_gateway(ScriptedProvider()) as gateway:
        _, status = await failure_of(gateway, [config(**fields)])
    assert reason_of(status) == "FIELD_INVALID"


async def test_items_of_more_than_a_sane_number_of_things_are_refused() -> None:
    """Regions, texts and digests over their bounds cost their item; a batch over its bound ends the stream."""
    regions = [{"x": 0, "y": 0, "width": 1, "height": 1}] * 257
    requests = [
        config(ordered=True),
        item("regions", image(1), regions=regions),
        item("preprocessing", image(1), preprocessing="p" * 1025),
        by_digest("short", b"d" * 31),
        item("good", image(2)),
    ]
    async with running_gateway(ScriptedProvider()) as gateway:
        answers = await answers_of(gateway, requests)
        batch = GatewayItemBatch(items=[item(str(i), b"x").item for i in range(1025)])
        _, status = await failure_of(gateway, [config(), Request(batch=batch)])
    assert [outcome(answer) for answer in answers] == ["FIELD_INVALID"] * 3 + ["OK"]
    assert reason_of(status) == "MESSAGE_UNEXPECTED"


async def test_a_stream_without_a_config_does_not_hold_up_the_end() -> None:
    """A caller that never says what it wants is sent away when the server drains."""
    async with running_gateway(ScriptedProvider()) as gateway:
        call = gateway.stub.StreamRecognize()
        reading = asyncio.ensure_future(call.read())
        async with asyncio.timeout(10):
            while gateway.drain.active_calls == 0:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0)
        assert await gateway.server.stop(20)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await reading
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_error_says_what_had_been_tried() -> None:
    """The answer of a failed item carries provider, attempts and fallbacks."""

    async def down(call: ProviderCall) -> Page | None:
        raise ProviderUnavailable("second", "down")

    first, second = ScriptedProvider(down, name="first"), ScriptedProvider(down, name="second")
    once = {"max_attempts": 1}
    async with running_gateway(first, second, default_route=("first", "second"), retry=once) as gateway:
        (answer,) = await answers_of(gateway, [config(), item("a", image(1))])
    assert outcome(answer) == "PROVIDER_UNAVAILABLE"
    assert (answer.provenance.provider, answer.provenance.attempts) == ("second", 2)
    assert [fallback.provider for fallback in answer.provenance.fallbacks] == ["first"]
    assert answer.provenance.timings.total_ms > 0


async def test_a_batch_of_answers_is_never_larger_than_a_caller_takes() -> None:
    """Answers of 1.5 MB each come one by one to a caller that allows batches and has the default limit of 4 MiB."""

    async def verbose(call: ProviderCall) -> Page | None:
        return page_saying("x" * 500_000, call)  # said three times: by the page, its line and its word

    requests = [Request(config=GatewayStreamConfig(batched_answers=True)), *(item(str(i), image(i)) for i in range(6))]
    async with running_gateway(ScriptedProvider(verbose)) as gateway:
        responses = [response async for response in gateway.stub.StreamRecognize(iter_async(requests), timeout=30)]
    answers = [answer for r in responses[1:] for answer in (r.batch.answers if r.HasField("batch") else [r.answer])]
    assert sorted(answer.request_id for answer in answers) == [str(i) for i in range(6)]


async def test_a_caller_can_ask_for_no_more_time_than_the_server_gives() -> None:
    """A day is cut to the server's maximum."""
    provider = ScriptedProvider(Gate())
    async with running_gateway(provider, max_item_timeout_s=0.1) as gateway:
        assert (await refusal(gateway, image(1), item_timeout={"seconds": 86_400}))[1] == "PROVIDER_TIMEOUT"
    assert provider.cancelled == 1


async def test_an_upload_that_trickles_is_given_up_in_its_time() -> None:
    """Chunks that keep coming do not keep the item's room for longer than the item's time."""
    async with running_gateway(ScriptedProvider()) as gateway:
        call = gateway.stub.StreamRecognize(timeout=30)
        await call.write(config(item_timeout={"nanos": 300_000_000}))
        await call.read()
        await call.write(announced("slow", 1_000_000))

        async def trickle() -> None:
            while True:
                await call.write(chunk("slow", b"x"))
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        answer = (await call.read()).answer
        trickling.cancel()
        call.cancel()
    assert (answer.request_id, outcome(answer)) == ("slow", "DEADLINE_UNREACHABLE")
