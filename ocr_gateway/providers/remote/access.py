"""How calls are let in: by keys that sign or stand in a header, or by a token that is fetched and expires."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog

_log = structlog.get_logger("ocr_gateway.providers")


class Access(Protocol):
    """What a provider's calls need to be let in."""

    @property
    def missing(self) -> str:
        """Which keys there are not, in words; empty when there is nothing missing."""
        ...

    @property
    def rejection(self) -> str:
        """Why the service rejects the keys; empty when it does not, or when it is time to ask again."""
        ...

    @property
    def failure(self) -> str:
        """Why the last fetch of a token failed, for now; empty when it did not."""
        ...

    @property
    def is_first_under_way(self) -> bool:
        """Whether the first fetch of a token has not ended yet."""
        ...

    def prefetch(self) -> None:
        """Begins to fetch a token where one is needed."""
        ...

    async def get(self) -> str:
        """The token, empty for keys alone. Waits a bounded time.

        Raises ProviderNotConfigured when the keys are rejected and ProviderUnavailable when no token could be fetched.
        """
        ...

    def accepted(self) -> None:
        """Tells that the service served a call."""
        ...

    def refused(self, token: str, detail: str) -> None:
        """Tells that the service refused this token."""
        ...

    def rejected(self, detail: str) -> None:
        """Tells that the service rejects the keys. They are tried again after a rest."""
        ...

    async def close(self) -> None:
        """Ends a fetch under way."""
        ...


class Keys:
    """Keys that need no token: the dialect signs with them, or sends them. Rejected ones are tried again after
    ``rest_s``. ``missing`` says which there are not."""

    def __init__(
        self, provider: str, *, missing: str = "", rest_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._provider = provider
        self._missing = missing
        self._rest_s = rest_s
        self._clock = clock
        self._rejection = ""
        self._rejected_until = 0.0

    @property
    def missing(self) -> str:
        """Which keys there are not."""
        return self._missing

    @property
    def rejection(self) -> str:
        """Why the service rejects the keys."""
        return self._rejection if self._clock() < self._rejected_until else ""

    @property
    def failure(self) -> str:
        """Nothing is fetched."""
        return ""

    @property
    def is_first_under_way(self) -> bool:
        """Nothing is fetched."""
        return False

    def prefetch(self) -> None:
        """Nothing is fetched."""

    async def get(self) -> str:
        """Nothing: the keys are the dialect's."""
        return ""

    def accepted(self) -> None:
        """The keys are good."""
        self._rejection = ""

    def refused(self, token: str, detail: str) -> None:  # noqa: ARG002 - the port's
        """There is no token to be refused: it is the keys."""
        self.rejected(detail)

    def rejected(self, detail: str) -> None:
        """They are tried again after the rest."""
        self._rejection = detail
        self._rejected_until = self._clock() + self._rest_s
        _log.warning("provider.credentials_rejected", provider=self._provider, detail=detail, rest_s=self._rest_s)

    async def close(self) -> None:
        """There is nothing to end."""
