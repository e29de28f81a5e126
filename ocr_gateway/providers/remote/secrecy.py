"""Keys that are kept out of what is said about an error: services quote them, and what was signed with them."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

_SHORTEST = 4
_SHORTEST_PART = 8
"""A key whose end was cut off with the words that held it is told by its beginning, from so many characters on."""


class Kept:
    """Keys, which no repr shows. None and empty ones do not count; a key of several lines is kept line by line too."""

    def __init__(self, *secrets: str | None) -> None:
        whole = {secret for secret in secrets if secret and len(secret) >= _SHORTEST}
        found = whole | {line for secret in whole for line in secret.splitlines() if len(line) >= _SHORTEST_PART}
        encoded = {form for secret in found for form in _encoded(secret)}
        self._secrets = sorted(found | encoded, key=len, reverse=True)

    def out_of(self, words: str, *more: str) -> str:
        """The words with each key, as it is or encoded for a URL, JSON, HTML or base64, replaced by ***; ``more`` are
        further ones."""
        if any(more):
            words = Kept(*more).out_of(words)
        for secret in self._secrets:
            words = words.replace(secret, "***")
            for end in range(min(len(secret) - 1, len(words)), _SHORTEST_PART - 1, -1):
                if words.endswith(secret[:end]):
                    words = f"{words[:-end]}***"
                    break
        return words


def _encoded(secret: str) -> Iterator[str]:
    """The forms in which services and libraries quote it."""
    for percent in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield percent
        yield percent.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d")
    yield from (json.dumps(secret)[1:-1], json.dumps(secret)[1:-1].replace("/", "\\/"), repr(secret)[1:-1])
    yield html.escape(secret)
    raw = secret.encode("utf-8", "surrogatepass")
    for before in range(3):  # with what stands before it, as the name in "name:password", it has one of three forms
        code = base64.b64encode(bytes(before) + raw).decode()
        inside = code[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        if len(inside) >= _SHORTEST_PART:
            yield from (inside, inside.replace("+", "-").replace("/", "_"))
