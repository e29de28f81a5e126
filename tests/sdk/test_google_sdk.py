"""Google's SDK and our adapter make the same call."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.google.provider import build_google
from ocr_gateway.providers.google.service_account import ServiceAccount
from ocr_gateway.providers.google.settings import GoogleSettings
from ocr_gateway.providers.remote.provider import RemoteProvider
from tests.fakes.images import encoded, photo
from tests.fakes.service_accounts import made_up_account
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.google import Google
from tests.fakes.standin.vendors.google_tokens import SERVICE_AUDIENCE, claims_of
from tests.sdk.capture import CannedAnswer, Captured, capture_server, needs_sdks, run_sdk

pytestmark = needs_sdks
KEY = "madeUpGoogleApiKey000000000000001"
IMAGE = encoded(photo(320, 240), "PNG")
DIGEST = hashlib.sha256(IMAGE).hexdigest()
NUMBERS = {"TEXT_DETECTION": 5, "DOCUMENT_TEXT_DETECTION": 11}


class Service:
    """The stand-in's rules, over whatever arrives."""

    def __init__(self, **settings: Any) -> None:
        self._vendor = Google()
        self._settings = StandInSettings().changed(settings)

    def __call__(self, captured: Captured) -> CannedAnswer:
        head = Head(captured.method, captured.path, captured.query, captured.raw_query, captured.headers)
        assert self._vendor.admit(head, self._settings, time.monotonic()) == ""
        asked = self._vendor.read(head, captured.body, self._settings, time.time())
        reply = self._vendor.answer(asked, [DIGEST], self._settings)
        return CannedAnswer(reply.said, reply.status, reply.headers)


async def ours_of(provider: RemoteProvider, **options: str) -> None:
    """Makes the call by our adapter."""
    await provider.start()
    try:
        result = await provider.recognize(ProviderCall(IMAGE, "image/png", 320, 240, Feature.TEXT, options=options))
        assert result.page.blocks[0].lines[0].text == DIGEST[:16]
    finally:
        await provider.close()


@pytest.mark.parametrize("action", list(NUMBERS))
async def test_both_send_the_same_call_with_a_key(action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path, key and JSON agree, but that the SDK numbers enumerations; it takes the stand-in's answer."""
    path = tmp_path / "page.png"
    path.write_bytes(IMAGE)
    monkeypatch.setenv("OCRMUX_TEST_SDK_KEY", KEY)
    async with capture_server(Service(api_key=KEY)) as server:
        printed = await run_sdk("google", server.url, action, path, keys={"api_key": KEY})
        assert json.loads(printed) == [DIGEST[:16]]
        credentials = {"api_key": {"env": "OCRMUX_TEST_SDK_KEY"}}
        settings = GoogleSettings.model_validate({"kind": "google", "endpoint": server.url, "credentials": credentials})
        await ours_of(build_google("google", settings), action=action)
        theirs, ours = server.requests
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    for name in ("x-goog-api-key", "content-type"):
        assert ours.headers[name] == theirs.headers[name]
    said = ours.said
    for feature in said["requests"][0]["features"]:
        feature["type"] = NUMBERS[feature["type"]]
    assert said == theirs.said


async def test_both_sign_the_same_token(tmp_path: Path) -> None:
    """A service account's, made without an exchange: the same header and claims, and the signature of its key."""
    path = tmp_path / "page.png"
    path.write_bytes(IMAGE)
    account, now = made_up_account(), int(time.time())
    async with capture_server(Service(secret_key=account.public_pem)) as server:
        key_file = account.key_file(f"{server.url}/token")
        keys = {"service_account": key_file}
        await run_sdk("google", server.url, "DOCUMENT_TEXT_DETECTION", path, keys=keys, epoch_s=now)
        (tmp_path / "account.json").write_text(key_file)
        settings = GoogleSettings.model_validate(
            {
                "kind": "google",
                "endpoint": server.url,
                "auth": "service_account",
                "credentials": {"service_account": {"file": str(tmp_path / "account.json")}},
            }
        )
        await ours_of(build_google("google", settings))
        theirs, ours = server.requests  # no token was asked for
    tokens = [each.headers["authorization"].removeprefix("Bearer ") for each in (theirs, ours)]
    sdk, adapter = (claims_of(token, account.public_pem, SERVICE_AUDIENCE, now) for token in tokens)
    assert set(adapter) == set(sdk)
    assert claims_of(ServiceAccount(key_file).self_signed(now), account.public_pem, SERVICE_AUDIENCE, now) == sdk
    assert len({token.split(".")[0] for token in tokens}) == 1
