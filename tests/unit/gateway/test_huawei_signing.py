"""SDK-HMAC-SHA256, as the vendor's own SDK makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.huawei.dialect import HuaweiDialect
from ocr_gateway.providers.huawei.settings import HuaweiSettings, build_huawei
from ocr_gateway.providers.huawei.signing import authorization
from tests.fakes.standin.vendor import Denied, Head
from tests.fakes.standin.vendors.huawei import verify

GOLDEN = Path(__file__).parents[2] / "golden"
VECTOR = "huawei_general_text"
PIXEL = b"\x89PNG\r\n\x1a\nimage"


def golden() -> dict[str, Any]:
    said: dict[str, Any] = json.loads((GOLDEN / f"{VECTOR}.json").read_text())
    return said


def head_of(vector: dict[str, Any], **changes: str) -> Head:
    headers = {name.lower(): value for name, value in vector["headers"]} | changes
    return Head(vector["method"], urlsplit(vector["url"]).path, {}, "", headers)


def signed_headers(vector: dict[str, Any]) -> dict[str, str]:
    names = vector["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    return {name: value for name, value in vector["headers"] if name.lower() in names}


def dialect(**about: Any) -> HuaweiDialect:
    sources = {key: {"env": "NO_SUCH"} for key in ("project_id", "access_key", "secret_key")}
    settings = HuaweiSettings.model_validate({"credentials": sources, "features": {}})
    description = build_huawei("huawei", settings).description
    keys = {"project_id": "made-up-project", "access_key": "made-up-ak", "secret_key": "made-up-sk", **about}
    return HuaweiDialect(description, endpoint="https://ocr.example.com:8443", **keys)


def test_the_signature_is_the_sdks() -> None:
    """With its keys, its clock, its body and the headers that it signs."""
    vector = golden()
    signed = authorization(
        vector["key_id"],
        vector["secret"],
        path=urlsplit(vector["url"]).path,
        headers=signed_headers(vector),
        body_sha256=vector["body_sha256"],
    )
    assert signed == vector["authorization"]


def test_the_stand_in_verifies_the_sdks_signature() -> None:
    """By its own reading of the rules; and not when anything that is signed differs."""
    vector = golden()
    body, keys, now = vector["body"].encode(), (vector["key_id"], vector["secret"]), vector["timestamp"]
    verify(head_of(vector), body, *keys, now)
    for head, content, secret in (
        (head_of(vector), body + b" ", keys),
        (head_of(vector), body, (keys[0], "another")),
        (head_of(vector), body, ("another", keys[1])),
        (head_of(vector, host="other.example.com"), body, keys),
        (head_of(vector, **{"x-project-id": "another"}), body, keys),
        (head_of(vector, **{"x-security-token": "unsigned"}), body, keys),
        (head_of(vector, authorization="SDK-HMAC-SHA256 Access=x"), body, keys),
    ):
        with pytest.raises(Denied) as denied:
            verify(head, content, secret[0], secret[1], now)
        assert denied.value.code == "APIG.0301"


@pytest.mark.parametrize("seconds", [-901, 901])
def test_the_stand_in_refuses_a_clock_a_quarter_of_an_hour_off(seconds: int) -> None:
    """To either side; a second less is taken."""
    vector = golden()
    about = (head_of(vector), vector["body"].encode(), vector["key_id"], vector["secret"])
    with pytest.raises(Denied):
        verify(*about, vector["timestamp"] + seconds)
    verify(*about, vector["timestamp"] + seconds - seconds // abs(seconds))


def test_a_request_says_what_it_signs() -> None:
    """Host with its port, project and time stand in the headers, and a token, which is signed too."""
    call = ProviderCall(PIXEL, "image/png", 20, 20, Feature.TABLE)
    request = dialect(security_token="made-up-token").request([call], "0" * 64, "", 1767225600.9)
    assert (request.method, request.url) == (
        "POST",
        "https://ocr.example.com:8443/v2/made-up-project/ocr/general-table",
    )
    headers = dict(request.headers)
    signed = headers.pop("Authorization")
    assert "SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token," in signed
    assert headers == {
        "Content-Type": "application/json",
        "Host": "ocr.example.com:8443",
        "X-Project-Id": "made-up-project",
        "X-Sdk-Date": "20260101T000000Z",
        "X-Security-Token": "made-up-token",
    }


def test_no_repr_shows_a_key() -> None:
    """Neither the dialect's nor a request's."""
    shown = dialect(security_token="made-up-token")
    call = ProviderCall(PIXEL, "image/png", 20, 20, Feature.TEXT)
    words = f"{shown!r} {shown.request([call], '0' * 64, '', 1767225600.0)!r}"
    assert not [key for key in ("made-up-project", "made-up-ak", "made-up-sk", "made-up-token") if key in words]
