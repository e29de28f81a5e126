"""Arguments and options that several commands of ``ocrmux`` have, and how their texts are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from ocrmux_client.errors import UsageProblem
from ocrmux_client.items import PROFILES, Region

READING, OUTPUT, RUNNING = "What and how to read", "Output", "Running"
FLAG = ""  # what the help shows as a flag's value
_OVERRIDE = re.compile(r"(?P<key>[a-z]+\.[a-z_]+)=(?P<value>.+)")

Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="A file, a folder (recursively), a glob, or - for paths on standard input."),
]
Profile = Annotated[
    str,
    typer.Option(
        metavar="|".join(PROFILES),
        help="How pages are prepared. auto: as they and the engine that reads them need it.",
        rich_help_panel=READING,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="STEP.PARAMETER=VALUE",
        help="Another value for a step of the profile, such as deskew.min_deg=1; repeatable.",
        rich_help_panel=READING,
    ),
]
Password = Annotated[
    str,
    typer.Option(metavar="TEXT", envvar="OCRMUX_PASSWORD", help="Opens encrypted documents.", rich_help_panel=READING),
]
PreprocessTarget = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="A running preprocess service. Without it, the services are started for this run.",
        rich_help_panel=RUNNING,
    ),
]
Concurrency = Annotated[
    int, typer.Option(metavar="N", min=1, max=1024, help="Files on their way at once.", rich_help_panel=RUNNING)
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", metavar=FLAG, help="No progress bar and no summary.", rich_help_panel=RUNNING),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", metavar=FLAG, help="Tell of connections and logs.", rich_help_panel=RUNNING),
]


def parsed_overrides(texts: Sequence[str]) -> dict[str, str]:
    """Values by "step.parameter", of texts STEP.PARAMETER=VALUE; of two for one parameter the later holds.

    Which parameters there are, and which values they take, the service says. Raises UsageProblem.
    """
    overrides: dict[str, str] = {}
    for text in texts:
        match = _OVERRIDE.fullmatch(text.strip())
        if match is None:
            raise UsageProblem(f"--set wants STEP.PARAMETER=VALUE, for example deskew.min_deg=1, not {text!r}")
        overrides[match["key"]] = match["value"].strip()
    return overrides


def parsed_region(text: str) -> Region:
    """The region that ``x,y,w,h`` names. Raises UsageProblem."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        message = f"--region wants four numbers, X,Y,WIDTH,HEIGHT in pixels, for example 10,20,300,40, not {text!r}"
        raise UsageProblem(message) from None
    try:
        return Region(x, y, width, height)
    except ValueError as error:
        raise UsageProblem(f"--region {text}: {error}") from error
