"""Alibaba's SDK and our adapter make the same call."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from ocr_gateway.model import Feature, IdDocument, ProviderCall
from ocr_gateway.providers.alibaba.signing import authorization, encoded_query
from tests.contracts.remote_cases import CASES
from tests.fakes.images import encoded, photo
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.alibaba import Alibaba
from tests.sdk.capture import CannedAnswer, Captured, capture_server, needs_sdks, run_sdk

pytestmark = needs_sdks
KEYS = {"access_key_id": "LTAImadeUpAlibabaKeyId02", "access_key_secret": "madeUpAlibabaKeySecret00000002"}
IMAGE = encoded(photo(320, 240), "PNG")
DIGEST = hashlib.sha256(IMAGE).hexdigest()
ADVANCED = {"action": "RecognizeAdvanced", "OutputCharInfo": "true"}


@pytest.mark.parametrize(
    ("action", "feature", "document", "options"),
    [
        ("RecognizeGeneral", Feature.TEXT, None, {}),
        ("RecognizeAdvanced", Feature.TEXT, None, ADVANCED),
        ("RecognizeTableOcr", Feature.TABLE, None, {}),
        ("RecognizeIdcard", Feature.ID_DOCUMENT, IdDocument.IDENTITY_CARD, {}),
        ("RecognizeBusinessLicense", Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE, {}),
        ("RecognizeBankCard", Feature.ID_DOCUMENT, IdDocument.BANK_CARD, {}),
    ],
)
async def test_both_send_the_same_call(
    action: str, feature: Feature, document: IdDocument | None, options: dict[str, str], tmp_path: Path
) -> None:
    """The stand-in verifies both signatures; what both sign, the options and the body agree; and with the SDK's headers
    our signer yields the SDK's signature."""
    path = tmp_path / "page.png"
    path.write_bytes(IMAGE)
    (case,) = (each for each in CASES if each.kind == "alibaba")
    vendor = Alibaba()
    settings = StandInSettings().changed({"api_key": KEYS["access_key_id"], "secret_key": KEYS["access_key_secret"]})

    def respond(captured: Captured) -> CannedAnswer:
        head = Head(captured.method, captured.path, captured.query, captured.raw_query, captured.headers)
        reply = vendor.answer(vendor.read(head, captured.body, settings, time.time()), [DIGEST], settings)
        return CannedAnswer(reply.said, reply.status, reply.headers)

    async with capture_server(respond) as server:
        assert (await run_sdk("alibaba", server.url, action, path, keys=KEYS)).startswith("{")
        (theirs,) = server.requests
        server.requests.clear()
        provider = case.build(server.url, KEYS)
        await provider.start()
        try:
            call = ProviderCall(IMAGE, "image/png", 320, 240, feature, document=document, options=options)
            result = await provider.recognize(call)
        finally:
            await provider.close()
        (ours,) = server.requests
    assert result.page.blocks or result.page.tables or result.page.fields
    assert (ours.method, ours.path, ours.body) == (theirs.method, theirs.path, theirs.body)
    for name in ("host", "content-type", "x-acs-action", "x-acs-version", "x-acs-content-sha256"):
        assert ours.headers[name] == theirs.headers[name]
    assert {name: value.lower() for name, value in theirs.query.items()} == ours.query
    names = theirs.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    signed = authorization(
        KEYS["access_key_id"],
        KEYS["access_key_secret"],
        headers={name: theirs.headers[name] for name in names},
        query=encoded_query(dict(parse_qsl(theirs.raw_query))),
    )
    assert signed == theirs.headers["authorization"]
