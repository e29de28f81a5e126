"""Tencent's SDK and our adapter make the same call."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from ocr_gateway.model import Feature, IdDocument, ProviderCall
from ocr_gateway.providers.tencent.signing import authorization
from tests.contracts.remote_cases import CASES
from tests.fakes.images import encoded, photo
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.tencent import Tencent
from tests.sdk.capture import CannedAnswer, Captured, capture_server, needs_sdks, run_sdk

pytestmark = needs_sdks
KEYS = {"secret_id": "AKIDmadeUpTencentSecretId0000000002", "secret_key": "madeUpTencentSecretKey00000000002"}
IMAGE = encoded(photo(320, 240), "PNG")
DIGEST = hashlib.sha256(IMAGE).hexdigest()


@pytest.mark.parametrize(
    ("action", "feature", "document"),
    [
        ("GeneralBasicOCR", Feature.TEXT, None),
        ("RecognizeTableAccurateOCR", Feature.TABLE, None),
        ("IDCardOCR", Feature.ID_DOCUMENT, IdDocument.IDENTITY_CARD),
        ("BizLicenseOCR", Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE),
        ("BankCardOCR", Feature.ID_DOCUMENT, IdDocument.BANK_CARD),
    ],
)
async def test_both_send_the_same_call(
    action: str, feature: Feature, document: IdDocument | None, tmp_path: Path
) -> None:
    """The stand-in verifies both signatures; what is signed and every member of the body agree; and with the SDK's
    time and body our signer yields the SDK's signature."""
    path = tmp_path / "page.png"
    path.write_bytes(IMAGE)
    (case,) = (each for each in CASES if each.kind == "tencent")
    vendor = Tencent()
    settings = StandInSettings().changed({"api_key": KEYS["secret_id"], "secret_key": KEYS["secret_key"]})

    def respond(captured: Captured) -> CannedAnswer:
        head = Head(captured.method, captured.path, captured.query, captured.raw_query, captured.headers)
        reply = vendor.answer(vendor.read(head, captured.body, settings, time.time()), [DIGEST], settings)
        return CannedAnswer(reply.said, reply.status, reply.headers)

    async with capture_server(respond) as server:
        assert "RequestId" in await run_sdk("tencent", server.url, action, path, keys=KEYS)
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
    assert (ours.method, ours.path, ours.raw_query, ours.said) == ("POST", "/", "", theirs.said)
    for name in ("host", "content-type", "x-tc-action", "x-tc-version"):
        assert ours.headers[name] == theirs.headers[name]
    signed = authorization(
        KEYS["secret_id"],
        KEYS["secret_key"],
        content_type=theirs.headers["content-type"],
        host=theirs.headers["host"],
        body_sha256=hashlib.sha256(theirs.body).hexdigest(),
        now=int(theirs.headers["x-tc-timestamp"]),
    )
    assert signed == theirs.headers["authorization"]
