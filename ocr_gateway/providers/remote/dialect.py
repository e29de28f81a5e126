"""What a vendor's adapter says: how a call becomes a request, and an answer a page. No network and no state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ocr_gateway.model import Feature, ImageLimits, ProviderCall, ProviderDescription, ProviderResult
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.meanings import ErrorTable, Refusal

OPTIONS_FIELD = "recognition.provider_options"
LANGUAGES_FIELD = "recognition.languages"
DOCUMENT_FIELD = "recognition.id_document"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is sent, but for its body, which goes with POST: ``url`` encoded, ``headers`` with a Content-Type
    where there is a body. Both may hold keys."""

    method: Literal["GET", "POST"]
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


Send = Callable[[Request], Awaitable[HttpAnswer]]
"""Sends a request and gives the whole answer, whatever its status. Raises HttpFailure."""


class Dialect(ABC):
    """One vendor's API, for one account.

    ``check`` and ``action`` are asked before a turn is taken for a call, ``body`` on a thread where the images are
    large, ``request`` at the last moment, since signatures hold the time, and ``refusal`` and ``results`` when the
    answer is there. Several calls come together only where a feature's ``batch`` says that they may.
    """

    errors: ErrorTable
    """What the vendor's codes mean."""
    signs_body: bool = False
    """Whether ``request`` wants the body's SHA-256."""
    accepts_orientation: bool = False
    """Whether the service is known to heed an EXIF orientation as viewers do; else images are turned before."""

    _description: ProviderDescription
    """Set by the vendor's own class."""

    @property
    def description(self) -> ProviderDescription:
        """What never changes: features with limits, quotas, units and prices."""
        return self._description

    @property
    @abstractmethod
    def model(self) -> str:
        """The model or API version, a part of the cache's key: with all that the configuration chooses."""

    @abstractmethod
    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for an option, a language or a document that there is not."""

    @abstractmethod
    def action(self, call: ProviderCall) -> str:
        """The vendor's name of what the call asks for. One that is not open to our keys is rested by itself."""

    def is_for_all(self, call: ProviderCall) -> bool:
        """Whether the call's action is the one that calls of its feature have unless they ask for another."""
        return self.action(call) == self.action(plain_call(call.feature))

    def limits(self, call: ProviderCall) -> ImageLimits:
        """What the call's image may be: its feature's, unless its action takes others."""
        return self.description.features[call.feature].limits

    @abstractmethod
    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """The request's body. Raises ImageTooLargeBytes for one over the service's limit."""

    @abstractmethod
    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:
        """The request, signed. ``sha256`` is the body's, in hexadecimal, where ``signs_body`` says so; ``access`` the
        token, empty without one; ``now`` counts seconds of the epoch."""

    async def exchange(self, send: Send, request: Request) -> HttpAnswer:
        """The answer, where one request does not bring it: for services that are polled. Bounded by the attempt's
        time-out. Raises HttpFailure, or Refusal."""
        return await send(request)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:  # noqa: ARG002 - for others
        """The error that an answer tells, None for a good one. ``said`` is its JSON object, None without one."""
        return status_refusal(answer)

    @abstractmethod
    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """A result for each call, in order. Raises ValueError, which says what is not as documented.

        ``raw_response`` of a single call's result is filled by the caller; of several calls it is the result's own.
        """


def status_refusal(answer: HttpAnswer) -> Refusal | None:
    """What an HTTP status other than 2xx says by itself."""
    if 200 <= answer.status < 300:
        return None
    return Refusal("", status=answer.status, retry_after_s=answer.retry_after_s)


def plain_call(feature: Feature) -> ProviderCall:
    """A call that asks for nothing in particular."""
    return ProviderCall(b"", "image/png", 0, 0, feature)
