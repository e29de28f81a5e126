"""ACS3, as the vendor's own SDK makes it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.alibaba.dialect import AlibabaDialect
from ocr_gateway.providers.alibaba.settings import AlibabaSettings, build_alibaba
from ocr_gateway.providers.alibaba.signing import authorization, encoded_query
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Denied, Head
from tests.fakes.standin.vendors.alibaba import Alibaba, verify

GOLDEN = Path(__file__).parents[2] / "golden"
VECTORS = ("alibaba_general_bytes", "alibaba_general_url")
PIXEL = b"\x89PNG\r\n\x1a\nimage"


def golden(name: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return said


def body_of(vector: dict[str, Any]) -> bytes:
    body: str = vector["body"]
    return base64.b64decode(body) if vector["body_encoding"] == "base64" else body.encode()


def head_of(vector: dict[str, Any], **changes: str) -> Head:
    headers = {name.lower(): value for name, value in vector["headers"]} | changes
    return Head(vector["method"], "/", {}, urlsplit(vector["url"]).query, headers)


def signed_headers(vector: dict[str, Any]) -> dict[str, str]:
    names = vector["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    return {name: value for name, value in vector["headers"] if name.lower() in names}


def dialect(**about: Any) -> AlibabaDialect:
    sources = {key: {"env": "NO_SUCH"} for key in ("access_key_id", "access_key_secret")}
    settings = AlibabaSettings.model_validate({"credentials": sources, "features": {}})
    description = build_alibaba("alibaba", settings).description
    keys = {"access_key_id": "made-up-id", "access_key_secret": "made-up-secret", **about}
    endpoint = "https://ocr.example.com"
    return AlibabaDialect(description, endpoint=endpoint, text_action="RecognizeAdvanced", **keys)


@pytest.mark.parametrize("name", VECTORS)
def test_the_signature_is_the_sdks(name: str) -> None:
    """With its keys, clock and nonce, and the headers that it signs; the blank of a URL is signed as %20."""
    vector = golden(name)
    query = encoded_query(dict(parse_qsl(urlsplit(vector["url"]).query)))
    signed = authorization(vector["key_id"], vector["secret"], headers=signed_headers(vector), query=query)
    assert signed == vector["authorization"]


@pytest.mark.parametrize("name", VECTORS)
def test_the_stand_in_verifies_the_sdks_signature(name: str) -> None:
    """By its own reading of the rules; and not when anything that is signed differs."""
    vector = golden(name)
    body, keys, now = body_of(vector), (vector["key_id"], vector["secret"]), vector["timestamp"]
    verify(head_of(vector), body, *keys, now)
    for head, content, secret, code in (
        (head_of(vector), body + b" ", keys, "SignatureDoesNotMatch"),
        (head_of(vector), body, (keys[0], "another"), "SignatureDoesNotMatch"),
        (head_of(vector), body, ("another", keys[1]), "InvalidAccessKeyId.NotFound"),
        (head_of(vector, **{"x-acs-action": "RecognizeIdcard"}), body, keys, "SignatureDoesNotMatch"),
        (head_of(vector, **{"x-acs-signature-nonce": "another"}), body, keys, "SignatureDoesNotMatch"),
        (head_of(vector, **{"x-acs-security-token": "unsigned"}), body, keys, "IncompleteSignature"),
        (head_of(vector, authorization="ACS3-HMAC-SHA256 Credential=x"), body, keys, "IncompleteSignature"),
    ):
        with pytest.raises(Denied) as denied:
            verify(head, content, secret[0], secret[1], now)
        assert denied.value.code == code


@pytest.mark.parametrize("seconds", [-901, 901])
def test_the_stand_in_refuses_a_clock_a_quarter_of_an_hour_off(seconds: int) -> None:
    """To either side; a second less is taken."""
    vector = golden(VECTORS[0])
    about = (head_of(vector), body_of(vector), vector["key_id"], vector["secret"])
    with pytest.raises(Denied) as denied:
        verify(*about, vector["timestamp"] + seconds)
    assert denied.value.code == "InvalidTimeStamp.Expired"
    verify(*about, vector["timestamp"] + seconds - seconds // abs(seconds))


def test_the_stand_in_takes_a_nonce_once() -> None:
    """The same request again is refused, whoever signed it."""
    vector, service = golden(VECTORS[0]), Alibaba()
    settings = StandInSettings().changed({"api_key": vector["key_id"], "secret_key": vector["secret"]})
    service.read(head_of(vector), body_of(vector), settings, vector["timestamp"])
    with pytest.raises(Denied) as denied:
        service.read(head_of(vector), body_of(vector), settings, vector["timestamp"])
    assert denied.value.code == "SignatureNonceUsed"


def test_a_request_says_what_it_signs() -> None:
    """Options stand in the query; a token's key and the token are signed; another request has another nonce."""
    options = {"OutputCharInfo": "true", "NeedRotate": "false"}
    call = ProviderCall(PIXEL, "image/png", 20, 20, Feature.TEXT, options=options)
    shown = dialect(security_token="made-up-token", nonce=lambda: "0123")
    request = shown.request([call], "0" * 64, "", 1767225600.9)
    assert (request.method, request.url) == (
        "POST",
        "https://ocr.example.com/?NeedRotate=false&OutputCharInfo=true",
    )
    headers = dict(request.headers)
    signed = headers.pop("Authorization")
    assert headers.pop("Accept") == "application/json"
    assert f"SignedHeaders={';'.join(sorted(name.lower() for name in headers))}," in signed
    assert headers == {
        "Content-Type": "application/octet-stream",
        "Host": "ocr.example.com",
        "x-acs-accesskey-id": "made-up-id",
        "x-acs-action": "RecognizeAdvanced",
        "x-acs-content-sha256": "0" * 64,
        "x-acs-date": "2026-01-01T00:00:00Z",
        "x-acs-security-token": "made-up-token",
        "x-acs-signature-nonce": "0123",
        "x-acs-version": "2021-07-07",
    }
    nonces = {dialect().request([call], "0" * 64, "", 0.0).headers["x-acs-signature-nonce"] for _ in range(8)}
    assert len(nonces) == 8


def test_no_repr_shows_a_key() -> None:
    """Neither the dialect's nor a request's."""
    shown = dialect(security_token="made-up-token")
    call = ProviderCall(PIXEL, "image/png", 20, 20, Feature.TEXT)
    words = f"{shown!r} {shown.request([call], '0' * 64, '', 1767225600.0)!r}"
    assert not [key for key in ("made-up-id", "made-up-secret", "made-up-token") if key in words]
