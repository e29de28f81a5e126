"""Keys that are kept out of what is said about an error: services quote them, and what was signed with them."""

from __future__ import annotations

from urllib.parse import quote

_SHORTEST = 4


class Kept:
    """Keys, which no repr shows. None and empty ones do not count."""

    def __init__(self, *secrets: str | None) -> None:
        found = {secret for secret in secrets if secret and len(secret) >= _SHORTEST}
        encoded = {quote(secret, safe="") for secret in found}
        self._secrets = sorted(found | encoded, key=len, reverse=True)

    def out_of(self, words: str) -> str:
        """The words with each key, as it is or percent-encoded, replaced by ***."""
        for secret in self._secrets:
            words = words.replace(secret, "***")
        return words
