"""What a page is to become. Loads neither OpenCV nor a decoder: the service itself passes orders on to its workers."""

from __future__ import annotations

from dataclasses import dataclass

from preprocess_service.model import Reader
from preprocess_service.profiles import Profile


@dataclass(frozen=True, slots=True)
class PageOrder:
    """All that decides what a page becomes. ``may_tile``: an over-tall page may be given in tiles."""

    profile: Profile
    reader: Reader
    may_tile: bool
