"""AWS's SDK and our adapter make the same call."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.aws.provider import build_aws
from ocr_gateway.providers.aws.settings import AwsSettings
from ocr_gateway.providers.aws.signing import Signer
from tests.fakes.images import encoded, photo
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Head
from tests.fakes.standin.vendors.aws import Aws
from tests.sdk.capture import CannedAnswer, Captured, capture_server, needs_sdks, run_sdk

pytestmark = needs_sdks
REGION = "eu-west-2"
KEYS = {"access_key_id": "AKIAMADEUPAWSKEY0001", "secret_access_key": "madeUpAwsSecretAccessKey00000000000001"}
SETTINGS = StandInSettings().changed({"api_key": KEYS["access_key_id"], "secret_key": KEYS["secret_access_key"]})
IMAGE = encoded(photo(320, 240), "PNG")
DIGEST = hashlib.sha256(IMAGE).hexdigest()
OPERATIONS = {
    Feature.TEXT: "DetectDocumentText",
    Feature.TABLE: "AnalyzeDocument",
    Feature.ID_DOCUMENT: "AnalyzeID",
}


def respond(captured: Captured) -> CannedAnswer:
    """As the stand-in does: it verifies the signature."""
    head = Head(captured.method, captured.path, captured.query, captured.raw_query, captured.headers)
    vendor = Aws()
    reply = vendor.answer(vendor.read(head, captured.body, SETTINGS, time.time()), [DIGEST], SETTINGS)
    return CannedAnswer(reply.said, reply.status, reply.headers, reply.content_type)


@pytest.mark.parametrize("session_token", [None, "madeUpAwsSessionToken=="])
@pytest.mark.parametrize("feature", Feature)
async def test_both_send_the_same_call(
    feature: Feature, session_token: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers that are signed and JSON agree, both signatures are good, and at the SDK's time ours is the SDK's."""
    path = tmp_path / "page.png"
    path.write_bytes(IMAGE)
    keys = KEYS | ({"session_token": session_token} if session_token else {})
    for name, value in keys.items():
        monkeypatch.setenv(f"OCRMUX_TEST_SDK_{name.upper()}", value)
    async with capture_server(respond) as server:
        printed = json.loads(
            await run_sdk("aws", server.url, OPERATIONS[feature], path, keys={**keys, "region": REGION})
        )
        assert feature is Feature.ID_DOCUMENT or DIGEST[:16] in printed
        settings = AwsSettings.model_validate(
            {
                "kind": "aws",
                "endpoint": server.url,
                "region": REGION,
                "credentials": {name: {"env": f"OCRMUX_TEST_SDK_{name.upper()}"} for name in keys},
            }
        )
        provider = build_aws("aws", settings)
        await provider.start()
        try:
            await provider.recognize(ProviderCall(IMAGE, "image/png", 320, 240, feature))
        finally:
            await provider.close()
        theirs, ours = server.requests
    assert (ours.method, ours.path, ours.said) == (theirs.method, theirs.path, theirs.said)
    for name in ("content-type", "x-amz-target", "host", "x-amz-security-token"):
        assert ours.headers.get(name) == theirs.headers.get(name)
    assert signed_names(ours) == signed_names(theirs)
    then = datetime.strptime(theirs.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    signer = Signer(KEYS["access_key_id"], KEYS["secret_access_key"], session_token, REGION)
    headers = {"Content-Type": theirs.headers["content-type"], "X-Amz-Target": theirs.headers["x-amz-target"]}
    again = signer.signed(f"{server.url}/", headers, hashlib.sha256(theirs.body).hexdigest(), then)
    assert again["Authorization"] == theirs.headers["authorization"]


def signed_names(captured: Captured) -> str:
    """What stands in Credential (but the day, which may turn between two calls) and in SignedHeaders."""
    credential, names, _ = captured.headers["authorization"].split(", ")
    key_id, _, *scope = credential.split("/")
    return f"{key_id} {scope} {names}"
