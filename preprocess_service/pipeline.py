"""Pages of a file → plan of steps → normalised pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import UPRIGHT, DecodedPage, PagedDocument
from preprocess_service.errors import PageOutOfDocument
from preprocess_service.model import (
    IDENTITY,
    AppliedStep,
    Homography,
    NormalizedPage,
    PageFailure,
    PageFit,
    Size,
    Source,
    SourceLimits,
)
from preprocess_service.profiles import Profile
from preprocess_service.steps.encode import MAX_ENCODED_SIDE_PX, encode
from preprocess_service.steps.orient import applied_orientation, orient
from preprocess_service.steps.scale import plan_size, scale
from preprocess_service.steps.step_result import size_of
from preprocess_service.worker_pool import WorkerPool
from rpc_runtime.faults import ExpectedError

_UNCONVERTED_MODES = ("1", "L", "RGB")


class Pipeline:
    """Makes pages fit for recognition, on the pool's workers. ``clock`` gives seconds and never goes back."""

    def __init__(self, pool: WorkerPool, limits: SourceLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._limits = limits
        self._clock = clock

    async def pages(
        self, source: Source, profile: Profile, fit: PageFit, *, first_page: int = 1, last_page: int | None = None
    ) -> AsyncGenerator[NormalizedPage | PageFailure, None]:
        """The pages from ``first_page`` to ``last_page`` (1 is the first; None, or one that is not there: the file's
        last), in order, each made while the one before it is in the caller's hands and no earlier.

        Raises, before any page, what concerns the file as a whole: ImageEmpty, ImageUndecodable, FormatUnsupported,
        ImageTooLargeBytes, ImageTooLargePixels, TooManyPages, PageOutOfDocument. In a file of several pages an expected
        error of one is a PageFailure in its place. Closing the iterator stops the work ahead and frees the file.
        """
        document = await self._pool.run(open_document, source, self._limits)
        if not 1 <= first_page <= document.page_count:
            raise PageOutOfDocument(page=first_page, page_count=document.page_count)
        last = document.page_count if last_page is None else min(last_page, document.page_count)
        ahead: asyncio.Task[NormalizedPage | PageFailure] | None = None
        try:
            for number in range(first_page, last + 1):
                outcome = await (ahead or self._page(document, number, source, profile, fit))
                ahead = None
                if number < last:
                    ahead = asyncio.create_task(self._page(document, number + 1, source, profile, fit))
                yield outcome
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _page(
        self, document: PagedDocument, number: int, source: Source, profile: Profile, fit: PageFit
    ) -> NormalizedPage | PageFailure:
        try:
            return await self._pool.run(self._make, document, number, source, profile, fit)
        except ExpectedError as error:
            if document.page_count == 1:
                raise
            return PageFailure(number, document.page_count, error)

    def _make(
        self, document: PagedDocument, number: int, source: Source, profile: Profile, fit: PageFit
    ) -> NormalizedPage:
        started_s = self._clock()
        made = _passed_on(document, source, profile, fit)
        if made is None:
            made = make_page(document.decode(number), profile, fit)
        return NormalizedPage(
            number=number,
            page_count=document.page_count,
            content=made.content,
            media_type=made.media_type,
            page_size=made.page_size,
            source_size=made.source_size,
            page_to_source=made.page_to_source,
            steps=made.steps,
            preprocess_ms=(self._clock() - started_s) * 1000,
        )


@dataclass(frozen=True, slots=True)
class MadePage:
    """A normalised page, without its place in the document and its time."""

    content: bytes = field(repr=False)
    media_type: str
    page_size: Size
    source_size: Size
    page_to_source: Homography
    steps: tuple[AppliedStep, ...]


def _passed_on(document: PagedDocument, source: Source, profile: Profile, fit: PageFit) -> MadePage | None:
    """The source's own bytes as the page, checked to be whole; None where they do not fit as they are."""
    plain = document.plain_page()
    if plain is None or not fit.takes(plain.media_type):
        return None
    size = Size(plain.width, plain.height)
    if (fit.max_bytes and len(source.content) > fit.max_bytes) or _target_size(size, profile, fit) != size:
        return None
    plain.check()
    return MadePage(source.content, plain.media_type, size, size, IDENTITY, ())


def make_page(decoded: DecodedPage, profile: Profile, fit: PageFit) -> MadePage:
    """The page, turned upright, scaled and encoded.

    Raises ImageTooLargeBytes where nothing brings it below ``fit.max_bytes``.
    """
    steps = list(_decoding_steps(decoded))
    pixels, orientation = decoded.pixels, UPRIGHT if decoded.is_turned else decoded.orientation
    is_two_tone, is_lossless = decoded.is_two_tone, decoded.is_lossless
    del decoded  # each stage frees the pixels of the one before, which may be hundreds of megabytes
    if orientation != UPRIGHT:
        pixels = orient(pixels, orientation).pixels
    source_size = size_of(pixels)
    page_to_source = IDENTITY
    target = _target_size(source_size, profile, fit, encoder_side_px=MAX_ENCODED_SIDE_PX)
    if target != source_size:
        scaled = scale(pixels, target)
        pixels, page_to_source = scaled.pixels, scaled.to_previous
        steps.append(scaled.applied)
        is_two_tone = False
        del scaled
    encoded = encode(pixels, fit, is_two_tone=is_two_tone, is_lossless=is_lossless, jpeg_quality=profile.jpeg_quality)
    return MadePage(
        content=encoded.content,
        media_type=encoded.media_type,
        page_size=encoded.size,
        source_size=source_size,
        page_to_source=page_to_source.compose(encoded.to_previous),
        steps=(*steps, encoded.applied),
    )


def _target_size(size: Size, profile: Profile, fit: PageFit, *, encoder_side_px: int = 0) -> Size:
    sides = [side for side in (fit.max_side_px, profile.max_side_px, encoder_side_px) if side]
    return plan_size(
        size,
        max_side_px=min(sides, default=0),
        max_pixels=fit.max_pixels,
        min_side_px=profile.min_side_px,
    )


def _decoding_steps(decoded: DecodedPage) -> Iterator[AppliedStep]:
    if decoded.mode not in _UNCONVERTED_MODES:
        yield AppliedStep("convert", {"from": decoded.mode, "to": "L" if decoded.pixels.ndim == 2 else "RGB"})
    if decoded.orientation != UPRIGHT:
        yield applied_orientation(decoded.orientation)
