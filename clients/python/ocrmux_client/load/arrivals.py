"""When the items of an open load are due, whatever became of the ones before."""

from __future__ import annotations

import enum
import itertools
import random
from collections.abc import Iterator


class Spacing(enum.Enum):
    """How arrivals follow each other: at equal intervals, or independently of each other at a mean rate."""

    UNIFORM = "uniform"
    POISSON = "poisson"


def arrival_times(spacing: Spacing, rate_per_s: float, ends_s: float, seed: int) -> Iterator[float]:
    """Seconds from the beginning of the run, rising, all below ``ends_s``; a seed always gives the same ones."""
    times = _uniform(rate_per_s) if spacing is Spacing.UNIFORM else _poisson(rate_per_s, random.Random(seed))  # noqa: S311 - no secret
    return itertools.takewhile(lambda at_s: at_s < ends_s, times)


def _uniform(rate_per_s: float) -> Iterator[float]:
    return (number / rate_per_s for number in itertools.count())


def _poisson(rate_per_s: float, draw: random.Random) -> Iterator[float]:
    at_s = 0.0
    while True:
        at_s += draw.expovariate(rate_per_s)
        yield at_s
