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
    ImageTooLargePixels,
)
from ocr_gateway.image_fit import check_fit
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
from ocr_gateway.mosaic import Tile, make_mosaics
from ocr_gateway.mosaic_reading import split_page
from ocr_gateway.provider_calls import ProviderCalls
from ocr_gateway.regions import check_regions, merge_regions, whole_pixels
from ocr_gateway.routing import Candidate

LARGE_BYTES = 1024 * 1024

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class _Part:
    """What one call gets: a whole image, or one that holds one or several regions of it as tiles."""

    image: bytes
    header: ImageHeader
    tiles: tuple[Tile, ...] = ()

    def pages(self, read: Page) -> list[tuple[int, Page]]:
        """What was read of each region, with its index; 0 for that of the whole image."""
        if len(self.tiles) < 2:
            return [(self.tiles[0].region if self.tiles else 0, read)]
        return [(tile.region, page) for tile, page in zip(self.tiles, split_page(read, self.tiles), strict=True)]


class PageReader:
    """``max_pixels`` bounds an image by its header, before anything is decoded; ``cropping`` decodes for regions."""

    def __init__(self, calls: ProviderCalls, *, max_pixels: int, cropping: Executor) -> None:
        self._calls = calls
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
        parts = await self._parts(content, header, regions, candidate)
        calls = [(_call_for(feature, part, spec), part) for feature in candidate.lanes for part in parts[feature]]
        if spec.include_raw_response and len(calls) > 1:
            raise FieldInvalid("recognition.include_raw_response", "several calls have no one raw response")
        for call, part in calls:
            check_fit(len(part.image), part.header, candidate.provider.description.features[call.feature].limits)
        for call, _ in calls:  # all of them, before the first one is paid for
            candidate.provider.check(call)
        read: list[tuple[int, Page]] = []
        raw_response = b""
        for feature in candidate.lanes:
            of_feature: list[tuple[int, Page]] = []
            for call, part in calls:
                if call.feature is feature:
                    result = await self._calls.make(call, candidate, turn, trail)
                    raw_response = result.raw_response
                    of_feature += part.pages(result.page)
            read += sorted(of_feature, key=lambda pair: pair[0])
        if not regions and len(read) == 1:
            page = read[0][1]
        else:
            corners = [whole_pixels(region) for region in regions] or [Rect(0, 0, header.width, header.height)]
            moved = [(page, corners[region].x, corners[region].y) for region, page in read]
            page = merge_regions(moved, header.width, header.height)
        return Recognition(
            document=encode_document(page),
            provider=candidate.provider.description.name,
            model=candidate.provider.status.model,
            cache=CacheOutcome.MISS,
            raw_response=raw_response,
            confidence=page_confidence(page),
        )

    async def _parts(
        self, content: bytes, header: ImageHeader, regions: tuple[Rect, ...], candidate: Candidate
    ) -> dict[Feature, list[_Part]]:
        """The images to send for each feature."""
        if not regions:
            return {feature: [_Part(content, header)] for feature in candidate.lanes}
        whole = [whole_pixels(region) for region in regions]
        run = asyncio.get_running_loop().run_in_executor
        is_mosaic = candidate.is_mosaic(regions)
        parts: dict[Feature, list[_Part]] = {}
        if not is_mosaic or len(candidate.lanes) > 1:
            parts = dict.fromkeys(candidate.lanes, await run(self._cropping, _crops, content, whole))
        if is_mosaic:
            limits = candidate.provider.description.features[Feature.TEXT].limits
            parts[Feature.TEXT] = await run(self._cropping, _mosaics, content, whole, limits)
        return parts


def _crops(content: bytes, whole: list[Rect]) -> list[_Part]:
    """Each region by itself."""
    parts: list[_Part] = []
    for region, crop in enumerate(crop_pngs(content, whole)):
        header = read_header(crop)
        parts.append(_Part(crop, header, (Tile(region, 0, 0, header.width, header.height),)))
    return parts


def _mosaics(content: bytes, whole: list[Rect], limits: ImageLimits) -> list[_Part]:
    """The regions in as few images as go."""
    return [_Part(each.image, read_header(each.image), each.tiles) for each in make_mosaics(content, whole, limits)]


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
        also=spec.features - {feature},
    )


async def off_loop(look: Callable[[bytes], ResultT], content: bytes) -> ResultT:
    """What ``look`` makes of the content, on a thread where that takes more than about a millisecond."""
    return look(content) if len(content) < LARGE_BYTES else await asyncio.to_thread(look, content)
