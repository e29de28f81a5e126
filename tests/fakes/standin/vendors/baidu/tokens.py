"""The tokens that the stand-in has issued."""

from __future__ import annotations

import hashlib

INVALID, EXPIRED = "110", "111"


class TokenDesk:
    """Issues tokens for the right keys and knows which are still good. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._expiry: dict[str, float] = {}

    def issue(self, now: float, lifetime_s: float) -> str:
        """A new token, shaped as Baidu's are."""
        mark = hashlib.sha256(f"{len(self._expiry)} {now}".encode()).hexdigest()[:32]
        token = f"24.{mark}.{lifetime_s:.0f}.1769817600.282335-{len(self._expiry):08d}"
        self._expiry[token] = now + lifetime_s
        return token

    def expire_all(self) -> None:
        """Makes every token expire now."""
        self._expiry = dict.fromkeys(self._expiry, 0.0)

    def code_of(self, token: str, now: float) -> str:
        """Empty for a good token, else Baidu's error."""
        expiry = self._expiry.get(token)
        if expiry is None:
            return INVALID
        return "" if now < expiry else EXPIRED
