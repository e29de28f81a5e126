"""Huawei's SDK and our adapter make the same call."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from ocr_gateway.model import Feature, IdDocument, ProviderCall
from ocr_gateway.providers.huawei.signing import authorization
from tests.contracts.remote_cases import CASES
from tests.fakes.images import encoded, photo
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.huawei import PROJECT_ID, Huawei
from tests.sdk.capture import CannedAnswer, Captured, capture_server, needs_sdks, run_sdk

pytestmark = needs_sdks
KEYS = {"project_id": PROJECT_ID, "access_key": "MADEUPHUAWEIAK000002", "secret_key": "madeUpHuaweiSecretKey0000000002"}
IMAGE = encoded(photo(320, 240), "PNG")
DIGEST = hashlib.sha256(IMAGE).hexdigest()


@pytest.mark.parametrize(
    ("action", "feature", "document"),
    [
        ("general-text", Feature.TEXT, None),
        ("general-table", Feature.TABLE, None),
        ("id-card", Feature.ID_DOCUMENT, IdDocument.IDENTITY_CARD),
        ("business-license", Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE),
        ("bankcard", Feature.ID_DOCUMENT, IdDocument.BANK_CARD),
    ],
)
async def test_both_send_the_same_call(
    action: str, feature: Feature, document: IdDocument | None, tmp_path: Path
) -> None:
    """The stand-in verifies both signatures; what both sign and every member of the body agree; and with the SDK's
    headers and body our signer yields the SDK's signature."""
    path = tmp_path / "page.png"
    path.write_bytes(IMAGE)
    (case,) = (each for each in CASES if each.kind == "huawei")
    vendor = Huawei()
    settings = StandInSettings().changed({"api_key": KEYS["access_key"], "secret_key": KEYS["secret_key"]})

    def respond(captured: Captured) -> CannedAnswer:
        head = Head(captured.method, captured.path, captured.query, captured.raw_query, captured.headers)
        reply = vendor.answer(vendor.read(head, captured.body, settings, time.time()), [DIGEST], settings)
        return CannedAnswer(reply.said, reply.status, reply.headers)

    async with capture_server(respond) as server:
        assert "result" in await run_sdk("huawei", server.url, action, path, keys=KEYS)
        (theirs,) = server.requests
        server.requests.clear()
        provider = case.build(server.url, KEYS)
        await provider.start()
        try:
            result = await provider.recognize(ProviderCall(IMAGE, "image/png", 320, 240, feature, document=document))
        finally:
            await provider.close()
        (ours,) = server.requests
    assert result.page.blocks or result.page.tables or result.page.fields
    assert (ours.method, ours.path, ours.raw_query, ours.said) == ("POST", theirs.path, "", theirs.said)
    for name in ("host", "x-project-id"):
        assert ours.headers[name] == theirs.headers[name]
    assert theirs.headers["content-type"].startswith(ours.headers["content-type"])
    names = theirs.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    signed = authorization(
        KEYS["access_key"],
        KEYS["secret_key"],
        path=theirs.path,
        headers={name: theirs.headers[name] for name in names},
        body_sha256=hashlib.sha256(theirs.body).hexdigest(),
    )
    assert signed == theirs.headers["authorization"]
