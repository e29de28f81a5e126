"""``ocrmux compare`` with its arguments read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from PIL import Image
from rich.console import Console

from ocrmux.ocr.v1.geometry_pb2 import Size
from ocrmux_client import sources
from ocrmux_client.comparison.compare_run import CompareOrder, CompareRun
from ocrmux_client.comparison.compared_page import ComparedPage
from ocrmux_client.comparison.ground_truth import GroundTruth
from ocrmux_client.comparison.html_page import PROVIDERS_MAX, html_pieces
from ocrmux_client.comparison.json_report import JsonReport
from ocrmux_client.comparison.terminal import PAGES_MAX, comparison_report
from ocrmux_client.comparison.totals import Comparison
from ocrmux_client.consoles import error_console, say
from ocrmux_client.errors import UsageProblem
from ocrmux_client.exit_status import ExitStatus
from ocrmux_client.files_command import FilesCommand, OnReconnect
from ocrmux_client.items import Feature
from ocrmux_client.page_pictures import NotDrawable, page_picture
from ocrmux_client.progress import RunProgress

STANDARD_OUTPUT = Path("-")


@dataclass(frozen=True, slots=True)
class CompareCommand:
    """Files to be compared, and where the comparison goes: a terminal, and an HTML file or a JSON file if wanted.

    ``json`` may be ``-``: standard output, and the tables stay away. ``html_pages``: pages that the HTML file shows, at
    most.
    """

    files: FilesCommand
    order: CompareOrder
    feature: Feature
    truth: Path | None
    html: Path | None
    json: Path | None
    html_pages: int

    def run(self) -> ExitStatus:
        """Compares everything. Raises UsageProblem, ServicesNotRunning, OcrMuxError if nothing could start."""
        providers = tuple(self.order.configs)
        if not 2 <= len(providers) <= PROVIDERS_MAX:
            raise UsageProblem(f"--providers wants 2 to {PROVIDERS_MAX} names, for example rapidocr,tesseract")
        if self.truth is not None and self.feature is not Feature.TEXT:
            raise UsageProblem("--truth is text; it goes with --feature text only")
        truth = self._ground_truth()
        walked = self.files.walked()
        if self.html is not None:
            _check_writable(self.html)
        details = max(PAGES_MAX, self.html_pages if self.html is not None else 0)
        comparison = Comparison(self.feature, providers, details, in_turn=self.order.in_turn)
        report = self._report(comparison)

        def make_run(progress: RunProgress, on_reconnect: OnReconnect | None) -> CompareRun:
            order = replace(self.order, policy=replace(self.order.policy, on_reconnect=on_reconnect))
            return CompareRun(order, comparison, truth, report, progress)

        try:
            status = self.files.run(
                walked,
                make_run,
                shares_terminal=report is not None and report.is_terminal,
                doing="comparing",
                rounds=len(providers),
            )
        except BaseException:
            if report is not None:
                with suppress(OSError):  # what ended the run is told
                    report.end()
            raise
        self._tell(comparison, report)
        return status

    def _report(self, comparison: Comparison) -> JsonReport | None:
        if self.json is None:
            return None
        report = JsonReport(None if self.json == STANDARD_OUTPUT else self.json, comparison)
        with _told(self.json):
            report.begin()
        return report

    def _ground_truth(self) -> GroundTruth | None:
        if self.feature is not Feature.TEXT:
            return None
        return GroundTruth(self.truth, sources.common_root(self.files.paths))

    def _tell(self, comparison: Comparison, report: JsonReport | None) -> None:
        """Files first, the tables last: they are shown also where a file cannot be written."""
        with ExitStack() as told:
            if self.json != STANDARD_OUTPUT and comparison.pages:
                told.callback(_print, comparison)
            if self.json is not None and report is not None:
                with _told(self.json):
                    report.end()
            if self.html is not None and comparison.pages:
                self._write_html(self.html, comparison)

    def _write_html(self, html: Path, comparison: Comparison) -> None:
        console = error_console()
        with _told(html), nullcontext() if self.files.quiet else console.status(f"drawing {html}"):
            _write(html, html_pieces(comparison, self.html_pages, self._picture))
        if not self.files.quiet:
            say(console, f"boxes and texts side by side: {html}")

    def _picture(self, page: ComparedPage) -> Image.Image | None:
        sizes = [record.page.size for record in page.records.values() if record.page is not None]
        try:
            size = sizes[0] if sizes else Size()
            return page_picture(Path(page.source), max(1, page.page_number), size, self.order.password)
        except (NotDrawable, OSError):
            return None


def _print(comparison: Comparison) -> None:
    """Raises BrokenPipeError where the reader has left, of which rich makes an exit status of its own."""
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(comparison_report(comparison))
    typer.echo(captured.get(), nl=False)


@contextmanager
def _told(out: Path) -> Iterator[None]:
    """A file that cannot be written is a line for a person; a reader that has left is nothing to tell of."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageProblem(f"{out} cannot be written: {error.strerror or error}") from error


def _check_writable(out: Path) -> None:
    """Raises UsageProblem where no file can be written, before anything is paid for."""
    if out.exists() and not out.is_file():
        raise UsageProblem(f"--html {out} is no file")
    folder = out.resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageProblem(f"--html {out} cannot be written: {folder} is no folder that can be written to")


def _write(out: Path, pieces: Iterable[str]) -> None:
    """Writes the file whole or not at all. Raises OSError."""
    target = out.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece.encode("utf-8", "replace"))  # a file name need not be UTF-8
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
