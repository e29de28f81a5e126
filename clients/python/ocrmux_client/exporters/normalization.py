"""Records of normalised pages: JSON lines for programs, a table for people."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ocrmux_client.normalization_record import NormalizationRecord

_PAGE, _SIZES, _TOOK, _GAPS = 7, 21, 8, 8
_SOURCE_MIN, _SOURCE_MAX = 16, 44


class NormalizationJsonl:
    """One JSON object a line."""

    def head(self) -> str:
        """Nothing."""
        return ""

    def piece(self, record: NormalizationRecord) -> str:
        """The record's line."""
        return record.as_line()


class NormalizationTable:
    """A table of fixed columns, as wide as the console, whose rows come one by one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._source = min(max((console.width - _PAGE - _SIZES - _TOOK - _GAPS) // 3, _SOURCE_MIN), _SOURCE_MAX)

    def head(self) -> str:
        """The columns' names."""
        names = ("source", "page", "measured → done", "pixels", "time")
        return self._row(*(Text(name, "bold") for name in names))

    def piece(self, record: NormalizationRecord) -> str:
        """The page's row; an error stands in red where the steps would."""
        done = Text(record.done, "" if record.ok else "red")
        found = Text.assemble((record.measured, "dim"), " → ", done) if record.measured else done
        return self._row(
            Text(_ending(record.source, self._source)),
            Text(record.numbered),
            found,
            Text(record.sizes),
            Text(record.took),
        )

    def _row(self, *cells: Text) -> str:
        row = Table.grid(padding=(0, 2, 0, 0), expand=True)
        row.add_column(width=self._source, no_wrap=True)
        row.add_column(width=_PAGE, no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(width=_SIZES, overflow="fold")
        row.add_column(width=_TOOK, justify="right", no_wrap=True)
        row.add_row(*cells)
        with self._console.capture() as captured:
            self._console.print(row)
        return captured.get()


def _ending(path: str, width: int) -> str:
    """The path, its beginning left out where it is wider than the column."""
    if cell_len(path) <= width:
        return path
    while cell_len(path) >= width:
        path = path[1:]
    return f"…{path}"
