"""How far two texts differ, and in which words. Bounded in time and memory, whatever the texts are."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

MAX_CHARACTERS = 50_000
"""Characters of a text that are compared; two such texts take about a second."""
MAX_WORDS = 4_000
"""Words of a text whose differences are told one by one."""
_CJK = "\u2e80-\u303f\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
_BLANKS_OF_CJK = re.compile(rf"(?<=[{_CJK}]) | (?=[{_CJK}])")


class Change(enum.Enum):
    """What became of a run of words on the way from the first text to the second."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Run:
    """Words that stand together. ``first`` and ``second`` count words of either text, from 0, end exclusive."""

    change: Change
    words: tuple[str, ...]
    first: tuple[int, int]
    second: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Characters that are wrong, missing or too many, of so many that stand there."""

    edits: int = 0
    characters: int = 0

    @property
    def rate(self) -> float | None:
        """The character error rate; more than 1 where much was read that is not there, None where nothing stands."""
        return self.edits / self.characters if self.characters else None

    def __add__(self, other: ErrorCount) -> ErrorCount:
        return ErrorCount(self.edits + other.edits, self.characters + other.characters)


def folded(text: str) -> str:
    """The text as it is compared: white space is one blank, and none beside a Chinese or Japanese character, because
    engines differ in where they put it.
    """
    return _BLANKS_OF_CJK.sub("", " ".join(text.split()))


def edit_distance(first: str, second: str) -> int:
    """Levenshtein's distance: the fewest characters to insert, delete or replace.

    The bits of one integer stand for a column of the table: G. Myers, "A fast bit-vector algorithm for approximate
    string matching", JACM 46 (1999), as H. Hyyrö gives it for the distance of whole strings (2003). O(len x len / 64).
    """
    if not first or not second:
        return len(first) + len(second)
    places: dict[str, int] = {}
    for place, character in enumerate(first):
        places[character] = places.get(character, 0) | 1 << place
    whole, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    rises, falls, distance = whole, 0, len(first)
    for character in second:
        equal = places.get(character, 0)
        straight = (((equal & rises) + rises) ^ rises) | equal | falls
        right_rises, right_falls = falls | (whole & ~(straight | rises)), rises & straight
        distance += bool(right_rises & last) - bool(right_falls & last)
        right_rises = (right_rises << 1 | 1) & whole
        right_falls = right_falls << 1 & whole
        rises = right_falls | (whole & ~(straight | right_rises))
        falls = right_rises & straight
    return distance


def similarity(first: str, second: str) -> float:
    """1 less the edit distance over the length of the longer one, both folded; 1 for two empty texts.

    Of a text longer than 50 000 characters only so many are looked at.
    """
    ours, theirs = folded(first)[:MAX_CHARACTERS], folded(second)[:MAX_CHARACTERS]
    longest = max(len(ours), len(theirs))
    return 1.0 - edit_distance(ours, theirs) / longest if longest else 1.0


def error_count(truth: str, read: str) -> ErrorCount:
    """The characters to change to make what was read into the truth, both folded.

    Of a text longer than 50 000 characters only so many are looked at.
    """
    wanted = folded(truth)[:MAX_CHARACTERS]
    return ErrorCount(edit_distance(wanted, folded(read)[:MAX_CHARACTERS]), len(wanted))


def words_of(text: str) -> Iterator[re.Match[str]]:
    """The words, each with its place; in Chinese and Japanese each character is one."""
    return _WORD.finditer(text)


def word_difference(first: Sequence[str], second: Sequence[str]) -> tuple[Run, ...]:
    """The way from the first words to the second with the fewest removed and added: by a longest common subsequence.

    What is removed stands before what is added in its place. For at most 4 000 words each; raises ValueError for more.
    """
    if max(len(first), len(second)) > MAX_WORDS:
        raise ValueError(f"more than {MAX_WORDS} words")
    runs: list[Run] = []
    places = (0, 0)
    for kept, steps in groupby(_steps(first, second), key=lambda step: step is Change.SAME):
        counted = list(steps)
        removed = counted.count(Change.REMOVED)
        for change, ours, theirs in (
            [(Change.SAME, len(counted), len(counted))]
            if kept
            else [(Change.REMOVED, removed, 0), (Change.ADDED, 0, len(counted) - removed)]
        ):
            ends = (places[0] + ours, places[1] + theirs)
            words = first[places[0] : ends[0]] if ours else second[places[1] : ends[1]]
            if words:
                runs.append(Run(change, tuple(words), (places[0], ends[0]), (places[1], ends[1])))
            places = ends
    return tuple(runs)


def _steps(first: Sequence[str], second: Sequence[str]) -> list[Change]:
    """A step a word. Bit i of row j is 0 where the longest common subsequence of first[:i + 1] and second[:j] is longer
    than that of first[:i]: H. Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    whole = (1 << len(first)) - 1
    rows = [whole]
    for word in second:
        row, equal = rows[-1], places.get(word, 0)
        hit = row & equal
        rows.append(((row + hit) | (row - hit)) & whole)
    steps: list[Change] = []
    i, j = len(first), len(second)
    while i and j:
        bit = 1 << (i - 1)
        if rows[j] & bit:  # first[i - 1] adds nothing to the subsequence
            steps.append(Change.REMOVED)
            i -= 1
        elif not rows[j - 1] & bit:  # nor does second[j - 1]
            steps.append(Change.ADDED)
            j -= 1
        else:
            steps.append(Change.SAME)
            i, j = i - 1, j - 1
    steps += [Change.REMOVED] * i + [Change.ADDED] * j
    return steps[::-1]
