"""The command line: ``ocrmux recognize``, ``serve`` and ``providers``."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from ocrmux_client import commands
from ocrmux_client.commands import ExitStatus
from ocrmux_client.errors import OcrMuxError, ServicesNotRunning, UsageProblem
from ocrmux_client.exporters import OutputFormat, format_for, format_named
from ocrmux_client.items import PROFILES, CacheUse, Feature, ReadingConfig, Region
from ocrmux_client.reading_run import ReadingOrder
from ocrmux_client.stream_policy import StreamPolicy
from ocrmux_client.target_address import checked_target

app = typer.Typer(
    name="ocrmux",
    help="Reads images and documents with any OCR engine, through one multiplexer.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_READING, _OUTPUT, _RUNNING = "What and how to read", "Output", "Running"
_FLAG = ""  # what the help shows as a flag's value


def main() -> None:
    """Runs the command line and ends the process with its exit status."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's core writes of its connections to standard error
    app()


def _end_with(run: Callable[[], ExitStatus]) -> NoReturn:
    """Ends with the command's status; an expected error becomes one clear line."""
    try:
        status = run()
    except (UsageProblem, ServicesNotRunning, OcrMuxError) as error:
        Console(stderr=True, highlight=False).print(f"ocrmux: {error}", markup=False, soft_wrap=True)
        status = ExitStatus.NOT_STARTED
    except BrokenPipeError:
        commands.silence_stdout()
        status = ExitStatus.OK
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    raise typer.Exit(status)


def _parsed_feature(value: str | Feature) -> Feature:
    try:
        return Feature(value)
    except ValueError:
        known = ", ".join(feature.value for feature in Feature)
        raise typer.BadParameter(f"{value!r} is no feature; there are {known}") from None


def _parsed_format(value: str | OutputFormat) -> OutputFormat:
    try:
        return value if isinstance(value, OutputFormat) else format_named(value)
    except UsageProblem as problem:
        raise typer.BadParameter(str(problem)) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ocrmux {metadata.version('ocrmux')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar=_FLAG, callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Holds the options that stand before a command."""


@app.command()
def recognize(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH", help="A file, a folder (recursively), a glob, or - for paths on standard input."
        ),
    ],
    feature: Annotated[
        Feature,
        typer.Option(
            metavar="|".join(known.value for known in Feature),
            parser=_parsed_feature,
            show_default=False,
            help="What to read; text if not said.",
            rich_help_panel=_READING,
        ),
    ] = Feature.TEXT,
    lang: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LANG", help="Languages to expect (BCP 47), repeated or parted by commas.", rich_help_panel=_READING
        ),
    ] = None,
    provider: Annotated[
        str, typer.Option(metavar="NAME", help="Who reads; see `ocrmux providers`.", rich_help_panel=_READING)
    ] = "",
    route: Annotated[
        str, typer.Option(metavar="NAME", help="The route of providers to take.", rich_help_panel=_READING)
    ] = "",
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y,W,H", help="Read only here, pixels; repeatable.", rich_help_panel=_READING),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            metavar="|".join(PROFILES),
            help="How pages are prepared. auto: as they and the engine that reads them need it.",
            rich_help_panel=_READING,
        ),
    ] = "",
    password: Annotated[
        str,
        typer.Option(
            metavar="TEXT", envvar="OCRMUX_PASSWORD", help="Opens encrypted documents.", rich_help_panel=_READING
        ),
    ] = "",
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", metavar=_FLAG, help="Neither use nor fill the cache.", rich_help_panel=_READING),
    ] = False,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", metavar=_FLAG, help="Read anew and keep the new results.", rich_help_panel=_READING),
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.001, help="Seconds for one item.", rich_help_panel=_READING)
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE|-", help="Where results go.", rich_help_panel=_OUTPUT)] = "-",
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            metavar="|".join(known.value for known in OutputFormat),
            parser=_parsed_format,
            help="Default: by the suffix of --out, else jsonl.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each page with its boxes drawn here.", rich_help_panel=_OUTPUT),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", metavar=_FLAG, help="Skip what the JSONL file --out already holds.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered/--unordered",
            metavar=_FLAG,
            help="In the order of the sources, or as ready.",
            rich_help_panel=_OUTPUT,
        ),
    ] = True,
    target: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="A running preprocess service. Without it, the services are started for this run.",
            rich_help_panel=_RUNNING,
        ),
    ] = "",
    concurrency: Annotated[
        int, typer.Option(metavar="N", min=1, max=1024, help="Files on their way at once.", rich_help_panel=_RUNNING)
    ] = 8,
    digest_first: Annotated[
        bool,
        typer.Option(
            "--digest-first",
            metavar=_FLAG,
            help="Ask the cache by hash before sending a file.",
            rich_help_panel=_RUNNING,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", metavar=_FLAG, help="No progress bar and no summary.", rich_help_panel=_RUNNING),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", metavar=_FLAG, help="Tell of connections and logs.", rich_help_panel=_RUNNING),
    ] = False,
) -> None:
    """Reads images and documents; gives one record a page.

    A PATH that does not exist is bad usage: nothing is read. A missing name on standard input fails alone.

    Exit status: 0 all read, 1 some failed, 2 nothing could start or bad usage, 130 interrupted (what is done is kept).
    """

    def run() -> ExitStatus:
        if no_cache and refresh:
            raise UsageProblem("--no-cache and --refresh exclude each other")
        try:
            config = ReadingConfig(
                features=(feature,),
                provider=provider,
                route=route,
                languages=tuple(name.strip() for value in lang or [] for name in value.split(",") if name.strip()),
                cache=CacheUse.BYPASS if no_cache else CacheUse.REFRESH if refresh else CacheUse.USE,
                item_timeout_s=timeout,
                profile=profile,
            )
        except ValueError as error:
            raise UsageProblem(str(error)) from error
        order = ReadingOrder(
            config=config,
            policy=StreamPolicy(concurrency=concurrency, ordered=ordered, digest_first=digest_first),
            regions=tuple(parsed_region(text) for text in region or []),
            password=password,
        )
        return commands.RecognizeCommand(
            paths=tuple(paths),
            order=order,
            out=None if out == "-" else Path(out),
            output_format=output_format or format_for(out),
            annotate=annotate,
            resume=resume,
            target=checked_target(target) if target else "",
            quiet=quiet,
            verbose=verbose,
        ).run()

    _end_with(run)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    preprocess_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 50051,
    gateway_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 50052,
) -> None:
    """Runs both services in the foreground until Ctrl-C."""
    _end_with(lambda: commands.serve(host, preprocess_port, gateway_port))


@app.command()
def providers(
    target: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="A running gateway. Without it, one is started for the question.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", metavar=_FLAG, help="JSON for programs.")] = False,
) -> None:
    """Lists the providers: what each reads, its limits, its state now."""
    _end_with(lambda: commands.providers(checked_target(target) if target else "", as_json=as_json))


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
