"""The progress bar of a run, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ocrmux_client.run_summary import RunSummary


class RunProgress:
    """Done and total, rate, cache hits, errors and time left, on a terminal; elsewhere nothing at all. Sources are
    counted, one of several pages by its pages: a long document moves the bar from page to page.

    ``doing`` is its word for the work. ``shares_terminal``: results go to the same screen, so the bar makes way for
    each of them.
    """

    def __init__(
        self, console: Console, *, shown: bool, shares_terminal: bool, doing: str = "reading", tells_cache: bool = True
    ) -> None:
        self._shares_terminal = shares_terminal
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[done]}/{task.fields[all]}{task.fields[pages]}"),
            TextColumn("{task.fields[rate]}"),
            *([TextColumn("[green]cache {task.fields[hits]}")] if tells_cache else []),
            TextColumn("[{task.fields[error_style]}]errors {task.fields[errors]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not shown,
        )
        self._shown = shown
        self._task = self._bar.add_task(
            doing, total=None, done=0, all="?", pages="", rate="", hits=0, errors=0, error_style="dim"
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def set_total(self, sources: int) -> None:
        """Tells how many sources there are; may be called from any thread."""
        self._bar.update(self._task, total=sources, all=sources)

    def show(self, summary: RunSummary, elapsed_s: float) -> None:
        """Shows how far the run has come."""
        if not self._shown:
            return
        done = summary.sources_done + summary.sources_skipped
        self._bar.update(
            self._task,
            completed=done + summary.sources_under_way,
            done=done,
            pages=f" ({summary.pages} {summary.page}s)" if summary.pages > summary.sources_done else "",
            rate=f"{summary.pages / max(elapsed_s, 0.001):.1f} {summary.page}s/s",
            hits=summary.from_cache,
            errors=summary.errors,
            error_style="red" if summary.errors else "dim",
        )

    @contextmanager
    def making_way(self) -> Iterator[None]:
        """The bar is off the screen meanwhile, if results go there too."""
        if not (self._shown and self._shares_terminal):
            yield
            return
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()
