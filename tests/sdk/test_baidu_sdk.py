"""Baidu's own SDK and our adapter make the same calls."""

from __future__ import annotations

import calendar
import hashlib
import json
import time
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from ocr_gateway.model import ProviderCall
from ocr_gateway.providers.baidu.bce_auth import signed_headers
from ocr_gateway.providers.baidu.endpoints import ENDPOINTS
from tests.contracts.remote_cases import CASES
from tests.fakes.images import encoded, photo
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.baidu import Baidu
from tests.sdk.capture import CannedAnswer, Captured, capture_server, needs_sdks, run_sdk

KEYS = {"api_key": "madeUpBaiduApiKey0000001", "secret_key": "madeUpBaiduSecretKey000000000001"}
TOKEN = "24.madeUpAccessToken.2592000.1769817600.282335-00000001"
TOKEN_PATH = "/oauth/2.0/token"
IMAGE = encoded(photo(320, 240), "PNG")
DIGEST = hashlib.sha256(IMAGE).hexdigest()

pytestmark = needs_sdks


def respond(captured: Captured, scope: str) -> CannedAnswer:
    """As the service would, by the stand-in's reading of the request: its form, and its signature where it has one."""
    if captured.path == TOKEN_PATH:
        return CannedAnswer({"access_token": TOKEN, "expires_in": 2_592_000, "scope": scope})
    vendor, settings = Baidu(), StandInSettings().changed(KEYS)
    head = Head(captured.method, captured.path, captured.query, captured.raw_query, captured.headers)
    assert captured.query.get("access_token") == TOKEN or "authorization" in captured.headers
    reply = vendor.answer(vendor.read(head, captured.body, settings, time.time()), [DIGEST], settings)
    return CannedAnswer(reply.said, reply.status, reply.headers, reply.content_type)


async def both(endpoint: str, folder: Path, auth: str) -> tuple[list[Captured], list[Captured]]:
    """What the SDK sends, and what we send, for a call of the endpoint."""
    path = folder / "page.png"
    path.write_bytes(IMAGE)
    (case,) = (each for each in CASES if each.kind == "baidu")
    scope = "brain_all_scope" if auth == "token" else "public"
    async with capture_server(lambda captured: respond(captured, scope)) as server:
        said = json.loads(await run_sdk("baidu", server.url, endpoint, path, keys=KEYS))
        assert "error_code" not in said
        theirs = list(server.requests)
        server.requests.clear()
        provider = case.build(server.url, KEYS, auth=auth)
        await provider.start()
        try:
            feature = ENDPOINTS[endpoint].feature
            await provider.recognize(
                ProviderCall(IMAGE, "image/png", 320, 240, feature, options={"endpoint": endpoint})
            )
        finally:
            await provider.close()
        return theirs, server.requests


def form_of(captured: Captured) -> dict[str, str]:
    """The form, decoded."""
    return dict(parse_qsl(captured.body.decode(), keep_blank_values=True, strict_parsing=True))


def without_sdk(captured: Captured) -> dict[str, str]:
    """The query, but for the SDK's name and version."""
    return {name: value for name, value in captured.query.items() if name not in ("aipSdk", "aipVersion")}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_both_send_the_same_call(endpoint: str, tmp_path: Path) -> None:
    """A token for the same keys, then the same path, query, form and content type."""
    (their_token, theirs), (our_token, ours) = await both(endpoint, tmp_path, "token")
    assert (our_token.path, our_token.query) == (their_token.path, their_token.query)
    assert (ours.method, ours.path, without_sdk(ours)) == (theirs.method, theirs.path, without_sdk(theirs))
    assert form_of(ours) == form_of(theirs)
    assert ours.headers["content-type"] == theirs.headers["content-type"]


async def test_both_sign_alike(tmp_path: Path) -> None:
    """The stand-in verifies both; and at the SDK's time, with its host and query, our signature is the SDK's."""
    (_, theirs), (ours,) = await both("general_basic", tmp_path, "bce")
    assert (ours.method, ours.path, without_sdk(ours)) == (theirs.method, theirs.path, {})
    assert form_of(ours) == form_of(theirs)
    moment = calendar.timegm(time.strptime(theirs.headers["x-bce-date"], "%Y-%m-%dT%H:%M:%SZ"))
    made = signed_headers(
        "POST", theirs.headers["host"], theirs.path, theirs.query.items(),
        access_key=KEYS["api_key"], secret_key=KEYS["secret_key"], now=moment,
    )  # fmt: skip
    assert made["authorization"] == theirs.headers["authorization"]
    assert ours.headers["authorization"].split("/")[4] == theirs.headers["authorization"].split("/")[4]
