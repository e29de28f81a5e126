"""``python -m tests.quality``: reads the corpus with both engines and tells the error rates of profiles."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.quality import document, figures, pictures, reading, typesetting
from tests.quality.corpus import CLASSES, PAGES_A_CLASS, SEED
from tests.quality.subjects import BASELINES
from tests.quality.trial import Plan, Score, run

_KEPT = Path("build/quality/readings")


def main(arguments: Sequence[str]) -> int:
    """Runs a trial and prints its tables; 2 where something that it needs is not installed."""
    options = _parser().parse_args(arguments)
    engines = options.engine or list(reading.ENGINES)
    missing = typesetting.missing_packages() + (reading.missing_programs() if "tesseract" in engines else [])
    if missing:
        sys.stderr.write(f"the quality corpus needs these Debian packages: {' '.join(missing)}\n")
        return 2
    plan = _plan(options, engines)
    if plan.images is None:
        print("Real images are left out: name their folder by --images or OCRMUX_QUALITY_IMAGES.")
    began = time.perf_counter()
    scores = []
    for score in run(plan, options.workers):
        scores.append(score)
        if options.detail:
            _tell(score)
    lines = _lines(scores, plan)
    print("", *lines, "", sep="\n")
    if options.write:
        _write(scores, plan, lines)
    failed = [score for score in scores if score.account.partition(":")[0].endswith(("Error", "Exception"))]
    if failed:
        print(f"{len(failed)} pages could not be prepared, the first: {failed[0].account}")
    print(f"{len(scores)} readings in {time.perf_counter() - began:.0f} s")
    return 0


def _lines(scores: Sequence[Score], plan: Plan) -> list[str]:
    """The tables and verdicts, as Markdown."""
    lines = [document.facts(plan.engines, plan.seed, plan.pages)]
    for engine in plan.engines:
        table = figures.means(scores, engine)
        lines += ["", *figures.table_lines(table, engine, plan.subjects)]
        found = [
            line
            for subject in plan.subjects
            for line in figures.verdict_lines(figures.verdicts(table, engine, subject), subject)
        ]
        lines += ["", *found] if found else []
    return lines


def _write(scores: Sequence[Score], plan: Plan, lines: Sequence[str]) -> None:
    """Puts the figures and the pictures into the documentation."""
    document.IMAGES.mkdir(parents=True, exist_ok=True)
    document.PAGE.write_text(document.with_figures(document.PAGE.read_text("utf-8"), lines), "utf-8")
    tables = {engine: figures.means(scores, engine) for engine in plan.engines}
    pictures.plot(tables, plan.subjects, document.IMAGES / "quality.svg")
    pictures.contact_sheet(document.IMAGES / "quality_classes.jpg")
    pictures.before_and_after(document.IMAGES / "quality_auto.jpg")


def _tell(score: Score) -> None:
    print(f"{score.kind}/{score.page} {score.engine} {score.subject}: {score.rate * 100:.2f} % {score.account}")
    if score.rate:
        print(f"  truth {score.truth!r}\n  read  {score.read!r}", flush=True)


def _plan(options: argparse.Namespace, engines: Sequence[str]) -> Plan:
    folder = options.images or os.environ.get("OCRMUX_QUALITY_IMAGES")
    return Plan(
        kinds=options.classes or list(CLASSES),
        pages=options.pages,
        engines=engines,
        subjects=options.profile or [*BASELINES, "auto"],
        overrides=dict(override.split("=", 1) for override in options.override),
        seed=options.seed,
        kept=_KEPT,
        images=Path(folder) if folder else None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("--classes", nargs="+", choices=list(CLASSES), help="some classes of the corpus")
    parser.add_argument("--engine", action="append", choices=list(reading.ENGINES), help="one engine; may be repeated")
    parser.add_argument("--profile", action="append", help="none, textbook or a profile; may be repeated")
    parser.add_argument("--override", action="append", default=[], metavar="STEP.PARAMETER=VALUE")
    parser.add_argument("--pages", type=int, default=PAGES_A_CLASS, help="pages a class")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", help="folder of real images with known text")
    parser.add_argument("--detail", action="store_true", help="tell each page: its rate, what was done, and the texts")
    parser.add_argument("--write", action="store_true", help="write the figures and pictures into docs/quality.md")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
