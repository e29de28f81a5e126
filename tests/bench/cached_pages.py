"""The pair answering a cached page, against a bare echo of the same sizes."""

from __future__ import annotations

import asyncio
import io
import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrmux.ocr.v1 import image_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from tests.bench.stream_load import LoadResult, stream_load
from tests.fakes.processes import pair, service

MESSAGES = 1_600
ROUNDS = 5
WARM_UP = 160
_METHOD = "/ocrmux.preprocess.v1.PreprocessService/StreamRecognize"


def page_of_100_kb() -> bytes:
    """A JPEG of about 100 KB with a few lines of text."""
    noise = np.random.default_rng(3).normal(0, 14, (620, 800, 3))
    picture = Image.fromarray(np.clip(235 + noise, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for row in range(5):
        pen.text((40, 60 + 100 * row), f"Parcel {row} of 5 to Example Street", "black", ImageFont.load_default(34))
    for quality in range(95, 20, -3):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        if len(out.getvalue()) < 104_000:
            break
    return out.getvalue()


async def measure(folder: Path, messages: int = MESSAGES, rounds: int = ROUNDS) -> list[str]:
    """Lines of a Markdown table."""
    content = page_of_100_kb()

    def request(number: int) -> bytes:
        item = preprocess_pb2.SourceItem(request_id=str(number), image=image_pb2.ImagePayload(content=content))
        return preprocess_pb2.StreamRecognizeRequest(item=item).SerializeToString()

    async with pair(folder) as (gateway, preprocess):
        async with grpc.aio.insecure_channel(preprocess.address) as channel:
            unary = preprocess_pb2.RecognizeRequest(
                item=preprocess_pb2.SourceItem(image=image_pb2.ImagePayload(content=content))
            )
            first = await PreprocessServiceStub(channel).Recognize(unary, timeout=120)
        answer_bytes = preprocess_pb2.StreamRecognizeResponse(answer=first.answers[0]).ByteSize()
        echo_env = {"ECHO_ANSWER_BYTES": str(answer_bytes)}
        async with service("tests.bench.echo_server", "ECHO_", folder, **echo_env) as echo:
            servers = [preprocess, gateway]
            subjects: dict[str, Callable[[int], Awaitable[LoadResult]]] = {
                "echo": lambda count: stream_load(echo.address, "/bench.Echo/Stream", (), 0, request, count, [echo]),
                "single": lambda count: stream_load(
                    preprocess.address, _METHOD, (_opening(batched=False),), 1, request, count, servers
                ),
                "batched": lambda count: stream_load(
                    preprocess.address, _METHOD, (_opening(batched=True),), 1, request, count, servers, _answers_in
                ),
            }
            results: dict[str, list[LoadResult]] = {name: [] for name in subjects}
            for number in range(rounds + 1):
                for name, subject in subjects.items():
                    result = await subject(messages if number else WARM_UP)
                    if number:  # the first round warms up
                        results[name].append(result)
    return _table(f"{len(content) / 1000:.0f} KB up, {answer_bytes / 1000:.1f} KB down", results, messages, rounds)


def _opening(*, batched: bool) -> bytes:
    config = preprocess_pb2.RecognizeStreamConfig(batched_answers=batched)
    return preprocess_pb2.StreamRecognizeRequest(config=config).SerializeToString()


def _answers_in(response: bytes) -> int:
    return len(preprocess_pb2.StreamRecognizeResponse.FromString(response).batch.answers) or 1


def _table(sizes: str, results: dict[str, list[LoadResult]], messages: int, rounds: int) -> list[str]:
    bare, single, batched = (_medians(results[name]) for name in ("echo", "single", "batched"))
    return [
        f"Cached page: {sizes}, 8 streams, {messages} messages a round, {rounds} rounds in turn, medians.",
        "",
        "| subject | messages/s | CPU a message, ms |",
        "|---|---|---|",
        f"| bare grpc.aio echo | {bare[0]:.0f} | {bare[1]:.2f} |",
        f"| the pair, an answer a message | {single[0]:.0f} | preprocess {single[1]:.2f}, gateway {single[2]:.2f} |",
        f"| the pair, batched answers | {batched[0]:.0f} | preprocess {batched[1]:.2f}, gateway {batched[2]:.2f} |",
        "",
        _ratio_line("an answer a message", results["single"], results["echo"]),
        _ratio_line("batched answers", results["batched"], results["echo"]),
    ]


def _medians(results: list[LoadResult]) -> list[float]:
    """Messages a second, then each server's CPU milliseconds a message."""
    rows = [(result.messages_per_s, *result.cpu_ms) for result in results]
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def _ratio_line(name: str, served: list[LoadResult], echoed: list[LoadResult]) -> str:
    ratios = [ours.messages_per_s / theirs.messages_per_s for ours, theirs in zip(served, echoed, strict=True)]
    spread = f"min {min(ratios):.2f}, max {max(ratios):.2f}; goal ≥ 0.5"
    return f"Ratio of messages/s to the echo, {name}: **{statistics.median(ratios):.2f}** ({spread})."


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
