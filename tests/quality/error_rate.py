"""The character error rate: how many characters must be changed to make what was read into what is written."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray


def folded(text: str) -> str:
    """The text as it is compared: compatible forms made one (NFKC: a full-width comma is a comma), white space left
    out, because engines differ in where they put blanks between scripts.
    """
    return "".join(unicodedata.normalize("NFKC", text).split())


def character_error_rate(truth: str, read: str) -> float:
    """The edit distance between the two over the length of the truth, both ``folded``; 1 is 100 %.

    More than 1 where much was read that is not there. Raises ValueError for a truth without characters.
    """
    wanted, got = folded(truth), folded(read)
    if not wanted:
        raise ValueError("there is no text to compare with")
    return edit_distance(wanted, got) / len(wanted)


def edit_distance(first: str, second: str) -> int:
    """Levenshtein's distance: the fewest characters to insert, delete or replace. Exact, O(len x len) in numpy."""
    ours, theirs = _codes(first), _codes(second)
    places = np.arange(len(theirs) + 1)
    row = places
    for number, code in enumerate(ours, start=1):
        replaced = row[:-1] + (theirs != code)
        candidates = np.concatenate([[number], np.minimum(replaced, row[1:] + 1)])
        # An insertion costs one more than the place to its left, so each place takes the least over all to its left.
        row = np.minimum.accumulate(candidates - places) + places
    return int(row[-1])


def _codes(text: str) -> NDArray[np.int64]:
    return np.fromiter(map(ord, text), np.int64, len(text))
