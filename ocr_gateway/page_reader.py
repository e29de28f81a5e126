"""Has one provider read one page: a call for each region and feature, each through its lane, made into one document."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from ocr_gateway.document_codec import encode_document, page_confidence
from ocr_gateway.errors import (
    FieldInvalid,
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageSideTooLong,
    ImageTooLargeBytes,
    ImageTooLargePixels,
)
from ocr_gateway.image_header import ImageHeader, read_header
from ocr_gateway.image_pixels import crop_pngs
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.model import (
    CacheOutcome,
    Feature,
    ImageLimits,
    Page,
    ProviderCall,
    Recognition,
    RecognitionSpec,
    Rect,
    Trail,
)
from ocr_gateway.provider_calls import make_call
from ocr_gateway.regions import check_regions, merge_regions, whole_pixels
from ocr_gateway.routing import Candidate

LARGE_BYTES = 1024 * 1024

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class _Part:
    """What one call gets: a whole image, or a region of it whose corner lies at (x, y)."""

    image: bytes
    header: ImageHeader
    x: float = 0.0
    y: float = 0.0


class PageReader:
    """``max_pixels`` bounds an image by its header, before anything is decoded; ``cropping`` decodes for regions."""

    def __init__(self, *, max_pixels: int, cropping: Executor) -> None:
        self._max_pixels = max_pixels
        self._cropping = cropping

    async def header_of(self, content: bytes, regions: tuple[Rect, ...]) -> ImageHeader:
        """The image's header. Raises ImageUndecodable, FormatUnsupported, ImageTooLargePixels or RegionOutOfImage."""
        header = await off_loop(read_header, content)
        pixels = header.width * header.height
        if pixels > self._max_pixels:
            raise ImageTooLargePixels(value=pixels, limit=self._max_pixels)
        check_regions(regions, header.width, header.height)
        return header

    async def read(
        self,
        content: bytes,
        header: ImageHeader,
        regions: tuple[Rect, ...],
        spec: RecognitionSpec,
        candidate: Candidate,
        turn: Turn,
        trail: Trail,
    ) -> Recognition:
        """What the candidate reads. Raises the errors of its limits before anything is spent, and those of its lanes.

        ``trail`` gets what was tried and spent, also when this raises.
        """
        if spec.include_raw_response and max(1, len(regions)) * len(candidate.lanes) > 1:
            raise FieldInvalid("recognition.include_raw_response", "several calls have no one raw response")
        parts = await self._parts(content, header, regions)
        for part in parts:
            for support in candidate.supports:
                check_fit(len(part.image), part.header, support.limits)
        calls = [(_call_for(feature, part, spec), part) for feature in candidate.lanes for part in parts]
        for call, _ in calls:  # all of them, before the first one is paid for
            candidate.provider.check(call)
        pages: list[tuple[Page, float, float]] = []
        raw_response = b""
        for call, part in calls:
            result = await make_call(call, candidate, turn, trail)
            raw_response = result.raw_response
            pages.append((result.page, part.x, part.y))
        page = pages[0][0] if len(calls) == 1 and not regions else merge_regions(pages, header.width, header.height)
        return Recognition(
            document=encode_document(page),
            provider=candidate.provider.description.name,
            model=candidate.provider.status.model,
            cache=CacheOutcome.MISS,
            raw_response=raw_response,
            confidence=page_confidence(page),
        )

    async def _parts(self, content: bytes, header: ImageHeader, regions: tuple[Rect, ...]) -> list[_Part]:
        if not regions:
            return [_Part(content, header)]
        whole = [whole_pixels(region) for region in regions]
        crops = await asyncio.get_running_loop().run_in_executor(self._cropping, crop_pngs, content, whole)
        return [_Part(crop, read_header(crop), at.x, at.y) for at, crop in zip(whole, crops, strict=True)]


def _call_for(feature: Feature, part: _Part, spec: RecognitionSpec) -> ProviderCall:
    return ProviderCall(
        image=part.image,
        media_type=part.header.media_type,
        width=part.header.width,
        height=part.header.height,
        feature=feature,
        languages=spec.languages,
        options=spec.options,
        include_raw_response=spec.include_raw_response,
        document=spec.document if feature is Feature.ID_DOCUMENT else None,
    )


def check_fit(content_bytes: int, header: ImageHeader, limits: ImageLimits) -> None:
    """Raises the error for what a provider of these limits does not take."""
    if limits.media_types and header.media_type not in limits.media_types:
        raise FormatUnsupported(header.media_type, limits.media_types)
    if limits.max_bytes and content_bytes > limits.max_bytes:
        raise ImageTooLargeBytes(value=content_bytes, limit=limits.max_bytes)
    pixels, longer, shorter = header.width * header.height, *sorted((header.width, header.height), reverse=True)
    if limits.max_pixels and pixels > limits.max_pixels:
        raise ImageTooLargePixels(value=pixels, limit=limits.max_pixels)
    if limits.max_side_px and longer > limits.max_side_px:
        raise ImageSideTooLong(value=longer, limit=limits.max_side_px)
    if shorter < limits.min_side_px:
        raise ImageShapeUnsupported(f"its shorter side has {shorter} px, {limits.min_side_px} are needed")
    if limits.max_aspect and longer / shorter > limits.max_aspect:
        raise ImageShapeUnsupported(f"it is {longer / shorter:.3g} times as long as wide, not {limits.max_aspect:g}")


async def off_loop(look: Callable[[bytes], ResultT], content: bytes) -> ResultT:
    """What ``look`` makes of the content, on a thread where that takes more than about a millisecond."""
    return look(content) if len(content) < LARGE_BYTES else await asyncio.to_thread(look, content)
