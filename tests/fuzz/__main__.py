"""``python -m tests.fuzz``: fuzzes the decoders and prints what came of it.

Status 1 where something was found that the service's workers would not contain: an exception that no decoder may raise,
or memory beyond the limit. A crash, a hang or a want of memory costs one file there, and is told apart from these.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from tests.fuzz.campaign import CONTAINED, Plan, Tally, fuzz
from tests.fuzz.seeds import DECODERS

_SHOWN_OUTCOMES = 12
_FOUND = (*CONTAINED, "unexpected", "unbounded")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzzes the preprocess service's decoders."
    )
    parser.add_argument("--decoder", default="all", help=f"all, or some of {','.join(DECODERS)}")
    parser.add_argument("--minutes", type=float, default=1.0, help="of each decoder")
    parser.add_argument("--jobs", type=int, default=2, help="decoders that are fuzzed at one time; 9 are all of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--executions", type=int, help="end after so many of each decoder")
    parser.add_argument("--hang-s", type=float, default=10.0, help="a file that takes more processor time hangs")
    parser.add_argument("--memory-mb", type=int, default=1500, help="the most that a child may take")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"), help="where files are kept that did harm")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> list[Tally]:
    decoders = DECODERS if arguments.decoder == "all" else tuple(arguments.decoder.split(","))
    unknown = set(decoders) - set(DECODERS)
    if unknown:
        raise SystemExit(f"no decoder {', '.join(sorted(unknown))}; there are {', '.join(DECODERS)}")
    plan = Plan(
        time_s=arguments.minutes * 60,
        findings=arguments.findings,
        seed=arguments.seed,
        executions=arguments.executions,
        hang_s=arguments.hang_s,
        memory_mb=arguments.memory_mb,
    )
    places = asyncio.Semaphore(arguments.jobs)

    async def one(decoder: str) -> Tally:
        async with places:
            tally = await fuzz(decoder, plan)
        _show(tally)
        return tally

    return list(await asyncio.gather(*(one(decoder) for decoder in decoders)))


def _show(tally: Tally) -> None:
    rate = tally.executed / tally.time_s if tally.time_s else 0.0
    counts = ", ".join(f"{tally.count(kind)} {kind}" for kind in _FOUND)
    print(
        f"{tally.decoder}: {tally.executed} executions in {tally.time_s:.0f} s ({rate:.0f}/s), "
        f"{len(tally.outcomes)} outcomes, {tally.lines} lines, pool {tally.pool}, "
        f"peak {tally.peak_rss_mb:.0f} MB; {counts}"
    )
    kinds: Counter[str] = Counter()
    for outcome, times in tally.outcomes.items():
        kinds[outcome.partition(":")[0]] += times
    print("   " + ", ".join(f"{kind} {times}" for kind, times in kinds.most_common(_SHOWN_OUTCOMES)))
    for finding in tally.findings:
        whose = "contained by the worker" if finding.is_contained else "OURS"
        print(f"   {whose}: {finding.kind}: {finding.detail}  {finding.path}")
    sys.stdout.flush()


def main() -> None:
    """Fuzzes as the options say."""
    arguments = _arguments()
    tallies = asyncio.run(_run(arguments))
    if arguments.json:
        arguments.json.write_text(json.dumps([tally.record() for tally in tallies], indent=1, ensure_ascii=False))
    if any(tally.faults for tally in tallies):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
