"""What every provider over the network keeps, each before a stand-in of its vendor.

Here: what it reads, what it says of itself, and what it does not take. What it makes of its service's answers and of
the network: test_remote_provider_answers and test_remote_provider_faults.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ocr_gateway.errors import (
    FieldInvalid,
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageSideTooLong,
    ImageTooLargeBytes,
    ImageTooLargePixels,
    ImageUndecodable,
)
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.image_layout import UPRIGHT, layout_of
from ocr_gateway.model import (
    Feature,
    IdDocument,
    Page,
    PagePreference,
    Polygon,
    ProviderKind,
    ProviderResult,
    ProviderState,
    Table,
)
from ocr_gateway.providers.base import BatchProvider
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.upright import upright_call
from ocr_gateway.setting_parts import laid_over
from rpc_runtime.expected_error import ExpectedError
from tests.contracts.remote_cases import CASES, RemoteCase
from tests.contracts.remote_desk import (
    HEIGHT,
    WIDTH,
    Desk,
    OpenDesk,
    assert_served,
    each,
    failure_of,
    known_kinds,
    lines_of,
    padded_image,
    page_image,
    text_of_image,
)
from tests.fakes.images import photo, stored_with_orientation

TEXTUAL = [case for case in CASES if Feature.TEXT in case.features]
READING_DOCUMENTS = [case for case in CASES if Feature.ID_DOCUMENT in case.features]
BATCHING = [case for case in CASES if case.batch > 1]
FEATURES = [(case, feature) for case in CASES for feature in case.features]

pytestmark = pytest.mark.asyncio(loop_scope="package")


# What is read


@pytest.mark.parametrize(
    ("case", "feature"), [pytest.param(case, feature, id=f"{case.kind}-{feature.value}") for case, feature in FEATURES]
)
async def test_each_feature_gives_a_page_of_the_one_schema(desk: Desk, feature: Feature) -> None:
    """Places lie on the image, confidences are 0..1 or unknown, tables are whole and fields have canonical names."""
    result = await desk.provider.recognize(desk.call(feature=feature))
    page = result.page
    assert (page.width, page.height) == (WIDTH, HEIGHT)
    assert (result.billed_units, result.raw_response) == (1.0, b"")
    for polygon in polygons_of(page):
        assert len(polygon) == 4
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in polygon)
    assert all(confidence is None or 0 <= confidence <= 1 for confidence in confidences_of(page))
    match feature:
        case Feature.TEXT:
            assert lines_of(page) == [text_of_image(page_image())]
            assert (page.tables, page.fields) == ((), ())
        case Feature.TABLE:
            assert page.tables
            for table in page.tables:
                assert_whole(table)
            cells = [cell.text for table in page.tables for cell in table.cells]
            assert any(text_of_image(page_image()) in text for text in cells)
        case Feature.ID_DOCUMENT:
            assert page.fields
            assert {field.name for field in page.fields} <= {str(name) for name in FieldName}
            assert all(field.raw_value for field in page.fields)


def polygons_of(page: Page) -> Iterator[Polygon]:
    lines = [line for block in page.blocks for line in block.lines]
    parts: tuple[Sequence[Any], ...] = (
        page.blocks, lines, [word for line in lines for word in line.words],
        page.tables, [cell for table in page.tables for cell in table.cells], page.fields,
    )  # fmt: skip
    for part in itertools.chain.from_iterable(parts):
        if part.polygon is not None:
            yield part.polygon


def confidences_of(page: Page) -> list[float | None]:
    lines = [line for block in page.blocks for line in block.lines]
    parts: tuple[Sequence[Any], ...] = (
        lines, [word for line in lines for word in line.words], page.fields,
        page.tables, [cell for table in page.tables for cell in table.cells],
    )  # fmt: skip
    return [part.confidence for part in itertools.chain.from_iterable(parts)]


def assert_whole(table: Table) -> None:
    """Cells lie within the table, by row and column, and none over another."""
    places = [(cell.row, cell.column) for cell in table.cells]
    assert places == sorted(places)
    taken: set[tuple[int, int]] = set()
    for cell in table.cells:
        assert cell.row_span >= 1 <= cell.column_span
        covered = set(
            itertools.product(
                range(cell.row, cell.row + cell.row_span), range(cell.column, cell.column + cell.column_span)
            )
        )
        assert not covered & taken
        taken |= covered
    assert all(0 <= row < table.row_count and 0 <= column < table.column_count for row, column in taken)


@each(TEXTUAL)
async def test_every_line_of_a_page_is_read(desk: Desk) -> None:
    """In order, with a place each or none at all."""
    await desk.stand_in.configure(lines=3)
    page = (await desk.provider.recognize(desk.call(feature=Feature.TEXT))).page
    first = text_of_image(page_image())
    assert lines_of(page) == [first, f"{first} 0001", f"{first} 0002"]
    placed = [line.polygon for block in page.blocks for line in block.lines]
    assert len({polygon is None for polygon in placed}) == 1
    assert placed[0] is None or len(set(placed)) == 3


@each(TEXTUAL)
async def test_a_page_without_text_is_an_empty_page(desk: Desk) -> None:
    """It is an answer and no error, and it is billed unless the service says it with one."""
    await desk.stand_in.configure(lines=0)
    result = await desk.provider.recognize(desk.call(feature=Feature.TEXT))
    assert result.page == Page(WIDTH, HEIGHT, languages=result.page.languages)
    assert result.billed_units == (await desk.stand_in.stats())["billed_units"]


@each(READING_DOCUMENTS)
async def test_documents_are_read_or_refused_as_described(desk: Desk) -> None:
    """Each that the description names gives fields, every other is refused before a turn is taken."""
    support = desk.provider.description.features[Feature.ID_DOCUMENT]
    assert support.documents
    for number, document in enumerate(IdDocument):
        asked = desk.call(number, feature=Feature.ID_DOCUMENT, document=document)
        if document in support.documents:
            desk.provider.check(asked)
            assert (await desk.provider.recognize(asked)).page.fields, document
        else:
            with pytest.raises(FieldInvalid) as refusal:
                desk.provider.check(asked)
            assert refusal.value.field == "recognition.id_document"


@each([case for case in READING_DOCUMENTS if "not_this_document" in known_kinds(case)])
async def test_an_image_without_the_document_is_an_empty_page(desk: Desk) -> None:
    """That the document is not there is what was asked for."""
    await desk.stand_in.configure(error_code="not_this_document")
    result = await desk.provider.recognize(desk.call(feature=Feature.ID_DOCUMENT))
    assert result == ProviderResult(Page(WIDTH, HEIGHT))


@each(CASES)
async def test_the_vendors_own_answer_comes_on_request(desk: Desk) -> None:
    """As it came, in JSON."""
    result = await desk.provider.recognize(desk.call(include_raw_response=True))
    assert isinstance(json.loads(result.raw_response), dict)


@each(TEXTUAL)
@pytest.mark.parametrize("orientation", [3, 6])
async def test_images_are_sent_upright(desk: Desk, orientation: int) -> None:
    """What arrives has no orientation left, unless the service is known to heed it."""
    content = stored_with_orientation(photo(300, 200), orientation, "JPEG")
    asked = replace(desk.call(feature=Feature.TEXT, image=content, media_type="image/jpeg"), width=300, height=200)
    upright = await upright_call(asked)
    assert layout_of(upright.image).orientation == UPRIGHT
    page = (await desk.provider.recognize(asked)).page
    assert isinstance(desk.provider, RemoteProvider)
    sent = content if desk.provider.dialect.accepts_orientation else upright.image
    assert (lines_of(page), page.width, page.height) == ([text_of_image(sent)], 300, 200)


@each(BATCHING)
async def test_several_images_go_in_one_call(desk: Desk) -> None:
    """Each has its own result in its place, and one that cannot be read leaves the others alone."""
    provider, refused = desk.provider, page_image(1)
    assert isinstance(provider, BatchProvider)
    await desk.stand_in.configure(image_errors={text_of_image(refused): "undecodable"})
    calls = [desk.call(number, feature=Feature.TEXT, include_raw_response=number == 2) for number in range(4)]
    outcomes = await provider.recognize_together([*calls[:3], replace(calls[3], image=b"no image at all")])
    first, second, third, fourth = outcomes
    assert isinstance(first, ProviderResult)
    assert isinstance(third, ProviderResult)
    assert (lines_of(first.page), lines_of(third.page)) == (
        [text_of_image(page_image(0))],
        [text_of_image(page_image(2))],
    )
    assert [type(second), type(fourth)] == [ImageUndecodable] * 2
    assert (first.billed_units, bool(first.raw_response), bool(third.raw_response)) == (1.0, False, True)
    stats = await desk.stand_in.stats()
    assert (stats["requests"], stats["largest_batch"], stats["billed_units"]) == (1, 3, 2)


# What it says of itself


@each(CASES)
async def test_the_description_says_what_it_reads(open_desk: OpenDesk, case: RemoteCase) -> None:
    """Features with limits, units, prices and quotas, pages untouched for a cloud; and it never changes."""
    prices = {feature.value: {"price_per_unit": 0.25} for feature in case.features}
    desk = await open_desk(features=laid_over(case.settings.get("features", {}), prices))
    description = desk.provider.description
    assert (description.name, set(description.features)) == (case.kind, set(case.features))
    for support in description.features.values():
        assert support.limits.media_types
        assert (support.units_per_call, support.price_per_unit) == (1.0, 0.25)
        assert support.page_preference is PagePreference.UNTOUCHED or description.kind is not ProviderKind.CLOUD
        assert support.quota.requests_per_second > 0 or description.kind is not ProviderKind.CLOUD
    if Feature.TEXT in case.features:
        assert description.features[Feature.TEXT].batch.max_images == case.batch
    await assert_served(desk)
    assert desk.provider.description == description
    assert desk.provider.status.state is ProviderState.SERVING
    assert desk.provider.status.model


@each(CASES)
async def test_an_unknown_option_is_refused_unsent(desk: Desk) -> None:
    """It is named, before a turn is taken; a call without options is good."""
    asked = desk.call(options={"no_such_option": "1"})
    with pytest.raises(FieldInvalid, match="no_such_option") as refusal:
        desk.provider.check(asked)
    assert refusal.value.field == "recognition.provider_options"
    await failure_of(FieldInvalid, desk, options={"no_such_option": "1"})
    desk.provider.check(desk.call())
    assert await desk.requests() == 0


@each(CASES)
async def test_languages_are_read_or_refused_as_described(desk: Desk) -> None:
    """Those of the description are good; none that it does not read is ignored."""
    known = desk.provider.description.languages
    for language in known:
        desk.provider.check(desk.call(languages=(language,)))
    for language in {"tlh", "ar", "no-such-language", ""} - set(known):
        with pytest.raises(FieldInvalid) as refusal:
            desk.provider.check(desk.call(languages=(language,)))
        assert refusal.value.field == "recognition.languages"
    assert await desk.requests() == 0


# What it does not take


@each(CASES)
async def test_what_is_over_its_limits_is_refused_unsent(desk: Desk) -> None:
    """Bytes, sides, pixels, shapes and formats, each where the description has such a limit."""
    limits = desk.provider.description.features[desk.case.features[0]].limits
    over: list[tuple[dict[str, Any], type[ExpectedError]]] = [({"media_type": "image/x-unknown"}, FormatUnsupported)]
    if limits.max_bytes:
        over.append(({"image": padded_image(limits.max_bytes + 1)}, ImageTooLargeBytes))
    if limits.max_side_px:
        over.append(({"width": limits.max_side_px + 1, "height": max(1, limits.min_side_px)}, ImageSideTooLong))
    if limits.max_pixels:
        over.append(({"width": limits.max_pixels + 1, "height": 1}, ImageTooLargePixels))
    if limits.min_side_px > 1:
        over.append(({"width": limits.min_side_px - 1, "height": limits.min_side_px}, ImageShapeUnsupported))
    if limits.max_aspect:
        shorter = max(1, limits.min_side_px)
        over.append(({"width": int(shorter * limits.max_aspect) + 1, "height": shorter}, ImageShapeUnsupported))
    for about, kind in over:
        await failure_of(kind, desk, **about)
    assert await desk.requests() == 0
    await assert_served(desk)


@each(CASES)
async def test_bytes_at_the_limit_are_sent(desk: Desk) -> None:
    """However they grow on the way, no request breaks a limit of the service's."""
    limits = desk.provider.description.features[desk.case.features[0]].limits
    image = padded_image(limits.max_bytes or 1_000_000)
    assert (await desk.provider.recognize(desk.call(image=image))).page != Page(WIDTH, HEIGHT)


@each(CASES)
async def test_damaged_bytes_are_undecodable(desk: Desk) -> None:
    """Garbage and half an image; the next one is read."""
    for content in (b"no image at all", page_image()[:-400]):
        await failure_of(ImageUndecodable, desk, image=content)
    await assert_served(desk)
