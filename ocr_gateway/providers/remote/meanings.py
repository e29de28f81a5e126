"""What an error that a service names means for the call, for its lane and for the route: one table a vendor."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Meaning(enum.Enum):
    """What to do about an error."""

    THROTTLED = "throttled"
    """Too many calls for now: again, later, and slower."""
    TRANSIENT = "transient"
    """It fails for now: again, and counted for the circuit."""
    DAY_SPENT = "day spent"
    """The day's quota is spent."""
    QUOTA_SPENT = "quota spent"
    """The account's quota or money is spent."""
    TOKEN = "token"  # noqa: S105 - the token is refused, none stands here
    """The access token is refused: a new one, and again at once."""
    CREDENTIALS = "credentials"
    """Our keys are rejected, for every call."""
    NOT_OPEN = "not open"
    """This action is not open to our keys."""
    UNDECODABLE = "undecodable"
    """The image cannot be decoded."""
    FORMAT = "format"
    """The image's format is not taken."""
    TOO_LARGE = "too large"
    """The image has too many bytes."""
    SHAPE = "shape"
    """The image has too many or too few pixels, or is too long for its width."""
    OPTION = "option"
    """An option or language that the caller gave."""
    NOT_THIS_DOCUMENT = "not this document"
    """There is no such document on the image: an empty page."""
    NOTHING_HERE = "nothing here"
    """There is nothing to read: an empty page."""
    BUG = "bug"
    """A request that this adapter should not have made."""


class Refusal(Exception):
    """The service answered with an error. ``code`` is its own name for it, empty where there is only a status."""

    def __init__(self, code: str, words: str = "", *, status: int = 200, retry_after_s: float | None = None) -> None:
        self.code = code
        self.words = words
        self.status = status
        self.retry_after_s = retry_after_s
        said = f"error {code[:80]}" if code else f"HTTP {status}"
        super().__init__(f"{said}, {words[:200]}" if words else said)


_STATUSES: Mapping[int, Meaning] = {
    401: Meaning.CREDENTIALS,
    402: Meaning.QUOTA_SPENT,
    403: Meaning.CREDENTIALS,
    404: Meaning.NOT_OPEN,
    413: Meaning.TOO_LARGE,
    415: Meaning.FORMAT,
    429: Meaning.THROTTLED,
}


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """Codes and what they mean; letter case does not matter. A code that ends with ``*`` stands for all that begin so.

    An error without a known code means what ``statuses`` or, by default, HTTP says of its status. Anything else is
    TRANSIENT: its retries are bounded and the route has other providers, so a new code for an outage loses no image; as
    a permanent error it would lose all of them.
    """

    codes: Mapping[Meaning, tuple[str, ...]]
    statuses: Mapping[int, Meaning] = field(default_factory=dict)
    _exact: dict[str, Meaning] = field(init=False, repr=False, default_factory=dict)
    _starts: list[tuple[str, Meaning]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        for meaning, codes in self.codes.items():
            for code in map(str.casefold, codes):
                if code in self._exact or (code.endswith("*") and code[:-1] in dict(self._starts)):
                    raise ValueError(f"the code {code!r} stands twice in the table")
                if code.endswith("*"):
                    self._starts.append((code[:-1], meaning))
                else:
                    self._exact[code] = meaning
        self._starts.sort(key=lambda pair: -len(pair[0]))

    def knows(self, code: str) -> bool:
        """Whether a code stands in the table."""
        folded = code.casefold()
        return folded in self._exact or any(folded.startswith(start) for start, _ in self._starts)

    def meaning(self, code: str, status: int = 200) -> Meaning:
        """What an error means; the exact code goes before the longest beginning, and that before the status."""
        folded = code.casefold()
        if folded in self._exact:
            return self._exact[folded]
        for start, meaning in self._starts:
            if folded.startswith(start):
                return meaning
        return self.statuses.get(status) or _STATUSES.get(status, Meaning.TRANSIENT)
