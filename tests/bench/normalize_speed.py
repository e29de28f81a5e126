"""What normalisation costs: against the same calls in a bare loop, against decoding and encoding, and by digest."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc

from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from tests.bench.digests import by_digest
from tests.bench.loop_process import LoopProcess, loop_process
from tests.bench.measures import goal_line, scaled
from tests.bench.process_watch import alone, children_of, watching
from tests.bench.scan_pages import draw_sheets, scan_page
from tests.bench.stream_load import stream_load
from tests.fakes.processes import ServiceUnderTest, pair

ROUNDS = 5
PAGES = 48
"""Made in a round."""
QUIET_PAGES = 24
"""One after the other, for what one costs."""
DIGESTS = 4_096
DIGESTS_A_MESSAGE = 16
STREAMS = 4
IN_FLIGHT = 4
THREADS = 2
_NORMALIZE = "/ocrmux.preprocess.v1.PreprocessService/StreamNormalize"
_RECOGNIZE = "/ocrmux.preprocess.v1.PreprocessService/StreamRecognize"
_LOOP = "tests.bench.page_loop"
_CODECS = ("grey codec", "colour codec")
_AUTO = "auto, which leaves these pages as they are"


@dataclass(frozen=True, slots=True)
class _Subject:
    """A way to make pages, by the service and in the bare loop (``calls``, else by the profile's own steps)."""

    profile: str
    overrides: tuple[tuple[str, str], ...] = ()
    calls: str = ""

    @property
    def work(self) -> str:
        """As ``page_loop`` takes it."""
        return self.calls or json.dumps({"profile": self.profile, "overrides": dict(self.overrides)})

    @property
    def config(self) -> preprocess_pb2.NormalizationConfig:
        """As the service takes it."""
        return preprocess_pb2.NormalizationConfig(profile=self.profile, overrides=dict(self.overrides))


SUBJECTS = {
    "classic: grey, blur, threshold, two-tone PNG; the loop calls OpenCV by hand": _Subject("classic", calls="classic"),
    "grey, contrast, JPEG": _Subject("none", (("contrast.when", "always"), ("grey.when", "always"))),
    "document": _Subject("document"),
    _AUTO: _Subject("auto"),
}


@dataclass(frozen=True, slots=True)
class _Round:
    """Pages a second, of ours, of the loop's threads and of bare processes; our processor ms a page by process."""

    ours: float
    loop: float
    processes: float
    cpu_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class _QuietRound:
    """Milliseconds of one page alone: what the service says of itself, its workers' CPU, and the codecs by name."""

    said_ms: float
    cpu_ms: float
    codecs: dict[str, float]


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    draw_sheets()
    pages, quiet, digests = scaled(PAGES, STREAMS), scaled(QUIET_PAGES, 4), scaled(DIGESTS, STREAMS * 64)
    made: dict[str, list[_Round]] = {name: [] for name in SUBJECTS}
    alone_: list[_QuietRound] = []
    cached: list[float] = []
    async with AsyncExitStack() as stack:
        services = pair(folder, gateway_module="tests.fakes.gateway_process", workers=str(THREADS), log_level="warning")
        _, preprocess = await stack.enter_async_context(services)
        bare = {
            name: await stack.enter_async_context(_bare(each.work, THREADS, pages)) for name, each in SUBJECTS.items()
        }
        halves = {
            name: [await stack.enter_async_context(_bare(each.work, 1, pages // THREADS)) for _ in range(THREADS)]
            for name, each in SUBJECTS.items()
        }
        codecs = {name: await stack.enter_async_context(_bare(name, 1, quiet)) for name in _CODECS}
        await _read_all(preprocess.address)
        for number in range(scaled(ROUNDS) + 1):
            for name, subject in SUBJECTS.items():
                done = await _round(preprocess, bare[name], halves[name], subject, pages)
                if number:  # the first round warms up
                    made[name].append(done)
            in_turn = await _quiet_round(preprocess, codecs, quiet), await _by_digest(preprocess, digests)
            if number:
                alone_.append(in_turn[0])
                cached.append(in_turn[1])
    return [*_made_table(made, pages), "", *_alone_lines(alone_, quiet), "", *_cached_lines(cached, made, digests)]


def _bare(work: str, threads: int, pages: int) -> AbstractAsyncContextManager[LoopProcess]:
    """A bare loop. As in the service's workers, no library has threads of its own, which take its cores."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return loop_process(_LOOP, work, str(threads), str(pages), **one_thread)


async def _round(
    preprocess: ServiceUnderTest, bare: LoopProcess, halves: Sequence[LoopProcess], subject: _Subject, pages: int
) -> _Round:
    pid = preprocess.process.pid
    loop = pages / await bare.round()
    took = await asyncio.gather(*(half.round() for half in halves))
    processes = pages // THREADS * THREADS / max(took)
    members = {"service": alone(pid), "workers": children_of(pid), "client": alone(os.getpid())}
    async with watching(members) as watch:
        ours = await _normalized(preprocess, subject, pages, streams=STREAMS, in_flight=IN_FLIGHT)
    return _Round(ours, loop, processes, {name: watch.cpu_ms(name, pages) for name in members})


async def _normalized(
    preprocess: ServiceUnderTest, subject: _Subject, pages: int, *, streams: int, in_flight: int,
    taken: Callable[[preprocess_pb2.NormalizedPage], object] = lambda _: None,
) -> float:  # fmt: skip
    """Pages a second."""
    opening = preprocess_pb2.StreamNormalizeRequest(
        config=preprocess_pb2.NormalizeStreamConfig(normalization=subject.config)
    )

    def request(number: int) -> bytes:
        item = preprocess_pb2.SourceItem(request_id=str(number), image=_content(number))
        return preprocess_pb2.StreamNormalizeRequest(item=item).SerializeToString()

    def answers_in(response: bytes) -> int:
        message = preprocess_pb2.StreamNormalizeResponse.FromString(response)
        if message.WhichOneof("message") == "chunk":
            return 0
        if not message.answer.HasField("page"):
            raise RuntimeError(f"no page: {message.answer.error}")
        taken(message.answer.page)
        return 1

    result = await stream_load(
        preprocess.address, _NORMALIZE, (opening.SerializeToString(),), 1, request, pages, (), answers_in,
        stream_count=streams, in_flight=in_flight,
    )  # fmt: skip
    return result.messages_per_s


async def _quiet_round(preprocess: ServiceUnderTest, codecs: dict[str, LoopProcess], pages: int) -> _QuietRound:
    said: list[float] = []

    def take(page: preprocess_pb2.NormalizedPage) -> None:
        if page.steps:
            raise RuntimeError(f"auto has changed a page that needs nothing: {page.steps}")
        said.append(page.preprocess_ms)

    async with watching({"workers": children_of(preprocess.process.pid)}) as watch:
        await _normalized(preprocess, SUBJECTS[_AUTO], pages, streams=1, in_flight=1, taken=take)
    took = {name: 1000 * await codec.round() / pages for name, codec in codecs.items()}
    return _QuietRound(statistics.median(said), watch.cpu_ms("workers", pages), took)


async def _read_all(address: str) -> None:
    """Has the pages read once that are asked for by digest, so that the gateway's memory has them."""
    async with grpc.aio.insecure_channel(address) as channel:
        for number in range(DIGESTS_A_MESSAGE):
            item = preprocess_pb2.SourceItem(image=_content(number))
            await PreprocessServiceStub(channel).Recognize(preprocess_pb2.RecognizeRequest(item=item), timeout=120)


async def _by_digest(preprocess: ServiceUnderTest, digests: int) -> float:
    """Cached pages a second."""
    opening = preprocess_pb2.StreamRecognizeRequest(config=preprocess_pb2.RecognizeStreamConfig(batched_answers=True))
    images = [by_digest(scan_page(number)) for number in range(DIGESTS_A_MESSAGE)]

    def request(number: int) -> bytes:
        items = [
            preprocess_pb2.SourceItem(request_id=f"{number}-{place}", image=image) for place, image in enumerate(images)
        ]
        batch = preprocess_pb2.SourceItemBatch(items=items)
        return preprocess_pb2.StreamRecognizeRequest(batch=batch).SerializeToString()

    result = await stream_load(
        preprocess.address, _RECOGNIZE, (opening.SerializeToString(),), 1, request, digests, (), _cached_answers_in,
        DIGESTS_A_MESSAGE, stream_count=STREAMS,
    )  # fmt: skip
    return result.messages_per_s


def _cached_answers_in(response: bytes) -> int:
    message = preprocess_pb2.StreamRecognizeResponse.FromString(response)
    answers: Sequence[recognition_pb2.PageAnswer] = message.batch.answers or (message.answer,)
    if not all(answer.HasField("document") for answer in answers):
        raise RuntimeError(f"not known by its digest: {answers[0].error}")
    return len(answers)


def _content(number: int) -> image_pb2.ImagePayload:
    return image_pb2.ImagePayload(content=scan_page(number))


def _made_table(made: dict[str, list[_Round]], pages: int) -> list[str]:
    return [
        (
            f"Normalised pages: A4 at 300 dpi, JPEG in colour of {len(scan_page(0)) / 1e6:.1f} MB; {pages} a round, "
            f"{len(next(iter(made.values())))} rounds in turn, medians. StreamNormalize with {THREADS} workers and "
            f"{STREAMS} streams of {IN_FLIGHT} pages, against the same calls in {THREADS} threads of a bare loop, and, "
            f"as Python's lock holds threads up, in {THREADS} bare processes."
        ),
        "",
        (
            "| profile | pages/s, bare threads | bare processes | StreamNormalize | over threads | over processes "
            "| CPU a page, ms: service, workers, client |"
        ),
        "|---|---|---|---|---|---|---|",
        *(_made_row(name, rounds) for name, rounds in made.items()),
        "",
        *(_made_goal(name, rounds) for name, rounds in made.items()),
    ]


def _made_row(name: str, rounds: list[_Round]) -> str:
    cpu = (statistics.median(each.cpu_ms[who] for each in rounds) for who in rounds[0].cpu_ms)
    speeds = (statistics.median(getattr(each, what) for each in rounds) for what in ("loop", "processes", "ours"))
    over_processes = statistics.median(each.ours / each.processes for each in rounds)
    cells = (*(f"{each:.1f}" for each in speeds), f"{_ratio(rounds):.2f}", f"{over_processes:.2f}")
    return f"| {name} | {' | '.join(cells)} | {', '.join(f'{ms:.1f}' for ms in cpu)} |"


def _ratio(rounds: list[_Round]) -> float:
    return statistics.median(each.ours / each.loop for each in rounds)


def _made_goal(name: str, rounds: list[_Round]) -> str:
    ratios = [each.ours / each.loop for each in rounds]
    value = f"{_ratio(rounds):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"
    return goal_line(
        f"StreamNormalize over the loop, {name.partition(':')[0]}", value, "≥ 0.85", reached=_ratio(rounds) >= 0.85
    )


def _alone_lines(rounds: list[_QuietRound], pages: int) -> list[str]:
    said, cpu = (statistics.median(getattr(each, what) for each in rounds) for what in ("said_ms", "cpu_ms"))
    lines = [
        (
            f"A page that needs nothing, by auto, {pages} one after the other: {said:.1f} ms as its answer says, "
            f"{cpu:.1f} ms of its worker's CPU."
        ),
        "",
    ]
    for name in _CODECS:
        bare_ms = statistics.median(each.codecs[name] for each in rounds)
        ratio = statistics.median(each.said_ms / each.codecs[name] for each in rounds)
        what = f"auto over decoding and encoding in {name.split()[0]} ({bare_ms:.1f} ms)"
        lines.append(goal_line(what, f"{ratio:.2f}", "≤ 1.25", reached=ratio <= 1.25))
    return lines


def _cached_lines(cached: list[float], made: dict[str, list[_Round]], digests: int) -> list[str]:
    lines = [
        (
            f"A page known by its digest, {digests} a round in messages of {DIGESTS_A_MESSAGE}, through both services: "
            f"{statistics.median(cached):.0f} pages/s."
        ),
        "",
    ]
    for name in ("document", _AUTO):
        ratio = statistics.median(each / other.ours for each, other in zip(cached, made[name], strict=True))
        what = f"cached over normalised, {name.partition(',')[0]}"
        lines.append(goal_line(what, f"{ratio:.0f}", "≥ 20", reached=ratio >= 20))
    return lines


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
