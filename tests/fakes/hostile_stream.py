"""Hostile files sent over one stream with good images between them, and what came back for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.gateway_messages import reason_of
from tests.fakes.hostile_file import MARKED, HostileFile, Reads, marked_page
from tests.fakes.images import encoded

GOOD = "good"
"""How the ids of good images begin."""
GOOD_EVERY = 4
_IN_FLIGHT = 4
_CHUNK_BYTES = 2 * 1024 * 1024
_INK_SLACK = 0.03
_DARK = 128


@dataclass(slots=True)
class Answered:
    """What came for one file: each page's number with OK or the reason, in the order of arrival, and the pages."""

    file: HostileFile
    sent_s: float = 0.0
    done_s: float = 0.0
    ended: int = 0
    """Answers that said to be the last one."""
    outcomes: list[tuple[int, str]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    pages: list[preprocess_pb2.NormalizedPage] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        """From being sent to the last answer."""
        return self.done_s - self.sent_s

    def fault(self) -> str:
        """What is wrong with it; empty where it is as expected."""
        file, kinds = self.file, {kind for _, kind in self.outcomes}
        told = f"{file.name}: {sorted(kinds)} {self.messages[:1]}"
        if self.ended != 1:
            return f"{told}: its end came {self.ended} times"
        numbers = [number for number, _ in self.outcomes if number]
        if numbers != sorted(set(numbers)):
            return f"{told}: pages {numbers[:20]}"
        bad = kinds - {"OK"} - file.reasons
        if bad:
            return f"{told}: expected {sorted(file.reasons) or 'to be read'}"
        if "OK" not in kinds:
            return ""
        if file.reads is None:
            return f"{told}: expected {sorted(file.reasons)}"
        return self._misread(file.reads)

    def _misread(self, reads: Reads) -> str:
        name = self.file.name
        if len(self.outcomes) != reads.pages:
            return f"{name}: {len(self.outcomes)} pages, not {reads.pages}"
        faults = (_page_fault(page, reads) for page in self.pages if page.content)
        return next((f"{name}: {fault}" for fault in faults if fault), "")


def _page_fault(page: preprocess_pb2.NormalizedPage, reads: Reads) -> str:
    source = page.transform.source_size
    if reads.size is not None and (source.width, source.height) != reads.size:
        return f"its source has {source.width} x {source.height} px, not {reads.size}"
    grey = np.asarray(cv2.imdecode(np.frombuffer(page.content, np.uint8), cv2.IMREAD_GRAYSCALE))
    if not reads.levels[0] <= grey.mean() <= reads.levels[1]:
        return f"its mean is {grey.mean():.1f}, not in {reads.levels}"
    if reads.ink is None:
        return ""
    rows, columns = np.nonzero(grey < _DARK)
    if not len(rows):
        return "it has no ink"
    height, width = grey.shape
    found = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
    if max(abs(a - b) for a, b in zip(found, reads.ink, strict=True)) > _INK_SLACK:
        return f"its ink is at {tuple(round(float(share), 2) for share in found)}, not {reads.ink}"
    return ""


def with_good_ones(files: Iterable[HostileFile]) -> dict[str, HostileFile]:
    """The files by the ids that they are sent under, a good image in front of every fourth one and at the end."""
    good = encoded(marked_page(), "PNG")
    ids: dict[str, HostileFile] = {}

    def add_good() -> None:
        name = f"{GOOD} {len(ids)}"
        ids[name] = HostileFile(name, lambda: good, MARKED)

    for number, file in enumerate(files):
        if number % GOOD_EVERY == 0:
            add_good()
        ids[f"{number} {file.name}"[:128]] = file
    add_good()
    return ids


class HostileStream:
    """One stream of either RPC. At most four files are under way at one time."""

    def __init__(self, method: Any, config: Any, request: Callable[..., Any], *, timeout_s: float) -> None:
        self._call = method(timeout=timeout_s)
        self._config = config
        self._request = request
        self._room = asyncio.Semaphore(_IN_FLIGHT)
        self._answered: dict[str, Answered] = {}

    async def run(self, files: dict[str, HostileFile]) -> dict[str, Answered]:
        """Sends all, and returns what came when the stream has ended with OK."""
        writer = asyncio.create_task(self._write(files))
        try:
            async for response in self._call:
                self._take(response)
            await writer
        finally:
            writer.cancel()
        return self._answered

    async def _write(self, files: dict[str, HostileFile]) -> None:
        loop = asyncio.get_running_loop()
        await self._call.write(self._config)
        for request_id, file in files.items():
            await self._room.acquire()
            self._answered[request_id] = Answered(file, loop.time())
            async for request in self._requests(request_id, file):
                await self._call.write(request)
        await self._call.done_writing()

    async def _requests(self, request_id: str, file: HostileFile) -> AsyncIterator[Any]:
        content = file.build()
        whole = len(content) <= _CHUNK_BYTES
        payload = image_pb2.ImagePayload(content=content)
        if not whole:
            payload = image_pb2.ImagePayload(chunked=image_pb2.ChunkedContent(total_bytes=len(content)))
        item = preprocess_pb2.SourceItem(request_id=request_id, image=payload, password=file.password)
        yield self._request(item=item)
        for at in range(0, 0 if whole else len(content), _CHUNK_BYTES):
            data = content[at : at + _CHUNK_BYTES]
            yield self._request(chunk=image_pb2.ContentChunk(request_id=request_id, data=data))

    def _take(self, response: Any) -> None:
        kind = response.WhichOneof("message")
        if kind == "chunk":
            page = self._answered[response.chunk.request_id].pages[-1]
            page.content += response.chunk.data
        if kind != "answer":
            return
        answer = response.answer
        answered = self._answered[answer.request_id]
        number, kind = _outcome_of(answer)
        answered.outcomes.append((number, kind))
        if kind != "OK":
            answered.messages.append(answer.error.message)
        elif isinstance(answer, preprocess_pb2.NormalizeAnswer):
            answered.pages.append(answer.page)
        if answer.last_page:
            answered.ended += 1
            answered.done_s = asyncio.get_running_loop().time()
            self._room.release()


def _outcome_of(answer: preprocess_pb2.NormalizeAnswer | recognition_pb2.PageAnswer) -> tuple[int, str]:
    if isinstance(answer, preprocess_pb2.NormalizeAnswer):
        number, is_ok = answer.page_number, answer.HasField("page")
    else:
        number, is_ok = answer.page, answer.HasField("document")
    return number, "OK" if is_ok else reason_of(answer.error)
