"""Which way up a page stands, by what can be read on it; and coordinates between a page and its turned copy.

A turn is a number of quarters, counter-clockwise, as in ``numpy.rot90``. Only whole pages are turned: engines that turn
single lines turn good ones over.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Lines that are looked at to choose between two turns: one batch of the recogniser.
SAMPLE_LINES = 6
# Share of the text's length that must run from top to bottom before a quarter turn is thought of.
_TALL_SHARE = 0.6
# Evidence (see below) of a level page: clean, noisy and photographed pages the right way up lie above it, pages upside
# down below 0.75.
_DOUBTFUL = 0.8
# How much better another way up must read.
_CLEARLY = 0.15
# Characters that a line holds at the least for each of its heights; proper readings have 0.7 and more.
_CHARACTERS_A_HEIGHT = 0.45


def evidence(text: str, confidence: float, aspect: float) -> float:
    """How well a line of ``aspect`` (length over height) was read, 0..1: its confidence, less where most of the line
    gave no character, which is what a line upside down looks like.
    """
    characters = sum(not c.isspace() for c in text)
    return confidence * min(1.0, characters / max(1.0, _CHARACTERS_A_HEIGHT * aspect))


def mean_evidence(figures: Sequence[float], aspects: Sequence[float]) -> float:
    """The mean over lines, weighted by their length; 1 without lines."""
    if not figures:
        return 1.0
    return float(np.average(figures, weights=np.clip(aspects, 1.0, 40.0)))


def is_sideways(sideways: Sequence[bool], lengths: Sequence[float]) -> bool:
    """Whether most of the text on a page runs from top to bottom."""
    total = sum(lengths)
    tall = sum(length for turned, length in zip(sideways, lengths, strict=True) if turned)
    return total > 0 and tall / total >= _TALL_SHARE


def is_doubtful(read: float) -> bool:
    """Whether a page reads so badly that it may stand upside down."""
    return read < _DOUBTFUL


def is_clearly_better(other: float, read: float) -> bool:
    """Whether the other way up wins."""
    return other >= read + _CLEARLY


def to_given(points: NDArray[np.float64], turn: int, width: int, height: int) -> NDArray[np.float64]:
    """Points (n x 2, pixels) of the page turned by ``turn`` quarters on the page as it was given, of ``width`` x
    ``height`` pixels.
    """
    x, y = points[:, 0], points[:, 1]
    match turn % 4:
        case 1:
            return np.stack([width - y, x], axis=1)
        case 2:
            return np.stack([width - x, height - y], axis=1)
        case 3:
            return np.stack([y, height - x], axis=1)
        case _:
            return points


def to_turned(points: NDArray[np.float64], turn: int, width: int, height: int) -> NDArray[np.float64]:
    """The other way round: points of the page as it was given, of ``width`` x ``height`` pixels, on its turned copy."""
    if turn % 2:
        width, height = height, width
    return to_given(points, -turn, width, height)
