"""The words of a text with what is different about each, for whoever draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ocrmux_client.comparison.text_difference import MAX_WORDS, Change, Run, word_difference, words_of


@dataclass(frozen=True, slots=True)
class MarkedWord:
    """A word of a text and the white space ``gap`` before it. ``missing``: words that stand here in the reference."""

    gap: str
    word: str
    is_other: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text, word by word, and the rest of it, which is not looked at word by word."""

    words: tuple[MarkedWord, ...]
    rest: str = ""


def differences(first: str, second: str) -> tuple[Run, ...]:
    """The way from the first text's words to the second's, of 4 000 words each at most."""
    return word_difference(first_words(first), first_words(second))


def first_words(text: str) -> list[str]:
    """The words that are compared."""
    return [match.group() for match in islice(words_of(text), MAX_WORDS)]


def marked(text: str, reference: str) -> MarkedText:
    """The text with the words that the reference does not have in their places, and those that it has instead."""
    others: set[int] = set()
    missing: dict[int, tuple[str, ...]] = {}
    for run in differences(reference, text):
        if run.change is Change.ADDED:
            others.update(range(*run.second))
        elif run.change is Change.REMOVED:
            missing[run.second[0]] = run.words
    return _marked(text, others, missing)


def marked_reference(text: str, readings: Sequence[str]) -> MarkedText:
    """The text with the words that at least one reading does not have."""
    others: set[int] = set()
    for reading in readings:
        for run in differences(text, reading):
            if run.change is Change.REMOVED:
                others.update(range(*run.first))
    return _marked(text, others, {})


def _marked(text: str, others: set[int], missing: dict[int, tuple[str, ...]]) -> MarkedText:
    words: list[MarkedWord] = []
    end = 0
    for number, match in enumerate(islice(words_of(text), MAX_WORDS)):
        gap = text[end : match.start()]
        words.append(MarkedWord(gap, match.group(), number in others, missing.get(number, ())))
        end = match.end()
    if last := missing.get(len(words)):
        words.append(MarkedWord("", "", is_other=False, missing=last))
    return MarkedText(tuple(words), text[end:])
