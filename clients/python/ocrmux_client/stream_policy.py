"""How a stream of items is driven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ocrmux_client.backoff import Backoff
from ocrmux_client.errors import OcrMuxError


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """How a stream is driven.

    ``concurrency``: items sent and not yet answered, at most; the server's own limit may be lower. ``sends_per_item``:
    an item that was with the server at so many lost connections counts as their cause; it is moved to another server as
    often. ``silence_s``: seconds without a word from the server, while items are with it, after which the connection
    counts as lost. ``timeout_s``: seconds for the stream as a whole, which then ends with DEADLINE_EXCEEDED; None: no
    limit. ``on_reconnect`` hears of each break: failures in a row, seconds until the next try, the cause.
    """

    concurrency: int = 8
    ordered: bool = True
    digest_first: bool = False
    sends_per_item: int = 4
    silence_s: float = 600.0
    timeout_s: float | None = None
    backoff: Backoff = field(default_factory=Backoff)
    on_reconnect: Callable[[int, float, OcrMuxError], None] | None = None

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.sends_per_item < 1 or not self.silence_s > 0:
            raise ValueError("concurrency, sends_per_item and silence_s are above 0")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ValueError(f"a time limit is above 0 seconds, not {self.timeout_s:g}")

    @property
    def reorder_span(self) -> int:
        """Items that may be started while an earlier one still holds back their answers."""
        return max(64, 4 * self.concurrency)
