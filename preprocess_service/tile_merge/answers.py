"""The answers for the tiles of a page, made into the page's one answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ocrmux.ocr.v1 import document_pb2, geometry_pb2, recognition_pb2
from preprocess_service.model import NormalizedPage, PagePart
from preprocess_service.tile_merge.lines import merged_blocks
from preprocess_service.tile_merge.outlines import tile_of
from preprocess_service.tile_merge.page_text import confidence_of, text_of
from preprocess_service.tile_merge.tables import merged_fields, merged_tables
from preprocess_service.translation import move_places

_DEAREST_FIRST = (
    recognition_pb2.CACHE_OUTCOME_MISS,
    recognition_pb2.CACHE_OUTCOME_COALESCED,
    recognition_pb2.CACHE_OUTCOME_STORE,
    recognition_pb2.CACHE_OUTCOME_MEMORY,
)
_COST_DIGITS = 9
"""Digits of a cost after the point, as the gateway gives it."""

PageAnswer = recognition_pb2.PageAnswer


def merged_answer(page: NormalizedPage, answers: Sequence[tuple[PagePart, PageAnswer]]) -> PageAnswer:
    """One answer in pixels of the normalised page, of those for its parts in their order, at least one.

    A part's error is the page's: nothing half is given; what was spent is told all the same. The answers given are
    changed.
    """
    made = PageAnswer(provenance=_provenance([answer.provenance for _, answer in answers]))
    failed = next((answer for _, answer in answers if answer.HasField("error")), None)
    if failed is not None:
        made.error.CopyFrom(failed.error)
        return made
    tiles = [tile_of(part, page.page_size) for part, _ in answers]
    pages = [_moved(part, answer) for part, answer in answers]
    blocks = merged_blocks(tiles, pages)
    lines = [line for block in blocks for line in block.lines]
    merged = document_pb2.Page(
        number=1,
        size=geometry_pb2.Size(width=page.page_size.width, height=page.page_size.height),
        text=text_of(lines),
        confidence=confidence_of(lines),
        languages=dict.fromkeys(name for each in pages for name in each.languages),
        blocks=blocks,
        tables=merged_tables(tiles, pages),
        fields=merged_fields(pages),
    )
    made.document.pages.append(merged)
    made.raw_response = b"\n".join(answer.raw_response for _, answer in answers if answer.raw_response)
    return made


def _moved(part: PagePart, answer: PageAnswer) -> document_pb2.Page:
    page = answer.document.pages[0] if answer.document.pages else document_pb2.Page()
    move_places(page, part.to_page)
    return page


def _provenance(each: Sequence[recognition_pb2.Provenance]) -> recognition_pb2.Provenance:
    """Attempts, billed units and cost are sums; the cache's outcome is the dearest; the times are those of the tile
    that took longest, as tiles are read side by side. Provider and model are the first tile's that tells them."""
    slowest = max(each, key=lambda one: one.timings.total_ms)
    reader = next((one for one in each if one.provider), each[0])
    outcomes = {one.cache for one in each}
    return recognition_pb2.Provenance(
        provider=reader.provider,
        model=reader.model,
        cache=next((outcome for outcome in _DEAREST_FIRST if outcome in outcomes), each[0].cache),
        attempts=sum(one.attempts for one in each),
        fallbacks=_fallbacks(each),
        billed_units=sum(one.billed_units for one in each),
        cost=round(sum(one.cost for one in each), _COST_DIGITS),
        currency=next((one.currency for one in each if one.currency), ""),
        timings=slowest.timings,
    )


def _fallbacks(each: Sequence[recognition_pb2.Provenance]) -> Iterator[recognition_pb2.Fallback]:
    """Those of all tiles, each once."""
    told: set[tuple[str, str]] = set()
    for passed in (passed for one in each for passed in one.fallbacks):
        if (passed.provider, passed.reason) not in told:
            told.add((passed.provider, passed.reason))
            yield passed
