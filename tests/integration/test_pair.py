"""Both services over real gRPC: pages, order, errors, chunks, a gateway that goes away."""

from __future__ import annotations

import asyncio
import hashlib
import io
from contextlib import suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from ocr_gateway.errors import ProviderUnavailable
from ocr_gateway.model import Page, ProviderCall
from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.documents import pdf_of, text_page
from tests.fakes.gateway_messages import image, outcome, reason_of, status_of
from tests.fakes.images import InkBox, page_with_ink, png_bomb, tiff_pages
from tests.fakes.preprocess_calls import answers_of, unary
from tests.fakes.preprocess_messages import config, source
from tests.fakes.providers import Gate, ScriptedProvider, at_once, ink_of
from tests.fakes.servers import running_gateway, running_pair


async def test_every_page_of_every_item_is_answered_once() -> None:
    """Images and documents of several pages side by side: pages in order, the last one marked, nothing missing."""
    pages = [page_with_ink(60 + i, 40, InkBox(5, 5, 10, 10)) for i in range(7)]
    async with running_pair(ScriptedProvider(max_concurrency=2)) as pair:
        requests = [config()]
        for i in range(10):
            requests += [source(f"document{i}", tiff_pages(*pages)), source(f"image{i}", image(i))]
        answers = await answers_of(pair, requests)
    by_id: dict[str, list[recognition_pb2.PageAnswer]] = {}
    for answer in answers:
        by_id.setdefault(answer.request_id, []).append(answer)
    assert len(by_id) == 20
    for request_id, of_item in by_id.items():
        count = 7 if request_id.startswith("document") else 1
        assert [answer.page for answer in of_item] == list(range(1, count + 1))
        assert [answer.last_page for answer in of_item] == [False] * (count - 1) + [True]
        assert {answer.page_count for answer in of_item} == {count}
        assert {outcome(answer) for answer in of_item} == {"OK"}
        assert [answer.document.pages[0].number for answer in of_item] == list(range(1, count + 1))


async def test_a_page_that_fails_does_not_cost_its_neighbours() -> None:
    """The provider refuses one page of a document: that page has a Status, the others their results."""

    async def script(call: ProviderCall) -> Page | None:
        if call.width == 61:
            raise ProviderUnavailable("scripted", "not this one")
        return await at_once(call)

    pages = [page_with_ink(60 + i, 40) for i in range(3)]
    async with running_pair(ScriptedProvider(script)) as pair:
        answers = await answers_of(pair, [config(), source("d", tiff_pages(*pages))])
    assert [outcome(answer) for answer in answers] == ["OK", "PROVIDER_UNAVAILABLE", "OK"]
    assert [answer.last_page for answer in answers] == [False, False, True]


async def test_bad_items_get_their_reasons() -> None:
    """Empty, damaged, foreign and boundless files get the contract's reasons; the good ones are read."""
    whole = image(1, 200, 200)
    bad = {
        "empty": (b"", "IMAGE_EMPTY"),
        "truncated": (whole[: len(whole) // 2], "IMAGE_UNDECODABLE"),
        "text.png": (b"this is a text file\n" * 9, "IMAGE_UNDECODABLE"),
        "bomb.png": (png_bomb(), "IMAGE_TOO_LARGE_PIXELS"),
        "cut.pdf": (b"%PDF-1.7\n", "IMAGE_UNDECODABLE"),
        "locked.pdf": (pdf_of(text_page("secret"), user_password="open"), "PASSWORD_REQUIRED"),
        "layers.psd": (b"8BPS" + bytes(60), "FORMAT_UNSUPPORTED"),
    }
    async with running_pair(ScriptedProvider()) as pair:
        requests = [config()]
        for name, (content, _) in bad.items():
            requests += [source(name, content), source(f"good {name}", image(2))]
        answers = await answers_of(pair, requests)
    got = {answer.request_id: outcome(answer) for answer in answers}
    assert got == {name: reason for name, (_, reason) in bad.items()} | {f"good {name}": "OK" for name in bad}
    assert all(answer.last_page for answer in answers)


async def test_an_item_can_be_as_large_as_the_limit_in_chunks() -> None:
    """A file above both services' message limits goes up in chunks, and its page on to the gateway in chunks."""
    pixels = Image.effect_noise((1100, 1000), 90)
    out = io.BytesIO()
    pixels.save(out, "PNG")
    content = out.getvalue()
    small = 256 * 1024
    assert len(content) > 4 * small
    async with running_pair(ScriptedProvider(), gateway={"max_message_bytes": small}, max_message_bytes=small) as pair:
        parts = [content[at : at + small // 2] for at in range(0, len(content), small // 2)]
        announced = image_pb2.ImagePayload(chunked=image_pb2.ChunkedContent(total_bytes=len(content)))
        requests = [
            config(profile="none"),
            preprocess_pb2.StreamRecognizeRequest(item=preprocess_pb2.SourceItem(request_id="a", image=announced)),
            *(
                preprocess_pb2.StreamRecognizeRequest(chunk=image_pb2.ContentChunk(request_id="a", data=part))
                for part in parts
            ),
        ]
        (answer,) = await answers_of(pair, requests)
    assert answer.document.pages[0].text == "1100x1000"


async def test_the_answer_says_what_was_done() -> None:
    """Steps, transform, timings and sizes stand in the answer of a page that was scaled down."""
    out = io.BytesIO()
    page_with_ink(1600, 1200, InkBox(400, 240, 320, 160)).save(out, "PNG")
    async with running_pair(ScriptedProvider(ink_of), page_max_side_px=800) as pair:
        (answer,) = await answers_of(pair, [config(profile="none"), source("a", out.getvalue())])
    transform = answer.transform
    assert (transform.source_size.width, transform.page_size.width) == (1600, 800)
    assert list(transform.page_to_source) == pytest.approx([2, 0, 0, 0, 2, 0, 0, 0, 1])
    assert "scale" in [step.name for step in answer.steps]
    page = answer.document.pages[0]
    assert (page.size.width, page.size.height) == (1600, 1200)
    corners = [(point.x, point.y) for point in page.blocks[0].lines[0].polygon.points]
    assert corners == [pytest.approx(c, abs=2) for c in ((400, 240), (720, 240), (720, 400), (400, 400))]
    timings = answer.provenance.timings
    assert 0 < timings.preprocess_ms <= timings.total_ms


async def test_regions_are_in_source_pixels() -> None:
    """A region of the source confines the reading whatever the page was scaled to."""
    out = io.BytesIO()
    page_with_ink(400, 200, InkBox(100, 60, 80, 40), InkBox(300, 20, 40, 20)).save(out, "PNG")
    region = {"x": 280, "y": 10, "width": 100, "height": 50}
    outside = {"x": 350, "y": 10, "width": 100, "height": 50}
    async with running_pair(ScriptedProvider(ink_of), page_max_side_px=200) as pair:
        inside, refused = await answers_of(
            pair,
            [
                config(ordered=True),
                source("in", out.getvalue(), regions=[region]),
                source("out", out.getvalue(), regions=[outside]),
            ],
        )
    lines = [line for block in inside.document.pages[0].blocks for line in block.lines]
    assert [(line.polygon.points[0].x, line.polygon.points[0].y) for line in lines] == [pytest.approx((300, 20), abs=2)]
    assert outcome(refused) == "REGION_OUT_OF_IMAGE"


async def test_unary_recognize_gives_all_pages_or_the_calls_status() -> None:
    """A document comes back as its pages; a file that cannot be read at all is the call's error."""
    async with running_pair(ScriptedProvider()) as pair:
        pages = tiff_pages(page_with_ink(60, 40), page_with_ink(61, 40))
        response = await pair.stub.Recognize(unary(pages), timeout=30)
        assert [answer.document.pages[0].text for answer in response.answers] == ["60x40", "61x40"]
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await pair.stub.Recognize(unary(b"no image"), timeout=30)
        assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert reason_of(status_of(failed.value)) == "IMAGE_UNDECODABLE"


async def test_normalize_returns_the_page() -> None:
    """Unary and streamed, the page is fit for recognition; a large one comes in chunks that add up to its digest."""
    noise = io.BytesIO()
    Image.effect_noise((2400, 1600), 100).save(noise, "TIFF")
    async with running_pair(ScriptedProvider()) as pair:
        item = preprocess_pb2.SourceItem(request_id="n", image=image_pb2.ImagePayload(content=noise.getvalue()))
        made = await pair.stub.Normalize(preprocess_pb2.NormalizeRequest(item=item), timeout=60)
        assert made.page.media_type in ("image/png", "image/jpeg")
        assert Image.open(io.BytesIO(made.page.content)).size == (2400, 1600)
        assert made.page.digest.value == hashlib.sha256(made.page.content).digest()
        requests = [
            preprocess_pb2.StreamNormalizeRequest(config=preprocess_pb2.NormalizeStreamConfig()),
            preprocess_pb2.StreamNormalizeRequest(item=item),
        ]
        responses = [response async for response in pair.stub.StreamNormalize(iter(requests), timeout=60)]
    header = responses[1].answer
    content = header.page.content + b"".join(response.chunk.data for response in responses[2:])
    assert len(content) == (header.page.chunked_bytes or len(content))
    assert hashlib.sha256(content).digest() == made.page.digest.value
    assert all(response.ByteSize() < 4 * 1024 * 1024 for response in responses)
    assert header.last_page


async def test_a_config_that_the_gateway_refuses_refuses_the_stream() -> None:
    """The gateway's reason reaches the caller at once."""
    async with running_pair(ScriptedProvider()) as pair:
        call = pair.stub.StreamRecognize(iter([config(provider="nobody")]), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            [response async for response in call]
        assert failed.value.code() is grpc.StatusCode.NOT_FOUND
        assert reason_of(status_of(failed.value)) == "PROVIDER_UNKNOWN"
        call = pair.stub.StreamRecognize(iter([config(profile="nonsense")]), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            [response async for response in call]
        assert reason_of(status_of(failed.value)) == "PROFILE_UNKNOWN"


async def test_a_gateway_that_is_not_there_is_said() -> None:
    """Without a gateway the stream is refused with GATEWAY_UNAVAILABLE, and health says it of the component."""
    async with running_pair(ScriptedProvider(), gateway_retry_s=0.5) as pair:
        await pair.gateway.server.stop(5)
        call = pair.stub.StreamRecognize(iter([config()]), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            [response async for response in call]
        assert reason_of(status_of(failed.value)) == "GATEWAY_UNAVAILABLE"
        health: Any = health_pb2_grpc.HealthStub(pair.channel)
        asked = health_pb2.HealthCheckRequest(service="gateway")
        assert (await health.Check(asked, timeout=10)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        async with running_gateway(ScriptedProvider(), listen=pair.gateway.server.address):
            answers: list[recognition_pb2.PageAnswer] = []
            async with asyncio.timeout(30):
                while not answers:  # the channel itself waits up to 2 s between its tries
                    with suppress(grpc.aio.AioRpcError):
                        answers = await answers_of(pair, [config(), source("a", image(1))])
            assert [outcome(answer) for answer in answers] == ["OK"]
            assert (await health.Check(asked, timeout=10)).status == health_pb2.HealthCheckResponse.SERVING


async def test_a_gateway_that_goes_away_in_the_middle_costs_nothing() -> None:
    """Pages that a stopped gateway left unanswered are asked again of the one that takes its address."""
    gate = Gate()
    held = ScriptedProvider(gate)
    async with running_pair(held, gateway={"drain_grace_s": 0.0}) as pair:
        address = pair.gateway.server.address
        call = pair.stub.StreamRecognize(timeout=60)
        await call.write(config())
        await call.read()
        for i in range(5):
            await call.write(source(str(i), image(i)))
        await held.until(lambda: held.in_progress == 5)
        await pair.gateway.server.stop(0)
        async with running_gateway(ScriptedProvider(), listen=address):
            answers = [(await call.read()).answer for _ in range(5)]
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
    assert sorted(answer.request_id for answer in answers) == [str(i) for i in range(5)]
    assert {outcome(answer) for answer in answers} == {"OK"}


async def test_a_caller_that_leaves_stops_the_work_behind_both_services() -> None:
    """A cancelled stream reaches the provider's calls."""
    gate = Gate()
    provider = ScriptedProvider(gate)
    async with running_pair(provider) as pair:
        call = pair.stub.StreamRecognize()
        await call.write(config())
        for i in range(4):
            await call.write(source(str(i), image(i)))
        await provider.until(lambda: provider.in_progress == 4)
        call.cancel()
        async with asyncio.timeout(10):
            await pair.gateway.drain.wait_idle()
        assert (provider.cancelled, provider.in_progress) == (4, 0)


async def test_a_file_seen_before_is_not_decoded_again() -> None:
    """The second time its pages come from the gateway's cache by digest; REFRESH reads it anew all the same."""
    provider = ScriptedProvider()
    file = tiff_pages(page_with_ink(60, 40), page_with_ink(61, 40))
    async with running_pair(provider) as pair:
        first = await answers_of(pair, [config(), source("a", file)])
        second = await answers_of(pair, [config(), source("a", file)])
        refreshed = await answers_of(
            pair, [config(cache_policy=recognition_pb2.CACHE_POLICY_REFRESH), source("a", file)]
        )
    assert [answer.document for answer in first] == [answer.document for answer in second]
    assert [answer.provenance.timings.preprocess_ms > 0 for answer in first + second] == [True, True, False, False]
    assert {answer.provenance.cache for answer in second} == {recognition_pb2.CACHE_OUTCOME_MEMORY}
    assert [(a.page, a.last_page, a.transform, list(a.steps)) for a in first] == [
        (a.page, a.last_page, a.transform, list(a.steps)) for a in second
    ]
    assert {answer.provenance.cache for answer in refreshed} == {recognition_pb2.CACHE_OUTCOME_MISS}
    assert len(provider.calls) == 4


async def test_a_file_that_the_gateway_has_forgotten_is_made_anew() -> None:
    """Where the gateway lacks a page of a known file, the file is normalised and read again."""
    provider = ScriptedProvider()
    file = tiff_pages(page_with_ink(60, 40), page_with_ink(61, 40))
    async with running_pair(provider, gateway={"cache": {"memory_bytes": 0}}) as pair:
        for _ in range(2):
            answers = await answers_of(pair, [config(), source("a", file)])
            assert [outcome(answer) for answer in answers] == ["OK", "OK"]
            assert [answer.last_page for answer in answers] == [False, True]
    assert len(provider.calls) == 4


async def test_a_digest_of_a_file_is_enough_once_it_was_read() -> None:
    """An unknown digest asks for the content under the same id; a known one gives all pages."""
    file = tiff_pages(page_with_ink(60, 40), page_with_ink(61, 40))
    claimed = image_pb2.ContentDigest(algorithm=image_pb2.DIGEST_ALGORITHM_SHA256, value=hashlib.sha256(file).digest())
    by_digest = preprocess_pb2.StreamRecognizeRequest(
        item=preprocess_pb2.SourceItem(request_id="a", image=image_pb2.ImagePayload(digest=claimed))
    )
    async with running_pair(ScriptedProvider()) as pair:
        call = pair.stub.StreamRecognize(timeout=30)
        await call.write(config())
        await call.read()
        await call.write(by_digest)
        assert outcome((await call.read()).answer) == "CONTENT_REQUIRED"
        await call.write(source("a", file))
        assert [outcome((await call.read()).answer) for _ in range(2)] == ["OK", "OK"]
        again = await answers_of(pair, [config(), by_digest])
        call.cancel()
    assert [(answer.page, answer.last_page, outcome(answer)) for answer in again] == [(1, False, "OK"), (2, True, "OK")]


async def test_a_draining_gateway_finishes_what_it_accepted() -> None:
    """Pages that the stopping gateway accepted are answered by it and paid for once; later ones by its successor."""
    gate = Gate()
    old, new = ScriptedProvider(gate, name="old"), ScriptedProvider(name="new")
    async with running_pair(old, gateway_retry_s=20.0) as pair:
        address = pair.gateway.server.address
        call = pair.stub.StreamRecognize(timeout=60)
        await call.write(config())
        await call.read()
        for i in range(5):
            await call.write(source(str(i), image(i)))
        await old.until(lambda: old.in_progress == 5)
        stopping = asyncio.create_task(pair.gateway.server.stop(20))
        await pair.gateway.drain.wait_begun()
        await call.write(source("late", image(99)))
        gate.opened.set()
        first = [(await call.read()).answer for _ in range(5)]
        assert await stopping
        async with running_gateway(new, listen=address):
            late = (await call.read()).answer
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
    assert {(answer.provenance.provider, outcome(answer)) for answer in first} == {("old", "OK")}
    assert (late.request_id, late.provenance.provider, outcome(late)) == ("late", "new", "OK")
    assert (len(old.calls), old.cancelled, len(new.calls)) == (5, 0, 1)


async def test_callers_of_one_config_share_the_way_for_digests() -> None:
    """Many callers that come and go, cached pages on many streams at once: every answer reaches its own caller."""
    async with running_pair(ScriptedProvider()) as pair:
        await answers_of(pair, [config(profile="none"), *(source(str(i), image(i, 40 + i, 40)) for i in range(10))])

        async def caller(number: int) -> None:
            answers = await answers_of(
                pair, [config(profile="none"), *(source(f"{number}/{i}", image(i, 40 + i, 40)) for i in range(10))]
            )
            got = {answer.request_id: answer.document.pages[0].text for answer in answers}
            assert got == {f"{number}/{i}": f"{40 + i}x40" for i in range(10)}
            assert {answer.provenance.cache for answer in answers} == {recognition_pb2.CACHE_OUTCOME_MEMORY}

        for _ in range(3):
            await asyncio.gather(*(caller(number) for number in range(12)))
