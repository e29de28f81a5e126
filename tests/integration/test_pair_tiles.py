"""A page that is too tall for its reader is read in tiles, and answered as if it had been read at once."""

from __future__ import annotations

import asyncio
import hashlib
import io
from dataclasses import replace

import pytest

from ocr_gateway.errors import ProviderUnavailable
from ocr_gateway.model import Block, ImageLimits, Page, PagePreference, ProviderCall
from ocrmux.ocr.v1 import document_pb2, image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.gateway_messages import outcome
from tests.fakes.images import InkBox, encoded, page_with_ink
from tests.fakes.preprocess_calls import answers_of
from tests.fakes.preprocess_messages import config, source
from tests.fakes.preprocess_readers import FussyProvider
from tests.fakes.providers import Gate, ScriptedProvider, ink_of
from tests.fakes.servers import running_pair

WIDTH, HEIGHT = 320, 3000
LIMITS = ImageLimits(max_aspect=3.0)
RECEIPT_TILES = 4
ROWS = tuple(
    InkBox(20 + 7 * (number % 3), 24 + 37 * number, 180 + 11 * (number % 9), 12 + number % 7) for number in range(79)
)
"""Lines of a receipt; the edges of tiles fall upon some of them."""


async def lines_in_rows(call: ProviderCall) -> Page | None:
    """The ink, as an engine gives lines: from the top to the bottom."""
    page = await ink_of(call)
    assert page is not None
    (block,) = page.blocks
    lines = sorted(block.lines, key=lambda line: line.polygon[0][1] if line.polygon else 0.0)
    return replace(page, blocks=(Block(tuple(replace(line, text=f"{call.width}") for line in lines)),))


def receipt() -> bytes:
    """The receipt as a file."""
    return encoded(page_with_ink(WIDTH, HEIGHT, *ROWS), "PNG")


def boxes_of(answer: recognition_pb2.PageAnswer) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each line, in their order."""
    lines: list[document_pb2.Line] = [line for block in answer.document.pages[0].blocks for line in block.lines]
    places = [[(point.x, point.y) for point in line.polygon.points] for line in lines]
    return [(min(x for x, _ in p), min(y for _, y in p), max(x for x, _ in p), max(y for _, y in p)) for p in places]


def assert_at(found: list[tuple[float, float, float, float]], drawn: tuple[InkBox, ...]) -> None:
    """Each drawn row stands there once, in order, to within 2 px."""
    assert len(found) == len(drawn)
    for got, box in zip(found, drawn, strict=True):
        assert got == pytest.approx((box.x, box.y, box.x + box.width, box.y + box.height), abs=2.0)


@pytest.mark.parametrize("preference", list(PagePreference))
async def test_a_tall_receipt_is_read_in_tiles_and_each_line_comes_once(preference: PagePreference) -> None:
    """Its lines stand in the answer in order, whole, in the source's pixels, whatever was done to the page."""
    provider = FussyProvider(lines_in_rows, limits=LIMITS, preference=preference)
    async with running_pair(provider) as pair:
        (answer,) = await answers_of(pair, [config(), source("a", receipt())])
    assert outcome(answer) == "OK"
    assert len(provider.calls) >= 3
    assert all(call.height <= 3 * call.width for call in provider.calls)
    assert_at(boxes_of(answer), ROWS)
    page = answer.document.pages[0]
    assert (page.number, page.size.width, page.size.height) == (1, WIDTH, HEIGHT)
    assert page.text.count("\n") == len(ROWS) - 1
    assert (answer.page, answer.page_count, answer.last_page) == (1, 1, True)
    assert "tile" in {step.name for step in answer.steps}
    provenance = answer.provenance
    assert (provenance.attempts, provenance.billed_units) == (len(provider.calls), len(provider.calls))
    assert provenance.cache == recognition_pb2.CACHE_OUTCOME_MISS
    assert provenance.timings.provider_ms <= provenance.timings.total_ms


async def test_tiles_are_read_side_by_side_and_remembered() -> None:
    """All tiles are at the provider at once; a second time the page comes from the cache, by digest alone too."""
    gate = Gate()

    async def script(call: ProviderCall) -> Page | None:
        await gate.opened.wait()
        return await lines_in_rows(call)

    provider = FussyProvider(script, limits=LIMITS)
    content = receipt()
    claimed = image_pb2.ContentDigest(
        algorithm=image_pb2.DIGEST_ALGORITHM_SHA256, value=hashlib.sha256(content).digest()
    )
    by_digest = preprocess_pb2.StreamRecognizeRequest(
        item=preprocess_pb2.SourceItem(request_id="b", image=image_pb2.ImagePayload(digest=claimed))
    )
    async with running_pair(provider) as pair:
        first = asyncio.create_task(answers_of(pair, [config(), source("a", content)]))
        await provider.until(lambda: provider.in_progress == RECEIPT_TILES)
        gate.opened.set()
        (made,) = await first
        (again,) = await answers_of(pair, [config(), source("a", content)])
        (recalled,) = await answers_of(pair, [config(), by_digest])
    assert len(provider.calls) == RECEIPT_TILES
    assert made.document == again.document == recalled.document
    assert {each.provenance.cache for each in (again, recalled)} == {recognition_pb2.CACHE_OUTCOME_MEMORY}
    assert (again.provenance.attempts, again.provenance.timings.preprocess_ms) == (0, 0)
    assert list(recalled.steps) == list(made.steps)


async def test_a_page_of_which_a_tile_is_forgotten_is_made_again() -> None:
    """Where the gateway's memory holds only some of the tiles, the page is made and read anew, and is whole."""
    provider = FussyProvider(lines_in_rows, limits=LIMITS)
    other = encoded(page_with_ink(WIDTH, HEIGHT, *ROWS[:40]), "PNG")
    async with running_pair(provider, gateway={"cache": {"memory_bytes": 24_000}}) as pair:
        for content, rows in ((receipt(), ROWS), (other, ROWS[:40]), (receipt(), ROWS), (receipt(), ROWS)):
            (answer,) = await answers_of(pair, [config(), source("a", content)])
            assert outcome(answer) == "OK"
            assert_at(boxes_of(answer), rows)


async def test_a_tile_that_fails_fails_the_page() -> None:
    """Nothing half is given: the page has the tile's error, and says what was spent."""

    async def script(call: ProviderCall) -> Page | None:
        if provider.in_progress == 2:
            raise ProviderUnavailable("scripted", "not this one")
        return await lines_in_rows(call)

    provider = FussyProvider(script, limits=LIMITS)
    async with running_pair(provider, gateway={"retry": {"max_attempts": 1}}) as pair:
        (answer,) = await answers_of(pair, [config(), source("a", receipt())])
    assert outcome(answer) == "PROVIDER_UNAVAILABLE"
    assert (answer.page, answer.last_page) == (1, True)
    assert answer.provenance.attempts >= 1


async def test_only_tiles_with_a_region_are_read() -> None:
    """A region in the lower part, over a tile's edge, costs the tiles that it lies on, and gives its lines once."""
    provider = FussyProvider(lines_in_rows, limits=LIMITS)
    top, bottom = ROWS[50].y - 6, ROWS[74].y - 6
    region = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top}
    async with running_pair(provider) as pair:
        (whole,) = await answers_of(pair, [config(), source("a", receipt())])
        tiles = len(provider.calls)
        (answer,) = await answers_of(pair, [config(), source("b", receipt(), regions=[region])])
        outside = {"x": 0, "y": 2990, "width": 10, "height": 20}
        (refused,) = await answers_of(pair, [config(), source("c", receipt(), regions=[outside])])
    assert (outcome(whole), outcome(answer), outcome(refused)) == ("OK", "OK", "REGION_OUT_OF_IMAGE")
    assert_at(boxes_of(answer), ROWS[50:74])
    assert 0 < len(provider.calls) - tiles < tiles


async def test_a_wide_page_is_tiled_too_and_its_lines_are_joined() -> None:
    """A banner whose only line runs over every tile is answered with one line from end to end."""
    out = io.BytesIO()
    page_with_ink(2000, 200, InkBox(40, 80, 1900, 40)).save(out, "PNG")
    provider = FussyProvider(lines_in_rows, limits=LIMITS)
    async with running_pair(provider) as pair:
        (answer,) = await answers_of(pair, [config(profile="none"), source("a", out.getvalue())])
    assert len(provider.calls) > 2
    assert_at(boxes_of(answer), (InkBox(40, 80, 1900, 40),))


async def test_a_reader_of_any_shape_gets_the_page_whole() -> None:
    """Without a limit nothing is cut."""
    provider = ScriptedProvider(lines_in_rows)
    async with running_pair(provider) as pair:
        (answer,) = await answers_of(pair, [config(), source("a", receipt())])
    assert [(call.width, call.height) for call in provider.calls] == [(WIDTH, HEIGHT)]
    assert_at(boxes_of(answer), ROWS)
