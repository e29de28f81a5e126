"""Readings that wait for the other features of their item."""

from __future__ import annotations

from ocr_gateway.model import Feature, Page
from ocr_gateway.providers.kept_readings import KeptReadings, ReadingKey

BOTH = frozenset({Feature.TABLE, Feature.ID_DOCUMENT})


def key(number: int = 0, text_score: float = 0.5) -> ReadingKey:
    return ReadingKey.of(str(number).encode(), text_score)


def test_each_feature_has_a_reading_once() -> None:
    """Of this image, read with these options; then it is forgotten."""
    kept, page = KeptReadings(), Page(1, 1)
    kept.keep(key(), page, BOTH)
    assert kept.take(key(), Feature.TEXT) is None
    assert kept.take(key(1), Feature.TABLE) is None
    assert kept.take(key(text_score=0.9), Feature.TABLE) is None
    assert kept.take(key(), Feature.TABLE) is page
    assert kept.take(key(), Feature.TABLE) is None
    assert kept.take(key(), Feature.ID_DOCUMENT) is page
    assert kept.take(key(), Feature.ID_DOCUMENT) is None


def test_the_oldest_readings_go_first() -> None:
    """Items that leave before their last feature hold no memory for long."""
    kept, page = KeptReadings(), Page(1, 1)
    for number in range(100):
        kept.keep(key(number), page, BOTH)
    found = [number for number in range(100) if kept.take(key(number), Feature.TABLE) is page]
    assert found == list(range(68, 100))
