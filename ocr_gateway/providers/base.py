"""The port that every provider implements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ocr_gateway.model import ProviderCall, ProviderDescription, ProviderResult, ProviderStatus


class Provider(Protocol):
    """An OCR engine or service.

    ``recognize`` makes one attempt. It raises, and nothing else that is expected:

    - what is wrong with the item, for good: ``ImageUndecodable``, ``FormatUnsupported``, the limits' errors, or
      ``FieldInvalid`` as ``check`` does;
    - what another attempt may mend: ``ProviderThrottled``, ``ProviderUnavailable`` (a time-out, a lost connection, an
      answer that makes no sense);
    - what concerns every item: ``ProviderNotConfigured`` (no credentials, or rejected ones), ``ProviderQuotaSpent``.

    A provider with a quota calls ``ProviderCall.begin`` at the last moment before it sends the image, and lets through
    what that raises. It never blocks the event loop. Cancelling it gives up the call: work that has not begun does not
    begin.
    """

    @property
    def description(self) -> ProviderDescription:
        """What never changes."""
        ...

    @property
    def status(self) -> ProviderStatus:
        """What it can do now. Never waits."""
        ...

    async def start(self) -> None:
        """Begins to make it ready and returns without waiting for that. Never raises: a failure shows in ``status``."""
        ...

    async def until_ready(self) -> None:
        """Returns when a call can be sent at once, so that none waits, for a token, with a permit in its hand.

        Waits a bounded time. Raises ProviderNotConfigured or ProviderUnavailable.
        """
        ...

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for an option or language that it does not know, before a turn is taken for the call."""
        ...

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        """Reads one image."""
        ...

    async def close(self) -> None:
        """Gives back threads, processes and connections. Bounded: at most a few seconds."""
        ...


@runtime_checkable
class BatchProvider(Provider, Protocol):
    """A provider that reads several images in one call, where ``FeatureSupport.batch`` says so of a feature."""

    async def recognize_together(self, calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Exception]:
        """Makes one attempt for all of ``calls``: at most ``max_images``, of one feature; they may differ in all else.

        One entry for each call, in their order: its result, or what is wrong with it, one of the errors that
        ``recognize`` raises; the others do not fail with it. What concerns all of them is raised, as by ``recognize``.
        All calls have the same ``begin``: one call of it is enough.
        """
        ...
