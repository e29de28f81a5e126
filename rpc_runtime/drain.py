"""Whether the server is stopping, and who is still being served."""

from __future__ import annotations

import asyncio


class DrainSignal:
    """Set once, when the server begins to stop. Streams finish what they accepted and refuse the rest."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._active_calls = 0

    @property
    def begun(self) -> bool:
        """Whether the server is stopping."""
        return self._begun.is_set()

    @property
    def active_calls(self) -> int:
        """Calls in progress, health and reflection not counted."""
        return self._active_calls

    def begin(self) -> None:
        """Says that the server is stopping. Further calls change nothing."""
        self._begun.set()

    async def wait_begun(self) -> None:
        """Returns once the server is stopping."""
        await self._begun.wait()

    async def wait_idle(self) -> None:
        """Returns once no call is in progress. The caller bounds the wait."""
        await self._idle.wait()

    def call_began(self) -> None:
        """Counts a call in."""
        self._active_calls += 1
        self._idle.clear()

    def call_ended(self) -> None:
        """Counts a call out."""
        self._active_calls -= 1
        if self._active_calls == 0:
            self._idle.set()
