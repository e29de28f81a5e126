"""Arguments and options that several commands of ``ocrmux`` have, and how their texts are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ocrmux_client.errors import UsageProblem
from ocrmux_client.exporters import OutputFormat, format_named
from ocrmux_client.items import PROFILES, CacheUse, Feature, IdDocument, Region

READING, OUTPUT, RUNNING = "What and how to read", "Output", "Running"
FLAG = ""  # what the help shows as a flag's value
ChoiceT = TypeVar("ChoiceT", bound=Enum)
_OVERRIDE = re.compile(r"(?P<key>[a-z]+\.[a-z_]+)=(?P<value>.+)")
_OPTION = re.compile(r"(?:(?P<provider>[A-Za-z0-9_.-]+):)?(?P<name>[^=:\s]+)=(?P<value>.*)", re.DOTALL)


def _parsed_feature(value: str | Feature) -> Feature:
    return _choice(Feature, value, "feature")


def _parsed_document(value: str | IdDocument) -> IdDocument:
    return _choice(IdDocument, value, "identity document")


def _parsed_format(value: str | OutputFormat) -> OutputFormat:
    try:
        return value if isinstance(value, OutputFormat) else format_named(value)
    except UsageProblem as problem:
        raise typer.BadParameter(str(problem)) from None


def _choice(kind: type[ChoiceT], value: str | ChoiceT, noun: str) -> ChoiceT:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(known.value) for known in kind)
        raise typer.BadParameter(f"{value!r} is no {noun}; there are {known}") from None


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
ReadFeature = Annotated[
    Feature,
    typer.Option(
        metavar="|".join(known.value for known in Feature),
        parser=_parsed_feature,
        show_default=False,
        help="What to read; text if not said.",
        rich_help_panel=READING,
    ),
]
Document = Annotated[
    IdDocument | None,
    typer.Option(
        metavar="|".join(known.value for known in IdDocument),
        parser=_parsed_document,
        help="Which identity document it is, with --feature id. Else the provider finds out where it can.",
        rich_help_panel=READING,
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LANG", help="Languages to expect (BCP 47), repeated or parted by commas.", rich_help_panel=READING
    ),
]
OneProvider = Annotated[
    str, typer.Option(metavar="NAME", help="Who reads; see `ocrmux providers`.", rich_help_panel=READING)
]
FittingProvider = Annotated[
    str, typer.Option(metavar="NAME", help="Fit for this provider; see `ocrmux providers`.", rich_help_panel=READING)
]
ComparedProviders = Annotated[
    list[str],
    typer.Option(metavar="NAME,NAME…", help="Who reads, two or more; see `ocrmux providers`.", rich_help_panel=READING),
]
RouteName = Annotated[
    str, typer.Option(metavar="NAME", help="The route of providers to take.", rich_help_panel=READING)
]
ProviderOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="An option of the provider by its own name, such as those in docs/providers.md; repeatable.",
        rich_help_panel=READING,
    ),
]
ComparedOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="[PROVIDER:]NAME=VALUE",
        help="An option of one provider, or of all, by its own name; repeatable.",
        rich_help_panel=READING,
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="X,Y,W,H", help="Read only here, pixels; repeatable.", rich_help_panel=READING),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", metavar=FLAG, help="Neither use nor fill the cache.", rich_help_panel=READING)
]
Refresh = Annotated[
    bool,
    typer.Option("--refresh", metavar=FLAG, help="Read anew and keep the new results.", rich_help_panel=READING),
]
Timeout = Annotated[
    float | None, typer.Option(metavar="SECONDS", min=0.001, help="Seconds for one item.", rich_help_panel=READING)
]
Out = Annotated[str, typer.Option(metavar="FILE|-", help="Where results go.", rich_help_panel=OUTPUT)]
PagesFolder = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Each normalised page is written here.", rich_help_panel=OUTPUT)
]
Format = Annotated[
    OutputFormat | None,
    typer.Option(
        "--format",
        metavar="|".join(known.value for known in OutputFormat),
        parser=_parsed_format,
        help="Default: by the suffix of --out, else jsonl.",
        rich_help_panel=OUTPUT,
    ),
]
Annotate = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write each page with its boxes drawn here.", rich_help_panel=OUTPUT),
]
Raw = Annotated[
    bool,
    typer.Option(
        "--raw",
        metavar=FLAG,
        help="The provider's own answer too, as `raw_response` of JSONL records.",
        rich_help_panel=OUTPUT,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", metavar=FLAG, help="Skip what the JSONL file --out already holds.", rich_help_panel=OUTPUT
    ),
]
Ordered = Annotated[
    bool,
    typer.Option(
        "--ordered/--unordered",
        metavar=FLAG,
        help="In the order of the sources, or as ready.",
        rich_help_panel=OUTPUT,
    ),
]
BeforeAndAfter = Annotated[
    bool,
    typer.Option("--compare", metavar=FLAG, help="Also write source and result side by side.", rich_help_panel=OUTPUT),
]
Truth = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where the true texts are, NAME.txt for NAME.png. Without it, beside the images.",
        rich_help_panel=READING,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="One HTML file with pictures, boxes and texts side by side.", rich_help_panel=OUTPUT
    ),
]
HtmlPages = Annotated[
    int,
    typer.Option(metavar="N", min=1, max=2000, help="Pages in it, those that differ most.", rich_help_panel=OUTPUT),
]
ComparisonJson = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE|-", help="Everything for programs; - instead of the tables.", rich_help_panel=OUTPUT
    ),
]
InTurn = Annotated[
    bool,
    typer.Option(
        "--in-turn",
        metavar=FLAG,
        help="One page in work at a time, so that engines on one machine do not slow each other.",
        rich_help_panel=RUNNING,
    ),
]
DigestFirst = Annotated[
    bool,
    typer.Option(
        "--digest-first", metavar=FLAG, help="Ask the cache by hash before sending a file.", rich_help_panel=RUNNING
    ),
]
PreprocessTarget = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="A running preprocess service. Without it, the services are started for this run.",
        rich_help_panel=RUNNING,
    ),
]
OverTls = Annotated[
    bool,
    typer.Option("--tls", metavar=FLAG, help="TLS with the system's roots, to --target.", rich_help_panel=RUNNING),
]
CaFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TLS with the roots in this PEM file, to --target.", rich_help_panel=RUNNING),
]
CertFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="PEM: this caller's certificate, for mutual TLS.", rich_help_panel=RUNNING),
]
KeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="PEM: the key of --cert-file.", rich_help_panel=RUNNING)
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The token that --target wants; else it is the environment's OCRMUX_TOKEN.",
        rich_help_panel=RUNNING,
    ),
]
Tenant = Annotated[
    str, typer.Option(metavar="NAME", help="Whose items these are, for turns and budgets.", rich_help_panel=RUNNING)
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


def cache_use(*, no_cache: bool, refresh: bool) -> CacheUse:
    """What two flags say of the cache. Raises UsageProblem for both at once."""
    if no_cache and refresh:
        raise UsageProblem("--no-cache and --refresh exclude each other")
    return CacheUse.BYPASS if no_cache else CacheUse.REFRESH if refresh else CacheUse.USE


def listed(texts: Sequence[str] | None) -> tuple[str, ...]:
    """The names in texts that are repeated or parted by commas, each once."""
    names = (name.strip() for text in texts or () for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def parsed_options(texts: Sequence[str]) -> dict[str, str]:
    """Values by name, of texts NAME=VALUE; of two for one name the later holds. Raises UsageProblem."""
    options: dict[str, str] = {}
    for text in texts:
        name, parted, value = text.strip().partition("=")
        if not name or not parted:
            raise UsageProblem(f"--option wants NAME=VALUE, not {text!r}")
        options[name] = value
    return options


def options_by_provider(texts: Sequence[str], providers: Sequence[str]) -> dict[str, dict[str, str]]:
    """Values by provider and name, of texts PROVIDER:NAME=VALUE, or NAME=VALUE for all of them. Raises UsageProblem."""
    options: dict[str, dict[str, str]] = {name: {} for name in providers}
    for text in texts:
        match = _OPTION.fullmatch(text.strip())
        if match is None:
            raise UsageProblem(f"--option wants NAME=VALUE or PROVIDER:NAME=VALUE, not {text!r}")
        if match["provider"] and match["provider"] not in options:
            raise UsageProblem(f"--option {text}: {match['provider']} is none of {', '.join(providers)}")
        for name in [match["provider"]] if match["provider"] else providers:
            options[name][match["name"]] = match["value"]
    return options


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
