"""Baidu's signatures: those that the vendor's own SDK makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.baidu.bce_auth import signed_headers
from ocr_gateway.providers.baidu.dialect import AccessKey, BaiduDialect
from ocr_gateway.providers.baidu.settings import BaiduSettings
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.baidu.bce_auth import verify

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CALL = ProviderCall(b"", "image/png", 100, 100, Feature.TEXT)


def golden(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return read


def dialect(address: str, **more: Any) -> BaiduDialect:
    settings = BaiduSettings.model_validate({"credentials": {"api_key": {"env": "A"}, "secret_key": {"env": "B"}}})
    return BaiduDialect("baidu", address=address, features=settings.supports(), **more)


def test_the_signature_is_the_sdks() -> None:
    """Of the same request at the same time; the query that it adds is signed."""
    wanted = golden("baidu_general_basic_bce_auth_v1")
    url = urlsplit(wanted["url"])
    headers = signed_headers(
        wanted["method"], url.netloc, url.path, parse_qsl(url.query),
        access_key=wanted["key_id"], secret_key=wanted["secret"], now=wanted["timestamp"],
    )  # fmt: skip
    assert headers == {
        "Host": "aip.baidubce.com",
        "x-bce-date": wanted["timestamp_iso"],
        "authorization": wanted["authorization"],
    }


def test_a_token_stands_in_the_query_as_the_sdk_has_it() -> None:
    """But for the SDK's own name and version."""
    wanted = golden("baidu_general_basic")
    asked = ProviderCall(b"", "image/png", 100, 100, Feature.TEXT, options={"endpoint": "general_basic"})
    request = dialect("http://aip.baidubce.com").request([asked], "", wanted["access_token"], 0.0)
    assert request.url == wanted["url"].replace("&aipSdk=python&aipVersion=4.15.13", "")
    assert request.headers["Content-Type"] == dict(wanted["headers"])["Content-Type"]


def test_a_signed_call_has_no_token() -> None:
    """The two are never combined."""
    key = AccessKey("AK", "SK")
    request = dialect("https://aip.baidubce.com", key=key).request([CALL], "", "", 1767225600.0)
    assert request.url == "https://aip.baidubce.com/rest/2.0/ocr/v1/general"
    assert request.headers["authorization"].startswith("bce-auth-v1/AK/2026-01-01T00:00:00Z/1800/host;x-bce-date/")


@given(
    query=st.lists(st.tuples(st.text("aZ-_ =&/+%é中", min_size=1, max_size=5), st.text("aZ ~*=&/+%é中", max_size=5))),
    now=st.integers(0, 4_000_000_000),
)
def test_what_is_signed_is_verified(query: list[tuple[str, str]], now: int) -> None:
    """By the stand-in's own reading of the vendor's pages, whatever stands in the query."""
    headers = signed_headers("POST", "h:80", "/a b", query, access_key="AK", secret_key="SK", now=now)
    head = Head("POST", "/a b", {}, urlencode(query), {name.lower(): value for name, value in headers.items()})
    verify(head, StandInSettings(api_key="AK", secret_key="SK"), now)


@pytest.mark.parametrize("key", [None, AccessKey("ACCESS", "SECRET")])
def test_no_key_shows(key: AccessKey | None) -> None:
    """In no repr of what holds it."""
    made = dialect("https://aip.baidubce.com", key=key)
    request = made.request([CALL], "", "TOKEN", 0.0)
    shown = f"{made!r} {vars(made)!r} {request!r}"
    assert not [word for word in ("ACCESS", "SECRET", "TOKEN") if word in shown]
