"""``ocrmux recognize`` with its arguments read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ocrmux_client import sources
from ocrmux_client.annotate import Annotator
from ocrmux_client.errors import UsageProblem
from ocrmux_client.exit_status import ExitStatus
from ocrmux_client.exporters import OutputFormat, exporter_for
from ocrmux_client.files_command import FilesCommand, OnReconnect
from ocrmux_client.progress import RunProgress
from ocrmux_client.reading_run import ReadingOrder, ReadingRun
from ocrmux_client.result_sink import ResultSink
from ocrmux_client.resume import take_up


@dataclass(frozen=True, slots=True)
class RecognizeCommand:
    """Files to be read, and where the results go; ``files.pictures`` gets the annotated pages."""

    files: FilesCommand
    order: ReadingOrder
    out: Path | None
    output_format: OutputFormat
    resume: bool

    def run(self) -> ExitStatus:
        """Reads everything. Raises UsageProblem, ServicesNotRunning, OcrMuxError if nothing could start."""
        if self.resume and (self.out is None or self.output_format is not OutputFormat.JSONL):
            raise UsageProblem("--resume needs --format jsonl and --out FILE")
        if self.order.config.include_raw_response and self.output_format is not OutputFormat.JSONL:
            raise UsageProblem("--raw needs --format jsonl")
        pictures = self.files.pictures
        if pictures is not None and pictures.exists() and not pictures.is_dir():
            raise UsageProblem(f"--annotate {pictures} is no folder")
        walked = self.files.walked()
        done_before = take_up(self.out) if self.resume and self.out is not None else frozenset()
        order = replace(self.order, done_before=done_before)
        with ResultSink(self.out, append=self.resume) as sink:

            def make_run(progress: RunProgress, on_reconnect: OnReconnect | None) -> ReadingRun:
                told = replace(order, policy=replace(order.policy, on_reconnect=on_reconnect))
                exporter = exporter_for(self.output_format)
                return ReadingRun(told, exporter, sink, self._annotator(), progress, fresh=not self.resume)

            return self.files.run(walked, make_run, shares_terminal=sink.is_terminal)

    def _annotator(self) -> Annotator | None:
        if self.files.pictures is None:
            return None
        return Annotator(self.files.pictures, sources.common_root(self.files.paths), self.order.password)
