"""The figures in docs/clients.md, and their plot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tests.clients.memory.long_stream import CONCURRENCY, ITEM_BYTES, LongStream

PAGE = Path("docs/clients.md")
PLOT = Path("docs/images/client_memory.png")
_BEGIN, _END = "<!-- memory: begin -->", "<!-- memory: end -->"


def with_figures(text: str, streams: Sequence[LongStream]) -> str:
    """The page with the figures between its marks. Raises ValueError for one without marks."""
    figures = "\n".join([_BEGIN, "", *_lines(streams), "", _END])
    changed, places = re.subn(f"{_BEGIN}.*{_END}", lambda _: figures, text, flags=re.DOTALL)
    if places != 1:
        raise ValueError(f"{PAGE} has no place for the figures")
    return changed


def draw(streams: Sequence[LongStream], file: Path) -> None:
    """Resident memory over time, a line for each language."""
    figure = Figure(figsize=(8.0, 3.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    for stream in streams:
        times, values = zip(*stream.samples, strict=True)
        axes.plot(times, values, label=stream.language, linewidth=1.2)
    axes.set(xlabel="seconds", ylabel="resident memory, MB", xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="png")


def _lines(streams: Sequence[LongStream]) -> list[str]:
    heap = [("none told" if each.heap_peak_mb is None else f"{each.heap_peak_mb:.0f}") for each in streams]
    rows = [
        f"| {each.language} | {each.items} | {each.seconds:.0f} | {each.early_mb:.0f} | {each.late_mb:.0f} "
        f"| {each.peak_mb:.0f} | {told} |"
        for each, told in zip(streams, heap, strict=True)
    ]
    window_mb = CONCURRENCY * ITEM_BYTES / 1e6
    return [
        f"Items of {ITEM_BYTES / 1e6:.2f} MB, {CONCURRENCY} on their way (so {window_mb:.1f} MB), before a live pair.",
        "The provider answers at once; the client's process alone, the time with its start. Java with `-Xmx96m`.",
        "",
        "| client | items | seconds | RSS after a tenth, MB | at the end | peak | heap peak, MB |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"![Resident memory of each client over its run](images/{PLOT.name})",
    ]
