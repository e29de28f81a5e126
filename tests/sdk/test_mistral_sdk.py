"""Mistral's SDK and our adapter make the same call."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ocr_gateway.model import Feature, ProviderCall
from tests.contracts.remote_cases import CASES
from tests.fakes.images import encoded, photo
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.mistral import Mistral
from tests.sdk.capture import CannedAnswer, Captured, capture_server, needs_sdks, run_sdk

pytestmark = needs_sdks
KEY = "madeUpMistralKey01"
IMAGE = encoded(photo(320, 240), "PNG")
DIGEST = hashlib.sha256(IMAGE).hexdigest()


@pytest.mark.parametrize("feature", [Feature.TEXT, Feature.TABLE])
async def test_both_send_the_same_call(feature: Feature, tmp_path: Path) -> None:
    """Path, key and every member of the body agree, and the SDK's models take the stand-in's answer."""
    path = tmp_path / "page.png"
    path.write_bytes(IMAGE)
    (case,) = (each for each in CASES if each.kind == "mistral")
    vendor, settings = Mistral(), StandInSettings().changed({"api_key": KEY})

    def respond(captured: Captured) -> CannedAnswer:
        head = Head(captured.method, captured.path, captured.query, captured.raw_query, captured.headers)
        assert vendor.admit(head, settings, 0.0) == ""
        reply = vendor.answer(vendor.read(head, captured.body, settings, 0.0), [DIGEST], settings)
        return CannedAnswer(reply.said, reply.status, reply.headers)

    async with capture_server(respond) as server:
        printed = json.loads(await run_sdk("mistral", server.url, feature.value, path, keys={"api_key": KEY}))
        assert printed[0] == f"# {DIGEST[:16]}"
        (theirs,) = server.requests
        server.requests.clear()
        provider = case.build(server.url, {"api_key": KEY})
        await provider.start()
        try:
            await provider.recognize(ProviderCall(IMAGE, "image/png", 320, 240, feature))
        finally:
            await provider.close()
        (ours,) = server.requests
    assert (ours.method, ours.path, ours.said) == (theirs.method, theirs.path, theirs.said)
    for name in ("authorization", "content-type", "accept"):
        assert ours.headers[name] == theirs.headers[name]
