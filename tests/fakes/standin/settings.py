"""How the stand-in behaves now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

EVERY_ACTION = "*"
"""The key of a quota that is every action's."""


@dataclass(frozen=True, slots=True)
class StandInSettings:
    """Shares are of 1 and of the OCR requests that are let in; times are seconds. 0, None and empty mean off."""

    api_key: str = "standin-key"
    secret_key: str = "standin-secret"
    token_lifetime_s: float = 2_592_000.0
    token_latency_s: float = 0.0
    token_status: int = 0
    """Answers requests for tokens with this HTTP status and no token."""

    latency_s: float = 0.0
    latency_jitter_s: float = 0.0
    """The latency lies within this to both sides, evenly."""

    quota: Mapping[str, int] = field(default_factory=dict)
    """Calls of each action in any second, by their arrival; more are throttled. Those not named have the vendor's own;
    given as one number it is that of every action."""
    daily_quota: int = 0
    """Calls let in in all; more are told that the day's quota is spent."""
    clock_offset_s: float = 0.0
    """Its clock is ahead by so much."""

    seed: int = 0
    """What fails depends on it, on the image and on how often that was seen, not on the order of arrival."""
    share_500: float = 0.0
    share_reset: float = 0.0
    """Resets the connection once the request is read."""
    share_hang: float = 0.0
    """Never answers."""
    share_malformed: float = 0.0
    """Truncated JSON and HTML by turns, with status 200."""
    throttle_every: int = 0
    """Every so many requests a burst of throttling begins, whatever the quota."""
    throttle_burst: int = 0
    """How many requests a burst takes."""
    throttle_for_s: float = 0.0
    """How long a burst takes, where it is not counted."""
    down: bool = False
    """Resets every connection at once, also those for tokens."""

    error_code: str = ""
    """Answers every OCR request with this error: the vendor's own code, or a kind of ``vendor.KINDS``."""
    image_errors: Mapping[str, str] = field(default_factory=dict)
    """Errors of single images, by how their SHA-256 begins, in hexadecimal."""
    status: int = 0
    """Answers every OCR request with this HTTP status and no JSON."""
    retry_after: str = ""
    """The Retry-After header of those two."""
    body: str | None = None
    """Answers every OCR request with this, as JSON."""
    huge_bytes: int = 0
    """Answers every OCR request with a text of so many bytes."""

    whole_images: bool = False
    """Refuses a JPEG or PNG without its end, as one that cannot be decoded."""
    lines: int = 1
    """Lines of a text; eight make an answer of about 1.5 KB."""
    confidence: float = 0.99
    confidences: Mapping[str, float] = field(default_factory=dict)
    """Confidence by how the image's SHA-256 begins, in hexadecimal."""
    direction: int = 0

    def changed(self, changes: Mapping[str, Any]) -> StandInSettings:
        """These settings with some changed.

        Raises ValueError for a name or a type that there is not.
        """
        known = {each.name: each.type for each in fields(self)}
        wanted = dict(changes)
        if isinstance(wanted.get("quota"), int):
            wanted["quota"] = {EVERY_ACTION: wanted["quota"]}
        if isinstance(wanted.get("error_code"), int):
            wanted["error_code"] = str(wanted["error_code"] or "")
        for name, value in wanted.items():
            if name not in known:
                raise ValueError(f"no setting {name!r}")
            if not _fits(value, str(known[name])):
                raise ValueError(f"{name} must be {known[name]}, not {value!r}")
        return replace(self, **wanted)


def _fits(value: object, annotation: str) -> bool:
    match annotation:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "str | None":
            return value is None or isinstance(value, str)
        case _:
            return isinstance(value, dict)
