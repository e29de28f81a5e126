"""The command line: ``ocrmux`` and its commands, what each is told, and how each ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec

import typer

from ocrmux_client import cli_options as options
from ocrmux_client import commands
from ocrmux_client.bench_command import bench
from ocrmux_client.cli_options import FLAG, OUTPUT, parsed_overrides, parsed_region
from ocrmux_client.compare_command import CompareCommand
from ocrmux_client.comparison.compare_run import CompareOrder
from ocrmux_client.consoles import error_console, say, silence_stdout
from ocrmux_client.errors import OcrMuxError, ServicesNotRunning, UsageProblem
from ocrmux_client.exit_status import ExitStatus
from ocrmux_client.exporters import format_for
from ocrmux_client.files_command import FilesCommand
from ocrmux_client.items import Feature, NormalizingConfig, ReadingConfig
from ocrmux_client.normalize_command import NormalizeCommand, TellingFormat
from ocrmux_client.normalizing_run import NormalizingOrder
from ocrmux_client.reading_run import ReadingOrder
from ocrmux_client.recognize_command import RecognizeCommand
from ocrmux_client.server_access import server_access
from ocrmux_client.stream_policy import StreamPolicy
from ocrmux_client.token_command import token

P = ParamSpec("P")

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


def _ended(command: Callable[P, ExitStatus]) -> Callable[P, None]:
    """The command, ending with its status."""

    @wraps(command)
    def run(*arguments: P.args, **options_given: P.kwargs) -> None:
        _end_with(lambda: command(*arguments, **options_given))

    return run


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
    feature: options.ReadFeature = Feature.TEXT,
    document: options.Document = None,
    lang: options.Languages = None,
    provider: options.OneProvider = "",
    route: options.RouteName = "",
    provider_options: options.ProviderOptions = None,
    region: options.Regions = None,
    profile: options.Profile = "",
    overrides: options.Overrides = None,
    password: options.Password = "",
    no_cache: options.NoCache = False,
    refresh: options.Refresh = False,
    timeout: options.Timeout = None,
    out: options.Out = "-",
    output_format: options.Format = None,
    annotate: options.Annotate = None,
    raw: options.Raw = False,
    resume: options.Resume = False,
    ordered: options.Ordered = True,
    target: options.PreprocessTarget = "",
    tls: options.OverTls = False,
    ca_file: options.CaFile = None,
    cert_file: options.CertFile = None,
    key_file: options.KeyFile = None,
    token_file: options.TokenFile = None,
    tenant: options.Tenant = "",
    concurrency: options.Concurrency = 8,
    digest_first: options.DigestFirst = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Reads images and documents; gives one record a page.

    A PATH that does not exist is bad usage: nothing is read. A missing name on standard input fails alone.

    Exit status: 0 all read, 1 some failed, 2 nothing could start or bad usage, 130 interrupted (what is done is kept).
    """

    def run() -> ExitStatus:
        cache = options.cache_use(no_cache=no_cache, refresh=refresh)
        try:
            config = ReadingConfig(
                features=(feature,),
                provider=provider,
                route=route,
                languages=options.listed(lang),
                cache=cache,
                item_timeout_s=timeout,
                provider_options=options.parsed_options(provider_options or []),
                include_raw_response=raw,
                profile=profile,
                overrides=parsed_overrides(overrides or []),
                id_document=document,
            )
        except ValueError as error:
            raise UsageProblem(str(error)) from error
        server = server_access(
            target,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            token_file=token_file,
            tenant=tenant,
        )
        order = ReadingOrder(
            config=config,
            policy=StreamPolicy(concurrency=concurrency, ordered=ordered, digest_first=digest_first),
            regions=tuple(parsed_region(text) for text in region or []),
            password=password,
        )
        return RecognizeCommand(
            files=FilesCommand(tuple(paths), annotate, server, quiet, verbose),
            order=order,
            out=None if out == "-" else Path(out),
            output_format=output_format or format_for(out),
            resume=resume,
        ).run()

    _end_with(run)


@app.command()
def compare(
    paths: options.Paths,
    providers: options.ComparedProviders,
    feature: options.ReadFeature = Feature.TEXT,
    document: options.Document = None,
    lang: options.Languages = None,
    provider_options: options.ComparedOptions = None,
    region: options.Regions = None,
    profile: options.Profile = "",
    overrides: options.Overrides = None,
    password: options.Password = "",
    no_cache: options.NoCache = False,
    refresh: options.Refresh = False,
    timeout: options.Timeout = None,
    truth: options.Truth = None,
    html: options.Html = None,
    html_pages: options.HtmlPages = 100,
    json: options.ComparisonJson = None,
    target: options.PreprocessTarget = "",
    tls: options.OverTls = False,
    ca_file: options.CaFile = None,
    cert_file: options.CertFile = None,
    key_file: options.KeyFile = None,
    token_file: options.TokenFile = None,
    tenant: options.Tenant = "",
    concurrency: options.Concurrency = 8,
    in_turn: options.InTurn = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Reads the same images with several providers: where they differ, how sure they are, what it takes and costs.

    Pages that differ most stand first. Where the true text of NAME.png is known, NAME.txt, errors are counted too.

    Exit status: 0 all read by all, 1 some failed, 2 nothing could start or bad usage, 130 interrupted (what is done is
    told).
    """

    def run() -> ExitStatus:
        names = options.listed(providers)
        its_options = options.options_by_provider(provider_options or [], names)
        try:
            common = ReadingConfig(
                features=(feature,),
                languages=options.listed(lang),
                cache=options.cache_use(no_cache=no_cache, refresh=refresh),
                item_timeout_s=timeout,
                profile=profile,
                overrides=parsed_overrides(overrides or []),
                id_document=document,
            )
        except ValueError as error:
            raise UsageProblem(str(error)) from error
        order = CompareOrder(
            configs={name: replace(common, provider=name, provider_options=its_options[name]) for name in names},
            policy=StreamPolicy(concurrency=concurrency, ordered=False),
            regions=tuple(parsed_region(text) for text in region or []),
            password=password,
            in_turn=in_turn,
        )
        server = server_access(
            target,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            token_file=token_file,
            tenant=tenant,
        )
        files = FilesCommand(tuple(paths), None, server, quiet, verbose)
        return CompareCommand(files, order, feature, truth, html, json, html_pages).run()

    _end_with(run)


@app.command()
def normalize(
    paths: options.Paths,
    out: options.PagesFolder,
    profile: options.Profile = "",
    overrides: options.Overrides = None,
    provider: options.FittingProvider = "",
    password: options.Password = "",
    compare: options.BeforeAndAfter = False,
    telling: Annotated[
        TellingFormat | None,
        typer.Option("--format", help="Default: table on a terminal, jsonl elsewhere.", rich_help_panel=OUTPUT),
    ] = None,
    target: options.PreprocessTarget = "",
    tls: options.OverTls = False,
    ca_file: options.CaFile = None,
    cert_file: options.CertFile = None,
    key_file: options.KeyFile = None,
    token_file: options.TokenFile = None,
    tenant: options.Tenant = "",
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
        server = server_access(
            target,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            token_file=token_file,
            tenant=tenant,
        )
        files = FilesCommand(tuple(paths), out, server, quiet, verbose, preprocess_only=not provider)
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
    tls: options.OverTls = False,
    ca_file: options.CaFile = None,
    cert_file: options.CertFile = None,
    key_file: options.KeyFile = None,
    token_file: options.TokenFile = None,
    tenant: options.Tenant = "",
    as_json: Annotated[bool, typer.Option("--json", metavar=FLAG, help="JSON for programs.")] = False,
) -> None:
    """Lists the providers: what each reads, its limits, its state now."""

    def run() -> ExitStatus:
        server = server_access(
            target,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            token_file=token_file,
            tenant=tenant,
        )
        return commands.providers(server, as_json=as_json)

    _end_with(run)


app.command()(token)
app.command()(_ended(bench))
