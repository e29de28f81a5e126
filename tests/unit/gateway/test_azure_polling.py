"""Document Intelligence's submit and poll, with a service of any mood."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.azure.document_intelligence import AzureDialect, AzureSettings
from ocr_gateway.providers.http import HttpAnswer, HttpFailure, HttpFault
from ocr_gateway.providers.remote.dialect import Request

ENDPOINT = "https://mine.cognitiveservices.azure.com"
OPERATION = f"{ENDPOINT}/documentintelligence/documentModels/prebuilt-read/analyzeResults/7?api-version=2024-11-30"
SUCCEEDED = HttpAnswer(200, {}, b'{"status":"succeeded"}')
GOLDEN = Path(__file__).parents[2] / "golden"


class Service:
    """Answers with what is planned, in order, and notes what it is sent and how long its caller waits."""

    def __init__(self, *planned: HttpAnswer | HttpFailure) -> None:
        self.planned = list(planned)
        self.requests: list[Request] = []
        self.waits_s: list[float] = []

    async def send(self, request: Request) -> HttpAnswer:
        self.requests.append(request)
        answer = self.planned.pop(0)
        if isinstance(answer, HttpFailure):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)


def accepted(location: str = OPERATION, **headers: str) -> HttpAnswer:
    return HttpAnswer(202, {"Operation-Location": location, **headers}, b"")


def running(retry_after: str | None = None) -> HttpAnswer:
    return HttpAnswer(200, {"Retry-After": retry_after} if retry_after else {}, b'{"status":"running"}')


def error(status: int, code: str, **headers: str) -> HttpAnswer:
    return HttpAnswer(status, headers, json.dumps({"error": {"code": code, "message": "as told"}}).encode())


@pytest.fixture
def dialect_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[Service], AzureDialect]:
    monkeypatch.setenv("AZURE_TEST_KEY", "madeUpAzureKey0000000000000001")
    settings = AzureSettings.model_validate(
        {"endpoint": ENDPOINT, "credentials": {"api_key": {"env": "AZURE_TEST_KEY"}}}
    )
    return lambda service: AzureDialect("azure", settings, sleep=service.sleep)


async def outcome(dialect: AzureDialect, service: Service) -> HttpAnswer:
    calls = [ProviderCall(b"image", "image/png", 100, 100, Feature.TEXT)]
    return await dialect.exchange(service.send, dialect.request(calls, "", "", 0.0))


async def test_an_operation_is_polled_until_it_has_ended(dialect_for: Callable[[Service], AzureDialect]) -> None:
    """As often as the service says, else every second, and 0.1 to 10 seconds apart; with the key each time."""
    service = Service(accepted(**{"Retry-After": "2"}), running(), running("0"), running("600"), SUCCEEDED)
    assert await outcome(dialect_for(service), service) is SUCCEEDED
    assert service.waits_s == [2.0, 1.0, 0.1, 10.0]
    assert [(request.method, request.url) for request in service.requests[1:]] == [("GET", OPERATION)] * 4
    assert {request.headers["Ocp-Apim-Subscription-Key"] for request in service.requests} == {
        "madeUpAzureKey0000000000000001"
    }


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example.com/documentintelligence/documentModels/prebuilt-read/analyzeResults/7",
        "http://mine.cognitiveservices.azure.com/documentintelligence/documentModels/x/analyzeResults/7",
        "https://mine.cognitiveservices.azure.com@evil.example.com/documentintelligence/documentModels/x",
        "https://mine.cognitiveservices.azure.com:8443/documentintelligence/documentModels/x",
        "https://mine.cognitiveservices.azure.com.evil.example.com/documentintelligence/documentModels/x",
        "https://mine.cognitiveservices.azure.com/elsewhere",
        "/documentintelligence/documentModels/prebuilt-read/analyzeResults/7",
        "",
    ],
)
async def test_the_key_goes_to_no_other_host(location: str, dialect_for: Callable[[Service], AzureDialect]) -> None:
    """An operation anywhere else is malformed, and nothing is sent there."""
    service = Service(accepted(location))
    with pytest.raises(ValueError, match="Operation-Location"):
        await outcome(dialect_for(service), service)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        [error(429, "429", **{"Retry-After": "3"})],
        [error(503, "ServiceUnavailable"), error(500, "InternalServerError")],
        [HttpFailure(HttpFault.CONNECTION_LOST)] * 5,
    ],
)
async def test_a_poll_that_fails_for_now_is_made_again(
    trouble: Sequence[HttpAnswer | HttpFailure], dialect_for: Callable[[Service], AzureDialect]
) -> None:
    """The image is paid for: its result is waited for."""
    service = Service(accepted(), running(), *trouble, SUCCEEDED)
    assert await outcome(dialect_for(service), service) is SUCCEEDED
    assert service.planned == []


async def test_polls_that_go_on_failing_end(dialect_for: Callable[[Service], AzureDialect]) -> None:
    """After six in a row, as malformed with the last word of the service: the image may be paid for."""
    service = Service(accepted(), *[error(503, "ServiceUnavailable")] * 20)
    with pytest.raises(ValueError, match="not told: error ServiceUnavailable"):
        await outcome(dialect_for(service), service)
    assert len(service.requests) == 1 + 6


@pytest.mark.parametrize("answer", [error(404, "NotFound"), error(400, "InvalidRequest"), error(403, "Forbidden")])
async def test_an_operation_that_is_lost_says_nothing_of_the_model(
    answer: HttpAnswer, dialect_for: Callable[[Service], AzureDialect]
) -> None:
    """Nor of the image, which is paid for."""
    service = Service(accepted(), answer)
    with pytest.raises(ValueError, match="not told"):
        await outcome(dialect_for(service), service)


@pytest.mark.parametrize("answer", [error(401, "401"), HttpAnswer(200, {}, b"<html>"), HttpAnswer(204, {}, b"")])
async def test_a_poll_that_fails_for_good_ends_it(
    answer: HttpAnswer, dialect_for: Callable[[Service], AzureDialect]
) -> None:
    """The answer is the exchange's."""
    service = Service(accepted(), answer)
    assert await outcome(dialect_for(service), service) is answer


async def test_a_refused_submission_is_not_polled(dialect_for: Callable[[Service], AzureDialect]) -> None:
    """Its error is the answer."""
    refused = error(400, "InvalidRequest")
    service = Service(refused)
    assert await outcome(dialect_for(service), service) is refused


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (
            {"status": "failed", "error": {"code": "InvalidRequest", "innererror": {"code": "InvalidContent"}}},
            "InvalidContent",
        ),
        ({"status": "failed", "error": {"code": "InternalServerError"}}, "InternalServerError"),
        ({"status": "failed"}, "InternalServerError"),
        ({"error": {"code": "InvalidArgument", "innererror": {"code": "SomethingNew"}}}, "InvalidArgument"),
        ({"error": {"code": "New", "innererror": {"code": "Newer"}}}, "Newer"),
    ],
)
def test_an_operation_that_failed_says_why(
    said: dict[str, Any], code: str, dialect_for: Callable[[Service], AzureDialect]
) -> None:
    """By the innermost code that is known, under HTTP 200 too."""
    refusal = dialect_for(Service()).refusal(HttpAnswer(200, {}, b""), said)
    assert refusal is not None
    assert refusal.code == code


def test_a_submission_is_the_sdks(dialect_for: Callable[[Service], AzureDialect]) -> None:
    """Path, query, key and content type are those that the vendor's SDK sends, and the body is the image."""
    golden = json.loads((GOLDEN / "azure_di_read_submit_bytes.json").read_text())
    calls = [ProviderCall(b"image", "image/png", 100, 100, Feature.TEXT)]
    dialect = dialect_for(Service())
    request = dialect.request(calls, "", "", 0.0)
    assert request.url.removeprefix(ENDPOINT) == "/" + golden["url"].split("/", 3)[3]
    sent = {name.lower(): value for name, value in golden["headers"]}
    ours = {name.lower(): value for name, value in request.headers.items()}
    for name in ("ocp-apim-subscription-key", "content-type", "accept"):
        assert ours[name] == sent[name]
    assert dialect.body(calls) == b"image"
