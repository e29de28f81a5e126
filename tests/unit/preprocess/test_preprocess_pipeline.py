"""From a file to its normalised pages."""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import struct
import threading
import weakref
from collections.abc import AsyncIterator, Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from preprocess_service import pipeline as pipeline_module
from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodedPage, PagedDocument, PlainPage
from preprocess_service.errors import (
    FormatUnsupported,
    ImageEmpty,
    ImageTooLargeBytes,
    ImageUndecodable,
    PageOutOfDocument,
    TooManyPages,
)
from preprocess_service.model import IDENTITY, NormalizedPage, PageFailure, PageFit, Size, Source, SourceLimits
from preprocess_service.pipeline import Pipeline
from preprocess_service.profiles import Profile, resolve
from preprocess_service.worker_pool import WorkerPool
from tests.fakes.images import UNREAD_FORMATS, encoded, photo, stored_with_orientation, tiff_pages

AUTO = resolve("auto", {})
NONE = resolve("none", {})
TIMEOUT_S = 10


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    workers = WorkerPool(2)
    yield workers
    await workers.close()


async def all_pages(
    pool: WorkerPool,
    content: bytes,
    *,
    profile: Profile = AUTO,
    fit: PageFit | None = None,
    limits: SourceLimits | None = None,
    first_page: int = 1,
    last_page: int | None = None,
) -> list[NormalizedPage | PageFailure]:
    pages = Pipeline(pool, limits or SourceLimits()).pages(
        Source(content), profile, fit or PageFit(), first_page=first_page, last_page=last_page
    )
    return [page async for page in pages]


async def only_page(
    pool: WorkerPool, content: bytes, *, profile: Profile = AUTO, fit: PageFit | None = None
) -> NormalizedPage:
    (page,) = await all_pages(pool, content, profile=profile, fit=fit)
    assert isinstance(page, NormalizedPage)
    return page


@pytest.mark.parametrize(
    ("file_format", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("MPO", "image/jpeg")]
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
async def test_a_plain_file_is_passed_on_untouched(
    pool: WorkerPool, file_format: str, media_type: str, mode: str
) -> None:
    """A plain, upright JPEG or PNG that fits is its own page, byte for byte."""
    content = encoded(photo().convert(mode), file_format)
    page = await only_page(pool, content)
    assert page.content is content
    assert page.media_type == media_type
    assert page.page_to_source == IDENTITY
    assert page.steps == ()
    assert page.page_size == page.source_size == Size(96, 64)
    assert (page.number, page.page_count) == (1, 1)


@pytest.mark.parametrize(
    ("content", "fit", "steps"),
    [
        (encoded(photo(), "JPEG"), PageFit(media_types=("image/png",)), ["encode"]),
        (encoded(photo(), "PNG"), PageFit(media_types=("image/jpeg",)), ["encode"]),
        (encoded(photo(), "JPEG"), PageFit(max_side_px=50), ["scale", "encode"]),
        (encoded(photo(), "JPEG"), PageFit(max_pixels=1000), ["scale", "encode"]),
        (encoded(photo(), "BMP"), PageFit(), ["encode"]),
        (encoded(photo(), "WEBP"), PageFit(), ["encode"]),
        (encoded(photo().convert("1"), "TIFF"), PageFit(), ["encode"]),
        (encoded(photo().convert("CMYK"), "JPEG"), PageFit(), ["convert", "encode"]),
        (encoded(photo().quantize(8), "PNG"), PageFit(), ["convert", "encode"]),
        (stored_with_orientation(photo(), 6, "JPEG"), PageFit(), ["orient", "encode"]),
        (stored_with_orientation(photo(), 6, "TIFF"), PageFit(max_side_px=50), ["orient", "scale", "encode"]),
        (encoded(photo(20, 10), "PNG"), PageFit(), ["scale", "encode"]),
    ],
)
async def test_any_other_file_is_made_into_a_page(
    pool: WorkerPool, content: bytes, fit: PageFit, steps: list[str]
) -> None:
    """What does not fit as it is gets just the steps that it needs, and they are named."""
    page = await only_page(pool, content, fit=fit)
    assert [step.name for step in page.steps] == steps
    image = Image.open(io.BytesIO(page.content))
    assert image.size == (page.page_size.width, page.page_size.height)
    assert Image.MIME[image.format or ""] == page.media_type
    assert fit.takes(page.media_type)
    assert not fit.max_side_px or page.page_size.longer_px <= fit.max_side_px
    assert not fit.max_pixels or page.page_size.pixels <= fit.max_pixels


async def test_a_plain_file_of_too_many_bytes_is_encoded_anew(pool: WorkerPool) -> None:
    """The reader's limit on bytes is kept."""
    content = encoded(photo(300, 200), "PNG")
    page = await only_page(pool, content, fit=PageFit(max_bytes=len(content) // 2))
    assert len(page.content) <= len(content) // 2


async def test_the_profile_none_leaves_a_tiny_page_alone(pool: WorkerPool) -> None:
    """Only auto enlarges."""
    content = encoded(photo(20, 10), "PNG")
    assert (await only_page(pool, content, profile=NONE)).content is content
    assert (await only_page(pool, content)).page_size == Size(64, 32)


async def test_a_page_too_long_for_the_encoders_is_scaled(pool: WorkerPool) -> None:
    """A strip of more than 65 500 px that must be encoded is brought down to it."""
    page = await only_page(pool, encoded(Image.new("1", (70_000, 40), 1), "TIFF"))
    assert page.page_size.width == 65_500
    assert page.page_to_source.apply([(65_500.0, float(page.page_size.height))])[0] == pytest.approx((70_000, 40))


async def test_the_time_of_each_page_is_measured(pool: WorkerPool) -> None:
    """preprocess_ms is what the clock says between the start and the end of a page."""
    ticks = itertools.count(start=100.0, step=0.25)
    pages = Pipeline(pool, SourceLimits(), clock=lambda: next(ticks)).pages(
        Source(tiff_pages(photo(), photo())), AUTO, PageFit()
    )
    assert [page.preprocess_ms async for page in pages if isinstance(page, NormalizedPage)] == [250.0, 250.0]


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
    pool: WorkerPool, content: bytes, error: type[Exception]
) -> None:
    """A file of one page fails as a whole."""
    with pytest.raises(error):
        await all_pages(pool, content)


async def test_limits_on_bytes_and_pages_hold(pool: WorkerPool) -> None:
    """The source's limits are those that the pipeline was given."""
    content = tiff_pages(photo(), photo())
    with pytest.raises(ImageTooLargeBytes):
        await all_pages(pool, content, limits=SourceLimits(max_bytes=len(content) - 1))
    with pytest.raises(TooManyPages):
        await all_pages(pool, content, limits=SourceLimits(max_pages=1))


async def test_a_damaged_page_stands_in_its_place(pool: WorkerPool) -> None:
    """One page of several fails by itself, in order; a byte limit that none meets is a failure of the page too."""
    content = bytearray(tiff_pages(photo(20, 40), photo(30, 40), photo(40, 40)))
    second_width = content.index(struct.pack("<HHLL", 256, 4, 1, 30))
    struct.pack_into("<L", content, second_width + 8, 0)
    outcomes = await all_pages(pool, bytes(content))
    assert [type(outcome) for outcome in outcomes] == [NormalizedPage, PageFailure, NormalizedPage]
    assert [(outcome.number, outcome.page_count) for outcome in outcomes] == [(1, 3), (2, 3), (3, 3)]
    failure = outcomes[1]
    assert isinstance(failure, PageFailure)
    assert isinstance(failure.error, ImageUndecodable)
    outcomes = await all_pages(pool, tiff_pages(photo(), photo()), fit=PageFit(max_bytes=10))
    assert [type(outcome) for outcome in outcomes] == [PageFailure, PageFailure]


async def test_a_range_of_pages_is_read(pool: WorkerPool) -> None:
    """First and last page count from 1; a last one behind the end means the end."""
    content = tiff_pages(*(photo(40 + number, 40) for number in range(5)))
    assert [page.number for page in await all_pages(pool, content, first_page=2, last_page=3)] == [2, 3]
    assert [page.number for page in await all_pages(pool, content, first_page=4, last_page=99)] == [4, 5]
    for first_page in (0, 6):
        with pytest.raises(PageOutOfDocument) as caught:
            await all_pages(pool, content, first_page=first_page)
        assert caught.value.metadata == {"page": str(first_page), "page_count": "5"}


class WatchedDocument:
    """A document that records which pages were decoded, and may hold one back."""

    def __init__(self, document: PagedDocument) -> None:
        self._document = document
        self.decoded: list[int] = []
        self.changed = threading.Condition()
        self.held_page = 0
        self.released = threading.Event()

    @property
    def page_count(self) -> int:
        return self._document.page_count

    def decode(self, number: int, /) -> DecodedPage:
        with self.changed:
            self.decoded.append(number)
            self.changed.notify_all()
        if number == self.held_page:
            assert self.released.wait(TIMEOUT_S)
        return self._document.decode(number)

    def plain_page(self) -> PlainPage | None:
        return self._document.plain_page()

    async def wait_decoding(self, number: int) -> None:
        def wait() -> bool:
            with self.changed:
                return self.changed.wait_for(lambda: number in self.decoded, TIMEOUT_S)

        assert await asyncio.to_thread(wait)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> WatchedDocument:
    document = WatchedDocument(open_document(Source(tiff_pages(*[photo()] * 5)), SourceLimits()))
    opening: Callable[[Source, SourceLimits], PagedDocument] = lambda source, limits: document  # noqa: E731
    monkeypatch.setattr(pipeline_module, "open_document", opening)
    return document


async def test_one_page_is_made_ahead_and_no_more(pool: WorkerPool, watched: WatchedDocument) -> None:
    """While the caller holds a page the next one is made, and the one after it is not begun."""
    pages = Pipeline(pool, SourceLimits()).pages(Source(b"x"), AUTO, PageFit())
    first = await anext(pages)
    assert first.number == 1
    await watched.wait_decoding(2)
    await pool.run(lambda: None)
    await pool.run(lambda: None)
    assert watched.decoded == [1, 2]
    assert (await anext(pages)).number == 2
    await watched.wait_decoding(3)
    await pages.aclose()
    assert watched.decoded == [1, 2, 3]


async def test_closing_early_stops_the_work_ahead(watched: WatchedDocument) -> None:
    """A page that waits for a worker is never begun once the iterator is closed."""
    pool = WorkerPool(1)
    pages = Pipeline(pool, SourceLimits()).pages(Source(b"x"), AUTO, PageFit())
    await anext(pages)
    blocked, release = threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        assert release.wait(TIMEOUT_S)

    blocker = asyncio.create_task(pool.run(block))
    watched.held_page = 2
    await watched.wait_decoding(2)
    await pages.aclose()
    watched.released.set()
    assert await asyncio.to_thread(blocked.wait, TIMEOUT_S)
    release.set()
    await blocker
    await pool.close()
    assert watched.decoded == [1, 2]


async def test_a_cancelled_caller_is_free_at_once(pool: WorkerPool, watched: WatchedDocument) -> None:
    """A cancel while a page is being made returns at once and leaves no task behind."""
    watched.held_page = 1
    pages = Pipeline(pool, SourceLimits()).pages(Source(b"x"), AUTO, PageFit())

    async def take_one() -> NormalizedPage | PageFailure:
        return await anext(pages)

    caller = asyncio.create_task(take_one())
    await watched.wait_decoding(1)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert asyncio.all_tasks() == {asyncio.current_task()}
    watched.released.set()


async def test_a_closed_iterator_holds_nothing(pool: WorkerPool) -> None:
    """The file's document is freed when the iterator is closed early."""

    class Document(WatchedDocument):
        pass

    document = Document(open_document(Source(tiff_pages(photo(), photo(), photo())), SourceLimits()))
    holder: list[PagedDocument] = [document]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_module, "open_document", lambda source, limits: holder.pop())
        freed = weakref.ref(document)
        pages = Pipeline(pool, SourceLimits()).pages(Source(b"x"), AUTO, PageFit())
        del document
        await anext(pages)
        await pages.aclose()
    await pool.run(lambda: None)
    await pool.run(lambda: None)
    gc.collect()
    assert freed() is None


async def test_a_page_that_is_passed_on_was_decoded_whole(pool: WorkerPool) -> None:
    """Passing a file on does not mean trusting it."""
    _, buffer = cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))
    content = np.asarray(buffer).tobytes()
    assert (await only_page(pool, content)).content is content
    with pytest.raises(ImageUndecodable):
        await only_page(pool, content[:-2])
