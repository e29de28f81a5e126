"""What the benchmarks of the engine have in common: their size, their percentiles, and how a goal is told."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
"""Share of a benchmark's full size; below 1 for a quick look, whose figures are no results."""


def scaled(count: int, least: int = 1) -> int:
    """``count`` at this run's size, ``least`` at the least."""
    return max(least, round(count * SCALE))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share (0..1) of them do not exceed, by nearest rank; nan where there are none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def goal_line(what: str, value: str, goal: str, *, reached: bool) -> str:
    """A line that says what came out and whether that was wanted."""
    verdict = "reached" if reached else "not reached"
    size = "" if SCALE == 1 else f"; at {SCALE:g} of the full size"
    return f"- {what}: **{value}** (goal {goal}: {verdict}{size})"
