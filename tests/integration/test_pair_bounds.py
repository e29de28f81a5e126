"""Both services at their bounds: time, look-ahead, silence behind them, callers that leave, odd regions and sizes."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import grpc
import pytest
from PIL import Image

from ocr_gateway.model import ImageLimits, Page, ProviderCall
from ocrmux.ocr.v1 import image_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from preprocess_service import page_relay
from preprocess_service.known_pages import without_content
from tests.fakes.gateway_messages import image, outcome, reason_of, status_of
from tests.fakes.images import InkBox, page_with_ink, tiff_pages
from tests.fakes.preprocess_calls import answers_of, unary
from tests.fakes.preprocess_messages import config, source
from tests.fakes.providers import Gate, ScriptedProvider, at_once
from tests.fakes.servers import running_pair


async def test_normalize_by_digest_asks_for_the_content() -> None:
    """A page cannot be made of a digest; a digest of no known kind is refused."""
    async with running_pair(ScriptedProvider()) as pair:
        for algorithm, reason in (
            (image_pb2.DIGEST_ALGORITHM_SHA256, "CONTENT_REQUIRED"),
            (image_pb2.DIGEST_ALGORITHM_UNSPECIFIED, "FIELD_INVALID"),
        ):
            digest = image_pb2.ContentDigest(algorithm=algorithm, value=b"d" * 32)
            item = preprocess_pb2.SourceItem(image=image_pb2.ImagePayload(digest=digest))
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await pair.stub.Normalize(preprocess_pb2.NormalizeRequest(item=item), timeout=30)
            assert reason_of(status_of(failed.value)) == reason


async def test_a_thin_region_of_a_scaled_page_is_still_a_region() -> None:
    """A region of one source pixel is at least one pixel of the page that was scaled down."""
    out = io.BytesIO()
    page_with_ink(400, 200, InkBox(0, 60, 400, 1)).save(out, "PNG")
    region = {"x": 0, "y": 60.2, "width": 400, "height": 1}
    async with running_pair(ScriptedProvider(), page_max_side_px=200) as pair:
        (answer,) = await answers_of(pair, [config(), source("a", out.getvalue(), regions=[region])])
    assert outcome(answer) == "OK"


async def test_time_that_ends_before_the_gateway_takes_a_page() -> None:
    """Of pages that fill the gateway's window and those behind them, only the first were ever asked."""
    provider = ScriptedProvider(Gate())
    async with running_pair(provider, gateway={"stream_max_items": 2}, pages_ahead=8) as pair:
        await pair.stub.Normalize(
            preprocess_pb2.NormalizeRequest(item=unary(image(1)).item), timeout=60
        )  # warm workers
        pages = tiff_pages(*(page_with_ink(60 + i, 40) for i in range(5)))
        requests = iter([config(item_timeout={"nanos": 400_000_000}), source("a", pages)])
        call = pair.stub.StreamRecognize(requests, timeout=30)
        answers = [response.answer async for response in call if response.HasField("answer")]
    reasons = [outcome(answer) for answer in answers]
    assert reasons[:2] == ["PROVIDER_TIMEOUT"] * 2
    assert set(reasons[2:]) <= {"DEADLINE_UNREACHABLE", "PROVIDER_TIMEOUT"}
    assert reasons.count("PROVIDER_TIMEOUT") == len(provider.calls)


async def test_pages_ahead_of_the_answers_are_bounded() -> None:
    """Of a long document no more pages are read at one time than the bound, whoever else comes and goes."""
    gate = Gate()
    provider = ScriptedProvider(gate)
    async with running_pair(provider, pages_ahead=3) as pair:
        pages = tiff_pages(*(page_with_ink(60 + i, 40) for i in range(20)))
        call = pair.stub.StreamRecognize(timeout=30)
        await call.write(config())
        await call.read()
        await call.write(source("a", pages))
        await provider.until(lambda: provider.in_progress == 3)
        for i in range(5):
            bad = await answers_of(pair, [config(), source(str(i), b"no image")])
            assert [outcome(answer) for answer in bad] == ["IMAGE_UNDECODABLE"]
        assert len(provider.calls) == 3
        gate.opened.set()
        answers = [(await call.read()).answer for _ in range(20)]
        call.cancel()
    assert [answer.page for answer in answers] == list(range(1, 21))
    assert provider.most_in_progress <= 3


async def test_many_callers_wait_for_a_silent_gateway_no_longer_than_one() -> None:
    """When nothing answers behind the gateway's address, all callers are told together."""
    held: list[Any] = []
    silent = await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    settings: dict[str, Any] = {"gateway_connect_timeout_s": 0.5, "gateway_retry_s": 0.05}
    settings["gateway_target"] = f"{host}:{port}"
    loop = asyncio.get_running_loop()
    async with running_pair(ScriptedProvider(), **settings) as pair:

        async def reason() -> str:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await pair.stub.Recognize(unary(image(1)), timeout=60)
            return reason_of(status_of(failed.value))

        began = loop.time()
        assert set(await asyncio.gather(*(reason() for _ in range(20)))) == {"GATEWAY_UNAVAILABLE"}
        assert loop.time() - began < 20 * 0.5 / 2  # one after the other they would take twice as long
    for writer in held:
        writer.close()
    silent.close()


async def test_callers_that_leave_at_any_moment_leave_nothing_behind() -> None:
    """After streams that were cancelled right behind their last answer, no call to the gateway is left open."""
    async with running_pair(ScriptedProvider()) as pair:
        await answers_of(pair, [config(), source("warm", image(1, 40, 40))])

        async def leave() -> None:
            call = pair.stub.StreamRecognize()
            await call.write(config())
            await call.read()
            await call.write(source("a", image(1, 40, 40)))
            await call.read()
            call.cancel()

        for _ in range(5):
            await asyncio.gather(*(leave() for _ in range(10)))
        async with asyncio.timeout(10):
            await pair.gateway.drain.wait_idle()
    assert pair.gateway.drain.active_calls == 0


async def test_a_caller_that_leaves_while_a_page_is_hashed_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The gateway is not asked for a page that nobody waits for, then or later."""
    hashing, hashed = asyncio.Event(), asyncio.Event()

    async def slowly(*args: Any) -> Any:
        hashing.set()
        await hashed.wait()
        return await without_content(*args)

    monkeypatch.setattr(page_relay, "without_content", slowly)
    provider = ScriptedProvider(Gate())
    async with running_pair(provider) as pair:
        call = pair.stub.StreamRecognize()
        await call.write(config(profile="none"))
        await call.write(source("a", image(1, 40, 40)))
        async with asyncio.timeout(20):
            await hashing.wait()
            await answers_of(pair, [config(), source("other", b"no image")])  # time in which the page could be asked
            call.cancel()
            await pair.gateway.drain.wait_idle()
        hashed.set()
    assert provider.calls == []


async def test_a_page_of_many_pixels_is_brought_down_whatever_its_shape() -> None:
    """A square page over the reader's pixels is scaled like an oblong one."""
    out = io.BytesIO()
    Image.new("L", (300, 300), 255).save(out, "PNG")
    limits = ImageLimits(max_pixels=40_000)
    async with running_pair(ScriptedProvider(limits=limits), page_max_pixels=40_000) as pair:
        (answer,) = await answers_of(pair, [config(), source("a", out.getvalue())])
    assert outcome(answer) == "OK"
    assert answer.document.pages[0].size.width == 300


async def test_a_caller_of_long_documents_does_not_take_every_slot() -> None:
    """While one stream holds all the slots for pages another one still gets its own, at once."""
    gate = Gate()

    async def script(call: ProviderCall) -> Page | None:
        return await (at_once(call) if call.width == 50 else gate(call))

    provider = ScriptedProvider(script)
    async with running_pair(provider, max_pages_in_flight=4, pages_ahead=4) as pair:
        call = pair.stub.StreamRecognize(timeout=60)
        await call.write(config())
        await call.read()
        for i in range(3):
            pages = tiff_pages(*(page_with_ink(100 * i + 60 + j, 40) for j in range(20)))
            await call.write(source(str(i), pages))
        await provider.until(lambda: provider.in_progress == 4)
        answers = await answers_of(pair, [config(item_timeout={"seconds": 20}), source("small", image(1, 50, 40))])
        assert [outcome(answer) for answer in answers] == ["OK"]
        gate.opened.set()
        call.cancel()
