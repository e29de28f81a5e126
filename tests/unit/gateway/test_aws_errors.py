"""What Textract's errors become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from structlog.testing import capture_logs

from ocr_gateway.errors import (
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageUndecodable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.model import Feature, ProviderResult, ProviderState
from ocr_gateway.providers.aws.errors import ERRORS, refusal_of
from ocr_gateway.providers.base import BatchProvider
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.meanings import Meaning
from ocr_gateway.providers.remote.verdicts import AdapterBug
from tests.contracts.remote_cases import CASES
from tests.contracts.remote_desk import call, page_image, text_of_image
from tests.fakes.standin.process import stand_in_process

(CASE,) = (each for each in CASES if each.kind == "aws")


def test_every_error_of_the_service_model_stands_in_the_table() -> None:
    """As botocore has it."""
    model = Loader().load_service_model("textract", "service-2")
    named = {code for codes in ERRORS.codes.values() for code in codes}
    errors = {name for name, shape in model["shapes"].items() if shape.get("exception")}
    assert len(errors) > 10
    assert errors - named == set()
    for operation in ("DetectDocumentText", "AnalyzeDocument", "AnalyzeID"):
        assert {each["shape"] for each in model["operations"][operation]["errors"]} <= named


def meaning_of(said: Any, status: int = 400, **headers: str) -> Meaning:
    refusal = refusal_of(HttpAnswer(status, headers, b""), said)
    assert refusal is not None
    return ERRORS.meaning(refusal.code, refusal.status)


@pytest.mark.parametrize(
    ("said", "status", "meaning"),
    [
        ({"__type": "ThrottlingException"}, 400, Meaning.THROTTLED),
        ({"__type": "com.amazonaws.textract#ThrottlingException"}, 400, Meaning.THROTTLED),
        ({"__type": "ThrottlingException:http://internal.amazon.com/"}, 400, Meaning.THROTTLED),
        ({"__type": "InternalServerError", "Message": "said"}, 500, Meaning.TRANSIENT),
        ({"__type": "InvalidSignatureException", "message": "said"}, 400, Meaning.CREDENTIALS),
        ({"__type": 7, "message": 7}, 400, Meaning.TRANSIENT),
        ({}, 503, Meaning.TRANSIENT),
        (None, 413, Meaning.TOO_LARGE),
        (None, 429, Meaning.THROTTLED),
    ],
)
def test_errors_are_told_by_their_type(said: Any, status: int, meaning: Meaning) -> None:
    """With a namespace before it or without, else by HTTP."""
    assert meaning_of(said, status) is meaning


def test_the_type_may_stand_in_a_header() -> None:
    """As some of AWS's front doors have it."""
    assert meaning_of({}, 400, **{"x-amzn-ErrorType": "AccessDeniedException:"}) is Meaning.NOT_OPEN


def test_a_good_answer_is_no_error() -> None:
    """Whatever else it says."""
    assert refusal_of(HttpAnswer(200, {}, b""), {"__type": "x"}) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ProvisionedThroughputExceededException", ProviderThrottled),
        ("ThrottlingException", ProviderThrottled),
        ("InternalServerError", ProviderUnavailable),
        ("BadDocumentException", ImageUndecodable),
        ("UnsupportedDocumentException", FormatUnsupported),
        ("DocumentTooLargeException", ImageShapeUnsupported),
        ("AccessDeniedException", ProviderNotConfigured),
        ("UnrecognizedClientException", ProviderNotConfigured),
        ("ExpiredTokenException", ProviderNotConfigured),
        ("ServiceQuotaExceededException", ProviderQuotaSpent),
        ("InvalidParameterException", AdapterBug),
    ],
)
async def test_errors_become_the_gateways(code: str, kind: type[Exception], tmp_path: Path) -> None:
    """Said over a socket."""
    async with stand_in_process(tmp_path, vendor="aws", error_code=code) as stand_in:
        provider = CASE.build(stand_in.url)
        await provider.start()
        with pytest.raises(kind) as failure:
            await provider.recognize(call(page_image(), Feature.TEXT))
        assert type(failure.value) is kind
        await provider.close()


async def test_a_clock_that_is_off_is_told(tmp_path: Path) -> None:
    """The signature holds the time: the service refuses it, and the status says why."""
    async with stand_in_process(tmp_path, vendor="aws", clock_offset_s=3600) as stand_in:
        provider = CASE.build(stand_in.url)
        await provider.start()
        with capture_logs() as logs, pytest.raises(ProviderNotConfigured, match="Signature expired"):
            await provider.recognize(call(page_image(), Feature.TEXT))
        assert provider.status.state is ProviderState.NOT_CONFIGURED
        assert CASE.keys["secret_access_key"] not in f"{logs}{provider.status}"
        await provider.close()


async def test_an_operation_that_a_policy_denies_leaves_the_others(tmp_path: Path) -> None:
    """Permissions are granted one by one."""
    async with stand_in_process(tmp_path, vendor="aws", error_code="AccessDeniedException") as stand_in:
        provider = CASE.build(stand_in.url)
        await provider.start()
        for _ in range(2):
            with pytest.raises(ProviderNotConfigured):
                await provider.recognize(call(page_image(), Feature.TABLE))
        await stand_in.configure(error_code="")
        await provider.recognize(call(page_image(), Feature.TEXT))
        with pytest.raises(ProviderNotConfigured):
            await provider.recognize(call(page_image(), Feature.TABLE))
        assert (await stand_in.stats())["requests"] == 2
        await provider.close()


async def test_two_documents_go_in_one_call_where_that_is_wanted(tmp_path: Path) -> None:
    """Each image has its own fields and its own part of the answer; one call is made."""
    async with stand_in_process(tmp_path, vendor="aws") as stand_in:
        provider = CASE.build(stand_in.url, features={"id": {"pages_per_call": 2}})
        await provider.start()
        assert isinstance(provider, BatchProvider)
        assert provider.description.features[Feature.ID_DOCUMENT].batch.max_images == 2
        images = [page_image(1), page_image(2)]
        calls = [call(image, Feature.ID_DOCUMENT, include_raw_response=True) for image in images]
        outcomes = await provider.recognize_together(calls)
        for number, (image, outcome) in enumerate(zip(images, outcomes, strict=True), 1):
            assert isinstance(outcome, ProviderResult)
            found = {each.name: each.raw_value for each in outcome.page.fields}
            assert found["place_of_birth"] == text_of_image(image)
            assert json.loads(outcome.raw_response)["DocumentIndex"] == number
        stats = await stand_in.stats()
        assert (stats["requests"], stats["largest_batch"], stats["billed_units"]) == (1, 2, 2)
        await provider.close()
