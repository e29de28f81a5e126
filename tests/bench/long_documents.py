"""Documents of 200 pages, normalised and read: when the first page is answered, how fast, in how much memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from ocrmux.ocr.v1 import image_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from tests.bench.document_pages import DOCUMENTS, number_on
from tests.bench.faulty_provider import LATENCY_S, QUOTA
from tests.bench.measures import SCALE, goal_line, scaled
from tests.bench.memory_plot import IMAGES, plot_memory
from tests.bench.process_watch import ProcessWatch, alone, children_of, watching
from tests.fakes.fleet import running_fleet
from tests.fakes.processes import ServiceUnderTest, service

PAGES = 200
_CHUNK_BYTES = 1_000_000
_TIMEOUT_S = 300.0
_MOST_RSS_MB = 1_500
_MEMORY_PLOT = "bench_documents_memory.svg"
_NORMALIZED, _READ = "normalised", "read"


@dataclass(frozen=True, slots=True)
class _Page:
    """An answered page: when, by the monotonic clock, and which one by its own words; ``text`` of a read one."""

    at_s: float
    number: int
    count: int
    last: bool
    text: str = ""
    seen_number: int = 0
    digest: str = ""


@dataclass(slots=True)
class _Run:
    """One way of one document. ``pages`` are in the order in which they came."""

    size_bytes: int
    began_s: float = 0.0
    pages: list[_Page] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    watch: ProcessWatch | None = None

    @property
    def first_s(self) -> float:
        """From the first byte sent to the first page."""
        return self.pages[0].at_s - self.began_s if self.pages else float("nan")

    @property
    def seconds(self) -> float:
        """To the last page."""
        return self.pages[-1].at_s - self.began_s if self.pages else float("nan")

    def in_order(self, pages: int) -> bool:
        """Whether every page came once, in order, with the count and the mark of the last one at the last one."""
        told = [(page.number, page.count, page.last) for page in self.pages]
        return not self.errors and told == [(number, pages, number == pages) for number in range(1, pages + 1)]


_Way = Callable[[Any, bytes, _Run], Awaitable[None]]
"""Sends the document by the stub and takes its pages."""


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    pages = scaled(PAGES, 8)
    runs: dict[tuple[str, str], _Run] = {}
    standin = {"latency_s": LATENCY_S, "quota": QUOTA}
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(running_fleet(folder, standin=standin))
        above = service(
            "preprocess_service", "PREPROCESS_", folder, gateway_target=fleet.gateways[0].address, log_level="warning"
        )
        preprocess = await stack.enter_async_context(above)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(preprocess.address))
        stub = PreprocessServiceStub(channel)
        for name, make in DOCUMENTS.items():
            content = await asyncio.to_thread(make, pages)
            runs[name, _NORMALIZED] = await _watched(preprocess, stub, content, _normalize)
            runs[name, _READ] = await _watched(preprocess, stub, content, _read)
    _draw(folder, runs)
    return [
        (
            f"Documents of {pages} pages, one after the other over a stream, profile auto; read through both services "
            f"by a provider of {QUOTA} a second at {LATENCY_S * 1000:.0f} ms."
        ),
        "",
        (
            "| document | MB | way | first page, s | pages/s | seconds | RSS at the peak, MB: service, workers "
            "| CPU a page, ms: service, workers |"
        ),
        "|---|---|---|---|---|---|---|---|",
        *(_row(name, way, run, pages) for (name, way), run in runs.items()),
        "",
        *_goals(runs, pages),
    ]


async def _watched(preprocess: ServiceUnderTest, stub: Any, content: bytes, way: _Way) -> _Run:
    run, pid = _Run(len(content)), preprocess.process.pid
    async with watching({"service": alone(pid), "workers": children_of(pid)}) as run.watch, asyncio.timeout(_TIMEOUT_S):
        run.began_s = time.monotonic()
        await way(stub, content, run)
    return run


async def _normalize(stub: Any, content: bytes, run: _Run) -> None:
    """Every page, told from its pixels once all have come."""
    config = preprocess_pb2.NormalizeStreamConfig(normalization=preprocess_pb2.NormalizationConfig(provider="baidu"))
    opening = preprocess_pb2.StreamNormalizeRequest(config=config)
    made: list[tuple[float, preprocess_pb2.NormalizeAnswer, bytearray]] = []
    async for response in stub.StreamNormalize(_requests(opening, preprocess_pb2.StreamNormalizeRequest, content)):
        if response.HasField("chunk"):
            made[-1][2].extend(response.chunk.data)
        elif response.HasField("answer"):
            made.append((time.monotonic(), response.answer, bytearray(response.answer.page.content)))
    for at_s, answer, page in made:
        if answer.HasField("error"):
            run.errors.append(answer.error.message)
            continue
        seen = number_on(bytes(page), answer.page.transform.page_to_source, _size(answer.page.transform.source_size))
        digest = answer.page.digest.value.hex()
        run.pages.append(
            _Page(at_s, answer.page_number, answer.page_count, answer.last_page, seen_number=seen, digest=digest)
        )


async def _read(stub: Any, content: bytes, run: _Run) -> None:
    opening = preprocess_pb2.StreamRecognizeRequest(config=preprocess_pb2.RecognizeStreamConfig())
    async for response in stub.StreamRecognize(_requests(opening, preprocess_pb2.StreamRecognizeRequest, content)):
        if not response.HasField("answer"):
            continue
        answer = response.answer
        if answer.HasField("error"):
            run.errors.append(answer.error.message)
            continue
        text = answer.document.pages[0].text
        run.pages.append(_Page(time.monotonic(), answer.page, answer.page_count, answer.last_page, text=text))


async def _requests(opening: Any, kind: type[Any], content: bytes) -> AsyncIterator[Any]:
    """The document in chunks, as a client with the default limit sends it."""
    yield opening
    announced = image_pb2.ImagePayload(chunked=image_pb2.ChunkedContent(total_bytes=len(content)))
    yield kind(item=preprocess_pb2.SourceItem(request_id="1", image=announced))
    for at in range(0, len(content), _CHUNK_BYTES):
        yield kind(chunk=image_pb2.ContentChunk(request_id="1", data=content[at : at + _CHUNK_BYTES]))


def _size(size: Any) -> tuple[int, int]:
    return size.width, size.height


def _row(name: str, way: str, run: _Run, pages: int) -> str:
    watch = run.watch
    if watch is None:
        raise RuntimeError("the run was not watched")
    rss = ", ".join(f"{use.peak_mb:.0f}" for use in watch.uses.values())
    cpu = ", ".join(f"{watch.cpu_ms(who, pages):.1f}" for who in watch.uses)
    return (
        f"| {name} | {run.size_bytes / 1e6:.1f} | {way} | {run.first_s:.2f} | {len(run.pages) / run.seconds:.1f} "
        f"| {run.seconds:.1f} | {rss} | {cpu} |"
    )


def _goals(runs: dict[tuple[str, str], _Run], pages: int) -> list[str]:
    late = max(run.first_s for run in runs.values())
    peak = max(sum(each) for run in runs.values() if run.watch for each in _rss(run.watch))
    lines = [
        goal_line("the first page, of the slowest", f"{late:.2f} s", "≤ 1 s", reached=late <= 1),
        goal_line(
            "service and workers at the peak", f"{peak:.0f} MB", f"≤ {_MOST_RSS_MB} MB", reached=peak <= _MOST_RSS_MB
        ),
    ]
    disordered = [f"{name}, {way} ({run.errors[:1]})" for (name, way), run in runs.items() if not run.in_order(pages)]
    lines.append(_none_line("pages and their numbers in order, documents where not", disordered))
    mistaken = [
        name for (name, way), run in runs.items()
        if way == _NORMALIZED and any(page.seen_number != page.number for page in run.pages)
    ]  # fmt: skip
    lines.append(_none_line("the number on the page is the answer's, documents where not", mistaken))
    strange = [name for name in DOCUMENTS if not _same(runs[name, _NORMALIZED].pages, runs[name, _READ].pages)]
    lines.append(_none_line("the page that was read is the one that was made, documents where not", strange))
    return lines


def _none_line(what: str, names: Sequence[str]) -> str:
    return goal_line(what, "; ".join(names) or "none", "none", reached=not names)


def _rss(watch: ProcessWatch) -> list[tuple[float, ...]]:
    return list(zip(*(use.rss_mb for use in watch.uses.values()), strict=True))


def _same(made: Sequence[_Page], read: Sequence[_Page]) -> bool:
    """Whether each page's text is that of the page that was made: the stand-in reads the beginning of its digest."""
    pairs = zip(made, read, strict=False)
    return len(made) == len(read) and all(page.text.startswith(other.digest[:16]) for other, page in pairs)


def _draw(folder: Path, runs: dict[tuple[str, str], _Run]) -> None:
    """The workers' memory and the service's over all runs, one after the other."""
    times: list[float] = []
    lines: dict[str, list[float]] = {"service": [], "workers": []}
    for run in runs.values():
        if run.watch is None:
            continue
        begin = times[-1] if times else 0.0
        times += [begin + at for at in run.watch.times_s]
        for who, values in lines.items():
            values += run.watch.uses[who].rss_mb
    place = IMAGES if SCALE == 1 else folder
    plot_memory(place / _MEMORY_PLOT, "Resident memory, 200-page documents one after the other", times, lines)


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
