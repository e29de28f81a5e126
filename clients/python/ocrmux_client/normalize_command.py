"""``ocrmux normalize`` with its arguments read."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from ocrmux_client import sources
from ocrmux_client.errors import UsageProblem
from ocrmux_client.exit_status import ExitStatus
from ocrmux_client.exporters import Exporter
from ocrmux_client.exporters.normalization import NormalizationJsonl, NormalizationTable
from ocrmux_client.files_command import FilesCommand, OnReconnect
from ocrmux_client.normalization_record import NormalizationRecord
from ocrmux_client.normalized_folder import NormalizedFolder
from ocrmux_client.normalizing_run import NormalizingOrder, NormalizingRun
from ocrmux_client.progress import RunProgress
from ocrmux_client.result_sink import ResultSink


class TellingFormat(enum.Enum):
    """How pages are told of: a table for people, JSON lines for programs."""

    TABLE = "table"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class NormalizeCommand:
    """Files to be normalised into ``folder``. Without a format: a table on a terminal, JSON lines elsewhere."""

    files: FilesCommand
    order: NormalizingOrder
    folder: Path
    telling: TellingFormat | None

    def run(self) -> ExitStatus:
        """Normalises everything. Raises UsageProblem, ServicesNotRunning, OcrMuxError if nothing could start."""
        walked = self.files.walked()
        sources.check_outside(self.files.paths, self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UsageProblem(f"--out {self.folder} is no folder") from None
        except OSError as error:
            raise UsageProblem(f"--out {self.folder} cannot be made: {error.strerror or error}") from error
        folder = NormalizedFolder(self.folder, sources.common_root(self.files.paths), self.order.password)
        with ResultSink(None, append=True) as sink:

            def make_run(progress: RunProgress, on_reconnect: OnReconnect | None) -> NormalizingRun:
                order = replace(self.order, policy=replace(self.order.policy, on_reconnect=on_reconnect))
                return NormalizingRun(order, self._exporter(is_terminal=sink.is_terminal), sink, folder, progress)

            return self.files.run(
                walked, make_run, shares_terminal=sink.is_terminal, doing="normalising", tells_cache=False
            )

    def _exporter(self, *, is_terminal: bool) -> Exporter[NormalizationRecord]:
        telling = self.telling or (TellingFormat.TABLE if is_terminal else TellingFormat.JSONL)
        return NormalizationJsonl() if telling is TellingFormat.JSONL else NormalizationTable(Console(highlight=False))
