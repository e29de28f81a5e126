"""The fuzzer sees what it looks for, and a short run of it over every decoder finds nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.campaign import Plan, Tally, fuzz
from tests.fuzz.mutations import MAX_BYTES, Mutator
from tests.fuzz.seeds import DECODERS, seeds_of

_EXECUTIONS = 120
_BROKEN = "tests.fuzz.broken_targets"


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_same_seed_makes_the_same_files(decoder: str) -> None:
    """A run can be repeated: files follow from the seed alone, and most of them are new ones."""
    seeds = seeds_of(decoder)
    first, again = (Mutator(decoder, Random(5)) for _ in range(2))
    files = [first.changed(seeds) for _ in range(100)]
    assert files == [again.changed(seeds) for _ in range(100)]
    assert len(set(files) - set(seeds)) > 60
    assert max(map(len, files)) <= MAX_BYTES


@pytest.mark.parametrize(
    ("target", "kind", "detail"),
    [
        ("ends_the_process", "crash", "status -11"),
        ("never_returns", "hang", "not done after 0.5 s"),
        ("takes_all_memory", "memory", "MemoryError"),
        ("raises_a_bug", "unexpected", "IndexError at broken_targets.py"),
    ],
)
async def test_harm_is_seen_and_its_file_kept(target: str, kind: str, detail: str, tmp_path: Path) -> None:
    """A crash, a hang, a bomb and a bug are each told with the file that did it, and the run goes on behind it."""
    plan = Plan(60, tmp_path, executions=2, hang_s=0.5, target=f"{_BROKEN}:{target}")
    tally = await fuzz("bmp", plan)
    assert {finding.kind for finding in tally.findings} == {kind}
    assert detail in tally.findings[0].detail
    assert bool(tally.faults) == (kind == "unexpected")
    kept = await asyncio.to_thread(Path(tally.findings[0].path).read_bytes)
    assert kept == seeds_of("bmp")[0]
    assert tally.count(kind) == 2 or tally.executed == 2


@pytest.mark.parametrize("decoder", DECODERS)
async def test_a_short_run_finds_nothing(decoder: str, tmp_path: Path) -> None:
    """The seeds and some changed files of each decoder are read or refused, within bounds, by expected errors only."""
    tally: Tally = await fuzz(decoder, Plan(60, tmp_path, executions=_EXECUTIONS))
    assert not tally.findings
    assert tally.executed == _EXECUTIONS
    assert tally.outcomes["read"] > 0
    assert len(tally.outcomes) > 1
