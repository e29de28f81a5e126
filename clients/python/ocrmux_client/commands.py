"""What the commands do, apart from their arguments."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
import typer
from rich.console import Console

from ocrmux.gateway.v1.gateway_pb2 import PROVIDER_STATE_STARTING, ListProvidersResponse
from ocrmux_client import sources
from ocrmux_client.annotate import Annotator
from ocrmux_client.backoff import Backoff
from ocrmux_client.client import OcrMuxClient
from ocrmux_client.errors import OcrMuxError, ServicesNotRunning, UsageProblem
from ocrmux_client.exporters import OutputFormat, exporter_for
from ocrmux_client.listen_address import check_free
from ocrmux_client.pair import ServicePair
from ocrmux_client.progress import RunProgress
from ocrmux_client.providers_table import providers_json, providers_table
from ocrmux_client.reading_run import ReadingOrder, ReadingRun
from ocrmux_client.result_sink import ResultSink
from ocrmux_client.resume import take_up
from ocrmux_client.run_summary import RunSummary

_REACH_TIMEOUT_S = 10.0
_SERVE_POLL_S = 0.2
_SETTLE_TIMEOUT_S = 20.0
_SETTLE_POLL_S = 0.2
_SERVING = """
preprocess service  {preprocess}  (images and documents in, results out)
gateway             {gateway}  (images that are fit for OCR)

try:  ocrmux recognize FILE --target {preprocess} --format txt
      ocrmux providers --target {gateway}
Ctrl-C stops both.
"""


class ExitStatus(enum.IntEnum):
    """How the process ends."""

    OK = 0
    SOME_FAILED = 1
    NOT_STARTED = 2
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class RecognizeCommand:
    """``ocrmux recognize`` with its arguments read."""

    paths: tuple[str, ...]
    order: ReadingOrder
    out: Path | None
    output_format: OutputFormat
    annotate: Path | None
    resume: bool
    target: str
    quiet: bool
    verbose: bool

    def run(self) -> ExitStatus:
        """Reads everything. Raises UsageProblem, ServicesNotRunning, OcrMuxError if nothing could start."""
        if self.resume and (self.out is None or self.output_format is not OutputFormat.JSONL):
            raise UsageProblem("--resume needs --format jsonl and --out FILE")
        if self.annotate is not None and self.annotate.exists() and not self.annotate.is_dir():
            raise UsageProblem(f"--annotate {self.annotate} is no folder")
        sources.check_paths(self.paths)
        walked = self._something(self._walk())
        done_before = take_up(self.out) if self.resume and self.out is not None else frozenset()
        with ResultSink(self.out, append=self.resume) as sink:
            return self._run_into(sink, walked, replace(self.order, done_before=done_before))

    def _walk(self) -> Iterator[Path]:
        return sources.walk(self.paths, without=self.annotate)

    def _something(self, walked: Iterator[Path]) -> Iterator[Path]:
        """The walk, after a look at its first path; standard input is not waited for."""
        if sources.STANDARD_INPUT in self.paths:
            return walked
        first = next(walked, None)
        if first is None:
            raise UsageProblem(f"no image or document in {', '.join(self.paths)}")
        return chain([first], walked)

    def _run_into(self, sink: ResultSink, walked: Iterator[Path], order: ReadingOrder) -> ExitStatus:
        console = _error_console()
        with contextlib.ExitStack() as stack:
            target, watch, pair = self.target, _watch_nothing, None
            if not target:
                pair = stack.enter_context(self._pair(console))
                target, watch = pair.preprocess_target, pair.check
                if self.verbose:
                    _say(console, f"services at {target} and {pair.gateway_target}, logs in {pair.log_folder}")
            if self.verbose:
                order = replace(order, policy=replace(order.policy, on_reconnect=partial(_tell_break, console)))
            shown = console.is_terminal and not self.quiet
            progress = RunProgress(console, shown=shown, shares_terminal=sink.is_terminal)
            run = ReadingRun(order, exporter_for(self.output_format), sink, self._annotator(), progress)
            with progress:
                if shown and sources.STANDARD_INPUT not in self.paths:
                    sources.count(self._walk(), progress.set_total)
                ending = _interruptible(self._read(run, target, walked, watch))
            status = self._close(console, run.summary, run.elapsed_s, ending)
            if pair is not None and run.summary.bugs:
                pair.keep_logs()
                _say(console, f"the services' logs are kept in {pair.log_folder}")
            return status

    @contextlib.contextmanager
    def _pair(self, console: Console) -> Iterator[ServicePair]:
        with contextlib.ExitStack() as starting:
            spinner = starting.enter_context(console.status("starting")) if not self.quiet else None
            with ServicePair(told=spinner.update if spinner is not None else None) as pair:
                starting.close()
                yield pair

    def _annotator(self) -> Annotator | None:
        if self.annotate is None:
            return None
        return Annotator(self.annotate, sources.common_root(self.paths), self.order.password)

    async def _read(
        self, run: ReadingRun, target: str, walked: Iterator[Path], watch: Callable[[], None]
    ) -> Exception | None:
        """Runs to the end; gives what broke the run off, or None."""
        async with OcrMuxClient(target) as client:
            await client.wait_until_reachable(_REACH_TIMEOUT_S)
            try:
                await run.run(client, walked, fresh=not self.resume, watch=watch)
            except OcrMuxError as error:
                if error.code is grpc.StatusCode.UNIMPLEMENTED:
                    return _wrong_server(target, wanted="preprocess service", perhaps="gateway")
                try:
                    watch()
                except ServicesNotRunning as death:
                    return death
                return error
            except (ServicesNotRunning, OSError) as error:
                return error
            return None

    def _close(
        self, console: Console, summary: RunSummary, elapsed_s: float, ending: BaseException | None
    ) -> ExitStatus:
        if isinstance(ending, BrokenPipeError):
            silence_stdout()
            return ExitStatus.OK
        for line in summary.failure_lines():
            _say(console, line)
        if not self.quiet and (summary.pages or not isinstance(ending, Exception)):
            _say(console, summary.line(elapsed_s, self.annotate))
        if isinstance(ending, KeyboardInterrupt):
            _say(console, "ocrmux: interrupted; what is done is kept")
            return ExitStatus.INTERRUPTED
        if ending is not None:
            _say(console, f"ocrmux: {ending}")
            return ExitStatus.SOME_FAILED if summary.pages else ExitStatus.NOT_STARTED
        return ExitStatus.SOME_FAILED if summary.errors else ExitStatus.OK


def serve(host: str, preprocess_port: int, gateway_port: int) -> ExitStatus:
    """Runs the pair until SIGINT or SIGTERM; tells of it on standard output, logs on standard error.

    Raises UsageProblem for ports that cannot be had, ServicesNotRunning if the pair does not start.
    """
    if preprocess_port == gateway_port != 0:
        raise UsageProblem(f"both services cannot listen at port {gateway_port}")
    check_free(host, gateway_port, "--gateway-port")
    check_free(host, preprocess_port, "--preprocess-port")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)  # also where a script's & has it ignored
    try:
        with ServicePair(
            host=host, preprocess_port=preprocess_port, gateway_port=gateway_port, log_to_stderr=True
        ) as pair:
            typer.echo(_SERVING.format(preprocess=pair.preprocess_target, gateway=pair.gateway_target))
            try:
                while True:
                    time.sleep(_SERVE_POLL_S)
                    pair.check()
            except ServicesNotRunning as death:
                _say(_error_console(), f"ocrmux: {death}")
                return ExitStatus.SOME_FAILED
    except KeyboardInterrupt:
        return ExitStatus.OK


def providers(target: str, *, as_json: bool) -> ExitStatus:
    """Prints the providers of the gateway at ``target``, or of one started for the question."""
    with contextlib.ExitStack() as stack:
        if not target:
            spinner = stack.enter_context(_error_console().status("starting the gateway"))
            pair = stack.enter_context(ServicePair(gateway_only=True, told=spinner.update))
            target = pair.gateway_target
            response = asyncio.run(_list_settled_providers(target))
        else:
            response = asyncio.run(_list_providers(target))
    if as_json:
        typer.echo(providers_json(response))
    else:
        Console().print(providers_table(response))
    return ExitStatus.OK


def silence_stdout() -> None:
    """Nothing more can be written to a reader that has left; what is still buffered goes nowhere."""
    null_fd = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_fd, 1)
    os.close(null_fd)


async def _list_providers(target: str) -> ListProvidersResponse:
    async with OcrMuxClient(target, backoff=Backoff(attempts=2)) as client:
        try:
            return await client.list_providers()
        except OcrMuxError as error:
            if error.code is grpc.StatusCode.UNIMPLEMENTED:
                raise _wrong_server(target, wanted="gateway", perhaps="preprocess service") from error
            raise OcrMuxError(error.code, error.reason, f"{target}: {error.message}") from error


async def _list_settled_providers(target: str) -> ListProvidersResponse:
    """The list once no provider is being made ready any more, or after 20 seconds as it is then."""
    deadline_s = time.monotonic() + _SETTLE_TIMEOUT_S
    while True:
        response = await _list_providers(target)
        starting = any(provider.state == PROVIDER_STATE_STARTING for provider in response.providers)
        if not starting or time.monotonic() > deadline_s:
            return response
        await asyncio.sleep(_SETTLE_POLL_S)


def _interruptible(work: Coroutine[Any, Any, Exception | None]) -> Exception | KeyboardInterrupt | None:
    """Runs the work; SIGINT and SIGTERM cancel it, once, and give KeyboardInterrupt."""

    async def main() -> Exception | None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _cancel_once(task))
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        return KeyboardInterrupt()


def _cancel_once(task: asyncio.Future[Any]) -> Callable[[], None]:
    """A second signal must not cut short what the first one has set going."""
    calls = iter([task.cancel])

    def cancel() -> None:
        for call in calls:
            call()
            return

    return cancel


def _wrong_server(target: str, *, wanted: str, perhaps: str) -> UsageProblem:
    return UsageProblem(f"{target} is no {wanted}, perhaps a {perhaps}; --target wants the address of a {wanted} here")


def _error_console() -> Console:
    return Console(stderr=True, highlight=False)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _tell_break(console: Console, failures: int, wait_s: float, cause: OcrMuxError) -> None:
    _say(console, f"the connection broke ({cause}); try {failures + 1} in {wait_s:.1f} s")


def _watch_nothing() -> None:
    """A server that was started elsewhere is not this command's to watch."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
