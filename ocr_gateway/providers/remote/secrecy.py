"""Keys that are kept out of what is said about an error: services quote them, and what was signed with them."""

from __future__ import annotations

from urllib.parse import quote

_SHORTEST = 4
_SHORTEST_PART = 8
"""A key whose end was cut off with the words that held it is told by its beginning, from so many characters on."""


class Kept:
    """Keys, which no repr shows. None and empty ones do not count; a key of several lines is kept line by line too."""

    def __init__(self, *secrets: str | None) -> None:
        whole = {secret for secret in secrets if secret and len(secret) >= _SHORTEST}
        found = whole | {line for secret in whole for line in secret.splitlines() if len(line) >= _SHORTEST_PART}
        encoded = {quote(secret, safe="") for secret in found}
        self._secrets = sorted(found | encoded, key=len, reverse=True)

    def out_of(self, words: str, *more: str) -> str:
        """The words with each key, as it is or percent-encoded, replaced by ***; ``more`` are further ones."""
        if any(more):
            words = Kept(*more).out_of(words)
        for secret in self._secrets:
            words = words.replace(secret, "***")
            for end in range(min(len(secret) - 1, len(words)), _SHORTEST_PART - 1, -1):
                if words.endswith(secret[:end]):
                    words = f"{words[:-end]}***"
                    break
        return words
