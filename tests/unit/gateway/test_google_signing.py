"""What Google's calls are let in by: an API key, or a service account's tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from ocr_gateway.errors import ProviderNotConfigured, ProviderUnavailable
from ocr_gateway.model import Feature, ProviderCall, ProviderState
from ocr_gateway.providers.google.dialect import GoogleDialect
from ocr_gateway.providers.google.provider import build_google
from ocr_gateway.providers.google.service_account import LIFETIME_S, SCOPE, ServiceAccount, token_of
from ocr_gateway.providers.google.settings import GoogleSettings
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.token_keeper import TokenFailed, TokenRejected
from tests.contracts.remote_desk import call, page_image
from tests.fakes.service_accounts import EMAIL, KEY_ID, MadeUpAccount, made_up_account
from tests.fakes.standin.process import stand_in_process
from tests.fakes.standin.vendors.google_tokens import SERVICE_AUDIENCE, TOKEN_AUDIENCE, claims_of

GOLDEN = Path(__file__).parents[2] / "golden"
NOW = 1767225600.0
NUMBERS = {"TEXT_DETECTION": 5, "DOCUMENT_TEXT_DETECTION": 11}


@pytest.fixture(scope="module")
def account() -> MadeUpAccount:
    return made_up_account()


def settings_of(**given: Any) -> GoogleSettings:
    credentials = {"api_key": {"env": "OCRMUX_TEST_NOWHERE"}}
    return GoogleSettings.model_validate({"kind": "google", "credentials": credentials, **given})


def golden(name: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return said


def part_of(token: str, place: int) -> dict[str, Any]:
    """A token's header or its claims."""
    part = token.split(".")[place]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return said


def test_a_call_with_a_key_is_the_one_that_the_sdk_sends() -> None:
    """Its path, its key's header, and the same JSON but for the names of enumerations, which the SDK numbers."""
    theirs = golden("google_annotate_apikey_rest")
    headers = {name.lower(): value for name, value in theirs["headers"]}
    said = json.loads(theirs["body"])
    image = base64.b64decode(said["requests"][0]["image"]["content"])
    dialect = GoogleDialect("google", settings_of(), theirs["secret"])
    asked = [ProviderCall(image, "image/png", 16, 16, Feature.TEXT)]
    ours = json.loads(dialect.body(asked))
    for feature in ours["requests"][0]["features"]:
        feature["type"] = NUMBERS[feature["type"]]
    assert ours == said
    request = dialect.request(asked, "", "", NOW)
    assert (request.method, request.url.partition("googleapis.com")[2]) == ("POST", "/v1/images:annotate")
    assert "/v1/images:annotate?" in theirs["url"]
    for name in ("X-Goog-Api-Key", "Content-Type"):
        assert request.headers[name] == headers[name.lower()]


def test_an_assertion_is_the_one_that_the_sdk_signs(account: MadeUpAccount) -> None:
    """Header, claims and form agree; the signature is the key's."""
    theirs = golden("google_sa_token")
    ours = parse_qs(ServiceAccount(account.key_file()).grant(NOW).decode())
    sdk = parse_qs(theirs["body"])
    assert ours["grant_type"] == sdk["grant_type"]
    assert [part_of(ours["assertion"][0], at) for at in (0, 1)] == [part_of(sdk["assertion"][0], at) for at in (0, 1)]
    assert part_of(ours["assertion"][0], 0)["kid"] == KEY_ID
    claims = claims_of(ours["assertion"][0], account.public_pem, TOKEN_AUDIENCE, NOW)
    assert (claims["iss"], claims["scope"]) == (EMAIL, SCOPE)
    with pytest.raises(ValueError, match="Signature"):
        claims_of(sdk["assertion"][0], account.public_pem, TOKEN_AUDIENCE, NOW)


def test_a_token_made_here_says_whose_and_for_what(account: MadeUpAccount) -> None:
    """Issuer and subject are the account, the audience is Vision whatever the host; it ends in an hour."""
    token = ServiceAccount(account.key_file()).self_signed(NOW + 0.7)
    claims = claims_of(token, account.public_pem, SERVICE_AUDIENCE, NOW + 1)
    assert claims == {
        "iss": EMAIL, "sub": EMAIL, "aud": "https://vision.googleapis.com/", "iat": NOW, "exp": NOW + LIFETIME_S,
    }  # fmt: skip
    request = GoogleDialect("google", settings_of(), None).request([], "", token, NOW)
    assert request.headers["Authorization"] == f"Bearer {token}"
    assert "X-Goog-Api-Key" not in request.headers


@pytest.mark.parametrize("broken", ["", "{}", "[]", "null", "no json", '{"client_email": "a@b", "private_key": "-"}'])
def test_what_is_no_key_file_is_told_and_not_quoted(broken: str, account: MadeUpAccount) -> None:
    """Also a file with half a key."""
    cut = json.loads(account.key_file()) | {"private_key": account.private_pem[:-200]}
    for key_file in (broken, json.dumps(cut), account.key_file("ftp://nowhere"), account.key_file()[:-30]):
        with pytest.raises(ValueError, match=r"credentials\.service_account") as fault:
            ServiceAccount(key_file)
        assert fault.value.__cause__ is None
        assert "PRIVATE" not in str(fault.value)
    assert "PRIVATE" not in repr(ServiceAccount(account.key_file()))


@pytest.mark.parametrize(
    ("status", "said", "outcome"),
    [
        (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, TokenRejected),
        (401, {"error": "invalid_client"}, TokenRejected),
        (400, {"error": "temporarily_unavailable"}, TokenFailed),
        (429, {}, TokenFailed),
        (503, {}, TokenFailed),
        (200, {"access_token": "t"}, ValueError),
        (200, {"access_token": 7, "expires_in": 1}, ValueError),
        (200, {"access_token": "t", "expires_in": True}, ValueError),
        (200, [], ValueError),
    ],
)
def test_what_the_token_endpoint_says_is_told_apart(status: int, said: Any, outcome: type[Exception]) -> None:
    """Rejected accounts, failures for now, and answers that make no sense."""
    with pytest.raises(outcome):
        token_of(HttpAnswer(status, {}, json.dumps(said).encode()))


def test_a_granted_token_lives_as_long_as_it_says() -> None:
    """Its repr does not show it."""
    token = token_of(
        HttpAnswer(200, {}, b'{"access_token": "ya29.secret", "expires_in": 3599, "token_type": "Bearer"}')
    )
    assert (token.value, token.lifetime_s) == ("ya29.secret", 3599)
    assert "ya29" not in repr(token)


@asynccontextmanager
async def provider_of(url: str, key_file: str, folder: Path, **given: Any) -> AsyncIterator[RemoteProvider]:
    """A provider with a service account, started."""
    path = folder / "account.json"
    path.write_text(key_file)
    credentials = {"service_account": {"file": str(path)}}
    settings = settings_of(endpoint=url, auth="service_account", credentials=credentials, **given)
    provider = build_google("google", settings)
    await provider.start()
    try:
        yield provider
    finally:
        await provider.close()


@pytest.mark.parametrize("tokens", ["self_signed", "exchanged"])
async def test_a_service_account_lets_calls_in(tokens: str, account: MadeUpAccount, tmp_path: Path) -> None:
    """One token serves all calls; one that the service refuses costs one attempt, and a new one is made."""
    async with stand_in_process(tmp_path, vendor="google", secret_key=account.public_pem) as stand_in:
        key_file = account.key_file(f"{stand_in.url}/token")
        async with provider_of(stand_in.url, key_file, tmp_path, tokens=tokens) as provider:
            for number in range(3):
                await provider.recognize(call(page_image(number), Feature.TEXT))
            assert provider.status.state is ProviderState.SERVING
            await stand_in.configure(error_code="token_expired")
            with pytest.raises(ProviderUnavailable) as refusal:
                await provider.recognize(call(page_image(3), Feature.TEXT))
            assert refusal.value.said_s == 0
            await stand_in.configure(fresh=True)
            await provider.recognize(call(page_image(3), Feature.TEXT))
        stats = await stand_in.stats()
        assert (stats["billed_units"], stats["tokens_issued"]) == (4, 2 if tokens == "exchanged" else 0)


@pytest.mark.parametrize("tokens", ["self_signed", "exchanged"])
async def test_an_account_that_google_does_not_know_is_told(
    tokens: str, account: MadeUpAccount, tmp_path: Path
) -> None:
    """The status says so; neither logs nor errors quote keys or tokens."""
    async with stand_in_process(tmp_path, vendor="google", secret_key=account.public_pem) as stand_in:
        stranger = made_up_account()
        key_file = stranger.key_file(f"{stand_in.url}/token")
        failures: list[Exception] = []
        with capture_logs() as logs:
            async with provider_of(stand_in.url, key_file, tmp_path, tokens=tokens) as provider:
                for number in range(5):
                    with pytest.raises((ProviderNotConfigured, ProviderUnavailable)) as failure:
                        await provider.recognize(call(page_image(number), Feature.TEXT))
                    failures.append(failure.value)
                assert provider.status.state is ProviderState.NOT_CONFIGURED
        assert isinstance(failures[-1], ProviderNotConfigured)
        assert (await stand_in.stats())["billed_units"] == 0
        words = f"{failures} {logs} {provider!r} {provider.status}"
        assert "eyJ" not in words
        assert stranger.private_pem[100:140] not in words


async def test_a_key_file_that_makes_no_sense_is_as_a_missing_one(tmp_path: Path) -> None:
    """The provider is there, not configured, and asks for nothing."""
    async with provider_of("http://127.0.0.1:9", "no key file", tmp_path) as provider:
        assert provider.status.state is ProviderState.NOT_CONFIGURED
        assert "key file" in provider.status.detail
        with pytest.raises(ProviderNotConfigured):
            await provider.recognize(call(page_image(), Feature.TEXT))


@pytest.mark.parametrize(("auth", "other"), [("api_key", "service_account"), ("service_account", "api_key")])
def test_only_the_credential_that_auth_names_must_be_there(auth: str, other: str) -> None:
    """The other one may be left out, and is not looked at."""
    unset = {"env": "OCRMUX_TEST_NOWHERE"}
    with pytest.raises(ValidationError, match="auth names it") as fault:
        settings_of(auth=auth, credentials={other: unset})
    assert other not in str(fault.value)
    settings = settings_of(auth=auth, credentials={auth: unset, other: {"env": "OCRMUX_TEST_ELSEWHERE"}})
    assert build_google("google", settings).status.detail == "the environment variable OCRMUX_TEST_NOWHERE is not set"
