"""Tables and verdicts out of scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.quality.corpus import CLASSES
from tests.quality.real_images import CLASS as REAL
from tests.quality.subjects import BASELINES, NONE
from tests.quality.trial import Score

SLACK = 0.1
"""Points by which a profile may be worse than nothing where nothing is wrong: what is within noise."""
ENGINE_NAMES = {"rapidocr": "RapidOCR", "tesseract": "Tesseract"}

Means = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal in words, the figure that came out, and whether it is reached."""

    goal: str
    figure: str
    reached: bool


def means(scores: Sequence[Score], engine: str) -> Means:
    """The mean error rate in % by class and subject; that of the groups too: "mild", "hard" and "all", over classes."""
    rates: dict[tuple[str, str], list[float]] = {}
    for score in scores:
        if score.engine == engine:
            rates.setdefault((score.kind, score.subject), []).append(score.rate * 100)
    table = {key: math.fsum(values) / len(values) for key, values in rates.items()}
    for subject in sorted({subject for _, subject in table}):
        for group, members in _groups().items():
            values = [table[kind, subject] for kind in members if (kind, subject) in table]
            if values:
                table[group, subject] = math.fsum(values) / len(values)
    return table


def table_lines(table: Means, engine: str, subjects: Sequence[str]) -> list[str]:
    """A Markdown table: a row a class and a group, a column a subject, mean error rates in %."""
    name = ENGINE_NAMES[engine]
    lines = [f"| {name} | {' | '.join(subjects)} |", "|---|" + "---:|" * len(subjects)]
    kinds = {kind for kind, _ in table}
    rows = [kind for kind in (*CLASSES, REAL, "mild", "hard", "all") if kind in kinds]
    for kind in rows:
        label = f"**{kind}**" if kind in _groups() else kind
        lines.append(f"| {label} | {' | '.join(f'{table[kind, subject]:.2f}' for subject in subjects)} |")
    return lines


def verdicts(table: Means, engine: str, subject: str) -> list[Verdict]:
    """Whether a profile reaches the goals for the engine. Nothing for the two that are compared with, or where the
    table lacks what is needed.
    """
    if subject in BASELINES or ("all", subject) not in table or ("all", NONE) not in table:
        return []
    if engine == "tesseract":
        ours, raw = table["all", subject], table["all", NONE]
        return [Verdict("at most a quarter of none over all classes", f"{ours:.2f} of {raw:.2f}", ours * 4 <= raw)]
    found = []
    mild = [kind for kind, kind_class in CLASSES.items() if not kind_class.hard and (kind, subject) in table]
    hard = [kind for kind, kind_class in CLASSES.items() if kind_class.hard and (kind, subject) in table]
    if mild:
        worst = max(mild, key=lambda kind: table[kind, subject] - table[kind, NONE])
        more = table[worst, subject] - table[worst, NONE]
        goal = f"within {SLACK} points of none on each mild class"
        found.append(Verdict(goal, f"worst {more:+.2f} ({worst})", more <= SLACK))
    if hard:
        ours, raw = table["hard", subject], table["hard", NONE]
        found.append(Verdict("at most half of none over the hard classes", f"{ours:.2f} of {raw:.2f}", ours * 2 <= raw))
        missed = [k for k in hard if table[k, subject] > max(table[k, NONE] / 2, min(table[k, NONE], SLACK))]
        named = ", ".join(missed) or "none missed"
        found.append(Verdict("at most half of none on each hard class", named, not missed))
    return found


def verdict_lines(found: Sequence[Verdict], subject: str) -> list[str]:
    """A Markdown list of the verdicts."""
    return [
        f"- `{subject}`, {verdict.goal}: **{verdict.figure}**, {'reached' if verdict.reached else 'not reached'}."
        for verdict in found
    ]


def _groups() -> Mapping[str, Sequence[str]]:
    return {
        "mild": [kind for kind, kind_class in CLASSES.items() if not kind_class.hard],
        "hard": [kind for kind, kind_class in CLASSES.items() if kind_class.hard],
        "all": list(CLASSES),
    }
