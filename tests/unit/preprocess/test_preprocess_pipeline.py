"""From a file to its normalised pages, by way of real worker processes."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio
from PIL import Image

from preprocess_service.errors import (
    DecoderCrashed,
    FormatUnsupported,
    ImageEmpty,
    ImageTooLargeBytes,
    ImageTooLargePixels,
    ImageUndecodable,
    PageOutOfDocument,
    TooManyPages,
)
from preprocess_service.model import (
    IDENTITY,
    JPEG,
    PNG,
    NormalizedPage,
    PageFailure,
    PageFit,
    Reader,
    Size,
    Source,
    SourceLimits,
)
from preprocess_service.page_order import PageOrder
from preprocess_service.page_workers import PageWorkers
from preprocess_service.pipeline import Pipeline
from preprocess_service.profiles import resolve
from preprocess_service.worker_desk import OpenDocument
from preprocess_service.worker_process import COMMAND
from tests.fakes.images import UNREAD_FORMATS, encoded, photo, stored_with_orientation, tiff_pages
from tests.fakes.page_workshop import (
    UNTOUCHED,
    is_alive,
    outcome_of,
    pages_of,
    running_workers,
    settle,
    stopped,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

Outcome = NormalizedPage | PageFailure


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_workers() -> AsyncIterator[PageWorkers]:
    async with running_workers(2) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def workers(shared_workers: PageWorkers) -> PageWorkers:
    """Two workers, both free."""
    await until(lambda: len(shared_workers.pids) == 2)
    await asyncio.gather(*(outcome_of(shared_workers, encoded(photo(), "PNG")) for _ in range(2)))
    return shared_workers


def fitted(fit: PageFit) -> PageOrder:
    return PageOrder(resolve("none", {}), Reader(fit=fit), may_tile=False)


def wide_pages(*widths: int) -> bytes:
    return tiff_pages(*(photo(width, 40) for width in widths))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "MPO"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
async def test_a_plain_file_is_passed_on_untouched(workers: PageWorkers, file_format: str, mode: str) -> None:
    """A plain, upright JPEG or PNG that fits is its own page: the very bytes, without a step."""
    content = encoded(photo().convert(mode), file_format)
    (page,) = await pages_of(workers, content)
    assert isinstance(page, NormalizedPage)
    (part,) = page.parts
    assert part.content is content
    assert part.media_type == (PNG if file_format == "PNG" else JPEG)
    assert page.page_to_source == part.to_page == IDENTITY
    assert page.steps == ()
    assert page.page_size == page.source_size == part.size == Size(96, 64)
    assert (page.number, page.page_count) == (1, 1)


@pytest.mark.parametrize(
    ("content", "fit"),
    [
        (encoded(photo(), "JPEG"), PageFit(media_types=(PNG,))),
        (encoded(photo(), "PNG"), PageFit(max_side_px=50)),
        (encoded(photo(), "WEBP"), PageFit()),
        (encoded(photo().convert("1"), "TIFF"), PageFit()),
        (stored_with_orientation(photo(), 6, "JPEG"), PageFit(max_pixels=1000)),
    ],
)
async def test_any_other_file_is_made_into_a_page(workers: PageWorkers, content: bytes, fit: PageFit) -> None:
    """What does not fit as it is comes back from the worker as an image that does."""
    (page,) = await pages_of(workers, content, fitted(fit))
    assert isinstance(page, NormalizedPage)
    (part,) = page.parts
    image = Image.open(io.BytesIO(part.content))
    assert image.size == (part.size.width, part.size.height) == (page.page_size.width, page.page_size.height)
    assert Image.MIME[image.format or ""] == part.media_type
    assert fit.takes(part.media_type)
    assert page.source_size == Size(96, 64)
    assert page.steps


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", ImageEmpty),
        (b"no image at all", ImageUndecodable),
        (encoded(photo(), "JPEG")[:900], ImageUndecodable),
        (encoded(photo(), "PNG")[:-300], ImageUndecodable),
        (encoded(photo(), "TIFF")[:-300], ImageUndecodable),
        (UNREAD_FORMATS[0][0], FormatUnsupported),
    ],
)
async def test_an_error_of_the_file_is_raised_before_any_page(
    workers: PageWorkers, content: bytes, error: type[Exception]
) -> None:
    """A file of one page fails as a whole."""
    with pytest.raises(error):
        await pages_of(workers, content)


async def test_limits_on_files_hold() -> None:
    """The limits are those that the workers were given."""
    limits = SourceLimits(max_bytes=100_000, max_pixels=10_000, max_pages=2)
    async with running_workers(1, limits=limits) as running:
        for content, error in (
            (bytes(100_001), ImageTooLargeBytes),
            (encoded(photo(101, 100), "PNG"), ImageTooLargePixels),
            (wide_pages(40, 40, 40), TooManyPages),
        ):
            with pytest.raises(error):
                await pages_of(running, content)


async def test_a_damaged_page_stands_in_its_place(workers: PageWorkers) -> None:
    """One page of several fails by itself, in order; a byte limit that none meets is a failure of the page too."""
    content = bytearray(wide_pages(20, 30, 41))
    second_width = content.index(struct.pack("<HHLL", 256, 4, 1, 30))
    struct.pack_into("<L", content, second_width + 8, 0)
    outcomes = await pages_of(workers, bytes(content))
    assert [type(outcome) for outcome in outcomes] == [NormalizedPage, PageFailure, NormalizedPage]
    assert [(outcome.number, outcome.page_count) for outcome in outcomes] == [(1, 3), (2, 3), (3, 3)]
    failure = outcomes[1]
    assert isinstance(failure, PageFailure)
    assert isinstance(failure.error, ImageUndecodable)
    outcomes = await pages_of(workers, wide_pages(96, 96), fitted(PageFit(max_bytes=10)))
    assert [type(outcome) for outcome in outcomes] == [PageFailure, PageFailure]


async def test_many_pages_come_in_order(workers: PageWorkers) -> None:
    """Pages that are made side by side, some of them far larger, are given in the file's order."""
    widths = [40 + 1500 * (number % 3 == 0) + number for number in range(20)]
    outcomes = await pages_of(workers, wide_pages(*widths))
    assert [outcome.number for outcome in outcomes] == list(range(1, 21))
    assert [page.source_size.width for page in outcomes if isinstance(page, NormalizedPage)] == widths


async def test_a_range_of_pages_is_read(workers: PageWorkers) -> None:
    """First and last page count from 1; a last one behind the end means the end."""
    content = wide_pages(40, 41, 42, 43, 44)
    assert [page.number for page in await pages_of(workers, content, first_page=2, last_page=3)] == [2, 3]
    assert [page.number for page in await pages_of(workers, content, first_page=4, last_page=99)] == [4, 5]
    assert [page.number for page in await pages_of(workers, content, first_page=3, last_page=3)] == [3]
    for first_page in (0, 6):
        with pytest.raises(PageOutOfDocument) as caught:
            await pages_of(workers, content, first_page=first_page)
        assert caught.value.metadata == {"page": str(first_page), "page_count": "5"}


@pytest.fixture
def begun(workers: PageWorkers, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the pages that the workers were asked for."""
    numbers: list[int] = []
    make = workers.make

    async def spy(document: OpenDocument, number: int, order: PageOrder) -> Outcome:
        numbers.append(number)
        return await make(document, number, order)

    monkeypatch.setattr(workers, "make", spy)
    return numbers


async def test_one_page_more_is_made_ahead_than_there_are_workers(workers: PageWorkers, begun: list[int]) -> None:
    """While the caller holds a page the next three are asked of two workers, and the one after them is not."""
    pages = Pipeline(workers).pages(Source(wide_pages(40, 41, 42, 43, 44, 45, 46)), UNTOUCHED)
    async with aclosing(pages):
        for number in (1, 2, 3):
            assert (await anext(pages)).number == number
            await settle()
            assert begun == list(range(1, number + 4))
    await settle()
    assert begun == [1, 2, 3, 4, 5, 6]


_DIES_AT_EVERY_PAGE = """
import socket
from preprocess_service.worker_messages import Opened, Ready, answer_frame
service = socket.socket(fileno=0)
for answer in (Ready(), Opened(3)):
    service.recv(99_999)
    service.sendall(b"".join(answer_frame(answer)))
"""


async def test_a_crash_over_the_first_page_leaves_the_others() -> None:
    """A file that was opened goes on without the pages that bring their workers down."""
    async with running_workers(2, command=[*COMMAND[:-2], "-c", _DIES_AT_EVERY_PAGE]) as running:
        outcomes = await pages_of(running, wide_pages(40, 41, 42))
    assert [(outcome.number, outcome.page_count) for outcome in outcomes] == [(1, 3), (2, 3), (3, 3)]
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, PageFailure)]
    assert [type(error) for error in errors] == [DecoderCrashed] * 3


async def test_a_crash_before_a_file_is_opened_fails_the_file(workers: PageWorkers) -> None:
    """Nobody knows how many pages it has; the next file is served."""
    content = wide_pages(40, 41, 42)
    pages = Pipeline(workers).pages(Source(content), UNTOUCHED, first_page=2)
    async with aclosing(pages):
        with stopped(workers.pids[0]), stopped(workers.pids[1]):
            second = asyncio.ensure_future(anext(pages))
            await settle()
            killed = workers.pids
            for pid in killed:
                os.kill(pid, signal.SIGSEGV)
        with pytest.raises(DecoderCrashed):
            await second
    await until(lambda: not any(map(is_alive, killed)))  # one that is to end could still take the next page
    assert [outcome.number for outcome in await pages_of(workers, content)] == [1, 2, 3]


async def test_a_cancelled_caller_is_free_at_once(workers: PageWorkers) -> None:
    """A cancel while a page is being made returns at once and leaves no task of its own behind."""
    before = asyncio.all_tasks()
    pages = Pipeline(workers).pages(Source(wide_pages(40, 41)), UNTOUCHED)

    async def take_one() -> Outcome:
        return await anext(pages)

    with stopped(workers.pids[0]), stopped(workers.pids[1]):
        caller = asyncio.create_task(take_one())
        await settle()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert asyncio.all_tasks() == before
    assert len(await pages_of(workers, wide_pages(40, 41))) == 2
