"""Tokens of a service account: made here, or exchanged for at Google's token endpoint.

Source: google.aip.dev/auth/4111 for tokens that are made here ("self-signed JWT"), RFC 7523 for the exchange. Imported
late: what signs is large.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from google.auth import crypt, jwt

from ocr_gateway.providers.http import HttpAnswer, HttpClient, OutgoingBody
from ocr_gateway.providers.remote.secrecy import Kept
from ocr_gateway.providers.remote.token_keeper import Token, TokenFailed, TokenKeeper, TokenRejected

AUDIENCE = "https://vision.googleapis.com/"
"""Of tokens that are made here; the same for every location."""
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
"""The token endpoint unless the key file names another; of assertions it is the audience in any case, as google-auth
has it."""
SCOPE = "https://www.googleapis.com/auth/cloud-vision"
LIFETIME_S = 3600
"""The longest that Google takes."""
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_WORDS = 200
# RFC 6749, 4.1.2.1; every other error concerns the account.
_PASSING_ERRORS = ("server_error", "temporarily_unavailable")


class ServiceAccount:
    """A service account's key file, in JSON. Its repr shows no key.

    Raises ValueError, which does not quote it, for what is no such file.
    """

    def __init__(self, key_file: str) -> None:
        try:
            said = json.loads(key_file)
            email, token_uri = said["client_email"], said.get("token_uri") or TOKEN_URI
            self._signer = crypt.RSASigner.from_service_account_info(said)  # type: ignore[no-untyped-call]
        except Exception:  # whatever the parsers of JSON and of keys raise may quote the key
            raise ValueError("credentials.service_account is no key file of a service account") from None
        if not isinstance(email, str) or urlsplit(str(token_uri)).scheme not in ("http", "https"):
            raise ValueError("credentials.service_account has no client_email, or a token_uri that is no address")
        self._email = email
        self.token_uri = str(token_uri)
        """Where tokens are asked for."""

    def self_signed(self, now: float) -> str:
        """A token that Vision takes as it is, good for ``LIFETIME_S`` from ``now``, seconds of the epoch."""
        return self._signed({"iss": self._email, "sub": self._email, "aud": AUDIENCE}, now)

    def grant(self, now: float) -> bytes:
        """The form that asks for a token."""
        assertion = self._signed({"iss": self._email, "aud": TOKEN_URI, "scope": SCOPE}, now)
        return urlencode({"assertion": assertion, "grant_type": _GRANT}).encode()

    def _signed(self, claims: Mapping[str, Any], now: float) -> str:
        issued = int(now)
        token: bytes = jwt.encode(self._signer, {"iat": issued, "exp": issued + LIFETIME_S, **claims})  # type: ignore[no-untyped-call]
        return token.decode()


def service_account_access(
    provider: str,
    key_file: str,
    http: HttpClient,
    *,
    exchanged: bool,
    missing: str,
    timeout_s: float,
    wall_clock: Callable[[], float] = time.time,
) -> TokenKeeper:
    """Access by the account's tokens, made here or ``exchanged``. A key file that makes no sense is as one that is
    missing. ``wall_clock`` counts seconds of the epoch."""
    account: ServiceAccount | None = None
    if not missing:
        try:
            account = ServiceAccount(key_file)
        except ValueError as fault:
            missing = str(fault)

    async def fetch() -> Token:
        if account is None:
            raise TokenRejected(missing)
        if not exchanged:
            return Token(account.self_signed(wall_clock()), LIFETIME_S)
        answer = await http.post(
            account.token_uri,
            headers=_HEADERS,
            body=OutgoingBody(account.grant(wall_clock())),
            timeout_s=timeout_s,
            max_answer_bytes=_MAX_ANSWER_BYTES,
        )
        return token_of(answer)

    return TokenKeeper(fetch, provider=provider, missing=missing, kept=Kept(key_file))


def token_of(answer: HttpAnswer) -> Token:
    """The token that the endpoint grants. Raises TokenRejected, TokenFailed, or ValueError."""
    if answer.status == 429 or answer.status >= 500:
        raise TokenFailed(f"HTTP {answer.status}", answer.retry_after_s)
    said = json.loads(answer.body)
    if not isinstance(said, dict):
        raise ValueError("it is no object")
    if "error" in said:
        words = f"{said['error']}: {said.get('error_description', '')}".rstrip(": ")[:_MAX_WORDS]
        if said["error"] in _PASSING_ERRORS:
            raise TokenFailed(words)
        raise TokenRejected(f"Google rejects the service account: {words}")
    value, lifetime_s = said.get("access_token"), said.get("expires_in")
    if not isinstance(value, str) or isinstance(lifetime_s, bool) or not isinstance(lifetime_s, int | float):
        raise ValueError(f"HTTP {answer.status} without access_token and expires_in")
    return Token(value, lifetime_s)
