"""The command line: ``ocrmux recognize``, ``normalize``, ``serve`` and ``providers``."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ocrmux_client import cli_options as options
from ocrmux_client import commands
from ocrmux_client.cli_options import FLAG, OUTPUT, READING, RUNNING, parsed_overrides, parsed_region
from ocrmux_client.consoles import error_console, say, silence_stdout
from ocrmux_client.errors import OcrMuxError, ServicesNotRunning, UsageProblem
from ocrmux_client.exit_status import ExitStatus
from ocrmux_client.exporters import OutputFormat, format_for, format_named
from ocrmux_client.files_command import FilesCommand
from ocrmux_client.items import CacheUse, Feature, NormalizingConfig, ReadingConfig
from ocrmux_client.normalize_command import NormalizeCommand, TellingFormat
from ocrmux_client.normalizing_run import NormalizingOrder
from ocrmux_client.reading_run import ReadingOrder
from ocrmux_client.recognize_command import RecognizeCommand
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


def main() -> None:
    """Runs the command line and ends the process with its exit status."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's core writes of its connections to standard error
    app()


def _end_with(run: Callable[[], ExitStatus]) -> NoReturn:
    """Ends with the command's status; an expected error becomes one clear line."""
    try:
        status = run()
    except (UsageProblem, ServicesNotRunning, OcrMuxError) as error:
        say(error_console(), f"ocrmux: {error}")
        status = ExitStatus.NOT_STARTED
    except BrokenPipeError:
        silence_stdout()
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
            "--version", metavar=FLAG, callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Holds the options that stand before a command."""


@app.command()
def recognize(
    paths: options.Paths,
    feature: Annotated[
        Feature,
        typer.Option(
            metavar="|".join(known.value for known in Feature),
            parser=_parsed_feature,
            show_default=False,
            help="What to read; text if not said.",
            rich_help_panel=READING,
        ),
    ] = Feature.TEXT,
    lang: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LANG", help="Languages to expect (BCP 47), repeated or parted by commas.", rich_help_panel=READING
        ),
    ] = None,
    provider: Annotated[
        str, typer.Option(metavar="NAME", help="Who reads; see `ocrmux providers`.", rich_help_panel=READING)
    ] = "",
    route: Annotated[
        str, typer.Option(metavar="NAME", help="The route of providers to take.", rich_help_panel=READING)
    ] = "",
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y,W,H", help="Read only here, pixels; repeatable.", rich_help_panel=READING),
    ] = None,
    profile: options.Profile = "",
    overrides: options.Overrides = None,
    password: options.Password = "",
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", metavar=FLAG, help="Neither use nor fill the cache.", rich_help_panel=READING),
    ] = False,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", metavar=FLAG, help="Read anew and keep the new results.", rich_help_panel=READING),
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.001, help="Seconds for one item.", rich_help_panel=READING)
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE|-", help="Where results go.", rich_help_panel=OUTPUT)] = "-",
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            metavar="|".join(known.value for known in OutputFormat),
            parser=_parsed_format,
            help="Default: by the suffix of --out, else jsonl.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each page with its boxes drawn here.", rich_help_panel=OUTPUT),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", metavar=FLAG, help="Skip what the JSONL file --out already holds.", rich_help_panel=OUTPUT
        ),
    ] = False,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered/--unordered",
            metavar=FLAG,
            help="In the order of the sources, or as ready.",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    target: options.PreprocessTarget = "",
    concurrency: options.Concurrency = 8,
    digest_first: Annotated[
        bool,
        typer.Option(
            "--digest-first",
            metavar=FLAG,
            help="Ask the cache by hash before sending a file.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
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
                overrides=parsed_overrides(overrides or []),
            )
        except ValueError as error:
            raise UsageProblem(str(error)) from error
        order = ReadingOrder(
            config=config,
            policy=StreamPolicy(concurrency=concurrency, ordered=ordered, digest_first=digest_first),
            regions=tuple(parsed_region(text) for text in region or []),
            password=password,
        )
        return RecognizeCommand(
            files=FilesCommand(tuple(paths), annotate, checked_target(target) if target else "", quiet, verbose),
            order=order,
            out=None if out == "-" else Path(out),
            output_format=output_format or format_for(out),
            resume=resume,
        ).run()

    _end_with(run)


@app.command()
def normalize(
    paths: options.Paths,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Each normalised page is written here.", rich_help_panel=OUTPUT)
    ],
    profile: options.Profile = "",
    overrides: options.Overrides = None,
    provider: Annotated[
        str,
        typer.Option(metavar="NAME", help="Fit for this provider; see `ocrmux providers`.", rich_help_panel=READING),
    ] = "",
    password: options.Password = "",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", metavar=FLAG, help="Also write source and result side by side.", rich_help_panel=OUTPUT
        ),
    ] = False,
    telling: Annotated[
        TellingFormat | None,
        typer.Option("--format", help="Default: table on a terminal, jsonl elsewhere.", rich_help_panel=OUTPUT),
    ] = None,
    target: options.PreprocessTarget = "",
    concurrency: options.Concurrency = 8,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Makes pages fit for recognition, without reading them: a picture a page, and what was measured and done.

    A page that needs nothing is written as the file's own bytes.

    Exit status: 0 all done, 1 some failed, 2 nothing could start or bad usage, 130 interrupted (what is done is kept).
    """

    def run() -> ExitStatus:
        order = NormalizingOrder(
            config=NormalizingConfig(profile, parsed_overrides(overrides or []), provider),
            policy=StreamPolicy(concurrency=concurrency),
            password=password,
            compares=compare,
        )
        checked = checked_target(target) if target else ""
        files = FilesCommand(tuple(paths), out, checked, quiet, verbose, preprocess_only=not provider)
        return NormalizeCommand(files, order, out, telling).run()

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
    as_json: Annotated[bool, typer.Option("--json", metavar=FLAG, help="JSON for programs.")] = False,
) -> None:
    """Lists the providers: what each reads, its limits, its state now."""
    _end_with(lambda: commands.providers(checked_target(target) if target else "", as_json=as_json))
