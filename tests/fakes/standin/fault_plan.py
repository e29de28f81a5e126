"""Which requests fail, and how."""

from __future__ import annotations

import hashlib

from tests.fakes.standin.settings import StandInSettings


def draw(seed: int, purpose: str, digest: str, seen_before: int) -> float:
    """A number of 0..1 that is the same in every run."""
    picked = hashlib.blake2b(f"{seed} {purpose} {digest} {seen_before}".encode(), digest_size=8).digest()
    return int.from_bytes(picked, "big") / 2**64


def fault_of(settings: StandInSettings, digest: str, seen_before: int) -> str:
    """ "500", "reset", "hang", "malformed", or "" for a request that is served."""
    place = draw(settings.seed, "fault", digest, seen_before)
    for name, share in (
        ("500", settings.share_500),
        ("reset", settings.share_reset),
        ("hang", settings.share_hang),
        ("malformed", settings.share_malformed),
    ):
        if place < share:
            return name
        place -= share
    return ""


def latency_of(settings: StandInSettings, digest: str, seen_before: int) -> float:
    """Seconds from the arrival to the answer."""
    if not settings.latency_jitter_s:
        return settings.latency_s
    spread = 2 * draw(settings.seed, "latency", digest, seen_before) - 1
    return max(0.0, settings.latency_s + spread * settings.latency_jitter_s)


class ThrottleBursts:
    """Bursts of throttling, which begin at every so-manieth request and take a number of requests or a time."""

    def __init__(self) -> None:
        self._count = 0
        self._left = 0
        self._until = 0.0

    def strikes(self, settings: StandInSettings, now: float) -> bool:
        """Whether the request that arrives now is one of a burst."""
        if not settings.throttle_every:
            return False
        if self._left > 0:
            self._left -= 1
            return True
        if now < self._until:
            return True
        self._count += 1
        if self._count % settings.throttle_every:
            return False
        self._left = max(0, settings.throttle_burst - 1)
        self._until = now + settings.throttle_for_s
        return True
