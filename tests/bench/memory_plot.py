"""Resident memory over a run, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def plot_memory(file: Path, title: str, times_s: Sequence[float], rss_mb: Mapping[str, Sequence[float]]) -> None:
    """Writes an SVG with a line for each name; equal samples make an equal file."""
    figure = Figure(figsize=(8.0, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, values in rss_mb.items():
        axes.plot(times_s, values, label=name, linewidth=1.2)
    axes.set(title=title, xlabel="seconds", ylabel="resident memory, MB", xlim=(0, max(times_s)), ylim=(0, None))
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "ocrmux", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
