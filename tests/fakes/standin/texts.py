"""What all vendors' answers have in common: the text that tells which image it belongs to."""

from __future__ import annotations

from tests.fakes.standin.settings import StandInSettings


def text_of(digest: str, line: int = 0) -> str:
    """What stands in a line: the first 16 hexadecimal digits of the image's SHA-256; in later lines with a number."""
    return digest[:16] if line == 0 else f"{digest[:16]} {line:04d}"


def confidence_of(digest: str, settings: StandInSettings) -> float:
    """The confidence of the longest beginning that the settings name, else the general one."""
    for prefix in sorted(settings.confidences, key=len, reverse=True):
        if digest.startswith(prefix):
            return settings.confidences[prefix]
    return settings.confidence
