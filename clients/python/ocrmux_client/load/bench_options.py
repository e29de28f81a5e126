"""Arguments and options that ``ocrmux bench`` has for itself."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from ocrmux_client.cli_options import FLAG, OUTPUT, RUNNING
from ocrmux_client.load.arrivals import Spacing

LOAD = "The load"


class BenchCache(enum.Enum):
    """Whether the cache may answer."""

    BYPASS = "bypass"
    USE = "use"


Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH", help="Files, folders or globs, sent by turns. Without any, small pages are drawn."),
]
RateText = Annotated[
    str,
    typer.Option(
        "--rate",
        metavar="N|N%|max",
        help="Items a second; or a share of the most that is answered, which is measured first; or max: as fast as "
        "items are answered, a closed loop.",
        rich_help_panel=LOAD,
    ),
]
Arrivals = Annotated[
    Spacing,
    typer.Option("--arrivals", help="At equal intervals, or at random at the same mean rate.", rich_help_panel=LOAD),
]
Duration = Annotated[
    float, typer.Option(metavar="SECONDS", min=0.1, max=86_400, help="That are measured.", rich_help_panel=LOAD)
]
WarmUp = Annotated[
    float, typer.Option("--warmup", metavar="SECONDS", min=0, max=3600, help="Before that.", rich_help_panel=LOAD)
]
Drain = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0,
        max=3600,
        help="After that, for what still waits; then it counts as failed.",
        rich_help_panel=LOAD,
    ),
]
Streams = Annotated[
    int, typer.Option(metavar="N", min=1, max=1000, help="Streams, a connection each.", rich_help_panel=LOAD)
]
Window = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=1,
        max=10_000,
        help="Items in flight on a stream at most. One that finds no room waits, and its time runs.",
        rich_help_panel=LOAD,
    ),
]
Cache = Annotated[
    BenchCache,
    typer.Option(
        help="bypass: every item is read by the provider, and billed. use: what was read before comes from the cache.",
        rich_help_panel=LOAD,
    ),
]
Distinct = Annotated[
    int,
    typer.Option(
        "--images", metavar="N", min=1, max=10_000, help="Distinct pages that are drawn.", rich_help_panel=LOAD
    ),
]
Unique = Annotated[
    bool,
    typer.Option(
        "--unique",
        metavar=FLAG,
        help="Every item is a file that was never sent before, so that the cache does not know it.",
        rich_help_panel=LOAD,
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of random arrivals.", rich_help_panel=LOAD)]
ReportFile = Annotated[
    str,
    typer.Option(
        "--out", metavar="FILE|-", help="Everything as JSON; - instead of the tables.", rich_help_panel=OUTPUT
    ),
]
HistogramFile = Annotated[
    Path | None,
    typer.Option(
        "--histogram",
        metavar="FILE",
        help="Response times as HdrHistogram's plotter reads them (.hgrm).",
        rich_help_panel=OUTPUT,
    ),
]
PlotFile = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE.svg", help="Latency by percentile, drawn.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar=FLAG, help="No progress bar.", rich_help_panel=RUNNING)]
