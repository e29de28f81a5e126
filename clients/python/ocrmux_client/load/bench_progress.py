"""How far a benchmark is, on a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ocrmux_client.load.bench_run import Stage


class BenchProgress:
    """One line: the stage, how much of its time has gone, and what came of it so far; elsewhere nothing at all."""

    def __init__(self, console: Console, *, shown: bool) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not shown,
        )
        self._task = self._bar.add_task("connecting", total=None, told="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, stage: Stage) -> None:
        """Shows the stage as it is now."""
        tally, elapsed_s = stage.run.tally, stage.run.elapsed_s
        if elapsed_s < tally.begins_s:
            told = "warming up"
        else:
            told = f"answered {tally.answered}, failed {tally.failed}, p99 {tally.response.percentile_ms(99):.0f} ms"
        self._bar.update(
            self._task,
            description=stage.name,
            total=stage.lasts_s or None,
            completed=min(elapsed_s, stage.lasts_s),
            told=f"{told}, in flight {stage.run.in_flight}" if stage.lasts_s else "",
        )
