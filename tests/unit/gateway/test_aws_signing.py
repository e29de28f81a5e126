"""Signature Version 4, as the vendor's own SDK makes it."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ocr_gateway.model import Feature, ProviderCall
from ocr_gateway.providers.aws.dialect import AwsDialect
from ocr_gateway.providers.aws.provider import build_aws
from ocr_gateway.providers.aws.settings import AwsSettings
from ocr_gateway.providers.aws.signing import Signer
from tests.fakes.standin.vendor import Denied, Head
from tests.fakes.standin.vendors.aws_sigv4 import canonical_request, verify

GOLDEN = Path(__file__).parents[2] / "golden"
VECTORS = ("aws_sigv4_minimal", "aws_analyze_document_json_token")
SIGNED = ("content-type", "x-amz-target")


def golden(name: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return said


def signer_of(vector: dict[str, Any]) -> Signer:
    return Signer(vector["key_id"], vector["secret"], vector.get("session_token"), vector["region"])


def head_of(headers: dict[str, str], url: str) -> Head:
    host = url.split("/")[2]
    return Head("POST", "/", {}, "", {"host": host} | {name.lower(): value for name, value in headers.items()})


@pytest.mark.parametrize("name", VECTORS)
def test_the_signature_is_the_sdks(name: str) -> None:
    """With its keys, its clock and its body, with a session's token and without."""
    vector = golden(name)
    body = vector["body"].encode()
    given = {key: value for key, value in vector["headers"] if key.lower() in SIGNED}
    headers = signer_of(vector).signed(vector["url"], given, hashlib.sha256(body).hexdigest(), vector["timestamp"])
    assert headers["Authorization"] == vector["authorization"]
    theirs = {key.lower(): value for key, value in vector["headers"]}
    assert {key: theirs[key.lower()] for key in headers} == headers


@pytest.mark.parametrize("name", VECTORS)
def test_the_stand_in_verifies_the_sdks_signature(name: str) -> None:
    """By its own reading of the rules; and not when anything that is signed differs."""
    vector = golden(name)
    body, secrets = vector["body"].encode(), {vector["key_id"]: vector["secret"]}
    headers = dict(vector["headers"])
    head = head_of(headers, vector["url"])
    signed = vector["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert canonical_request(head, signed, body) == vector["canonical_request"]
    assert verify(head, body, secrets, vector["timestamp"]) == "us-east-1"
    for changed, content, epoch_s in (
        (headers, body + b" ", vector["timestamp"]),
        (headers, body, vector["timestamp"] + 301),
        (headers | {"X-Amz-Target": "Textract.AnalyzeID"}, body, vector["timestamp"]),
        (headers | {"X-Amz-Date": "20260101T000001Z"}, body, vector["timestamp"]),
        (headers | {"Authorization": "AWS4-HMAC-SHA256 nothing"}, body, vector["timestamp"]),
    ):
        with pytest.raises(Denied):
            verify(head_of(changed, vector["url"]), content, secrets, epoch_s)


@pytest.mark.parametrize(
    ("name", "feature"), [("aws_sigv4_minimal", Feature.TEXT), ("aws_analyze_document_json_token", Feature.TABLE)]
)
def test_the_call_is_the_sdks(name: str, feature: Feature) -> None:
    """The same JSON, but for the features that are asked for; the same headers; a good signature of its own."""
    vector = golden(name)
    theirs = json.loads(vector["body"])
    image = base64.b64decode(theirs["Document"]["Bytes"])
    settings = AwsSettings.model_validate({"kind": "aws", "credentials": keys()})
    dialect = AwsDialect("aws", settings, signer_of(vector))
    calls = [ProviderCall(image, "image/png", 16, 16, feature)]
    body = dialect.body(calls)
    wanted = theirs | ({"FeatureTypes": ["TABLES"]} if feature is Feature.TABLE else {})
    assert json.loads(body) == wanted
    request = dialect.request(calls, hashlib.sha256(body).hexdigest(), "", vector["timestamp"])
    assert request.url == vector["url"].replace("http:", "https:")
    sent = {key.lower(): value for key, value in vector["headers"]}
    for key, value in request.headers.items():
        assert key == "Authorization" or sent[key.lower()] == value
    head = head_of(dict(request.headers), request.url)
    assert verify(head, body, {vector["key_id"]: vector["secret"]}, vector["timestamp"]) == "us-east-1"


def keys() -> dict[str, Any]:
    return {"access_key_id": {"env": "OCRMUX_TEST_ID"}, "secret_access_key": {"env": "OCRMUX_TEST_SECRET"}}


@pytest.mark.parametrize(
    ("region", "endpoint", "url"),
    [
        (None, None, "https://textract.us-east-1.amazonaws.com/"),
        ("eu-west-2", None, "https://textract.eu-west-2.amazonaws.com/"),
        ("us-gov-west-1", None, "https://textract.us-gov-west-1.amazonaws.com/"),
        ("eu-west-2", "http://127.0.0.1:4566", "http://127.0.0.1:4566/"),
    ],
)
def test_the_region_is_signed_and_names_the_host(region: str | None, endpoint: str | None, url: str) -> None:
    """Unless an endpoint is given; a port that is not the scheme's own is signed with the host."""
    given = {"region": region, "endpoint": endpoint}
    settings = AwsSettings.model_validate(
        {"kind": "aws", "credentials": keys(), **{name: value for name, value in given.items() if value}}
    )
    dialect = AwsDialect("aws", settings, Signer("key", "secret", None, settings.region))
    calls = [ProviderCall(b"image", "image/png", 16, 16, Feature.TEXT)]
    body = dialect.body(calls)
    request = dialect.request(calls, hashlib.sha256(body).hexdigest(), "", 1767225600.0)
    assert request.url == url
    assert verify(head_of(dict(request.headers), url), body, {"key": "secret"}, 1767225600.0) == (region or "us-east-1")


@pytest.mark.parametrize("wrong", [{"region": "Ohio"}, {"features": {"id": {"pages_per_call": 3}}}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """When they are read."""
    with pytest.raises(ValidationError):
        AwsSettings.model_validate({"kind": "aws", "credentials": keys(), **wrong})


def test_a_session_token_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not named may be left out."""
    monkeypatch.setenv("OCRMUX_TEST_ID", "id")
    monkeypatch.setenv("OCRMUX_TEST_SECRET", "secret")
    monkeypatch.delenv("OCRMUX_TEST_SESSION", raising=False)
    plain = AwsSettings.model_validate({"kind": "aws", "credentials": keys()})
    assert build_aws("aws", plain).status.detail == ""
    session = AwsSettings.model_validate(
        {"kind": "aws", "credentials": keys() | {"session_token": {"env": "OCRMUX_TEST_SESSION"}}}
    )
    assert "OCRMUX_TEST_SESSION" in build_aws("aws", session).status.detail


def test_no_key_shows_in_a_repr() -> None:
    """Of the signer, the dialect and the request."""
    settings = AwsSettings.model_validate({"kind": "aws", "credentials": keys()})
    signer = Signer("AKIDMADEUP", "made-up-secret", "made-up-session", "us-east-1")
    dialect = AwsDialect("aws", settings, signer)
    calls = [ProviderCall(b"image", "image/png", 16, 16, Feature.TEXT)]
    request = dialect.request(calls, "0" * 64, "", 0.0)
    assert request.headers["X-Amz-Security-Token"] == "made-up-session"
    for shown in (repr(signer), repr(dialect), repr(request)):
        assert "made-up" not in shown
