"""A trial: pages x what is done to them x engines, in worker processes of one thread each."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from tests.quality import corpus, real_images
from tests.quality.error_rate import character_error_rate
from tests.quality.reading import KeptReadings
from tests.quality.subjects import PreparedPage, prepared


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried. ``kept`` is the folder for readings; ``images`` that of the real images, None without."""

    kinds: Sequence[str]
    pages: int
    engines: Sequence[str]
    subjects: Sequence[str]
    overrides: Mapping[str, str]
    seed: int
    kept: Path
    images: Path | None


@dataclass(frozen=True, slots=True)
class Score:
    """One page, prepared one way, read by one engine. ``rate`` is the character error rate, 1 for 100 %.

    ``prepare_ms`` is what the preparation took, ``account`` what it says it did, or why it failed: the engine then
    reads nothing, and the rate is 1.
    """

    kind: str
    page: str
    engine: str
    subject: str
    rate: float
    prepare_ms: float
    account: str
    truth: str = field(repr=False)
    read: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Case:
    kind: str
    page: str
    content: bytes = field(repr=False)
    text: str = field(repr=False)


def run(plan: Plan, workers: int) -> Iterator[Score]:
    """The scores of all pages, as they are ready: page by page, in no order of classes."""
    context = multiprocessing.get_context("spawn")
    jobs: list[tuple[str, int | str]] = [(kind, number) for number in range(plan.pages) for kind in plan.kinds]
    jobs += [(real_images.CLASS, image.name) for image in real_images.real_images(plan.images)]
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(plan,)) as pool:
        for scores in pool.map(_scores, jobs):
            yield from scores


class _Worker:
    """What a worker process keeps between pages."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.engines = {name: KeptReadings(name, plan.kept) for name in plan.engines}


_worker: list[_Worker] = []


def _begin(plan: Plan) -> None:
    cv2.setNumThreads(1)
    _worker.append(_Worker(plan))


def _scores(job: tuple[str, int | str]) -> list[Score]:
    plan, case = _worker[0].plan, _case(job, _worker[0].plan)
    return [_score(case, engine, subject) for engine in plan.engines for subject in plan.subjects]


def _case(job: tuple[str, int | str], plan: Plan) -> _Case:
    kind, name = job
    if isinstance(name, int):
        page = corpus.make_page(kind, name, plan.seed)
        return _Case(kind, str(name), page.content, page.text)
    image = next(image for image in real_images.real_images(plan.images) if image.name == name)
    return _Case(kind, name, image.content, image.text)


def _score(case: _Case, engine: str, subject: str) -> Score:
    began = time.perf_counter()
    failure = ""
    page = PreparedPage(b"")
    try:
        page = prepared(subject, case.content, engine, _worker[0].plan.overrides)
    except Exception as error:  # whatever a profile under trial does, the other figures are wanted
        failure = f"{type(error).__name__}: {error}"
    took_ms = (time.perf_counter() - began) * 1e3
    read = "" if failure else "\n".join(line.text for line in _worker[0].engines[engine].read(page.content))
    rate = character_error_rate(case.text, read)
    account = failure or page.account
    return Score(case.kind, case.page, engine, subject, rate, took_ms, account, case.text, read)
