"""docs/load.md, written from the figures of one run."""

from __future__ import annotations

import os
import platform
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.process_watch import ProcessWatch
from tests.load.ghz_run import PAGES, GhzResult
from tests.load.load_rig import LATENCY_S, QUOTA_PER_S

TEMPLATE = Path(__file__).with_name("load_page.md")
_LINE = 125
_FULL = 0.85
"""The share of what it has from which a process, or the machine, counts as the limit."""


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """One of ghz's runs: its figures, who used the processors, and what the provider counted."""

    result: GhzResult
    watch: ProcessWatch
    provider_calls: int


def load_page(runs: Sequence[WatchedRun], bench: Mapping[str, Any], bench_watch: ProcessWatch) -> str:
    """The whole page."""
    busiest = max(runs, key=lambda run: run.result.items_per_s)
    values = {
        "machine": _machine(),
        "quota": QUOTA_PER_S,
        "latency_ms": round(LATENCY_S * 1000),
        "pages": PAGES,
        "runs": "\n".join(map(_row, runs)),
        "verdict": _verdict(busiest),
        "cpu": "\n".join(_cpu_row(name, busiest, bench_watch) for name in busiest.watch.uses),
        "busiest": busiest.result.name,
        "bench_head": _bench_head(bench),
        "bench_rows": _bench_rows(bench),
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        page = page.replace(f"{{{name}}}", str(value))
    return "\n".join(_lines(page)) + "\n"


def _lines(page: str) -> Iterator[str]:
    """Paragraphs that hold figures are broken anew; tables and commands stay as they are."""
    for line in page.splitlines():
        if len(line) <= _LINE or line.startswith(("|", " ", "!")):
            yield line
        else:
            yield from textwrap.wrap(line, _LINE, break_long_words=False, break_on_hyphens=False)


def _machine() -> str:
    gigabytes = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {gigabytes:.0f} GiB and Python {platform.python_version()}, "
        "shared with other work; the drivers, the provider and both services run on it"
    )


def _row(run: WatchedRun) -> str:
    result = run.result
    kind = f"`StreamRecognize`, {PAGES} images a stream" if result.items_a_call > 1 else "`Recognize`"
    return (
        f"| {kind} | {result.concurrency} | {result.calls} | {result.calls * result.items_a_call} "
        f"| {result.items_per_s:.1f} | {result.p50_ms:.0f} | {result.p95_ms:.0f} | {result.p99_ms:.0f} "
        f"| {result.errors} | {run.provider_calls} |"
    )


def _cpu_row(name: str, busiest: WatchedRun, bench_watch: ProcessWatch) -> str:
    items = busiest.result.calls * busiest.result.items_a_call
    share, ms = busiest.watch.cpu_share(name), busiest.watch.cpu_ms(name, items)
    return f"| {name} | {100 * share:.0f} % | {ms:.1f} | {100 * bench_watch.cpu_share(name):.0f} % |"


def _verdict(run: WatchedRun) -> str:
    """What limits, in two or three sentences."""
    watch, cores = run.watch, os.cpu_count() or 1
    shares = {name: watch.cpu_share(name) for name in watch.uses}
    most = max(shares, key=lambda name: shares[name])
    used = sum(shares.values())
    items = run.result.calls * run.result.items_a_call
    told = f"At most {run.result.items_per_s:.0f} images a second were read (`{run.result.name}`). "
    if (used + watch.others_share) / cores >= _FULL:
        told += (
            f"The processors are the limit: of {cores} cores {used:.1f} were used by these processes and "
            f"{watch.others_share:.1f} by others. "
        )
    elif shares[most] >= _FULL:
        told += f"The limit is the {most}, which fills a core by itself. "
    else:
        told += f"No process fills a core ({used:.1f} of {cores} are used): latency and windows are the limit. "
    return told + (
        f"Most goes to the {most}: {watch.cpu_ms(most, items):.1f} ms of processor time an image, of "
        f"{used * watch.seconds * 1000 / items:.1f} ms in all."
    )


def _bench_head(bench: Mapping[str, Any]) -> str:
    rates, items, order = bench["rates_per_s"], bench["items"], bench["order"]
    return (
        f"The maximum was {rates['maximum']:.1f} images a second, so the load {rates['wanted']:.1f}, for "
        f"{order['duration_s']:g} s after {order['warm_up_s']:g} s over {order['streams']} streams: "
        f"{items['arrivals']} due, {items['answered']} answered ({rates['answered']:.1f} a second), {items['failed']} "
        f"failed; the driver itself was late by {bench['driver_late_ms']['p99']:.1f} ms (p99)."
    )


def _bench_rows(bench: Mapping[str, Any]) -> str:
    names = {
        "response, from when it was due": bench["response_ms"],
        "service, from when it was sent": bench["service_ms"],
        **{f"– {part.replace('_', ' ')}": figures for part, figures in bench["parts_ms"].items()},
    }
    percentiles = ("p50", "p90", "p95", "p99", "p99.9", "max")
    return "\n".join(
        f"| {name} | " + " | ".join(f"{figures[percentile]:.1f}" for percentile in percentiles) + " |"
        for name, figures in names.items()
    )
