"""``python -m tests.bench [NAME …]``: runs the benchmarks and prints their tables."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import (
    added_latency,
    against_recipe,
    cached_pages,
    cold_start,
    engine_pages,
    exact_quota,
    fair_turns,
    faulty_provider,
    gateway_answers,
    long_documents,
    missed_calls,
    normalize_speed,
    scan_run,
    stream_memory,
)

BENCHMARKS: dict[str, Callable[[Path], list[str]]] = {
    "engine": engine_pages.run,
    "cached": cached_pages.run,
    "answers": gateway_answers.run,
    "misses": missed_calls.run,
    "latency": added_latency.run,
    "start": cold_start.run,
    "quota": exact_quota.run,
    "faults": faulty_provider.run,
    "fairness": fair_turns.run,
    "memory": stream_memory.run,
    "recipe": against_recipe.run,
    "normalize": normalize_speed.run,
    "scans": scan_run.run,
    "documents": long_documents.run,
}


def main(names: list[str]) -> int:
    """Runs those named, or all."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"no benchmark is named {', '.join(unknown)}; known are {', '.join(BENCHMARKS)}\n")
        return 2
    print(f"Python {platform.python_version()}, {platform.machine()}. Ratios are of one run; single figures are noisy.")
    for name in names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="ocrmux-bench-") as folder:
            print("\n" + "\n".join(BENCHMARKS[name](Path(folder))), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
