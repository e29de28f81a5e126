"""Pages that were read for one feature of an item, kept until its other features have had them."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from ocr_gateway.model import Feature, Page

_MOST = 32
"""Readings that are kept at one time; those of items that have left in between go first."""


@dataclass(frozen=True, slots=True)
class ReadingKey:
    """What decides how a page is read."""

    digest: bytes
    text_score: float

    @classmethod
    def of(cls, image: bytes, text_score: float) -> ReadingKey:
        """For an image: by its SHA-256."""
        return cls(hashlib.sha256(image).digest(), text_score)


class KeptReadings:
    """May be used by several threads. Each feature of an item has the reading once; then it is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[ReadingKey, tuple[Page, frozenset[Feature]]] = OrderedDict()

    def keep(self, key: ReadingKey, page: Page, features: frozenset[Feature]) -> None:
        """Keeps the page for these features."""
        with self._lock:
            self._kept[key] = page, features
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)

    def take(self, key: ReadingKey, feature: Feature) -> Page | None:
        """The page, where it is kept for this feature."""
        with self._lock:
            page, features = self._kept.get(key, (None, frozenset[Feature]()))
            if page is None or feature not in features:
                return None
            left = features - {feature}
            if left:
                self._kept[key] = page, left
            else:
                del self._kept[key]
            return page
