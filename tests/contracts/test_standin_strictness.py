"""The stand-ins of services that sign are as strict as these: whoever passes them signs rightly."""

from __future__ import annotations

import asyncio
import hashlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.dialect import Dialect, Request
from ocr_gateway.providers.remote.meanings import Meaning, Refusal
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.values import parse_object
from tests.contracts.remote_cases import CASES, RemoteCase
from tests.contracts.remote_desk import StandIns, page_image
from tests.fakes.standin.process import StandInProcess

SIGNED = [
    case
    for case in CASES
    if isinstance(provider := case.build("http://127.0.0.1:9"), RemoteProvider) and provider.dialect.signs_body
]
pytestmark = pytest.mark.asyncio(loop_scope="package")
signed = pytest.mark.parametrize("case", SIGNED, ids=lambda case: case.kind)


async def test_services_that_sign_are_tried() -> None:
    """The four whose signatures cover the body."""
    assert {case.kind for case in SIGNED} == {"tencent", "alibaba", "aws", "huawei"}


def request_of(case: RemoteCase, url: str, image: bytes) -> tuple[Dialect, Request, bytes]:
    """The adapter's own request for a page's text."""
    provider = case.build(url)
    assert isinstance(provider, RemoteProvider)
    calls = [ProviderCall(image, "image/png", 1000, 700, Feature.TEXT)]
    body = provider.dialect.body(calls)
    request = provider.dialect.request(calls, hashlib.sha256(body).hexdigest(), "", time.time())
    return provider.dialect, request, body


async def refusal_of(dialect: Dialect, request: Request, body: bytes) -> Refusal | None:
    """What the stand-in says against a request; None where it takes it."""
    status, said = await asyncio.to_thread(post, request, body)
    return dialect.refusal(HttpAnswer(status, {}, said), parse_object(said))


def post(request: Request, body: bytes) -> tuple[int, bytes]:
    sent = urllib.request.Request(request.url, data=body, headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def altered(text: str) -> str:
    """Another last character, of the same kind."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


@signed
async def test_a_good_request_is_taken(case: RemoteCase, stand_ins: StandIns) -> None:
    """What the next tests alter is right before."""
    stand_in = await stand_ins.of(case)
    assert await refusal_of(*request_of(case, stand_in.url, page_image(1))) is None


@signed
@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda request, body: (request, body + b" "), id="body"),
        pytest.param(
            lambda request, body: (
                Request(
                    request.method,
                    request.url,
                    {name: altered(v) if name.lower() == "authorization" else v for name, v in request.headers.items()},
                ),
                body,
            ),
            id="signature",
        ),
    ],
)
async def test_an_altered_request_is_refused(
    case: RemoteCase, alter: Callable[[Request, bytes], tuple[Request, bytes]], stand_ins: StandIns
) -> None:
    """One byte more of the body, or another digit of the signature; nothing is billed."""
    stand_in = await stand_ins.of(case)
    dialect, request, body = request_of(case, stand_in.url, page_image(2))
    refusal = await refusal_of(dialect, *alter(request, body))
    assert refusal is not None
    assert dialect.errors.meaning(refusal.code, refusal.status) is Meaning.CREDENTIALS
    assert await billed(stand_in) == 0


@signed
@pytest.mark.parametrize("offset_s", [3600.0, -3600.0])
async def test_a_clock_an_hour_off_is_refused(case: RemoteCase, offset_s: float, stand_ins: StandIns) -> None:
    """To either side."""
    stand_in = await stand_ins.of(case)
    await stand_in.configure(clock_offset_s=offset_s)
    dialect, request, body = request_of(case, stand_in.url, page_image(3))
    refusal = await refusal_of(dialect, request, body)
    assert refusal is not None
    assert await billed(stand_in) == 0


@signed
async def test_a_nonce_counts_once(case: RemoteCase, stand_ins: StandIns) -> None:
    """Where requests have one, the same request again is refused; where they have none it is another call."""
    stand_in = await stand_ins.of(case)
    dialect, request, body = request_of(case, stand_in.url, page_image(4))
    assert await refusal_of(dialect, request, body) is None
    again = await refusal_of(dialect, request, body)
    has_nonce = any("nonce" in name.lower() for name in request.headers)
    assert (again is not None) == has_nonce == (case.kind == "alibaba")


async def billed(stand_in: StandInProcess) -> int:
    count: int = (await stand_in.stats())["billed_units"]
    return count
