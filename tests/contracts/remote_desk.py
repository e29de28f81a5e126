"""A provider over the network before its vendor's stand-in: what tests of every vendor need."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ocr_gateway.model import Feature, Page, ProviderCall, ProviderResult
from ocr_gateway.providers.base import Provider
from tests.contracts.remote_cases import CASES, RemoteCase
from tests.fakes.images import encoded, photo, png_chunk, with_inserted
from tests.fakes.standin.process import StandInProcess, stand_in_process
from tests.fakes.standin.vendors.every import vendor_of

ErrorT = TypeVar("ErrorT", bound=Exception)
OpenDesk = Callable[..., Awaitable["Desk"]]
"""Opens a desk with settings of the provider's."""
WIDTH, HEIGHT = 1000, 700
"""The extent of the images; what stand-ins read lies within it."""
PATIENCE_S = 20.0


class StandIns:
    """The stand-ins of a module's tests, each started when it is first asked for."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._running: dict[str, StandInProcess] = {}

    @classmethod
    @asynccontextmanager
    async def in_folder(cls, folder: Path) -> AsyncIterator[StandIns]:
        """Ends them all in the end; none may have complained by then."""
        async with AsyncExitStack() as stack:
            stand_ins = cls(folder, stack)
            yield stand_ins
            for process in stand_ins._running.values():
                assert process.log.read_text() == ""

    async def of(self, case: RemoteCase) -> StandInProcess:
        """The case's stand-in, as it was started and with its counts at 0."""
        process = self._running.get(case.kind)
        if process is None:
            folder = self._folder / case.kind
            folder.mkdir()
            settings = {"quota": 100_000, "whole_images": True, **case.stand_in}
            process = await self._stack.enter_async_context(stand_in_process(folder, vendor=case.vendor, **settings))
            self._running[case.kind] = process
        await process.configure(fresh=True)
        await process.reset()
        return process


@dataclass(frozen=True, slots=True)
class Desk:
    """A started provider and its stand-in."""

    case: RemoteCase
    stand_in: StandInProcess
    provider: Provider

    def call(self, number: int = 0, **about: Any) -> ProviderCall:
        """A call for the case's first feature, unless ``about`` says otherwise, with an image of its own."""
        return call(**{"feature": self.case.features[0], "image": page_image(number), **about})

    async def requests(self) -> int:
        """How many calls of the vendor's OCR have arrived."""
        count: int = (await self.stand_in.stats())["requests"]
        return count

    async def until_requests(self, count: int) -> None:
        """Waits until so many calls have arrived."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.requests() < count:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.005)

    async def until_idle(self) -> dict[str, Any]:
        """Waits until the stand-in has no call under way; gives its counts."""
        async with asyncio.timeout(PATIENCE_S):
            while (stats := await self.stand_in.stats())["in_progress"]:  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.02)
        return stats


@asynccontextmanager
async def desk_of(case: RemoteCase, stand_in: StandInProcess, **settings: Any) -> AsyncIterator[Desk]:
    """The case's provider, started and ready, with these settings."""
    provider = case.build(stand_in.url, **settings)
    await provider.start()
    try:
        await provider.until_ready()
        yield Desk(case, stand_in, provider)
    finally:
        await provider.close()


def known_kinds(case: RemoteCase) -> frozenset[str]:
    """The kinds of error of which the case's vendor has a code."""
    return frozenset(vendor_of(case.vendor).codes)


def knowing(kind: str) -> list[RemoteCase]:
    """The cases whose vendor knows this kind of error."""
    return [case for case in CASES if kind in known_kinds(case)]


_PNG = encoded(photo(WIDTH, HEIGHT), "PNG")
_END_BYTES = 12


def page_image(number: int = 0) -> bytes:
    """A PNG unlike those of other numbers: a comment in it has the number."""
    return with_inserted(_PNG, len(_PNG) - _END_BYTES, png_chunk(b"tEXt", f"number\0{number}".encode()))


def padded_image(size: int) -> bytes:
    """A sound PNG of so many bytes: a private chunk takes what its pixels leave."""
    missing = size - len(_PNG) - len(png_chunk(b"prIv"))
    return with_inserted(_PNG, len(_PNG) - _END_BYTES, png_chunk(b"prIv", bytes(missing)))


def call(image: bytes, feature: Feature, **about: Any) -> ProviderCall:
    """A call for a PNG of the common extent."""
    return ProviderCall(
        **{"image": image, "media_type": "image/png", "width": WIDTH, "height": HEIGHT, "feature": feature, **about}
    )


def text_of_image(image: bytes) -> str:
    """What a stand-in reads in the first line of an image."""
    return hashlib.sha256(image).hexdigest()[:16]


def lines_of(page: Page) -> list[str]:
    """The text of each line."""
    return [line.text for block in page.blocks for line in block.lines]


def each(cases: Sequence[RemoteCase]) -> pytest.MarkDecorator:
    """The test, once for each of the cases."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.kind) for case in cases])


async def failure_of(kind: type[ErrorT], desk: Desk, **about: Any) -> ErrorT:
    """What a call fails with, which must be of that very kind."""
    with pytest.raises(kind) as failure:
        await desk.provider.recognize(desk.call(**about))
    assert type(failure.value) is kind
    return failure.value


async def assert_served(desk: Desk, number: int = 99) -> ProviderResult:
    """Reads a page, on which there is something."""
    result = await desk.provider.recognize(desk.call(number))
    assert result.page != Page(WIDTH, HEIGHT)
    return result
