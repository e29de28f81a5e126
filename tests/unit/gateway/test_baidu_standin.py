"""The stand-in of Baidu: its tokens, its signatures, and its strictness."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import aiohttp
import pytest

from tests.fakes.standin.server import StandIn
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Denied, Head
from tests.fakes.standin.vendors.baidu import Baidu
from tests.fakes.standin.vendors.baidu.bce_auth import verify
from tests.fakes.standin.vendors.baidu.form import FORM_TYPE, read_form
from tests.fakes.standin.vendors.baidu.tokens import EXPIRED, INVALID, TokenDesk

GOLDEN = Path(__file__).resolve().parents[2] / "golden/baidu_general_basic_bce_auth_v1.json"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def form(image: bytes = PNG, **options: str) -> bytes:
    fields = "".join(f"&{name}={value}" for name, value in options.items())
    return f"image={quote_plus(base64.b64encode(image))}{fields}".encode()


def test_tokens_expire() -> None:
    """By time and on command; a token that was never issued is another error."""
    desk = TokenDesk()
    token, other = desk.issue(0.0, 10.0), desk.issue(0.0, 100.0)
    assert token != other
    assert [desk.code_of(token, now) for now in (0.0, 9.9, 10.0)] == ["", "", EXPIRED]
    assert desk.code_of(other, 10.0) == ""
    desk.expire_all()
    assert desk.code_of(other, 10.0) == EXPIRED
    assert desk.code_of("made up", 0.0) == INVALID


def test_a_good_form_is_read() -> None:
    """The image as it was, and the options."""
    read = read_form("general", FORM_TYPE, form(probability="true"))
    assert (read.image, read.options) == (PNG, {"probability": "true"})
    lower = form().replace(b"%2F", b"%2f").replace(b"%2B", b"%2b").replace(b"%3D", b"%3d")
    assert read_form("general", FORM_TYPE, lower).image == PNG


@pytest.mark.parametrize(
    ("endpoint", "content_type", "body", "code"),
    [
        ("general", "application/json", form(), "216101"),
        ("general", FORM_TYPE, b"", "216101"),
        ("general", FORM_TYPE, b"probability=true&" + form(), "216101"),
        ("general", FORM_TYPE, b"image=", "216200"),
        ("general", FORM_TYPE, b"image=" + base64.b64encode(PNG), "216201"),
        ("general", FORM_TYPE, b"image=***", "216201"),
        ("general", FORM_TYPE, form(b"no image"), "216201"),
        ("general", FORM_TYPE, form(PNG + bytes(6_100_000)), "216202"),
        ("general", FORM_TYPE, form(color="red"), "216100"),
        ("general", FORM_TYPE, form(probability="yes"), "216100"),
        ("general_basic", FORM_TYPE, form(vertexes_location="true"), "216100"),
        ("idcard", FORM_TYPE, form(), "216101"),
        ("business_license", FORM_TYPE, form(accuracy="high"), "216100"),
        ("bankcard", FORM_TYPE, form(location="maybe"), "216100"),
    ],
)
def test_a_form_that_baidu_would_not_take_is_refused(endpoint: str, content_type: str, body: bytes, code: str) -> None:
    """With Baidu's code."""
    with pytest.raises(Denied) as refusal:
        read_form(endpoint, content_type, body)
    assert refusal.value.code == code


def test_images_without_an_end_are_refused_on_command() -> None:
    """Only where that is asked for."""
    assert read_form("general", FORM_TYPE, form()).image == PNG
    with pytest.raises(Denied):
        read_form("general", FORM_TYPE, form(), whole_images=True)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A stand-in in this process, with a quota of 3."""
    stand_in = StandIn(Baidu(), StandInSettings().changed({"quota": 3}))
    host, port = await stand_in.serve("127.0.0.1", 0)
    yield f"http://{host}:{port}"
    await stand_in.close()


async def test_it_keeps_token_and_quota_over_http(url: str) -> None:
    """A call without a token, one too many, and the counts of both; arrivals count whether refused or not."""
    keys = {"grant_type": "client_credentials", "client_id": "standin-key", "client_secret": "standin-secret"}
    headers = {"Content-Type": FORM_TYPE}
    async with aiohttp.ClientSession() as session:

        async def ask(token: str, endpoint: str = "general") -> dict[str, Any]:
            address = f"{url}/rest/2.0/ocr/v1/{endpoint}?access_token={token}"
            async with session.post(address, data=form(), headers=headers) as response:
                answer: dict[str, Any] = await response.json()
                return answer

        assert (await ask("made-up"))["error_code"] == 110
        async with session.post(f"{url}/oauth/2.0/token", params=keys) as response:
            token = (await response.json())["access_token"]
        answers = await asyncio.gather(*(ask(token) for _ in range(5)))
        assert sorted(answer.get("error_code", 0) for answer in answers) == [0, 0, 0, 18, 18]
        served = next(answer for answer in answers if "words_result" in answer)
        assert served["words_result"][0]["words"] == hashlib.sha256(PNG).hexdigest()[:16]
        async with session.get(f"{url}/control/stats") as response:
            stats = await response.json()
        assert (stats["worst_second"], stats["refusals"], stats["refused_tokens"]) == (6, 2, 1)
        assert (stats["billed_units"], stats["duplicates_billed"]) == (3, 2)
        async with session.post(f"{url}/control/config", data=json.dumps({"nothing": 1})) as response:
            assert response.status == 400


def golden_head(**changes: str) -> Head:
    """The signed request that the vendor's own SDK sent."""
    golden = json.loads(GOLDEN.read_text())
    url = urlsplit(golden["url"])
    headers = {name.lower(): value for name, value in golden["headers"]} | changes
    return Head("POST", url.path, {}, url.query, headers)


def test_the_sdks_own_signature_is_accepted_in_its_time() -> None:
    """Half an hour from when it was made; a changed request, another key or another secret is not."""
    golden = json.loads(GOLDEN.read_text())
    account = StandInSettings(api_key=golden["key_id"], secret_key=golden["secret"])
    verify(golden_head(), account, golden["timestamp"] + 1799)
    for head, settings, epoch_s in (
        (golden_head(), account, golden["timestamp"] + 1801),
        (golden_head(), account, golden["timestamp"] - 301),
        (golden_head(host="elsewhere.example.com"), account, golden["timestamp"]),
        (golden_head(**{"x-bce-date": "2026-01-01T00:00:01Z"}), account, golden["timestamp"]),
        (golden_head(authorization="bce-auth-v1/"), account, golden["timestamp"]),
        (golden_head(), StandInSettings(api_key="another", secret_key=golden["secret"]), golden["timestamp"]),
        (golden_head(), StandInSettings(api_key=golden["key_id"], secret_key="another"), golden["timestamp"]),
    ):
        with pytest.raises(Denied) as refusal:
            verify(head, settings, epoch_s)
        assert refusal.value.code == "14"
