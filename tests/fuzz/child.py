"""The process that changes files and has them read, until it is told to end, dies, or is killed."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random

from tests.fuzz.blackboard import Blackboard, Work
from tests.fuzz.coverage import LineCoverage
from tests.fuzz.mutations import MAX_BYTES, Mutator
from tests.fuzz.seeds import MAX_SEED_BYTES, seeds_of

_REPORT_EVERY_S = 0.5
_MOST_IN_POOL = 600
_NICENESS = 10
"""Several children at a time leave the machine to whatever else runs there."""
_TRACED_SHARE = 8
"""One file in so many is read with the lines counted, which makes it several times slower."""

Target = Callable[[bytes], str]


class Fuzzing:
    """One decoder's files, from one execution on. The pool grows by files that did something new."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        module, _, name = arguments.target.partition(":")
        self._target: Target = getattr(importlib.import_module(module), name)
        self._seed: int = arguments.seed
        self._decoder: str = arguments.decoder
        self._findings = Path(arguments.findings)
        self._pool_folder = Path(arguments.pool)
        self._board = Blackboard(Path(arguments.board))
        self._coverage = LineCoverage()
        self._outcomes: set[str] = set()
        self._unsaid: Counter[str] = Counter()
        self._known: set[str] = set()
        self._executed = 0
        grown = (path.read_bytes() for path in sorted(self._pool_folder.iterdir()))
        self._pool = [*seeds_of(self._decoder), *grown]
        self._seeds = len(seeds_of(self._decoder))

    def run(self, first: int, executions: int | None) -> None:
        """Reads the seeds as they are when it begins at 0, then changed files, and reports as it goes."""
        reported = time.monotonic()
        for number in count(first):
            if executions is not None and number >= executions:
                break
            content = self._file(number)
            self._board.write(Work(number, time.monotonic_ns(), time.process_time_ns(), content))
            self._read(content, traced=number < self._seeds or number % _TRACED_SHARE == 0)
            if time.monotonic() - reported > _REPORT_EVERY_S:
                self._report()
                reported = time.monotonic()
        self._report()

    def _file(self, number: int) -> bytes:
        if number < self._seeds:
            return self._pool[number][:MAX_BYTES]
        # Each file by its own number: after a crash the next ones are what they would have been.
        random = Random(f"{self._seed}:{self._decoder}:{number}")
        return Mutator(self._decoder, random).changed(self._pool)

    def _read(self, content: bytes, *, traced: bool) -> None:
        lines = self._coverage.lines
        try:
            if traced:
                with self._coverage.watching():
                    outcome = self._target(content)
            else:
                outcome = self._target(content)
        except MemoryError:
            outcome = self._found("memory", "MemoryError", content)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            outcome = self._found("unexpected", f"{where}: {str(error)[:150]}", content, key=where)
        self._executed += 1
        is_new = outcome not in self._outcomes
        self._outcomes.add(outcome)
        self._unsaid[outcome] += 1
        if is_new or self._coverage.lines > lines:
            self._keep(content)

    def _found(self, kind: str, detail: str, content: bytes, *, key: str = "") -> str:
        name = f"{kind}: {key or detail}"
        if name not in self._known:
            self._known.add(name)
            path = self._findings / f"{self._decoder}-{kind}-{hashlib.sha256(content).hexdigest()[:12]}"
            path.write_bytes(content)
            self._say({"kind": kind, "detail": detail, "path": str(path), "bytes": len(content)})
        return name

    def _keep(self, content: bytes) -> None:
        if len(content) > MAX_SEED_BYTES or len(self._pool) >= _MOST_IN_POOL:
            return
        self._pool.append(content)
        (self._pool_folder / f"{len(self._pool):06d}").write_bytes(content)

    def _report(self) -> None:
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        self._say(
            {
                "kind": "progress",
                "executed": self._executed,
                "outcomes": dict(self._unsaid),
                "peak_rss_mb": peak_mb,
                "lines": self._coverage.lines,
                "pool": len(self._pool),
            }
        )
        self._executed = 0
        self._unsaid.clear()

    def _say(self, message: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Runs one decoder's fuzzing as its parent says."""
    parser = argparse.ArgumentParser()
    for name in ("decoder", "target", "findings", "pool", "board"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("seed", "first", "memory-mb"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--executions", type=int)
    arguments = parser.parse_args()
    os.nice(_NICENESS)
    fuzzing = Fuzzing(arguments)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = arguments.memory_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    fuzzing.run(arguments.first, arguments.executions)


if __name__ == "__main__":
    main()
