"""Azure's SDKs and our adapters make the same calls."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ocr_gateway.model import Feature, ProviderCall
from tests.contracts.remote_cases import CASES
from tests.fakes.images import encoded, photo
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.azure import Azure, AzureVision
from tests.sdk.capture import CannedAnswer, Captured, capture_server, needs_sdks, run_sdk

pytestmark = needs_sdks
KEY = "madeUpAzureKey0000000000000001"
IMAGE = encoded(photo(320, 240), "PNG")
DIGEST = hashlib.sha256(IMAGE).hexdigest()
SIGNED = ("ocp-apim-subscription-key", "content-type")


class Service:
    """The stand-in's answers, given by a server that writes everything down."""

    def __init__(self, vendor: Azure | AzureVision) -> None:
        self.vendor = vendor
        self.settings = StandInSettings().changed({"api_key": KEY})

    def respond(self, captured: Captured) -> CannedAnswer:
        if captured.method == "GET":
            operation = captured.path.rpartition("/")[2]
            assert isinstance(self.vendor, Azure)
            said = {"status": "succeeded", "analyzeResult": self.vendor.operation(operation)}
            return CannedAnswer(said)
        head = Head(captured.method, captured.path, captured.query, captured.raw_query, captured.headers)
        assert self.vendor.admit(head, self.settings, 0.0) == ""
        asked = self.vendor.read(head, captured.body, self.settings, 0.0)
        reply = self.vendor.answer(asked, [DIGEST], self.settings)
        return CannedAnswer(reply.said, reply.status, reply.headers)


@pytest.mark.parametrize(
    ("kind", "feature", "action"),
    [
        ("azure", Feature.TEXT, "prebuilt-read"),
        ("azure", Feature.TABLE, "prebuilt-layout"),
        ("azure", Feature.ID_DOCUMENT, "prebuilt-idDocument"),
        ("azure_vision", Feature.TEXT, "read"),
    ],
)
async def test_both_send_the_same_call(kind: str, feature: Feature, action: str, tmp_path: Path) -> None:
    """Method, path, version, key, content type and body agree, of the submission and of the poll."""
    path = tmp_path / "page.png"
    path.write_bytes(IMAGE)
    (case,) = (each for each in CASES if each.kind == kind)
    service = Service(Azure() if kind == "azure" else AzureVision())
    async with capture_server(service.respond) as server:
        assert json.loads(await run_sdk("azure_sdks", server.url, action, path, keys={"api_key": KEY})) == [DIGEST[:16]]
        theirs = list(server.requests)
        server.requests.clear()
        provider = case.build(server.url, {"api_key": KEY})
        await provider.start()
        try:
            result = await provider.recognize(ProviderCall(IMAGE, "image/png", 320, 240, feature))
        finally:
            await provider.close()
        ours = list(server.requests)
    assert result.page.blocks or result.page.tables or result.page.fields
    assert len(theirs) == len(ours) == (2 if kind == "azure" else 1)
    for their, our in zip(theirs, ours, strict=True):
        assert (our.method, our.body) == (their.method, their.body)
        assert _without_operation(our) == _without_operation(their)
        assert our.query["api-version"] == their.query["api-version"]
        assert our.query.get("features") == their.query.get("features")
        assert [our.headers.get(name) for name in SIGNED] == [their.headers.get(name) for name in SIGNED]


def _without_operation(captured: Captured) -> str:
    """The path without an operation's name, which differs."""
    path = urlsplit(captured.path).path
    return path if captured.method == "POST" else path.rpartition("/")[0]
