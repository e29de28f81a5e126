"""How scripts part their words."""

from __future__ import annotations

from collections.abc import Iterable

# First and last code point of the blocks that are written without blanks between words: CJK punctuation, kana,
# ideographs (with extensions A..H and compatibility forms), full-width forms.
_CJK_RANGES = (
    (0x2E80, 0x2FDF),
    (0x3000, 0x303F),
    (0x3040, 0x30FF),
    (0x3100, 0x312F),
    (0x31A0, 0x31FF),
    (0x3200, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFE30, 0xFE4F),
    (0xFF00, 0xFF60),
    (0x20000, 0x323AF),
)


def is_cjk(character: str) -> bool:
    """Whether this one character belongs to a script that is written without blanks between words."""
    point = ord(character)
    return any(first <= point <= last for first, last in _CJK_RANGES)


def join_words(words: Iterable[str]) -> str:
    """A line's text: a blank between words, but none between two CJK characters."""
    line = ""
    for word in words:
        if line and word and not (is_cjk(line[-1]) and is_cjk(word[0])):
            line += " "
        line += word
    return line
