"""What the commands that take files have in common: paths, services, the run, its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

import grpc
from rich.console import Console

from ocrmux_client import sources
from ocrmux_client.consoles import error_console, say, silence_stdout
from ocrmux_client.errors import OcrMuxError, ServicesNotRunning, UsageProblem
from ocrmux_client.exit_status import ExitStatus
from ocrmux_client.interrupts import interruptible
from ocrmux_client.pair import ServicePair
from ocrmux_client.progress import RunProgress
from ocrmux_client.run_summary import RunSummary
from ocrmux_client.server_access import ServerAccess
from ocrmux_client.source_run import WatchedRun
from ocrmux_client.target_address import wrong_server

_REACH_TIMEOUT_S = 10.0

OnReconnect = Callable[[int, float, OcrMuxError], None]
RunT = TypeVar("RunT", bound=WatchedRun)


@dataclass(frozen=True, slots=True)
class FilesCommand:
    """Files and the services that take them.

    ``pictures`` is the folder that pictures are written to, which is not walked. Where the ``server`` has no target the
    services are started for the run, only the preprocess service with ``preprocess_only``.
    """

    paths: tuple[str, ...]
    pictures: Path | None
    server: ServerAccess
    quiet: bool
    verbose: bool
    preprocess_only: bool = False

    def walked(self) -> Iterator[Path]:
        """The files, after a look at the first one; standard input is not waited for. Raises UsageProblem."""
        sources.check_paths(self.paths)
        walked = self._walk()
        if sources.STANDARD_INPUT in self.paths:
            return walked
        first = next(walked, None)
        if first is None:
            raise UsageProblem(f"no image or document in {', '.join(self.paths)}")
        return chain([first], walked)

    def run(
        self,
        walked: Iterator[Path],
        make_run: Callable[[RunProgress, OnReconnect | None], RunT],
        *,
        shares_terminal: bool,
        doing: str = "reading",
        tells_cache: bool = True,
        rounds: int = 1,
    ) -> ExitStatus:
        """Runs over the files to the end and tells of it. Raises ServicesNotRunning, OcrMuxError if none could start.

        ``make_run`` gets the progress to show and, where breaks are to be told, who hears of them. Each file is counted
        ``rounds`` times.
        """
        console = error_console()
        with contextlib.ExitStack() as stack:
            server, watch, pair = self.server, _watch_nothing, None
            if not server.target:
                pair = stack.enter_context(self._pair(console))
                server, watch = replace(server, target=pair.preprocess_target), pair.check
                if self.verbose:
                    behind = f" and {pair.gateway_target}" if pair.gateway_target else ""
                    say(console, f"services at {server.target}{behind}, logs in {pair.log_folder}")
            shown = console.is_terminal and not self.quiet
            progress = RunProgress(
                console, shown=shown, shares_terminal=shares_terminal, doing=doing, tells_cache=tells_cache
            )
            run = make_run(progress, partial(_tell_break, console) if self.verbose else None)
            with progress:
                if shown and sources.STANDARD_INPUT not in self.paths:
                    sources.count(self._walk(), lambda files: progress.set_total(files * rounds))
                ending = interruptible(_work(run, server, walked, watch))
            status = self._close(console, run.summary, run.elapsed_s, ending)
            if pair is not None and run.summary.bugs:
                pair.keep_logs()
                say(console, f"the services' logs are kept in {pair.log_folder}")
            return status

    def _walk(self) -> Iterator[Path]:
        return sources.walk(self.paths, without=self.pictures)

    @contextlib.contextmanager
    def _pair(self, console: Console) -> Iterator[ServicePair]:
        with contextlib.ExitStack() as starting:
            spinner = starting.enter_context(console.status("starting")) if not self.quiet else None
            told = spinner.update if spinner is not None else None
            with ServicePair(told=told, preprocess_only=self.preprocess_only) as pair:
                starting.close()
                yield pair

    def _close(
        self, console: Console, summary: RunSummary, elapsed_s: float, ending: BaseException | None
    ) -> ExitStatus:
        if isinstance(ending, BrokenPipeError):
            silence_stdout()
            return ExitStatus.OK
        for line in summary.failure_lines():
            say(console, line)
        if not self.quiet and (summary.pages or not isinstance(ending, Exception)):
            say(console, summary.line(elapsed_s, self.pictures))
        if isinstance(ending, KeyboardInterrupt):
            say(console, "ocrmux: interrupted; what is done is kept")
            return ExitStatus.INTERRUPTED
        if ending is not None:
            say(console, f"ocrmux: {ending}")
            return ExitStatus.SOME_FAILED if summary.pages else ExitStatus.NOT_STARTED
        return ExitStatus.SOME_FAILED if summary.errors else ExitStatus.OK


async def _work(
    run: WatchedRun, server: ServerAccess, walked: Iterator[Path], watch: Callable[[], None]
) -> Exception | None:
    """Runs to the end; gives what broke the run off, or None."""
    async with server.client() as client:
        try:
            await client.wait_until_reachable(_REACH_TIMEOUT_S)
            await run.run(client, walked, watch=watch)
        except OcrMuxError as error:
            if error.code is grpc.StatusCode.UNIMPLEMENTED:
                return wrong_server(server.target, wanted="preprocess service", perhaps="gateway")
            try:
                watch()
            except ServicesNotRunning as death:
                return death
            return error
        except (ServicesNotRunning, OSError) as error:
            return error
        return None


def _tell_break(console: Console, failures: int, wait_s: float, cause: OcrMuxError) -> None:
    say(console, f"the connection broke ({cause}); try {failures + 1} in {wait_s:.1f} s")


def _watch_nothing() -> None:
    """A server that was started elsewhere is not this command's to watch."""
