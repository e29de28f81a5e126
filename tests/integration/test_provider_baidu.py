"""Baidu's provider over real sockets, against the stand-in in a process of its own.

What it shares with all providers over the network: tests/contracts/test_remote_provider_port.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from ocr_gateway.errors import (
    FieldInvalid,
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageSideTooLong,
    ImageTooLargeBytes,
    ImageUndecodable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.model import CheckDigit, Feature, IdDocument, Page, ProviderCall, Quota
from rpc_runtime.expected_error import ExpectedError
from tests.fakes.baidu_desk import PHOTO, Desk, call, failure_of, image, is_for_all, texts, words_of
from tests.fakes.document_fields import fields_of_document
from tests.fakes.standin import subjects
from tests.fakes.standin.process import StandInProcess, stand_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StandInProcess]:
    async with stand_in_process(tmp_path_factory.mktemp("standin"), quota=1000) as process:
        yield process
        assert process.log.read_text() == ""


@pytest_asyncio.fixture(loop_scope="module")
async def stand_in(process: StandInProcess) -> StandInProcess:
    """The stand-in, as it was started and with its counts at 0."""
    await process.configure(fresh=True)
    await process.reset()
    return process


@pytest_asyncio.fixture(loop_scope="module")
async def desk(stand_in: StandInProcess) -> AsyncIterator[Desk]:
    desk = Desk(stand_in.url, timeout_s=5.0)
    await desk.provider.start()
    yield desk
    await desk.provider.close()


async def test_text_comes_with_places_and_confidences(desk: Desk, stand_in: StandInProcess) -> None:
    """Lines have their text, confidence and polygon; the call costs one unit and one request."""
    await stand_in.configure(lines=2, confidence=0.75)
    result = await desk.provider.recognize(call(image(1)))
    first, second = result.page.blocks[0].lines
    assert (first.text, second.text) == (words_of(image(1)), f"{words_of(image(1))} 0001")
    assert first.confidence == 0.75
    assert first.polygon == ((20.0, 30.0), (340.0, 30.0), (340.0, 58.0), (20.0, 58.0))
    assert (result.billed_units, result.raw_response) == (1.0, b"")
    assert (result.page.width, result.page.height) == (96, 64)
    stats = await stand_in.stats()
    assert (stats["requests"], stats["billed_units"], stats["endpoints"]) == (1, 1, {"general": 1})


@pytest.mark.parametrize("size", [100_000, 1_500_000])
async def test_large_and_small_images_arrive_whole(desk: Desk, size: int) -> None:
    """Below and above the size from which bodies are encoded on a thread and sent in pieces."""
    content = image(2, size)
    assert texts((await desk.provider.recognize(call(content))).page) == [words_of(content)]


async def test_other_endpoints_by_option(desk: Desk, stand_in: StandInProcess) -> None:
    """Each TEXT endpoint can be asked for; those without places give lines without polygons."""
    for endpoint in ("general", "general_basic", "accurate", "accurate_basic"):
        page = (await desk.provider.recognize(call(endpoint=endpoint))).page
        assert texts(page) == [words_of(PHOTO)]
        assert (page.blocks[0].lines[0].polygon is None) == endpoint.endswith("_basic")
    assert (await stand_in.stats())["endpoints"] == dict.fromkeys(
        ("general", "general_basic", "accurate", "accurate_basic"), 1
    )


async def test_words_come_when_they_are_asked_for(desk: Desk) -> None:
    """With recognize_granularity=small a line has its words."""
    page = (await desk.provider.recognize(call(recognize_granularity="small"))).page
    assert [word.text for word in page.blocks[0].lines[0].words] == [words_of(PHOTO)]


async def test_tables_are_read(desk: Desk) -> None:
    """Cells have rows, columns and spans; what stands above and below has rows of its own."""
    (table,) = (await desk.provider.recognize(call(feature=Feature.TABLE))).page.tables
    assert (table.row_count, table.column_count) == (4, 2)
    assert [(cell.row, cell.column, cell.row_span, cell.column_span, cell.text) for cell in table.cells] == [
        (0, 0, 1, 2, "title"),
        (1, 0, 1, 2, words_of(PHOTO)),
        (2, 0, 1, 1, "left"),
        (2, 1, 1, 1, "right"),
        (3, 0, 1, 2, "signed"),
    ]


async def test_each_document_is_read_by_its_endpoint(desk: Desk, stand_in: StandInProcess) -> None:
    """The document that the call names decides, or the option; both sides of a card can be asked for."""
    read = {
        document: await fields_of(desk, call(feature=Feature.ID_DOCUMENT, document=document))
        for document in (None, IdDocument.BUSINESS_LICENCE, IdDocument.BANK_CARD)
    }
    assert read[None] == subjects.ID_CARD_FRONT
    assert read[IdDocument.BUSINESS_LICENCE] == subjects.BUSINESS_LICENCE
    assert read[IdDocument.BANK_CARD] == subjects.BANK_CARD
    assert (await stand_in.stats())["endpoints"] == {"idcard": 1, "business_license": 1, "bankcard": 1}
    by_option = call(feature=Feature.ID_DOCUMENT, endpoint="bankcard")
    assert await fields_of(desk, by_option) == subjects.BANK_CARD
    back = call(feature=Feature.ID_DOCUMENT, document=IdDocument.IDENTITY_CARD, id_card_side="back")
    assert await fields_of(desk, back) == subjects.ID_CARD_BACK


async def fields_of(desk: Desk, asked: ProviderCall) -> dict[str, str]:
    """Values by name; the numbers' check digits hold."""
    fields = fields_of_document((await desk.provider.recognize(asked)).page)
    assert {field.check_digit for field in fields} <= {CheckDigit.VALID, CheckDigit.NOT_APPLICABLE}
    return {field.name: field.normalized_value for field in fields}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (call(feature=Feature.ID_DOCUMENT, document=IdDocument.PASSPORT), "recognition.id_document"),
        (
            call(feature=Feature.ID_DOCUMENT, document=IdDocument.BANK_CARD, endpoint="idcard"),
            "recognition.provider_options",
        ),
        (
            call(feature=Feature.ID_DOCUMENT, document=IdDocument.BANK_CARD, id_card_side="front"),
            "recognition.provider_options",
        ),
    ],
    ids=["passport", "contradiction", "option of another document"],
)
async def test_documents_that_do_not_fit_are_refused(desk: Desk, asked: ProviderCall, field: str) -> None:
    """Before a turn is taken."""
    with pytest.raises(FieldInvalid) as refusal:
        desk.provider.check(asked)
    assert refusal.value.field == field


async def test_a_signature_opens_what_a_token_does(stand_in: StandInProcess) -> None:
    """With auth: bce no token is fetched; keys that are not the account's are rejected once, then rest."""
    signed = Desk(stand_in.url, auth="bce")
    await signed.provider.start()
    assert texts((await signed.provider.recognize(call())).page) == [words_of(PHOTO)]
    assert (await stand_in.stats())["token_requests"] == 0
    await signed.provider.close()
    wrong = Desk(stand_in.url, auth="bce", secret_key="not-the-secret")
    await wrong.provider.start()
    for _ in range(2):
        failure = await failure_of(wrong)
        assert isinstance(failure, ProviderNotConfigured)
        assert "not-the-secret" not in str(failure)
    assert (await stand_in.stats())["requests"] == 2
    await wrong.provider.close()


async def test_a_signature_of_another_time_is_rejected(stand_in: StandInProcess) -> None:
    """The service's clock is an hour ahead."""
    await stand_in.configure(clock_offset_s=3600.0)
    desk = Desk(stand_in.url, auth="bce")
    await desk.provider.start()
    assert isinstance(await failure_of(desk), ProviderNotConfigured)
    await desk.provider.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, ProviderThrottled) for code in (4, 18)),
        *((code, ProviderUnavailable) for code in (1, 2, 216630, 216634, 282000, 424242)),
        *((code, ProviderQuotaSpent) for code in (17, 19)),
        *((code, ProviderNotConfigured) for code in (3, 6, 14)),
        *((code, FieldInvalid) for code in (216100, 216101, 216103)),
        *((code, ImageUndecodable) for code in (216200, 216201)),
        (216202, ImageShapeUnsupported),
    ],
)
async def test_each_error_that_comes_with_200_is_told_apart(
    desk: Desk, stand_in: StandInProcess, code: int, kind: type[ExpectedError]
) -> None:
    """Baidu's code decides, and one request is made."""
    await stand_in.configure(error_code=code)
    failure = await failure_of(desk)
    assert type(failure) is kind
    assert (await stand_in.stats())["requests"] == 1


@pytest.mark.parametrize(
    ("code", "epoch_s", "rest_s"),
    [(17, 15 * 3600 + 3000, 600.0), (17, 16 * 3600, 3600.0), (19, 0, 3600.0)],
    ids=["ten to midnight in China", "midnight in China", "the account's"],
)
async def test_a_spent_quota_rests_until_it_may_be_open_again(
    stand_in: StandInProcess, code: int, epoch_s: float, rest_s: float
) -> None:
    """Midnight in China for that of a day, an hour at most."""
    await stand_in.configure(error_code=code)
    desk = Desk(stand_in.url, wall_clock=lambda: epoch_s)
    await desk.provider.start()
    failure = await failure_of(desk)
    assert isinstance(failure, ProviderQuotaSpent)
    assert failure.opens_in_s == rest_s
    await desk.provider.close()


@pytest.mark.parametrize("code", [216631, 216633])
async def test_an_image_of_something_else_is_an_empty_page(desk: Desk, stand_in: StandInProcess, code: int) -> None:
    """No card on it is an answer, and one that is not billed."""
    await stand_in.configure(error_code=code)
    result = await desk.provider.recognize(call(feature=Feature.ID_DOCUMENT))
    assert (result.page, result.billed_units) == (Page(96, 64), 0.0)


async def test_an_endpoint_that_is_not_open_is_not_asked_again_soon(desk: Desk, stand_in: StandInProcess) -> None:
    """The others go on being served."""
    await stand_in.configure(error_code=6)
    for _ in range(3):
        assert isinstance(await failure_of(desk, feature=Feature.TABLE), ProviderNotConfigured)
    assert (await stand_in.stats())["requests"] == 1
    await stand_in.configure(fresh=True)
    assert texts((await desk.provider.recognize(call())).page)
    desk.ahead_s = 61.0
    assert (await desk.provider.recognize(call(feature=Feature.TABLE))).page.tables


@pytest.mark.parametrize(("code", "kind"), [(6, ProviderNotConfigured), (17, ProviderQuotaSpent)])
async def test_what_one_caller_asks_for_closes_nothing_for_others(
    desk: Desk, stand_in: StandInProcess, code: int, kind: type[ExpectedError]
) -> None:
    """An endpoint that a caller chose and that is not open, or spent, says nothing of the one that calls go to; and it
    is refused from then on before a turn is taken."""
    chosen = call(endpoint="accurate")
    desk.provider.check(chosen)
    await stand_in.configure(error_code=code)
    with pytest.raises(kind) as failed:
        await desk.provider.recognize(chosen)
    assert not is_for_all(failed.value)
    with pytest.raises(kind) as refused:
        desk.provider.check(chosen)
    assert not is_for_all(refused.value)
    with pytest.raises(kind) as of_all:
        await desk.provider.recognize(call())
    assert is_for_all(of_all.value)
    desk.provider.check(call())
    desk.ahead_s = 3700.0
    desk.provider.check(chosen)


@pytest.mark.parametrize(("status", "code"), [(503, None), (429, None), (200, 18), (200, 2)])
async def test_a_retry_after_of_nothing_is_no_leave_to_hurry(
    desk: Desk, stand_in: StandInProcess, status: int, code: int | None
) -> None:
    """Only a token that ran out is tried again at once; a failing server is backed off from, also if it says 0."""
    answer: dict[str, Any] = {"status": status} if code is None else {"error_code": code}
    await stand_in.configure(retry_after="0", **answer)
    failure = await failure_of(desk)
    assert isinstance(failure, ProviderThrottled | ProviderUnavailable)
    assert failure.said_s is None


@pytest.mark.parametrize(
    ("status", "kind", "rest_s"),
    [
        (429, ProviderThrottled, 7.0),
        (500, ProviderUnavailable, 7.0),
        (503, ProviderUnavailable, 7.0),
        (400, ProviderUnavailable, 7.0),
        (302, ProviderUnavailable, 7.0),
        (401, ProviderUnavailable, 0.0),
        (404, ProviderNotConfigured, None),
        (413, ImageShapeUnsupported, None),
    ],
)
async def test_each_http_status_is_told_apart(
    desk: Desk, stand_in: StandInProcess, status: int, kind: type[ExpectedError], rest_s: float | None
) -> None:
    """Where there is no code the status decides, and Retry-After is heeded."""
    await stand_in.configure(status=status, retry_after="7")
    failure = await failure_of(desk)
    assert type(failure) is kind
    assert getattr(failure, "said_s", None) == rest_s


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"words_result":{}}',
        '{"words_result":[{"words":7}]}',
        '{"words_result":[{"words":"a","location":{"left":1}}]}',
        '{"words_result":[{"words":"a","location":{"left":1e400,"top":0,"width":1,"height":1}}]}',
        '{"words_result":[{"words":"a","location":{"left":NaN,"top":0,"width":1,"height":1}}]}',
        "[" * 100_000,
        '{"error_code":null}',
    ],
)
async def test_an_answer_that_makes_no_sense_is_unavailable(desk: Desk, stand_in: StandInProcess, body: str) -> None:
    """Whatever stands in it, it is a failure that another attempt may mend."""
    await stand_in.configure(body=body)
    assert type(await failure_of(desk)) is ProviderUnavailable


@pytest.mark.parametrize(
    ("about", "kind", "field"),
    [
        ({"no_such": "1"}, FieldInvalid, "recognition.provider_options"),
        ({"paragraph": "yes"}, FieldInvalid, "recognition.provider_options"),
        ({"endpoint": "table"}, FieldInvalid, "recognition.provider_options"),
        ({"language_type": "DAN"}, FieldInvalid, "recognition.provider_options"),
        ({"feature": Feature.TABLE, "probability": "true"}, FieldInvalid, "recognition.provider_options"),
        ({"content": b"no image"}, ImageUndecodable, "item.image"),
    ],
)
async def test_what_baidu_does_not_take_is_refused_unsent(
    desk: Desk, stand_in: StandInProcess, about: dict[str, Any], kind: type[ExpectedError], field: str
) -> None:
    """Options, values and bytes are checked before anything is spent."""
    failure = await failure_of(desk, **about)
    assert (type(failure), failure.field) == (kind, field)
    if kind is FieldInvalid:
        with pytest.raises(FieldInvalid):
            desk.provider.check(call(**about))
    assert (await stand_in.stats())["requests"] == 0


@pytest.mark.parametrize(
    ("width", "height", "media_type", "endpoint", "kind"),
    [
        (5000, 100, "image/jpeg", "general", ImageSideTooLong),
        (9000, 100, "image/jpeg", "accurate", ImageSideTooLong),
        (14, 100, "image/jpeg", "general", ImageShapeUnsupported),
        (100, 100, "image/tiff", "general", FormatUnsupported),
    ],
)
async def test_images_over_the_endpoints_limits_are_refused_unsent(
    desk: Desk,
    stand_in: StandInProcess,
    width: int,
    height: int,
    media_type: str,
    endpoint: str,
    kind: type[ExpectedError],
) -> None:
    """Sides and format, by the endpoint that is asked for."""
    asked = ProviderCall(PHOTO, media_type, width, height, Feature.TEXT, options={"endpoint": endpoint})
    with pytest.raises(kind):
        await desk.provider.recognize(asked)
    assert (await stand_in.stats())["requests"] == 0


async def test_the_size_that_counts_is_the_encoded_one(desk: Desk, stand_in: StandInProcess) -> None:
    """Bytes that grow a lot when they are encoded are too large where others of the same size are not."""
    size = desk.provider.description.features[Feature.TEXT].limits.max_bytes
    assert size == 5_600_000
    # 0xFB 0xEF 0xBE is "++++" in base64, which takes twelve bytes.
    with pytest.raises(ImageTooLargeBytes) as failure:
        await desk.provider.recognize(call(PHOTO + bytes(-len(PHOTO) % 3) + b"\xfb\xef\xbe" * (size // 3 - 1000)))
    assert failure.value.limit < size
    assert (await stand_in.stats())["requests"] == 0
    assert texts((await desk.provider.recognize(call(PHOTO + bytes(size - len(PHOTO))))).page)


async def test_the_description_says_limits_and_quotas(desk: Desk) -> None:
    """Quotas are the product's unless others are given; limits are those of the endpoints in use."""
    features = desk.provider.description.features
    assert {feature: support.quota for feature, support in features.items()} == {
        Feature.TEXT: Quota(requests_per_second=50, max_concurrency=100, period_offset_s=28_800),
        Feature.TABLE: Quota(requests_per_second=30, max_concurrency=60, period_offset_s=28_800),
        Feature.ID_DOCUMENT: Quota(requests_per_second=20, max_concurrency=40, period_offset_s=28_800),
    }
    assert features[Feature.TEXT].limits.media_types == ("image/jpeg", "image/png", "image/bmp")
    text = {"endpoint": "accurate", "quota": {"requests_per_second": 2}}
    other = Desk("https://aip.baidubce.com", features={"text": text}).provider
    support = other.description.features[Feature.TEXT]
    assert (support.quota.requests_per_second, support.limits.max_side_px) == (2, 8192)
    assert "vi" in other.description.languages
    assert other.status.model != desk.provider.status.model
