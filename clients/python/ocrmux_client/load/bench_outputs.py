"""Where a benchmark's results go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from ocrmux_client.errors import UsageProblem
from ocrmux_client.load.load_report import LoadReport
from ocrmux_client.load.load_table import load_tables
from ocrmux_client.load.percentile_plot import percentile_svg

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, slots=True)
class BenchOutputs:
    """Tables on standard output, or the JSON there with ``report`` ``-``; and files, as far as they are named."""

    report: str = ""
    histogram: Path | None = None
    plot: Path | None = None

    def check(self) -> None:
        """Raises UsageProblem where a file cannot be written, before anything is sent."""
        if self.plot is not None and self.plot.suffix.lower() != ".svg":
            raise UsageProblem(f"--plot draws SVG: {self.plot} should end in .svg")
        for option, file in (("--out", self._report_file), ("--histogram", self.histogram), ("--plot", self.plot)):
            if file is None:
                continue
            folder = file.resolve().parent
            if file.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
                raise UsageProblem(f"{option} {file} cannot be written")

    def write(self, report: LoadReport) -> None:
        """Files first, the tables last. UsageProblem: a file cannot be written; BrokenPipeError: the reader left."""
        if self.histogram is not None:
            _write(self.histogram, report.tally.response.percentile_text())
        if self.plot is not None:
            _write(self.plot, percentile_svg(report))
        if self._report_file is not None:
            _write(self._report_file, report.as_json())
        if self.report == STANDARD_OUTPUT:
            typer.echo(report.as_json(), nl=False)
            return
        console = Console(highlight=False)
        with console.capture() as captured:
            console.print(load_tables(report))
        typer.echo(captured.get(), nl=False)

    @property
    def _report_file(self) -> Path | None:
        return Path(self.report) if self.report not in {"", STANDARD_OUTPUT} else None


def _write(file: Path, content: str) -> None:
    with _told(file):
        file.write_text(content, encoding="utf-8")


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageProblem(f"{file} cannot be written: {error.strerror or error}") from error
