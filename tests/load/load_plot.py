"""Latency by concurrency, and the response times of the open loop, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.load.ghz_run import PAGES, GhzResult

_KINDS = {"unary": ("Recognize, a call", "#2471a3"), "bidi": (f"StreamRecognize, a stream of {PAGES}", "#c0392b")}


def plot_load(file: Path, results: Sequence[GhzResult], bench: dict[str, Any]) -> None:
    """Writes an SVG; equal figures make an equal file."""
    figure = Figure(figsize=(10.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _by_concurrency(left, results)
    _open_loop(right, bench)
    file.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "ocrmux", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})


def _by_concurrency(axes: Axes, results: Sequence[GhzResult]) -> None:
    for kind, (label, colour) in _KINDS.items():
        of_kind = [each for each in results if each.name.startswith(kind)]
        at = [each.concurrency for each in of_kind]
        for value, style in (("p50_ms", "-"), ("p95_ms", "--"), ("p99_ms", ":")):
            heights = [getattr(each, value) for each in of_kind]
            axes.plot(at, heights, style, color=colour, marker="o", markersize=4, linewidth=1.3)
        axes.plot([], [], color=colour, label=label)
    for name, style in (("p50", "-"), ("p95", "--"), ("p99", ":")):
        axes.plot([], [], style, color="#555", label=name)
    axes.set(title="ghz, closed loop", xlabel="callers or streams at once", ylabel="ms", xscale="log", yscale="log")
    axes.set_xticks([1, 8, 64], labels=["1", "8", "64"])
    axes.minorticks_off()
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=8)


def _open_loop(axes: Axes, bench: dict[str, Any]) -> None:
    buckets = bench["histograms_us"]["response"]
    values, counts = [at / 1000 for at, _ in buckets], [count for _, count in buckets]
    axes.hist(values, bins=40, weights=counts, color="#2471a3", alpha=0.8)
    for name, style in (("p50", "-"), ("p95", "--"), ("p99", ":")):
        value = bench["response_ms"][name]
        axes.axvline(value, linestyle=style, color="#c0392b", linewidth=1.2, label=f"{name}: {value:.0f} ms")
    rate = bench["rates_per_s"]["wanted"]
    axes.set(
        title=f"ocrmux bench, open loop, {rate:.0f} items/s",
        xlabel="response time from when an item was due, ms",
        ylabel="items",
    )
    axes.legend(framealpha=1.0, edgecolor="none", fontsize=8)
