"""What every provider over the network keeps, each before a stand-in of its vendor: one suite, run over all of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from ocr_gateway.errors import (
    FieldInvalid,
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageSideTooLong,
    ImageTooLargeBytes,
    ImageTooLargePixels,
    ImageUndecodable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
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
from ocr_gateway.providers.base import BatchProvider, Provider
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.upright import upright_call
from ocr_gateway.setting_parts import laid_over
from rpc_runtime.expected_error import ExpectedError
from tests.contracts.remote_cases import CASES, RemoteCase
from tests.contracts.remote_desk import (
    HEIGHT,
    WIDTH,
    Desk,
    StandIns,
    desk_of,
    knowing,
    known_kinds,
    lines_of,
    padded_image,
    page_image,
    text_of_image,
)
from tests.fakes.images import photo, stored_with_orientation

ErrorT = TypeVar("ErrorT", bound=Exception)
OpenDesk = Callable[..., Awaitable[Desk]]

KEYED = [case for case in CASES if case.keys]
FETCHING = [case for case in CASES if case.fetches_token]
TEXTUAL = [case for case in CASES if Feature.TEXT in case.features]
READING_DOCUMENTS = [case for case in CASES if Feature.ID_DOCUMENT in case.features]
BATCHING = [case for case in CASES if case.batch > 1]
FEATURES = [(case, feature) for case in CASES for feature in case.features]

pytestmark = pytest.mark.asyncio(loop_scope="module")


def each(cases: list[RemoteCase] | tuple[RemoteCase, ...]) -> pytest.MarkDecorator:
    """The test, once for each of the cases."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.kind) for case in cases])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StandIns]:
    async with StandIns.in_folder(tmp_path_factory.mktemp("standins")) as stand_ins:
        yield stand_ins


@pytest_asyncio.fixture(loop_scope="module")
async def open_desk(case: RemoteCase, stand_ins: StandIns) -> AsyncIterator[OpenDesk]:
    """Opens a desk with settings of the provider's, for as long as the test runs."""
    async with AsyncExitStack() as stack:

        async def opened(**settings: Any) -> Desk:
            return await stack.enter_async_context(desk_of(case, await stand_ins.of(case), **settings))

        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def desk(open_desk: OpenDesk) -> Desk:
    return await open_desk()


async def failure_of(kind: type[ErrorT], desk: Desk, **about: Any) -> ErrorT:
    """What a call fails with, which must be of that very kind."""
    with pytest.raises(kind) as failure:
        await desk.provider.recognize(desk.call(**about))
    assert type(failure.value) is kind
    return failure.value


async def assert_served(desk: Desk, number: int = 99) -> ProviderResult:
    """Reads a page."""
    return await desk.provider.recognize(desk.call(number))


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


# What the service says


@each(knowing("throttled"))
async def test_throttling_is_told_apart_and_passes(desk: Desk) -> None:
    """With the rest that the answer's header asks for; a header of nothing is no leave to hurry."""
    await desk.stand_in.configure(error_code="throttled", retry_after="7")
    assert (await failure_of(ProviderThrottled, desk)).said_s == 7
    await desk.stand_in.configure(retry_after="0")
    assert (await failure_of(ProviderThrottled, desk)).said_s is None
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@each(knowing("throttled"))
async def test_a_quota_that_is_used_up_throttles(desk: Desk) -> None:
    """The stand-in lets so many in within a second and no more; nobody is served twice."""
    await desk.stand_in.configure(quota=2)
    outcomes = await asyncio.gather(
        *(desk.provider.recognize(desk.call(number)) for number in range(5)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ProviderResult"] * 2 + ["ProviderThrottled"] * 3
    assert (await desk.stand_in.stats())["duplicates_billed"] == 0


@each(knowing("transient"))
async def test_a_passing_error_is_unavailable_and_passes(desk: Desk) -> None:
    """Nothing is billed for it."""
    await desk.stand_in.configure(error_code="transient")
    assert not (await failure_of(ProviderUnavailable, desk)).may_be_billed
    assert desk.provider.status.state is ProviderState.SERVING
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        pytest.param(case, kind, id=f"{case.kind}-{kind}")
        for kind in ("day_spent", "quota_spent")
        for case in knowing(kind)
    ],
)
async def test_a_spent_quota_is_told(desk: Desk, kind: str) -> None:
    """For all calls of the feature, with a rest of at most an hour."""
    await desk.stand_in.configure(error_code=kind)
    failure = await failure_of(ProviderQuotaSpent, desk)
    assert failure.for_all
    assert 0 < failure.opens_in_s <= 3600


@each(knowing("undecodable"))
async def test_an_image_that_the_service_cannot_decode_is_refused_for_good(desk: Desk) -> None:
    """The image's fault, and nobody else's."""
    await desk.stand_in.configure(error_code="undecodable")
    await failure_of(ImageUndecodable, desk)
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@each(knowing("too_large"))
async def test_an_image_too_large_for_the_service_is_refused_for_good(desk: Desk) -> None:
    """Though it is within the limits that are known."""
    await desk.stand_in.configure(error_code="too_large")
    await failure_of(ImageShapeUnsupported, desk)


@each(knowing("option"))
async def test_an_option_that_the_service_refuses_is_the_callers(desk: Desk) -> None:
    """The field is named."""
    await desk.stand_in.configure(error_code="option")
    assert (await failure_of(FieldInvalid, desk)).field == "recognition.provider_options"


@each(knowing("not_open"))
async def test_what_is_not_open_to_the_keys_rests(desk: Desk) -> None:
    """Calls are not sent in vain."""
    await desk.stand_in.configure(error_code="not_open")
    for _ in range(3):
        assert (await failure_of(ProviderNotConfigured, desk)).for_all
    assert await desk.requests() == 1


@each(knowing("credentials"))
async def test_keys_that_a_call_finds_rejected_rest(desk: Desk) -> None:
    """The status says so, and calls are not sent in vain."""
    await desk.stand_in.configure(error_code="credentials")
    for _ in range(3):
        await failure_of(ProviderNotConfigured, desk)
    assert desk.provider.status.state is ProviderState.NOT_CONFIGURED
    assert await desk.requests() == 1


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        pytest.param(case, kind, id=f"{case.kind}-{kind}")
        for kind in ("token_invalid", "token_expired")
        for case in knowing(kind)
        if case.fetches_token
    ],
)
async def test_a_refused_token_is_fetched_anew(desk: Desk, kind: str) -> None:
    """The attempt fails, to be made again at once, with the new one."""
    await desk.stand_in.configure(error_code=kind)
    failure = await failure_of(ProviderUnavailable, desk)
    assert (failure.said_s, failure.may_be_billed) == (0, False)
    await desk.stand_in.configure(fresh=True)
    await desk.provider.until_ready()
    await assert_served(desk)


@each(FETCHING)
async def test_a_token_that_expires_costs_one_attempt(desk: Desk) -> None:
    """The first call that meets the end of it; the next has another token."""
    await assert_served(desk)
    await desk.stand_in.configure(expire_tokens=True)
    assert (await failure_of(ProviderUnavailable, desk)).said_s == 0
    await desk.provider.until_ready()
    await assert_served(desk)
    stats = await desk.stand_in.stats()
    assert (stats["requests"], stats["refused_tokens"], stats["billed_units"]) == (3, 1, 2)


@each(CASES)
@pytest.mark.parametrize(("status", "kind"), [(503, ProviderUnavailable), (429, ProviderThrottled)])
async def test_a_status_without_words_is_understood(
    desk: Desk, status: int, kind: type[ProviderUnavailable | ProviderThrottled]
) -> None:
    """As HTTP means it; Retry-After is heeded."""
    await desk.stand_in.configure(status=status, retry_after="7")
    assert (await failure_of(kind, desk)).said_s == 7


@each(CASES)
async def test_broken_answers_are_unavailable(desk: Desk) -> None:
    """Cut JSON, HTML, and answers of another shape: another attempt may mend it, and they may have been billed."""
    await desk.stand_in.configure(share_malformed=1.0)
    for number in range(2):
        failure = await failure_of(ProviderUnavailable, desk, number=number)
        assert failure.may_be_billed
        assert "malformed" in str(failure)
    for body in ("", "null", "[]", "7", "{}", '{"error": []}', "[" * 100_000, '{"a":' * 100_000, '{"a": 1e999}'):
        await desk.stand_in.configure(fresh=True, body=body)
        await failure_of(ProviderUnavailable, desk)
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@each(CASES)
async def test_a_huge_answer_is_not_read_to_its_end(desk: Desk) -> None:
    """It is unavailable, and the next one is served."""
    await desk.stand_in.configure(huge_bytes=17_000_000)
    assert "too large" in str(await failure_of(ProviderUnavailable, desk))
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


# What the network does


@each(CASES)
async def test_a_slow_service_is_given_up_in_time(open_desk: OpenDesk) -> None:
    """It may have billed the call; the connection is closed."""
    desk = await open_desk(timeout_s=0.4)
    await desk.stand_in.configure(latency_s=30.0)
    began = time.monotonic()
    failure = await failure_of(ProviderUnavailable, desk)
    assert 0.3 < time.monotonic() - began < 5
    assert failure.may_be_billed
    assert "timed out" in str(failure)
    assert (await desk.until_idle())["abandoned"] == 1


@each(CASES)
async def test_a_reset_connection_costs_one_request(desk: Desk) -> None:
    """On a new and on a kept connection alike, nothing is sent twice."""
    await desk.stand_in.configure(share_reset=1.0)
    for number in range(3):
        failure = await failure_of(ProviderUnavailable, desk, number=number)
        assert failure.may_be_billed
        assert "connection lost" in str(failure)
    assert await desk.requests() == 3
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@each(CASES)
async def test_a_turn_that_has_passed_keeps_what_was_encoded(desk: Desk) -> None:
    """A call refused at the last moment is not sent; its next attempt sends what was made for it."""

    def too_late() -> None:
        raise LookupError

    missed = desk.call(begin=too_late)
    with pytest.raises(LookupError):
        await desk.provider.recognize(missed)
    assert await desk.requests() == 0
    assert missed.unsent.content
    await desk.provider.recognize(replace(missed, begin=lambda: None))
    assert (await desk.requests(), missed.unsent.content) == (1, b"")


@each(CASES)
async def test_cancelled_calls_leave_the_others_alone(desk: Desk) -> None:
    """These are served; the service sees the cancelled ones go."""
    await desk.stand_in.configure(latency_s=0.3)
    tasks = [asyncio.create_task(desk.provider.recognize(desk.call(number))) for number in range(3)]
    await desk.until_requests(3)
    tasks[0].cancel()
    tasks[2].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["CancelledError", "ProviderResult", "CancelledError"]
    await assert_served(desk)
    stats = await desk.until_idle()
    assert (stats["abandoned"], stats["billed_units"]) == (2, 2)


@each(CASES)
async def test_it_is_closed_promptly_with_calls_under_way(desk: Desk) -> None:
    """They are unavailable, their connections closed; it may be done twice, and no call is taken afterwards."""
    await desk.stand_in.configure(latency_s=30.0)
    running = [asyncio.create_task(desk.provider.recognize(desk.call(number))) for number in range(3)]
    await desk.until_requests(3)
    began = time.monotonic()
    await desk.provider.close()
    await desk.provider.close()
    assert time.monotonic() - began < 2
    outcomes = await asyncio.gather(*running, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ProviderUnavailable] * 3
    assert (await desk.until_idle())["abandoned"] == 3
    assert desk.provider.status.state is not ProviderState.SERVING
    await failure_of(ProviderUnavailable, desk)


@each(CASES)
async def test_it_is_started_before_it_serves(case: RemoteCase, stand_ins: StandIns) -> None:
    """STARTING before; starting twice does no harm."""
    provider = case.build((await stand_ins.of(case)).url)
    desk = Desk(case, await stand_ins.of(case), provider)
    assert provider.status.state is ProviderState.STARTING
    await failure_of(ProviderUnavailable, desk)
    await provider.start()
    await provider.start()
    await provider.until_ready()
    assert provider.status.state.name == "SERVING"
    await assert_served(desk)
    await provider.close()


# Keys


@each(KEYED)
async def test_without_keys_nothing_is_asked(case: RemoteCase, stand_ins: StandIns) -> None:
    """The status says what is missing, and calls are not sent."""
    stand_in = await stand_ins.of(case)
    provider = case.build(stand_in.url, keys=dict.fromkeys(case.keys, ""))
    await provider.start()
    assert provider.status.state is ProviderState.NOT_CONFIGURED
    assert any(case.variable(key) in provider.status.detail for key in case.keys)
    await failure_of(ProviderNotConfigured, Desk(case, stand_in, provider))
    stats = await stand_in.stats()
    assert (stats["requests"], stats["token_requests"]) == (0, 0)
    await provider.close()


@each(KEYED)
async def test_rejected_keys_are_told_and_rest(case: RemoteCase, stand_ins: StandIns) -> None:
    """The status says it; they are tried once in the rest, however many calls come; no word has a key in it."""
    stand_in = await stand_ins.of(case)
    provider = case.build(stand_in.url, keys=case.rejected_keys)
    desk = Desk(case, stand_in, provider)
    with capture_logs() as logs:
        await provider.start()
        failures = [await failure_of(ProviderNotConfigured, desk) for _ in range(3)]
    assert provider.status.state is ProviderState.NOT_CONFIGURED
    stats = await stand_in.stats()
    assert stats["requests"] + stats["token_requests"] == 1
    assert_secret(case, provider, failures, logs, case.rejected_keys)
    await provider.close()


@each(KEYED)
async def test_no_key_stands_in_what_is_said(open_desk: OpenDesk, case: RemoteCase) -> None:
    """Neither in errors, nor in what they come from, nor in logs, the status, the description or a repr."""
    desk = await open_desk(timeout_s=0.4)
    failures: list[Exception] = []
    troubles: list[dict[str, Any]] = [
        {"error_code": kind} for kind in sorted(known_kinds(case) - {"credentials", "not_open", "not_this_document"})
    ]
    troubles += [{"status": 500}, {"share_malformed": 1.0}, {"share_reset": 1.0}, {"body": "{}"}, {"latency_s": 9.0}]
    with capture_logs() as logs:
        for trouble in troubles:
            await desk.stand_in.configure(fresh=True, **trouble)
            with pytest.raises(Exception) as failure:
                await desk.provider.recognize(desk.call())
            failures.append(failure.value)
        for kind in sorted(known_kinds(case) & {"not_open", "credentials"}, reverse=True):
            await desk.stand_in.configure(fresh=True, error_code=kind)
            failures.append(await failure_of(ProviderNotConfigured, desk))
    assert_secret(case, desk.provider, failures, logs, case.keys)


def assert_secret(
    case: RemoteCase, provider: Provider, failures: Sequence[Exception], logs: Sequence[Any], keys: Mapping[str, str]
) -> None:
    """No key is in an error, in what that comes from, in a log, or in what the provider shows of itself."""
    words = [f"{each_shown!r} {each_shown}" for each_shown in (provider, provider.status, provider.description, *logs)]
    if isinstance(provider, RemoteProvider):
        words.append(f"{provider.dialect!r} {provider.dialect}")
    for failure in failures:
        at: BaseException | None = failure
        while at is not None:
            words.append(f"{at!r} {at} {getattr(at, 'metadata', '')}")
            at = at.__cause__ or at.__context__
    for name, key in keys.items():
        assert not [line for line in words if key in line], name
