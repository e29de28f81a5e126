"""The port that every provider implements."""

from __future__ import annotations

from typing import Protocol

from ocr_gateway.model import ProviderCall, ProviderDescription, ProviderResult, ProviderStatus


class Provider(Protocol):
    """An OCR engine or service.

    ``recognize`` raises ``ImageUndecodable``, ``FieldInvalid`` (an option or language it does not know),
    ``ProviderNotConfigured`` or ``ProviderUnavailable``, and nothing else that is expected. It never blocks the event
    loop. Cancelling it gives up the call: work that has not begun does not begin.
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

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        """Reads one image."""
        ...

    async def close(self) -> None:
        """Gives back threads, processes and connections. Bounded: at most a few seconds."""
        ...
