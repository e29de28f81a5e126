"""Baidu's provider over real sockets, against the stand-in in a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
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
from ocr_gateway.model import CheckDigit, Feature, Page, ProviderCall, ProviderState, Quota
from ocr_gateway.providers import baidu
from ocr_gateway.providers.baidu.provider import BaiduProvider
from ocr_gateway.providers.baidu.form import encode_form
from ocr_gateway.providers.http import HttpClient
from rpc_runtime.expected_error import ExpectedError
from tests.fakes.standin.process import StandInProcess, stand_in_process
from tests.fakes.images import encoded, photo, stored_with_orientation

KEYS: dict[str, Any] = {"api_key": "standin-key", "secret_key": "standin-secret"}
PHOTO = encoded(photo(), "JPEG")
PATIENCE_S = 20.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Desk:
    """The provider with its client, and its clock, which a test can put forward."""

    def __init__(self, url: str, **options: Any) -> None:
        self.ahead_s = 0.0
        self.http = HttpClient()
        self.provider = BaiduProvider(
            endpoint=url, http=self.http, clock=lambda: time.monotonic() + self.ahead_s, **{**KEYS, **options}
        )

    @property
    def state(self) -> ProviderState:
        return self.provider.status.state


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


def image(number: int = 0, size: int = 20_000) -> bytes:
    """A JPEG unlike the others."""
    return PHOTO + number.to_bytes(4, "big") * ((size - len(PHOTO)) // 4)


def call(content: bytes = PHOTO, feature: Feature = Feature.TEXT, **options: str) -> ProviderCall:
    return ProviderCall(image=content, media_type="image/jpeg", width=96, height=64, feature=feature, options=options)


def words_of(content: bytes) -> str:
    """What the stand-in reads in an image."""
    return hashlib.sha256(content).hexdigest()[:16]


def texts(page: Page) -> list[str]:
    return [line.text for block in page.blocks for line in block.lines]


async def until(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What ``look`` gives once it is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while not wanted(seen := await look()):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)
    return seen


async def failure_of(desk: Desk, **about: Any) -> ExpectedError:
    with pytest.raises(ExpectedError) as failure:
        await desk.provider.recognize(call(**about))
    return failure.value


def is_for_all(error: ExpectedError) -> bool:
    assert isinstance(error, ProviderNotConfigured | ProviderQuotaSpent)
    return error.for_all


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


async def test_what_was_encoded_for_a_turn_that_had_passed_is_sent_at_the_next_one(
    desk: Desk, stand_in: StandInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is refused at the last moment keeps its form: the next attempt sends it and encodes nothing."""
    forms: list[bytes] = []

    def counted(*about: Any) -> bytes:
        forms.append(encode_form(*about))
        return forms[-1]

    def too_late() -> None:
        raise LookupError

    monkeypatch.setattr(baidu, "encode_form", counted)
    missed = replace(call(image(7)), begin=too_late)
    with pytest.raises(LookupError):
        await desk.provider.recognize(missed)
    assert (len(forms), (await stand_in.stats())["requests"]) == (1, 0)
    result = await desk.provider.recognize(replace(missed, begin=lambda: None))
    assert texts(result.page)[0] == words_of(image(7))
    assert (len(forms), missed.unsent.content) == (1, b"")


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


async def test_both_sides_of_an_identity_card_are_read(desk: Desk) -> None:
    """Fields have canonical names and values, and the number's check digit is looked at."""
    front = (await desk.provider.recognize(call(feature=Feature.ID_DOCUMENT))).page.fields
    values = {field.name: field.normalized_value for field in front}
    assert (values["name"], values["sex"], values["birth_date"]) == ("张三", "F", "1949-12-31")
    assert {field.name: field.check_digit for field in front}["id_number"] is CheckDigit.VALID
    back = (await desk.provider.recognize(call(feature=Feature.ID_DOCUMENT, id_card_side="back"))).page.fields
    assert [field.name for field in back] == ["issuing_authority", "valid_from", "valid_until"]
    assert [field.normalized_value for field in back[1:]] == ["2020-01-31", ""]


async def test_its_own_answer_comes_on_request(desk: Desk) -> None:
    """The raw response is Baidu's JSON."""
    asked = ProviderCall(PHOTO, "image/jpeg", 96, 64, Feature.TEXT, include_raw_response=True)
    assert b'"words_result_num"' in (await desk.provider.recognize(asked)).raw_response


@pytest.mark.parametrize("orientation", [3, 6])
async def test_an_image_with_an_orientation_is_sent_upright(
    desk: Desk, stand_in: StandInProcess, orientation: int
) -> None:
    """What arrives is another file than the one given, for its pixels are turned; upright ones go as they are."""
    turned = stored_with_orientation(photo(), orientation, "JPEG")
    assert texts((await desk.provider.recognize(call(turned))).page) != [words_of(turned)]
    assert (await stand_in.stats())["billed_units"] == 1


async def test_a_hundred_calls_at_once_make_one_request_for_a_token(stand_in: StandInProcess) -> None:
    """All wait for the same token, then all are served."""
    await stand_in.configure(token_latency_s=0.1)
    desk = Desk(stand_in.url)
    await desk.provider.start()
    results = await asyncio.gather(*(desk.provider.recognize(call(image(number))) for number in range(100)))
    assert [texts(result.page) for result in results] == [[words_of(image(number))] for number in range(100)]
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["requests"], stats["duplicates_billed"]) == (1, 100, 0)
    await desk.provider.close()


async def test_a_waiter_for_the_token_leaves_it_to_the_others(stand_in: StandInProcess) -> None:
    """Cancelling the call that waited first cancels no other."""
    await stand_in.configure(token_latency_s=0.3)
    desk = Desk(stand_in.url)
    await desk.provider.start()
    first, second = (asyncio.create_task(desk.provider.recognize(call(image(n)))) for n in range(2))
    await until(stand_in.stats, lambda stats: stats["token_requests"] == 1)
    first.cancel()
    assert texts((await second).page) == [words_of(image(1))]
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["requests"]) == (1, 1)
    await desk.provider.close()


async def test_an_expired_token_is_fetched_anew(desk: Desk, stand_in: StandInProcess) -> None:
    """The attempt that meets the expiry fails, to be made again at once; the next one has a new token."""
    await desk.provider.recognize(call())
    await stand_in.configure(expire_tokens=True)
    failure = await failure_of(desk)
    assert isinstance(failure, ProviderUnavailable)
    assert failure.said_s == 0
    await desk.provider.until_ready()
    await desk.provider.recognize(call())
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["requests"], stats["refused_tokens"], stats["billed_units"]) == (2, 3, 1, 2)


async def test_an_expiry_in_the_middle_of_a_run_loses_nothing(desk: Desk, stand_in: StandInProcess) -> None:
    """Calls that are made again when they are told to are all served, with one more request for a token."""
    await stand_in.configure(latency_s=0.02)
    rests_s: set[float | None] = set()

    async def read(number: int) -> list[str]:
        for _ in range(3):
            try:
                return texts((await desk.provider.recognize(call(image(number)))).page)
            except ProviderUnavailable as refusal:
                rests_s.add(refusal.said_s)
                await desk.provider.until_ready()
        raise AssertionError("refused three times")

    first = [asyncio.create_task(read(number)) for number in range(20)]
    await first[0]
    await stand_in.configure(expire_tokens=True)
    rest = await asyncio.gather(*(read(number) for number in range(20, 40)))
    assert rest == [[words_of(image(number))] for number in range(20, 40)]
    assert await asyncio.gather(*first) == [[words_of(image(number))] for number in range(20)]
    assert (await stand_in.stats())["token_requests"] == 2
    assert rests_s == {0}


async def test_a_token_is_fetched_ahead_of_its_end(stand_in: StandInProcess) -> None:
    """Near its end the old one serves while the new one is fetched, and no call is refused."""
    await stand_in.configure(token_lifetime_s=1000.0)
    desk = Desk(stand_in.url)
    await desk.provider.start()
    await desk.provider.recognize(call())
    desk.ahead_s = 950.0
    await desk.provider.recognize(call())
    await until(stand_in.stats, lambda stats: stats["tokens_issued"] == 2)
    await desk.provider.recognize(call())
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["refused_tokens"]) == (2, 0)
    await desk.provider.close()


async def test_tokens_that_are_refused_again_and_again_are_not_fetched_for_ever(
    desk: Desk, stand_in: StandInProcess
) -> None:
    """After three the provider rests, and serves again when Baidu does."""
    await stand_in.configure(error_code=111)
    failures = [await failure_of(desk) for _ in range(4)]
    assert [type(each) for each in failures] == [ProviderUnavailable] * 2 + [ProviderNotConfigured] * 2
    assert desk.state is ProviderState.NOT_CONFIGURED
    assert (await stand_in.stats())["requests"] == 3
    await stand_in.configure(fresh=True)
    desk.ahead_s = 61.0
    assert desk.state.name == "SERVING"
    await desk.provider.recognize(call())


@pytest.mark.parametrize(
    ("keys", "words"),
    [({"secret_key": "wrong"}, "Client authentication failed"), ({"api_key": "wrong"}, "unknown client id")],
)
async def test_rejected_keys_are_tried_again_only_after_a_rest(
    stand_in: StandInProcess, keys: dict[str, str], words: str
) -> None:
    """The provider says that it is not configured, and asks once in the rest, however many calls come."""
    desk = Desk(stand_in.url, **keys)
    await desk.provider.start()
    for _ in range(3):
        failure = await failure_of(desk)
        assert isinstance(failure, ProviderNotConfigured)
        assert words in str(failure)
        assert "wrong" not in str(failure)
    assert desk.state is ProviderState.NOT_CONFIGURED
    assert (await stand_in.stats())["token_requests"] == 1
    desk.ahead_s = 61.0
    await failure_of(desk)
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["requests"]) == (2, 0)
    await desk.provider.close()


async def test_without_keys_nothing_is_asked(stand_in: StandInProcess) -> None:
    """The status says what is missing, in the words of who knows where keys come from."""
    desk = Desk(stand_in.url, api_key=None, missing_keys="the file key-2 is empty")
    await desk.provider.start()
    assert desk.state is ProviderState.NOT_CONFIGURED
    assert desk.provider.status.detail == "the file key-2 is empty"
    assert isinstance(await failure_of(desk), ProviderNotConfigured)
    assert (await stand_in.stats())["token_requests"] == 0
    await desk.provider.close()


async def test_a_token_that_cannot_be_fetched_for_now(desk: Desk, stand_in: StandInProcess) -> None:
    """Calls fail as of an unavailable provider, one fetch a second is made, and service comes back by itself."""
    await stand_in.configure(token_status=503, expire_tokens=True)
    fresh = Desk(stand_in.url)
    await fresh.provider.start()
    for _ in range(3):
        assert isinstance(await failure_of(fresh), ProviderUnavailable)
    assert (await stand_in.stats())["token_requests"] <= 2  # the other provider's own fetch may be among them
    assert fresh.state is ProviderState.SERVING
    await stand_in.configure(fresh=True)
    fresh.ahead_s = 2.0
    assert texts((await fresh.provider.recognize(call())).page)
    await fresh.provider.close()


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


@pytest.mark.parametrize("settings", [{"share_malformed": 1.0}, {"huge_bytes": 17_000_000}, {"share_500": 1.0}])
async def test_broken_answers_are_unavailable_and_the_next_call_is_served(
    desk: Desk, stand_in: StandInProcess, settings: dict[str, Any]
) -> None:
    """Truncated JSON, HTML, an answer without an end, and an error of the server."""
    await stand_in.configure(**settings)
    for _ in range(2):
        assert type(await failure_of(desk)) is ProviderUnavailable
    await stand_in.configure(fresh=True)
    assert texts((await desk.provider.recognize(call())).page) == [words_of(PHOTO)]


@pytest.mark.parametrize("settings", [{"share_reset": 1.0}, {"down": True}])
async def test_a_reset_connection_is_unavailable_and_costs_one_request(
    desk: Desk, stand_in: StandInProcess, settings: dict[str, Any]
) -> None:
    """On a new and on a kept connection alike, nothing is sent twice."""
    await desk.provider.recognize(call())
    await stand_in.reset()
    await stand_in.configure(**settings)
    for _ in range(3):
        failure = await failure_of(desk)
        assert type(failure) is ProviderUnavailable
        assert "connection lost" in str(failure)
    assert (await stand_in.stats())["requests"] == 3


async def test_a_provider_that_hangs_is_given_up_in_time(stand_in: StandInProcess) -> None:
    """The attempt ends after its time-out, and its connection with it."""
    desk = Desk(stand_in.url, timeout_s=0.3)
    await desk.provider.start()
    await desk.provider.until_ready()
    await stand_in.configure(share_hang=1.0)
    began = time.monotonic()
    failure = await failure_of(desk)
    assert type(failure) is ProviderUnavailable
    assert "timed out" in str(failure)
    assert 0.25 < time.monotonic() - began < 3.0
    stats = await until(stand_in.stats, lambda stats: stats["in_progress"] == 0)
    assert stats["abandoned"] == 1
    await desk.provider.close()


async def test_a_cancelled_call_closes_its_connection(desk: Desk, stand_in: StandInProcess) -> None:
    """The server sees it go, and the next call is served."""
    await stand_in.configure(share_hang=1.0)
    task = asyncio.create_task(desk.provider.recognize(call()))
    await until(stand_in.stats, lambda stats: stats["faults"].get("hang") == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stats = await until(stand_in.stats, lambda stats: stats["in_progress"] == 0)
    assert (stats["abandoned"], stats["billed_units"]) == (1, 0)
    await stand_in.configure(fresh=True)
    assert texts((await desk.provider.recognize(call())).page)


async def test_closing_ends_calls_and_connections(desk: Desk, stand_in: StandInProcess) -> None:
    """Calls under way become unavailable at once; no connection is left; closing twice does no harm."""
    await desk.provider.until_ready()
    await stand_in.configure(share_hang=1.0)
    tasks = [asyncio.create_task(desk.provider.recognize(call(image(number)))) for number in range(5)]
    await until(stand_in.stats, lambda stats: stats["faults"].get("hang") == 5)
    began = time.monotonic()
    await desk.provider.close()
    await desk.provider.close()
    assert time.monotonic() - began < 2.0
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ProviderUnavailable] * 5
    await until(stand_in.stats, lambda stats: stats["in_progress"] == stats["open_connections"] == 0)
    assert desk.state is ProviderState.NOT_CONFIGURED
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
        await desk.provider.recognize(call(PHOTO + bytes(-len(PHOTO) % 3) + b"\xfb\xef\xbe" * (size // 3)))
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
    other = BaiduProvider(
        http=desk.http, text_endpoint="accurate", quotas={Feature.TEXT: Quota(requests_per_second=2)}, **KEYS
    )
    support = other.description.features[Feature.TEXT]
    assert (support.quota.requests_per_second, support.limits.max_side_px) == (2, 8192)
    assert "vi" in other.description.languages
    assert other.status.model != desk.provider.status.model


@pytest.mark.parametrize("endpoint", ["aip.baidubce.com", "ftp://host", "http://", "http://host/?token=1"])
async def test_an_address_that_is_none_is_refused(desk: Desk, endpoint: str) -> None:
    """A wrong setting shows when the provider is made."""
    with pytest.raises(ValueError, match="endpoint"):
        BaiduProvider(endpoint=endpoint, http=desk.http, **KEYS)


async def test_it_needs_to_be_started(stand_in: StandInProcess) -> None:
    """STARTING before; SERVING after the first token."""
    desk = Desk(stand_in.url)
    assert desk.state is ProviderState.STARTING
    assert type(await failure_of(desk)) is ProviderUnavailable
    await stand_in.configure(token_latency_s=0.1)
    await desk.provider.start()
    await desk.provider.start()
    assert desk.state is ProviderState.STARTING
    await desk.provider.until_ready()
    assert desk.state.name == "SERVING"
    await desk.provider.close()


async def test_a_server_that_is_not_there(tmp_path: Path, stand_in: StandInProcess) -> None:
    """Nothing listens: unavailable at once, without the address in the words."""
    async with stand_in_process(tmp_path) as gone:
        pass
    desk = Desk(gone.url)
    await desk.provider.start()
    failure = await failure_of(desk)
    assert type(failure) is ProviderUnavailable
    assert "standin-secret" not in str(failure)
    assert gone.address not in str(failure)
    await desk.provider.close()
