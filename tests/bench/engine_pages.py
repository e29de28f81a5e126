"""The embedded engine called directly in a loop, against the whole pair with it inside."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrmux.ocr.v1 import recognition_pb2
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from tests.bench.loop_process import loop_process
from tests.fakes.preprocess_messages import config, source
from tests.fakes.processes import ServiceUnderTest, pair

PAGES = 16
ROUNDS = 3
_LOOP = "tests.bench.engine_loop"
TEXT = "the parcel was left with a neighbour at number seven on Friday morning before noon and signed for"


def write_pages(folder: Path, count: int) -> None:
    """Pages of twelve lines, no two alike, as PNG files."""
    folder.mkdir()
    random = np.random.default_rng(11)
    font = ImageFont.load_default(26)
    words = TEXT.split()
    for number in range(count):
        page = Image.new("RGB", (760, 620), "white")
        pen = ImageDraw.Draw(page)
        for row in range(12):
            pen.text((30, 30 + 47 * row), " ".join(random.choice(words, 9)), "black", font)
        page.save(folder / f"page{number:03}.png")


async def _through_the_pair(preprocess: ServiceUnderTest, folder: Path) -> float:
    files = sorted(await asyncio.to_thread(lambda: list(folder.iterdir())))
    async with grpc.aio.insecure_channel(preprocess.address) as channel:

        async def requests() -> AsyncIterator[Any]:
            yield config(provider="rapidocr", cache_policy=recognition_pb2.CACHE_POLICY_BYPASS)
            for file in files:
                yield source(file.name, await asyncio.to_thread(file.read_bytes))

        began = time.perf_counter()
        call = PreprocessServiceStub(channel).StreamRecognize(requests(), timeout=600)
        read = [response.answer async for response in call if response.HasField("answer")]
        took_s = time.perf_counter() - began
    failed = [answer.error.message for answer in read if answer.HasField("error")]
    if failed or len(read) != len(files):
        raise RuntimeError(f"{len(read)} answers for {len(files)} pages, {len(failed)} failed: {failed[:1]}")
    return took_s


async def measure(folder: Path, count: int = PAGES, rounds: int = ROUNDS) -> list[str]:
    """Lines of a Markdown table."""
    pages = folder / "pages"
    await asyncio.to_thread(write_pages, pages, count)
    workers = os.cpu_count() or 1
    as_it_comes: list[float] = []
    at_its_best: list[float] = []
    paired: list[float] = []
    async with (
        loop_process(_LOOP, "0", str(pages)) as loop,
        loop_process(_LOOP, str(workers), str(pages)) as loops,
        pair(folder) as (_, preprocess),
    ):
        await _through_the_pair(preprocess, pages)  # the engines load with the first pages
        for _ in range(rounds):
            as_it_comes.append(count / await loop.round())
            at_its_best.append(count / await loops.round())
            paired.append(count / await _through_the_pair(preprocess, pages))
    against_plain = [pair / loop for pair, loop in zip(paired, as_it_comes, strict=True)]
    against_best = [pair / loop for pair, loop in zip(paired, at_its_best, strict=True)]
    pages_said = f"{count} rendered pages of 12 lines, 760 x 620 px"
    plain, best = statistics.median(against_plain), statistics.median(against_best)
    return [
        f"Embedded engine: {pages_said}, {workers} cores, nothing cached, {rounds} rounds in turn, medians.",
        "",
        "| subject | pages/s |",
        "|---|---|",
        f"| RapidOCR as it comes, in a loop | {statistics.median(as_it_comes):.2f} |",
        f"| RapidOCR in {workers} threads of one core each | {statistics.median(at_its_best):.2f} |",
        f"| the whole pair, {workers} workers | {statistics.median(paired):.2f} |",
        "",
        f"Ratio of pages/s, pair to loop: **{plain:.2f}** (goal ≥ 0.95); to {workers} threads: **{best:.2f}**.",
    ]


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
