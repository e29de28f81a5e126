"""``ocrmux bench``: a load on a running pair, or on one that is started for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import grpc
from rich.console import Console

from ocrmux_client import cli_options as options
from ocrmux_client.consoles import error_console, say, silence_stdout
from ocrmux_client.errors import OcrMuxError, ServicesNotRunning, UsageProblem
from ocrmux_client.exit_status import ExitStatus
from ocrmux_client.interrupts import interruptible
from ocrmux_client.items import CacheUse, Feature, ReadingConfig
from ocrmux_client.load import bench_options
from ocrmux_client.load.arrivals import Spacing
from ocrmux_client.load.bench_options import BenchCache
from ocrmux_client.load.bench_outputs import BenchOutputs
from ocrmux_client.load.bench_progress import BenchProgress
from ocrmux_client.load.bench_run import BenchOrder, BenchRun, Stage
from ocrmux_client.load.load_images import DrawnImages, LoadImages, file_images
from ocrmux_client.load.load_report import LoadReport
from ocrmux_client.load.load_run import LoadOrder
from ocrmux_client.load.load_target import LoadTarget
from ocrmux_client.load.rate import parsed_rate
from ocrmux_client.pair import ServicePair
from ocrmux_client.server_access import ServerAccess, server_access
from ocrmux_client.target_address import wrong_server

_SHOW_S = 0.2

Failure = OcrMuxError | ServicesNotRunning


def bench(
    paths: bench_options.Paths = None,
    rate: bench_options.RateText = "80%",
    arrivals: bench_options.Arrivals = Spacing.UNIFORM,
    duration: bench_options.Duration = 20.0,
    warmup: bench_options.WarmUp = 3.0,
    drain: bench_options.Drain = 30.0,
    streams: bench_options.Streams = 4,
    window: bench_options.Window = 32,
    cache: bench_options.Cache = BenchCache.BYPASS,
    images: bench_options.Distinct = 100,
    unique: bench_options.Unique = False,
    seed: bench_options.Seed = 1,
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
    timeout: options.Timeout = None,
    out: bench_options.ReportFile = "",
    histogram: bench_options.HistogramFile = None,
    plot: bench_options.PlotFile = None,
    target: options.PreprocessTarget = "",
    tls: options.OverTls = False,
    ca_file: options.CaFile = None,
    cert_file: options.CertFile = None,
    key_file: options.KeyFile = None,
    token_file: options.TokenFile = None,
    tenant: options.Tenant = "",
    quiet: bench_options.Quiet = False,
    verbose: options.Verbose = False,
) -> ExitStatus:
    """Puts a load on the services at a steady rate; tells how long items take, counted from when each was due.

    An item that finds no room waits, and its time runs: a service that stalls is seen as its callers would see it. The
    provider is really asked, and bills it, unless --cache use lets the cache answer.

    Exit status: 0 all read, 1 some failed or a stream broke, 2 nothing could start or bad usage, 130 interrupted (what
    was measured is told).
    """
    try:
        config = ReadingConfig(
            features=(feature,),
            provider=provider,
            route=route,
            languages=options.listed(lang),
            cache=CacheUse(cache.value),
            item_timeout_s=timeout,
            provider_options=options.parsed_options(provider_options or []),
            profile=profile,
            overrides=options.parsed_overrides(overrides or []),
            id_document=document,
        )
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    load = LoadOrder(
        config=config,
        images=_images(paths or [], images, unique=unique),
        streams=streams,
        window=window,
        drain_s=drain,
        regions=tuple(options.parsed_region(text) for text in region or []),
        password=password,
    )
    order = BenchOrder(load, parsed_rate(rate), arrivals, warmup, duration, seed)
    outputs = BenchOutputs(out, histogram, plot)
    server = server_access(
        target,
        tls=tls,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        token_file=token_file,
        tenant=tenant,
    )
    return BenchCommand(order, outputs, server, quiet, verbose).run()


@dataclass(slots=True)
class BenchCommand:
    """A load, and what it goes to: where the ``server`` has no target the pair is started for it."""

    order: BenchOrder
    outputs: BenchOutputs
    server: ServerAccess
    quiet: bool
    verbose: bool
    _stage: Stage | None = None
    _breaks: list[OcrMuxError] = field(default_factory=list)

    def run(self) -> ExitStatus:
        """Runs the load and tells of it. Raises UsageProblem, ServicesNotRunning, OcrMuxError if none could start."""
        self.outputs.check()
        console = error_console()
        with ExitStack() as stack:
            server, watch = self.server, _watch_nothing
            if not server.target:
                pair = stack.enter_context(self._pair(console))
                server, watch = replace(server, target=pair.preprocess_target), pair.check
                if self.verbose:
                    say(console, f"services at {server.target} and {pair.gateway_target}, logs in {pair.log_folder}")
            bench = BenchRun(LoadTarget.of(server), self.order, self._begin, self._breaks.append)
            with BenchProgress(console, shown=console.is_terminal and not self.quiet) as progress:
                ending = interruptible(self._work(bench, watch, progress))
            return self._close(bench, server.target, console, ending)

    async def _work(self, bench: BenchRun, watch: Callable[[], None], progress: BenchProgress) -> Failure | None:
        """Runs to the end; gives what broke it off, or None."""
        running = asyncio.create_task(bench.run())
        watching = asyncio.create_task(self._keep_watch(watch, progress))
        try:
            await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (task for task in (running, watching) if task.done()):
                ended.result()
        except ServicesNotRunning as death:
            return death
        except OcrMuxError as error:
            try:
                watch()
            except ServicesNotRunning as death:
                return death
            return error
        finally:
            running.cancel()
            watching.cancel()
            await asyncio.gather(running, watching, return_exceptions=True)
        return None

    async def _keep_watch(self, watch: Callable[[], None], progress: BenchProgress) -> None:
        while True:
            watch()
            if self._stage is not None:
                progress.show(self._stage)
            await asyncio.sleep(_SHOW_S)

    def _close(
        self, bench: BenchRun, target: str, console: Console, ending: Failure | KeyboardInterrupt | None
    ) -> ExitStatus:
        for error in self._breaks if self.verbose else []:
            say(console, f"a stream broke: {error}")
        report = self._report(bench, target, ending)
        if report is not None:
            try:
                self.outputs.write(report)
            except BrokenPipeError:
                silence_stdout()
        if isinstance(ending, KeyboardInterrupt):
            what_stands = "the figures are of what was measured until then" if report else "nothing was measured yet"
            say(console, f"ocrmux: interrupted; {what_stands}")
            return ExitStatus.INTERRUPTED
        if isinstance(ending, OcrMuxError) and ending.code is grpc.StatusCode.UNIMPLEMENTED:
            raise wrong_server(target, wanted="preprocess service", perhaps="gateway") from ending
        if ending is not None:
            say(console, f"ocrmux: {ending}")
            return ExitStatus.SOME_FAILED if report else ExitStatus.NOT_STARTED
        return ExitStatus.SOME_FAILED if report is None or report.has_failures else ExitStatus.OK

    def _report(self, bench: BenchRun, target: str, ending: BaseException | None) -> LoadReport | None:
        """None before anything was measured."""
        tally = bench.measured
        if tally is None or not tally.arrivals:
            return None
        interrupted = ending is not None
        return LoadReport(target, self.order, tally, bench.rate_per_s, bench.maximum_per_s, interrupted)

    def _begin(self, stage: Stage) -> None:
        self._stage = stage

    @contextmanager
    def _pair(self, console: Console) -> Iterator[ServicePair]:
        with ExitStack() as starting:
            spinner = None if self.quiet else starting.enter_context(console.status("starting"))
            with ServicePair(told=spinner.update if spinner is not None else None) as pair:
                starting.close()
                yield pair


def _images(paths: list[str], distinct: int, *, unique: bool) -> LoadImages:
    run = random.SystemRandom().getrandbits(63)
    return file_images(paths, run, unique=unique) if paths else DrawnImages(distinct, run, unique=unique)


def _watch_nothing() -> None:
    """A server that was started elsewhere is not this command's to watch."""
