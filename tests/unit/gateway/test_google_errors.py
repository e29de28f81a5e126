"""What Google's errors become, of a whole call and of single images in a call of several."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.api import error_reason_pb2  # type: ignore[import-untyped]
from google.rpc import code_pb2

from ocr_gateway.errors import (
    FieldInvalid,
    ImageUndecodable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.model import Feature, Page, ProviderCall, ProviderResult
from ocr_gateway.providers.base import BatchProvider
from ocr_gateway.providers.google.errors import ERRORS, image_refusal, refusal_of
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.meanings import Meaning
from tests.contracts.remote_cases import CASES
from tests.contracts.remote_desk import HEIGHT, WIDTH, call, lines_of, page_image, text_of_image
from tests.fakes.images import encoded, photo, stored_with_orientation
from tests.fakes.standin.process import StandInProcess, stand_in_process

(CASE,) = (each for each in CASES if each.kind == "google")


@asynccontextmanager
async def desk(folder: Path, **settings: Any) -> AsyncIterator[tuple[BatchProvider, StandInProcess]]:
    """A started provider before a stand-in without a quota."""
    async with stand_in_process(folder, vendor="google", quota=100_000, whole_images=True) as stand_in:
        provider = CASE.build(stand_in.url, **settings)
        await provider.start()
        assert isinstance(provider, BatchProvider)
        try:
            yield provider, stand_in
        finally:
            await provider.close()


def text_call(number: int, **about: Any) -> ProviderCall:
    return call(**{"image": page_image(number), "feature": Feature.TEXT, **about})


def test_every_code_of_grpc_stands_in_the_table() -> None:
    """By its name, for a call, and by its number, for an image; OK is none."""
    named = {code for codes in ERRORS.codes.values() for code in codes}
    codes = dict(code_pb2.Code.items())
    del codes["OK"]
    assert set(codes) - named == set()
    assert {str(number) for number in codes.values()} - named == set()


def test_every_reason_in_the_table_is_one_of_googles() -> None:
    """By google.api.ErrorReason."""
    known = {*error_reason_pb2.ErrorReason.keys(), *code_pb2.Code.keys()}
    assert {code for codes in ERRORS.codes.values() for code in codes if not code.isdigit()} <= known


@pytest.mark.parametrize("number", range(1, 17))
def test_an_images_error_is_nobody_elses(number: int) -> None:
    """No number of a single image closes anything for the account."""
    assert ERRORS.meaning(str(number)) in (Meaning.UNDECODABLE, Meaning.TRANSIENT, Meaning.THROTTLED)


def answered(status: int, error: Any, **headers: str) -> HttpAnswer:
    return HttpAnswer(status, headers, json.dumps({"error": error}).encode())


def meaning_of(answer: HttpAnswer) -> Meaning:
    refusal = refusal_of(answer, json.loads(answer.body))
    assert refusal is not None
    return ERRORS.meaning(refusal.code, refusal.status)


def test_a_reason_says_more_than_the_status() -> None:
    """A bad key comes as INVALID_ARGUMENT; a reason that is not known leaves the status."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
    }
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
    assert meaning_of(answered(400, error | {"details": [info]})) is Meaning.CREDENTIALS
    assert meaning_of(answered(400, error | {"details": [info | {"reason": "NEW_ONE"}]})) is Meaning.OPTION
    assert meaning_of(answered(400, error)) is Meaning.OPTION
    assert meaning_of(answered(403, {"code": 403})) is Meaning.CREDENTIALS
    assert meaning_of(answered(502, None)) is Meaning.TRANSIENT


@pytest.mark.parametrize(
    ("delay", "seconds"), [("7s", 7), ("1.5s", 1.5), ("9999999s", 3600), ("soon", None), (7, None)]
)
def test_the_time_to_wait_stands_in_the_details(delay: Any, seconds: float | None) -> None:
    """RetryInfo, where there is no Retry-After."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    error = {"status": "RESOURCE_EXHAUSTED", "details": details}
    refusal = refusal_of(answered(429, error), {"error": error})
    assert refusal is not None
    assert refusal.retry_after_s == seconds
    refusal = refusal_of(answered(429, error, **{"Retry-After": "3"}), {"error": error})
    assert refusal is not None
    assert refusal.retry_after_s == 3


@pytest.mark.parametrize("error", [None, {}, {"message": "fine"}, {"code": 0}])
def test_a_status_of_zero_is_no_error(error: Any) -> None:
    """OK, which is left out."""
    assert image_refusal(error) is None


@pytest.mark.parametrize("error", ["bad", 3, [], {"code": "3"}, {"code": True}])
def test_an_error_of_another_shape_makes_no_sense(error: Any) -> None:
    """ValueError, as for all that is not as documented."""
    with pytest.raises(ValueError, match="error"):
        image_refusal(error)


WHOLE_CALL: Sequence[tuple[str, type[Exception]]] = (
    ("RESOURCE_EXHAUSTED", ProviderThrottled),
    ("RATE_LIMIT_EXCEEDED", ProviderThrottled),
    ("UNAVAILABLE", ProviderUnavailable),
    ("INTERNAL", ProviderUnavailable),
    ("DEADLINE_EXCEEDED", ProviderUnavailable),
    ("RESOURCE_QUOTA_EXCEEDED", ProviderQuotaSpent),
    ("INVALID_ARGUMENT", FieldInvalid),
    ("PERMISSION_DENIED", ProviderNotConfigured),
    ("BILLING_DISABLED", ProviderNotConfigured),
    ("UNAUTHENTICATED", ProviderNotConfigured),
)


async def test_what_is_wrong_with_the_call_is_raised_for_all_of_it(tmp_path: Path) -> None:
    """Said over a socket; for one image and for several alike."""
    async with stand_in_process(tmp_path, vendor="google", quota=100_000) as stand_in:
        for code, kind in WHOLE_CALL:
            await stand_in.configure(error_code=code)
            for count in (1, 3):
                provider = CASE.build(stand_in.url)
                await provider.start()
                assert isinstance(provider, BatchProvider)
                if count == 1:
                    outcomes = await provider.recognize_together([text_call(0)])
                    assert [type(each) for each in outcomes] == [kind], code
                else:
                    with pytest.raises(kind):
                        await provider.recognize_together([text_call(number) for number in range(count)])
                await provider.close()


async def test_one_bad_image_among_16_is_refused_alone(tmp_path: Path) -> None:
    """One call, one error, fifteen pages, each with its own part of the answer where that was asked for."""
    images = [encoded(photo(200 + number, 100), "PNG") for number in range(16)]
    async with desk(tmp_path) as (provider, stand_in):
        await stand_in.configure(image_errors={text_of_image(images[7]): "undecodable"})
        calls = [
            text_call(0, image=image, width=200 + number, height=100, include_raw_response=number % 2 == 0)
            for number, image in enumerate(images)
        ]
        outcomes = await provider.recognize_together(calls)
        assert isinstance(outcomes[7], ImageUndecodable)
        for number, (image, outcome) in enumerate(zip(images, outcomes, strict=True)):
            if number == 7:
                continue
            assert isinstance(outcome, ProviderResult)
            assert lines_of(outcome.page) == [text_of_image(image)]
            assert (outcome.page.width, outcome.billed_units) == (200 + number, 1.0)
            raw = json.loads(outcome.raw_response or b"{}")
            assert raw.get("fullTextAnnotation", {}).get("text") == (None if number % 2 else text_of_image(image))
        stats = await stand_in.stats()
        assert (stats["requests"], stats["largest_batch"], stats["billed_units"]) == (1, 16, 15)


async def test_images_of_a_call_may_differ_in_everything(tmp_path: Path) -> None:
    """Action, languages and options are each image's own; one that is not taken is refused unsent."""
    async with desk(tmp_path) as (provider, stand_in):
        calls = [
            text_call(0, options={"action": "TEXT_DETECTION"}),
            text_call(1, languages=("zh",)),
            text_call(2, options={"no_such_option": "1"}),
            text_call(3, media_type="image/tiff"),
            text_call(4, options={"model": "builtin/latest"}),
        ]
        outcomes = await provider.recognize_together(calls)
        assert [isinstance(each, ProviderResult) for each in outcomes] == [True, True, False, False, True]
        stats = await stand_in.stats()
        assert (stats["requests"], stats["largest_batch"]) == (1, 3)


async def test_empty_images_of_a_call_are_empty_pages(tmp_path: Path) -> None:
    """``{}`` for each."""
    async with desk(tmp_path) as (provider, stand_in):
        await stand_in.configure(lines=0)
        outcomes = await provider.recognize_together([text_call(number) for number in range(2)])
        assert outcomes == [ProviderResult(Page(WIDTH, HEIGHT), 1.0)] * 2


async def test_a_missing_answer_makes_no_sense_for_any_image(tmp_path: Path) -> None:
    """Whose is missing cannot be told: none is given another's text."""
    async with desk(tmp_path) as (provider, stand_in):
        for body in ('{"responses": [{}]}', '{"responses": [{}, {}, {}]}', '{"responses": null}'):
            await stand_in.configure(body=body)
            with pytest.raises(ProviderUnavailable, match="malformed") as failure:
                await provider.recognize_together([text_call(number) for number in range(2)])
            assert failure.value.may_be_billed


async def test_throttled_images_of_a_call_are_tried_again(tmp_path: Path) -> None:
    """Code 8 of an image is its own; the others are served."""
    async with desk(tmp_path) as (provider, stand_in):
        await stand_in.configure(image_errors={text_of_image(page_image(0)): "8"})
        first, second = await provider.recognize_together([text_call(0), text_call(1)])
        assert isinstance(first, ProviderThrottled)
        assert isinstance(second, ProviderResult)


async def test_an_image_that_grew_when_it_was_turned_leaves_the_call(tmp_path: Path) -> None:
    """It is to be sent again at once, without the others; these are read."""
    turned = stored_with_orientation(photo(300, 200), 6, "JPEG")
    async with desk(tmp_path) as (provider, stand_in):
        room = provider.description.features[Feature.TEXT].batch.max_bytes
        filler = page_image(1)
        filler += bytes(room - len(filler) - len(turned))
        end = page_image(1)[-12:]
        calls = [
            text_call(1, image=filler[: -len(end)] + end),
            text_call(2, image=turned, media_type="image/jpeg", width=300, height=200),
        ]
        assert sum(len(each.image) for each in calls) <= room
        first, second = await provider.recognize_together(calls)
        assert isinstance(first, ProviderResult)
        assert isinstance(second, ProviderUnavailable)
        assert (second.said_s, second.may_be_billed) == (0.0, False)
        assert (await stand_in.stats())["requests"] == 1
        assert isinstance((await provider.recognize_together(calls[1:]))[0], ProviderResult)
