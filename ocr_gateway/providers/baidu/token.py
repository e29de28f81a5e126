"""Baidu's access token: fetched once for all who wait, ahead of its expiry, and again when it is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import structlog

from ocr_gateway.errors import ProviderNotConfigured, ProviderUnavailable
from ocr_gateway.providers.http import HttpAnswer, HttpClient, HttpFailure

_PATH = "/oauth/2.0/token"
_MAX_ANSWER_BYTES = 64 * 1024
_FAILURE_REST_S = 1.0
_REFRESH_REST_S = 30.0
_DAY_S = 86_400.0
# One refusal after another without an accepted call between them: more tokens will not help.
_MAX_REFUSALS = 3
# RFC 6749, 4.1.2.1; every other error concerns the keys.
_PASSING_ERRORS = ("server_error", "temporarily_unavailable")
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}

_log = structlog.get_logger("ocr_gateway.providers")


class BaiduToken:
    """Hands out the token. Fetching it is no call of a lane: it is not limited and not billed.

    It lives for ``expires_in`` seconds (30 days); a new one is fetched a day, or a tenth of that, before its end, while
    the old one serves. After a failed fetch none is tried for a second. After rejected keys, or three tokens refused
    in a row, none is tried for ``rest_s``. ``clock`` counts monotonic seconds.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        endpoint: str,
        api_key: str,
        secret_key: str,
        provider: str,
        timeout_s: float,
        rest_s: float,
        clock: Callable[[], float],
    ) -> None:
        query = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}
        self._url = f"{endpoint}{_PATH}?{urlencode(query)}"
        self._http = http
        self._provider = provider
        self._timeout_s = timeout_s
        self._rest_s = rest_s
        self._clock = clock
        self._token: str | None = None
        self._expires_at = self._refresh_at = 0.0
        self._failure = self._rejection = ""
        self._failed_until = self._rejected_until = 0.0
        self._refusals = 0
        self._fetching: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def rejection(self) -> str:
        """Why Baidu rejects the keys; empty when it does not, or when it is time to ask again."""
        return self._rejection if self._clock() < self._rejected_until else ""

    @property
    def failure(self) -> str:
        """Why the last fetch failed for now; empty when it did not."""
        return self._failure

    @property
    def is_first_under_way(self) -> bool:
        """Whether no fetch has ended yet."""
        return self._token is None and not self._failure and not self._rejection and not self._refusals

    def prefetch(self) -> None:
        """Begins to fetch a token where there is none and nothing speaks against it."""
        now = self._clock()
        if not self._is_valid(now) and not self.rejection and now >= self._failed_until:
            self._fetch_in_background()

    async def get(self) -> str:
        """The token; waits for it at most for the time-out of one fetch.

        Raises ProviderNotConfigured when the keys are rejected and ProviderUnavailable when none could be fetched.
        A waiter that is cancelled leaves the fetch to the others.
        """
        now = self._clock()
        if self._token is not None and now < self._expires_at:
            if now >= self._refresh_at and now >= self._failed_until:
                self._fetch_in_background()
            return self._token
        if not self.rejection and now >= self._failed_until and not self._closed:
            await asyncio.wait((self._fetch_in_background(),))
        return self._token_or_raise()

    def accepted(self) -> None:
        """Tells that Baidu served a call with the token."""
        self._refusals = 0

    def refused(self, token: str, detail: str) -> None:
        """Tells that Baidu refused this token; a new one is fetched at once, unless that has happened too often."""
        if token != self._token:
            return
        self._token = None
        self._refusals += 1
        if self._refusals >= _MAX_REFUSALS:
            self.rejected(f"{self._refusals} tokens in a row are refused: {detail}")
        else:
            self.prefetch()

    def rejected(self, detail: str) -> None:
        """Tells that Baidu rejects the keys. They are tried again after the rest."""
        self._token = None
        self._refusals = 0
        self._rejection = detail
        self._rejected_until = self._clock() + self._rest_s
        _log.warning("provider.credentials_rejected", provider=self._provider, detail=detail, rest_s=self._rest_s)

    async def close(self) -> None:
        """Ends a fetch under way; its waiters get ProviderUnavailable."""
        self._closed = True
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait((self._fetching,))

    def _is_valid(self, now: float) -> bool:
        return self._token is not None and now < self._expires_at

    def _token_or_raise(self) -> str:
        if self._closed:
            raise ProviderUnavailable(self._provider, "it is being stopped")
        if self._token is not None:
            return self._token
        if self.rejection:
            raise ProviderNotConfigured(self._provider, self.rejection)
        rest_s = max(0.05, self._failed_until - self._clock())
        raise ProviderUnavailable(self._provider, f"no token: {self._failure}", retry_after_s=rest_s)

    def _fetch_in_background(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch(), name=f"{self._provider}-token")
        return self._fetching

    async def _fetch(self) -> None:
        """Fetches once. Whatever goes wrong is kept for ``get`` and ``status``."""
        asked_at = self._clock()
        try:
            answer = await self._http.post(
                self._url, headers=_HEADERS, timeout_s=self._timeout_s, max_answer_bytes=_MAX_ANSWER_BYTES
            )
            self._take(answer, asked_at)
        except HttpFailure as failure:
            self._fail(str(failure))
        except (ValueError, RecursionError) as error:
            self._fail(f"malformed answer: {error}")

    def _take(self, answer: HttpAnswer, asked_at: float) -> None:
        """Reads the answer. Raises ValueError when it makes no sense."""
        if answer.status == 429 or answer.status >= 500:
            self._fail(f"HTTP {answer.status}", answer.retry_after_s)
            return
        said: Any = json.loads(answer.body)
        if not isinstance(said, dict):
            raise ValueError("it is no object")
        if "error" in said:
            words = f"{said['error']}: {said.get('error_description', '')}".rstrip(": ")[:200]
            if said["error"] in _PASSING_ERRORS or self._is_valid(asked_at):
                self._fail(words)  # a token that still serves is kept to its end, even when its keys are gone
            else:
                self.rejected(f"Baidu rejects its API key or secret key: {words}")
            return
        token, lifetime_s = said.get("access_token"), said.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(lifetime_s, int | float):
            raise ValueError(f"HTTP {answer.status} without access_token and expires_in")
        if not 0 < lifetime_s < 1e10:
            raise ValueError(f"it expires in {lifetime_s} s")
        self._token = token
        self._expires_at = asked_at + lifetime_s - min(60.0, lifetime_s / 50)
        self._refresh_at = asked_at + lifetime_s - min(_DAY_S, lifetime_s / 10)
        self._failure = self._rejection = ""
        self._failed_until = 0.0

    def _fail(self, detail: str, retry_after_s: float | None = None) -> None:
        self._failure = detail
        now = self._clock()
        rest_s = _REFRESH_REST_S if self._is_valid(now) else _FAILURE_REST_S
        if retry_after_s is not None:
            rest_s = min(retry_after_s, _REFRESH_REST_S)
        self._failed_until = now + rest_s
        _log.warning("provider.token_failed", provider=self._provider, detail=detail, rest_s=rest_s)
