"""Asking Baidu for an access token."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from ocr_gateway.providers.http import HttpAnswer, HttpClient
from ocr_gateway.providers.remote.token_keeper import Token, TokenFailed, TokenRejected

_PATH = "/oauth/2.0/token"
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_WORDS = 200
# RFC 6749, 4.1.2.1; every other error concerns the keys.
_PASSING_ERRORS = ("server_error", "temporarily_unavailable")
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def token_fetcher(
    http: HttpClient, *, address: str, api_key: str, secret_key: str, timeout_s: float
) -> Callable[[], Awaitable[Token]]:
    """Asks the service at ``address`` for a token by the application's keys, each time it is called.

    It raises as ``TokenKeeper`` wants.
    """
    query = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}
    url = f"{address}{_PATH}?{urlencode(query)}"

    async def fetch() -> Token:
        answer = await http.post(url, headers=_HEADERS, timeout_s=timeout_s, max_answer_bytes=_MAX_ANSWER_BYTES)
        return _token(answer)

    return fetch


def _token(answer: HttpAnswer) -> Token:
    """The token that is granted. Raises TokenRejected, TokenFailed, or ValueError when the answer makes no sense."""
    if answer.status == 429 or answer.status >= 500:
        raise TokenFailed(f"HTTP {answer.status}", answer.retry_after_s)
    said: Any = json.loads(answer.body)
    if not isinstance(said, dict):
        raise ValueError("it is no object")
    if "error" in said:
        words = f"{said['error']}: {said.get('error_description', '')}".rstrip(": ")[:_MAX_WORDS]
        if said["error"] in _PASSING_ERRORS:
            raise TokenFailed(words)
        raise TokenRejected(f"Baidu rejects its API key or secret key: {words}")
    token, lifetime_s = said.get("access_token"), said.get("expires_in")
    if not isinstance(token, str) or isinstance(lifetime_s, bool) or not isinstance(lifetime_s, int | float):
        raise ValueError(f"HTTP {answer.status} without access_token and expires_in")
    return Token(token, lifetime_s)
