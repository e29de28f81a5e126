"""The gateway answering from its memory, by content and by digest, against a bare echo of the same sizes."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from tests.bench.cached_pages import page_of_100_kb
from tests.bench.digests import by_digest
from tests.bench.stream_load import LoadResult, stream_load
from tests.fakes.processes import service

MESSAGES = 1_600
DIGESTS = 4_800
"""More than contents: each costs little, and the kernel counts processor time in hundredths of a second."""
ROUNDS = 9
WARM_UP = 160
PAGES = 16
DIGESTS_A_MESSAGE = 16
LINES = 14
"""So many lines make an answer of about 1.5 KB."""
_METHOD = "/ocrmux.gateway.v1.OcrGatewayService/StreamRecognize"
_ECHO = "/bench.Echo/Stream"


async def measure(folder: Path, rounds: int = ROUNDS) -> list[str]:
    """Lines of a Markdown table."""
    page = page_of_100_kb()
    pages = [page + bytes([number]) for number in range(PAGES)]
    contents = [image_pb2.ImagePayload(content=content) for content in pages]
    digests = [by_digest(content) for content in pages]
    cache_dir, lines = str(folder / "cache"), str(LINES)
    async with service(
        "tests.fakes.gateway_process", "GATEWAY_", folder, cache_dir=cache_dir, FAKE_PROVIDER_LINES=lines
    ) as gateway:
        answer_bytes = await _answer_once(gateway.address, contents)
        async with service("tests.bench.echo_server", "ECHO_", folder, ECHO_ANSWER_BYTES=str(answer_bytes)) as echo:

            def echoed(images: list[image_pb2.ImagePayload]) -> Callable[[int], Awaitable[LoadResult]]:
                return lambda count: stream_load(echo.address, _ECHO, (), 0, _single(images), count, [echo])

            def served(
                images: list[image_pb2.ImagePayload], *, batched: bool = False, a_message: int = 1
            ) -> Callable[[int], Awaitable[LoadResult]]:
                request = _single(images) if a_message == 1 else _several(images, a_message)
                opening = (_opening(batched=batched),)
                return lambda count: stream_load(
                    gateway.address, _METHOD, opening, 1, request, count, [gateway], _answers_in, a_message
                )

            subjects = {
                "bare echo, content": (MESSAGES, echoed(contents)),
                "content": (MESSAGES, served(contents)),
                "content, batched answers": (MESSAGES, served(contents, batched=True)),
                "bare echo, digest": (DIGESTS, echoed(digests)),
                "digest": (DIGESTS, served(digests)),
                "digest, batched answers": (DIGESTS, served(digests, batched=True)),
                "digests in batches, batched answers": (
                    DIGESTS,
                    served(digests, batched=True, a_message=DIGESTS_A_MESSAGE),
                ),
            }
            results: dict[str, list[LoadResult]] = {name: [] for name in subjects}
            for number in range(rounds + 1):
                for name, (count, subject) in subjects.items():
                    result = await subject(count if number else WARM_UP)
                    if number:  # the first round warms up
                        results[name].append(result)
    return _table(f"{len(page) / 1000:.0f} KB up, {answer_bytes / 1000:.1f} KB down", results, rounds)


async def _answer_once(address: str, images: list[image_pb2.ImagePayload]) -> int:
    """Has every image read, so that memory has it from now on; says how many bytes an answer has."""
    async with grpc.aio.insecure_channel(address) as channel:
        recognize = OcrGatewayServiceStub(channel).Recognize
        for image in images:
            unary = gateway_pb2.RecognizeRequest(item=gateway_pb2.GatewayItem(request_id="0", image=image))
            first = await recognize(unary, timeout=60)
    return gateway_pb2.StreamRecognizeResponse(answer=first.answer).ByteSize()


def _opening(*, batched: bool) -> bytes:
    config = gateway_pb2.GatewayStreamConfig(batched_answers=batched)
    return gateway_pb2.StreamRecognizeRequest(config=config).SerializeToString()


def _item(images: list[image_pb2.ImagePayload], number: int) -> gateway_pb2.GatewayItem:
    return gateway_pb2.GatewayItem(request_id=str(number), image=images[number % len(images)])


def _single(images: list[image_pb2.ImagePayload]) -> Callable[[int], bytes]:
    return lambda number: gateway_pb2.StreamRecognizeRequest(item=_item(images, number)).SerializeToString()


def _several(images: list[image_pb2.ImagePayload], a_message: int) -> Callable[[int], bytes]:
    """Requests of ``a_message`` items, whose ids no other request of the stream has."""

    def request(number: int) -> bytes:
        items = [_item(images, number * a_message + each) for each in range(a_message)]
        batch = gateway_pb2.GatewayItemBatch(items=items)
        return gateway_pb2.StreamRecognizeRequest(batch=batch).SerializeToString()

    return request


def _answers_in(response: bytes) -> int:
    """How many answers from memory the response has. Raises RuntimeError for any other."""
    message = gateway_pb2.StreamRecognizeResponse.FromString(response)
    answers = message.batch.answers or (message.answer,)
    for answer in answers:
        if answer.provenance.cache != recognition_pb2.CACHE_OUTCOME_MEMORY or not answer.HasField("document"):
            raise RuntimeError(f"not an answer from memory: {answer}")
    return len(answers)


def _table(sizes: str, results: dict[str, list[LoadResult]], rounds: int) -> list[str]:
    rows = [
        f"| {name} | {statistics.median(each.messages_per_s for each in measured):.0f} "
        f"| {statistics.median(each.cpu_ms[0] for each in measured):.3f} |"
        for name, measured in results.items()
    ]
    return [
        f"Answers from memory: {sizes}, 8 streams, {rounds} rounds in turn, medians; {MESSAGES} contents",
        f"or {DIGESTS} digests a round.",
        "",
        "| subject | answers/s | CPU of the server an answer, ms |",
        "|---|---|---|",
        *rows,
        "",
        _ratio_line("content over echo", results["content"], results["bare echo, content"], "≤ 1.6"),
        _ratio_line(
            "content with batched answers over echo",
            results["content, batched answers"],
            results["bare echo, content"],
            "≤ 1.6",
        ),
        _ratio_line("content over digest", results["content"], results["digest"], "≥ 2"),
        _ratio_line(
            "the same, batched answers", results["content, batched answers"], results["digest, batched answers"], "≥ 2"
        ),
        _ratio_line(
            "the same, digests in batches",
            results["content, batched answers"],
            results["digests in batches, batched answers"],
            "≥ 2",
        ),
    ]


def _ratio_line(name: str, ours: list[LoadResult], theirs: list[LoadResult], goal: str) -> str:
    ratios = [one.cpu_ms[0] / other.cpu_ms[0] for one, other in zip(ours, theirs, strict=True)]
    spread = f"min {min(ratios):.2f}, max {max(ratios):.2f}; goal {goal}"
    return f"CPU, {name}: **{statistics.median(ratios):.2f}** ({spread})."


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
