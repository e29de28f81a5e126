"""TC3, as the vendor's own SDK makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.tencent.dialect import TencentDialect
from ocr_gateway.providers.tencent.settings import TencentSettings, build_tencent
from ocr_gateway.providers.tencent.signing import authorization
from tests.fakes.standin.vendor import Denied, Head
from tests.fakes.standin.vendors.tencent import verify

GOLDEN = Path(__file__).parents[2] / "golden"
VECTORS = ("tencent_general_basic", "tencent_table_token_region")
PIXEL = b"\x89PNG\r\n\x1a\nimage"


def golden(name: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return said


def head_of(vector: dict[str, Any], **changes: str) -> Head:
    headers = {name.lower(): value for name, value in vector["headers"]} | changes
    return Head(vector["method"], "/", {}, "", headers)


def dialect(**about: Any) -> TencentDialect:
    settings = TencentSettings.model_validate(
        {"credentials": {"secret_id": {"env": "NO_SUCH"}, "secret_key": {"env": "NO_SUCH"}}, "features": {}}
    )
    description = build_tencent("tencent", settings).description
    keys = {"secret_id": "made-up-id", "secret_key": "made-up-key", **about}
    return TencentDialect(description, endpoint="https://ocr.example.com", text_action="GeneralBasicOCR", **keys)


@pytest.mark.parametrize("name", VECTORS)
def test_the_signature_is_the_sdks(name: str) -> None:
    """With its keys, its clock and its body."""
    vector = golden(name)
    signed = authorization(
        vector["key_id"],
        vector["secret"],
        content_type="application/json",
        host=urlsplit(vector["url"]).netloc,
        body_sha256=vector["body_sha256"],
        now=vector["timestamp"],
    )
    assert signed == vector["authorization"]


@pytest.mark.parametrize("name", VECTORS)
def test_the_stand_in_verifies_the_sdks_signature(name: str) -> None:
    """By its own reading of the rules; and not when anything that is signed differs."""
    vector = golden(name)
    body, keys, now = vector["body"].encode(), (vector["key_id"], vector["secret"]), vector["timestamp"]
    verify(head_of(vector), body, *keys, now)
    for head, content, secret, code in (
        (head_of(vector), body + b" ", keys, "AuthFailure.SignatureFailure"),
        (head_of(vector), body, (keys[0], "another"), "AuthFailure.SignatureFailure"),
        (head_of(vector), body, ("another", keys[1]), "AuthFailure.SecretIdNotFound"),
        (head_of(vector, host="other.example.com"), body, keys, "AuthFailure.SignatureFailure"),
        (head_of(vector, **{"x-tc-timestamp": str(now + 1)}), body, keys, "AuthFailure.SignatureFailure"),
        (head_of(vector, authorization="TC3-HMAC-SHA256 Credential=x"), body, keys, "AuthFailure.InvalidAuthorization"),
    ):
        with pytest.raises(Denied) as denied:
            verify(head, content, secret[0], secret[1], now)
        assert denied.value.code == code


@pytest.mark.parametrize("seconds", [-301, 301])
def test_the_stand_in_refuses_a_clock_five_minutes_off(seconds: int) -> None:
    """To either side; a second less is taken."""
    vector = golden(VECTORS[0])
    about = (head_of(vector), vector["body"].encode(), vector["key_id"], vector["secret"])
    with pytest.raises(Denied) as denied:
        verify(*about, vector["timestamp"] + seconds)
    assert denied.value.code == "AuthFailure.SignatureExpire"
    verify(*about, vector["timestamp"] + seconds - seconds // abs(seconds))


def test_a_request_says_what_it_signs() -> None:
    """Host, action, version and time stand in the headers, a token and a region where there are any."""
    call = ProviderCall(PIXEL, "image/png", 20, 20, Feature.TABLE)
    request = dialect(token="made-up-token", region="ap-guangzhou").request([call], "0" * 64, "", 1767225600.9)
    assert (request.method, request.url) == ("POST", "https://ocr.example.com/")
    assert {name: request.headers[name] for name in request.headers if name != "Authorization"} == {
        "Host": "ocr.example.com",
        "Content-Type": "application/json",
        "X-TC-Action": "RecognizeTableAccurateOCR",
        "X-TC-Version": "2018-11-19",
        "X-TC-Timestamp": "1767225600",
        "X-TC-Region": "ap-guangzhou",
        "X-TC-Token": "made-up-token",
    }


def test_no_repr_shows_a_key() -> None:
    """Neither the dialect's nor a request's."""
    shown = dialect(token="made-up-token")
    call = ProviderCall(PIXEL, "image/png", 20, 20, Feature.TEXT)
    words = f"{shown!r} {shown.request([call], '0' * 64, '', 1767225600.0)!r}"
    assert not [key for key in ("made-up-id", "made-up-key", "made-up-token") if key in words]
