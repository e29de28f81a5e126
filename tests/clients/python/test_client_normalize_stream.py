"""Normalised pages for a program: the stream's messages, breaks, and the real preprocess service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from ocrmux.ocr.v1.image_pb2 import ContentChunk
from ocrmux.ocr.v1.recognition_pb2 import StreamLimits
from ocrmux.preprocess.v1 import preprocess_pb2, preprocess_pb2_grpc
from ocrmux_client import Item, NormalizedAnswer, NormalizingConfig, OcrMux, OcrMuxClient, OcrMuxError
from ocrmux_client.backoff import Backoff
from ocrmux_client.stream_dialect import NormalizeDialect
from ocrmux_client.stream_policy import StreamPolicy
from tests.fakes.documents import pdf_of, text_page
from tests.fakes.measured_pages import Writing, written_page
from tests.fakes.processes import service
from tests.fakes.stub_servers import StubPlan, StubPreprocess, item_error
from tests.fakes.text_pages import png_of
from tests.fakes.text_pages import text_page as drawn_page

Response = preprocess_pb2.StreamNormalizeResponse
FAST = StreamPolicy(backoff=Backoff(first_s=0.01, longest_s=0.02, attempts=3))
LIMITS = Response(limits=StreamLimits(max_items_in_flight=4, max_message_bytes=2 << 20))


def begun(name: str, page: int, pages: int, content: bytes = b"", chunked: int = 0) -> Response:
    made = preprocess_pb2.NormalizedPage(content=content, media_type="image/png", chunked_bytes=chunked)
    answer = preprocess_pb2.NormalizeAnswer(
        request_id=name, page_number=page, page_count=pages, last_page=page == pages, page=made
    )
    return Response(answer=answer)


def chunk(name: str, data: bytes) -> Response:
    return Response(chunk=ContentChunk(request_id=name, data=data))


class ScriptedStreams(StubPreprocess):
    """Each stream gives its script's responses once an item has come, then breaks; the last one ends."""

    def __init__(self, scripts: Sequence[Sequence[Response]]) -> None:
        super().__init__(StubPlan())
        self.scripts = list(scripts)
        self.configs: list[preprocess_pb2.NormalizeStreamConfig] = []
        self.received: list[list[str]] = []

    async def StreamNormalize(
        self, request_iterator: AsyncIterator[preprocess_pb2.StreamNormalizeRequest], context: Any
    ) -> AsyncIterator[Response]:
        """The next script."""
        script = self.scripts.pop(0)
        received: list[str] = []
        self.received.append(received)
        yield LIMITS
        async for request in request_iterator:
            if request.HasField("config"):
                self.configs.append(request.config)
            else:
                received.append(request.item.request_id)
                break
        for response in script:
            yield response
        if self.scripts:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        received.extend([request.item.request_id async for request in request_iterator])


@asynccontextmanager
async def scripted(*scripts: Sequence[Response]) -> AsyncIterator[tuple[ScriptedStreams, str]]:
    servicer = ScriptedStreams(scripts)
    server = grpc.aio.server()
    preprocess_pb2_grpc.add_PreprocessServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield servicer, f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def told(answer: NormalizedAnswer) -> tuple[str, int, bool, bytes | str]:
    outcome = answer.image.content if answer.image is not None else answer.error.reason if answer.error else ""
    return answer.request_id, answer.page, answer.last_page, outcome


async def test_pages_in_chunks_are_given_whole_and_once_after_a_break() -> None:
    """A page that was half received when the stream broke comes whole from the next one; what was given stays given."""
    first = [begun("a", 1, 3, b"one"), begun("a", 2, 3, chunked=6), chunk("a", b"two")]
    second = [
        begun("a", 1, 3, b"one"),
        begun("a", 2, 3, chunked=6),
        chunk("a", b"two"),
        chunk("a", b"two"),
        begun("a", 3, 3, b"three"),
    ]
    config = NormalizingConfig("document", {"deskew.when": "never"}, "engine")
    async with scripted(first, second) as (servicer, target), OcrMuxClient(target) as client:
        answers = [told(answer) async for answer in client.stream_normalize([Item("a", b"x")], config, FAST)]
    assert answers == [("a", 1, False, b"one"), ("a", 2, False, b"twotwo"), ("a", 3, True, b"three")]
    assert servicer.received == [["a"], ["a"]]
    assert servicer.configs[0].ordered
    sent = servicer.configs[0].normalization
    assert (sent.profile, dict(sent.overrides), sent.provider) == ("document", {"deskew.when": "never"}, "engine")


async def test_chunks_of_two_items_may_be_mixed() -> None:
    """Each page is put together by its own id."""
    dialect = NormalizeDialect(preprocess_pb2.NormalizeStreamConfig())
    responses = [
        begun("a", 1, 1, chunked=4),
        begun("b", 1, 1, chunked=2),
        chunk("a", b"aa"),
        chunk("b", b"bb"),
        chunk("a", b"AA"),
    ]
    given = [told(answer) for response in responses for answer in dialect.answers_in(response)]
    assert given == [("b", 1, True, b"bb"), ("a", 1, True, b"aaAA")]


@pytest.mark.parametrize(
    "responses",
    [
        [chunk("a", b"x")],
        [begun("a", 1, 1, chunked=2), chunk("a", b"xxx")],
        [begun("a", 1, 2, chunked=2), begun("a", 2, 2, b"x")],
        [Response()],
    ],
)
async def test_a_breach_of_the_chunks_protocol_is_an_error(responses: list[Response]) -> None:
    """Bytes that were not announced, too many of them, or a page left unfinished, end the stream as broken."""
    async with scripted(responses) as (_, target), OcrMuxClient(target) as client:
        with pytest.raises(OcrMuxError) as caught:
            _ = [answer async for answer in client.stream_normalize([Item("a", b"x")], None, FAST)]
    assert caught.value.reason == "PROTOCOL_BROKEN"


async def test_an_item_moves_to_the_next_stream_where_the_server_drains() -> None:
    """DRAINING as an item's answer sends it again, as in a recognition."""
    draining = Response(
        answer=preprocess_pb2.NormalizeAnswer(
            request_id="a", last_page=True, error=item_error(grpc.StatusCode.UNAVAILABLE, "DRAINING")
        )
    )
    async with scripted([draining], [begun("a", 1, 1, b"page")]) as (servicer, target), OcrMuxClient(target) as client:
        answers = [told(answer) async for answer in client.stream_normalize([Item("a", b"x")], None, FAST)]
    assert answers == [("a", 1, True, b"page")]
    assert len(servicer.received) == 2


async def test_the_real_service_makes_pages_of_all_kinds(tmp_path: Path) -> None:
    """A document of several pages, a bad file between good ones, one that is gone, and a page above 2 MiB."""
    noise = png_of(np.random.default_rng(3).integers(0, 255, (1000, 1100, 3), np.uint8))
    assert len(noise) > 3 << 20
    plain = drawn_page(["A plain page of text", "that needs nothing"] * 4).png()
    items = [
        Item("pdf", pdf_of(text_page("One", "page"), text_page("Two", "pages"))),
        Item("bad", b"no image"),
        Item("gone", tmp_path / "gone.png"),
        Item("large", noise),
        Item("plain", plain),
    ]
    async with (
        service("preprocess_service", "PREPROCESS_", tmp_path) as running,
        OcrMuxClient(running.address) as client,
    ):
        config = NormalizingConfig("none")
        answers = [answer async for answer in client.stream_normalize(items, config)]
        whole = await client.normalize(noise, config)
        with pytest.raises(OcrMuxError) as refused:
            _ = [answer async for answer in client.stream_normalize(items, NormalizingConfig("odd"))]
        second = await client.normalize(items[0].content, page=2)
        with pytest.raises(OcrMuxError) as beyond:
            await client.normalize(items[0].content, page=3)
    assert [(each.request_id, each.page, each.page_count, each.last_page) for each in answers] == [
        ("pdf", 1, 2, False),
        ("pdf", 2, 2, True),
        ("bad", 0, None, True),
        ("gone", 0, None, True),
        ("large", 1, 1, True),
        ("plain", 1, 1, True),
    ]
    assert [each.error is None for each in answers] == [True, True, False, False, True, True]
    assert answers[3].error is not None
    assert answers[3].error.reason == "SOURCE_UNREADABLE"
    large, untouched = answers[4].image, answers[5].image
    assert large is not None
    assert untouched is not None
    assert (large.content, large.steps, whole.content) == (noise, (), noise)
    assert (untouched.content, untouched.media_type) == (plain, "image/png")
    assert (second.page, second.page_count) == (2, 2)
    assert second.transform.source_size.width > 0
    assert refused.value.reason == "PROFILE_UNKNOWN"
    assert "known are auto, classic" in refused.value.message
    assert beyond.value.reason == "PAGE_OUT_OF_DOCUMENT"


async def test_a_file_above_the_servers_message_limit_is_normalised_in_chunks(tmp_path: Path) -> None:
    """The unary call that is refused for its size is made as a stream, with the page that was asked for."""
    grey = np.random.default_rng(5).integers(0, 255, (800, 800), np.uint8)
    async with (
        service("preprocess_service", "PREPROCESS_", tmp_path, max_message_bytes="65536") as running,
        OcrMuxClient(running.address) as client,
    ):
        image = await client.normalize(png_of(grey), NormalizingConfig("none"))
        with pytest.raises(OcrMuxError) as beyond:
            await client.normalize(png_of(grey), NormalizingConfig("none"), page=2)
        with pytest.raises(OcrMuxError) as bad:
            await client.normalize(b"no image" * 20_000)
    assert image.content == png_of(grey)
    assert beyond.value.reason == "PAGE_OUT_OF_DOCUMENT"
    assert bad.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_blocking_client_normalises_too(tmp_path: Path) -> None:
    """The same answers without an event loop; leaving the loop early stops the work."""
    page = png_of(written_page(Writing(lines=8, width=600, height=500), 2))

    def blocking(target: str) -> tuple[list[str], str, list[str]]:
        with OcrMux(target) as ocr:
            items = [Item(str(number), page) for number in range(4)]
            all_of_them = [answer.request_id for answer in ocr.stream_normalize(items)]
            made = ocr.normalize(page, NormalizingConfig("document", {"binarize.when": "always"}))
            first = [answer.request_id for answer, _ in zip(ocr.stream_normalize(items), "x", strict=False)]
        return all_of_them, made.steps[-2].name, first

    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        given = await asyncio.to_thread(blocking, running.address)
    assert given == (["0", "1", "2", "3"], "binarize", ["0"])
