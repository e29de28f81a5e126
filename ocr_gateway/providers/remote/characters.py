"""Words, for the services that give each character by itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ocr_gateway.model import Polygon, Word
from ocr_gateway.providers.remote.places import union_polygon
from ocr_gateway.providers.writing import is_cjk

# How far ahead in a line its next character is looked for.
_LONGEST_GAP = 64


@dataclass(frozen=True, slots=True)
class Character:
    """One character with its place, in the order of ``places.ordered``."""

    text: str
    confidence: float | None
    polygon: Polygon | None


def words_of(line: str, characters: Iterable[Character], turn: int = 0) -> tuple[Word, ...]:
    """The words of a line: characters between which it has no blank are one, but those of scripts without blanks.

    A blank, and a character without a place, is no word and ends one. A word is as sure as its least sure character.
    """
    words: list[Word] = []
    position = 0
    ended = True
    for character in characters:
        if not character.text.strip() or character.polygon is None:
            ended = True
            continue
        found = line.find(character.text, position, position + _LONGEST_GAP)
        word = Word(character.text, character.confidence, character.polygon)
        if not ended and found == position and not (is_cjk(word.text[0]) or is_cjk(words[-1].text[-1])):
            words[-1] = _joined(words[-1], word, turn)
        else:
            words.append(word)
        ended = False
        if found >= 0:
            position = found + len(character.text)
    return tuple(words)


def _joined(first: Word, last: Word, turn: int) -> Word:
    confidences = [each.confidence for each in (first, last) if each.confidence is not None]
    if any(unicodedata.bidirectional(each) in ("R", "AL") for each in first.text + last.text):
        polygon = union_polygon((first.polygon, last.polygon), turn)
    else:  # between its two ends a tilted word keeps its tilt
        polygon = (first.polygon[0], *last.polygon[1:3], first.polygon[3])
    return replace(first, text=first.text + last.text, confidence=min(confidences, default=None), polygon=polygon)
