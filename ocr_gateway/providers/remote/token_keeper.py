"""Access by a token: fetched once for all who wait, ahead of its expiry, and again when it is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from ocr_gateway.errors import ProviderNotConfigured, ProviderUnavailable
from ocr_gateway.providers.http import HttpFailure
from ocr_gateway.providers.remote.secrecy import Kept

_FAILURE_REST_S = 1.0
_REFRESH_REST_S = 30.0
_DAY_S = 86_400.0
_LONGEST_LIFETIME_S = 1e10
# One refusal after another without an accepted call between them: more tokens will not help.
_MAX_REFUSALS = 3

_log = structlog.get_logger("ocr_gateway.providers")


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was granted, with the seconds for which it is good from when it was asked for."""

    value: str = field(repr=False)
    lifetime_s: float


class TokenRejected(Exception):
    """The service rejects the keys; the text says why, without them."""


class TokenFailed(Exception):
    """No token for now; the text says why. ``retry_after_s`` is what the service says, if anything."""

    def __init__(self, detail: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(detail)


class TokenKeeper:
    """Hands out the token. Fetching it is no call of a lane: it is not limited and not billed.

    ``fetch`` asks the service for one token, in bounded time. It raises TokenRejected, TokenFailed, HttpFailure, or
    ValueError for an answer that makes no sense. A new token is fetched a day, or a tenth of its lifetime, before the
    old one ends, which serves meanwhile. After a failed fetch none is tried for a second. After rejected keys, or
    three tokens refused in a row, none is tried for ``rest_s``. ``missing`` says which keys there are not, and
    ``kept`` which ones to keep out of what is said; ``clock`` counts monotonic seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Token]],
        *,
        provider: str,
        missing: str = "",
        kept: Kept | None = None,
        rest_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._provider = provider
        self._missing = missing
        self._kept = kept or Kept()
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
    def missing(self) -> str:
        """Which keys there are not."""
        return self._missing

    @property
    def rejection(self) -> str:
        """Why the service rejects the keys; empty when it does not, or when it is time to ask again."""
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
        if not self._is_valid(now) and not self.rejection and now >= self._failed_until and not self._closed:
            self._fetch_in_background()

    async def get(self) -> str:
        """The token; waits for it at most as long as one fetch takes.

        Raises ProviderNotConfigured when the keys are rejected and ProviderUnavailable when none could be fetched.
        A waiter that is cancelled leaves the fetch to the others.
        """
        now = self._clock()
        if self._token is not None and now < self._expires_at:
            if now >= self._refresh_at and now >= self._failed_until and not self._closed:
                self._fetch_in_background()
            return self._token
        if not self.rejection and now >= self._failed_until and not self._closed:
            await asyncio.wait((self._fetch_in_background(),))
        return self._token_or_raise()

    def accepted(self) -> None:
        """Tells that the service served a call with the token."""
        self._refusals = 0

    def refused(self, token: str, detail: str) -> None:
        """Tells that the service refused this token; a new one is fetched at once, unless that happened too often."""
        if token != self._token:
            return
        self._token = None
        self._refusals += 1
        if self._refusals >= _MAX_REFUSALS:
            self.rejected(f"{self._refusals} tokens in a row are refused: {detail}")
        else:
            self.prefetch()

    def rejected(self, detail: str) -> None:
        """Tells that the service rejects the keys. They are tried again after the rest."""
        self._token = None
        self._refusals = 0
        detail = self._rejection = self._kept.out_of(detail)
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
        if self._token is not None and (not self._failure or self._is_valid(self._clock())):
            return self._token
        if self.rejection:
            raise ProviderNotConfigured(self._provider, self.rejection)
        rest_s = max(0.05, self._failed_until - self._clock())
        raise ProviderUnavailable(self._provider, f"no token: {self._failure}", retry_after_s=rest_s)

    def _fetch_in_background(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch_once(), name=f"{self._provider}-token")
        return self._fetching

    async def _fetch_once(self) -> None:
        """Fetches once. Whatever goes wrong is kept for ``get`` and for the status."""
        asked_at = self._clock()
        try:
            self._take(await self._fetch(), asked_at)
        except TokenRejected as error:
            if self._is_valid(asked_at):  # it is kept to its end, even when its keys are gone
                self._fail(str(error))
            else:
                self.rejected(str(error))
        except TokenFailed as error:
            self._fail(str(error), error.retry_after_s)
        except HttpFailure as failure:
            self._fail(str(failure))
        except (ValueError, RecursionError) as error:
            self._fail(f"malformed answer: {error}"[:200])
        except Exception as error:
            self._fail(f"a bug: {type(error).__name__}")
            _log.exception("provider.token_bug", provider=self._provider)

    def _take(self, token: Token, asked_at: float) -> None:
        lifetime_s = token.lifetime_s
        if not token.value or not 0 < lifetime_s < _LONGEST_LIFETIME_S:
            raise ValueError(f"a token that expires in {lifetime_s:g} s" if token.value else "an empty token")
        self._token = token.value
        self._expires_at = asked_at + lifetime_s - min(60.0, lifetime_s / 50)
        self._refresh_at = asked_at + lifetime_s - min(_DAY_S, lifetime_s / 10)
        self._failure = self._rejection = ""
        self._failed_until = 0.0

    def _fail(self, detail: str, retry_after_s: float | None = None) -> None:
        detail = self._failure = self._kept.out_of(detail)
        now = self._clock()
        rest_s = _REFRESH_REST_S if self._is_valid(now) else _FAILURE_REST_S
        if retry_after_s is not None:
            rest_s = min(retry_after_s, _REFRESH_REST_S)
        self._failed_until = now + rest_s
        _log.warning("provider.token_failed", provider=self._provider, detail=detail, rest_s=rest_s)
