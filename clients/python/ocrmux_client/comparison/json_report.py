"""A comparison for programs: one JSON object, written as its pages are done."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ocrmux_client.comparison.compared_page import ComparedPage
from ocrmux_client.comparison.totals import Comparison
from ocrmux_client.records import json_line
from ocrmux_client.result_sink import ResultSink


class JsonReport:
    """Writes ``feature`` and ``providers``, ``pages`` with one a line, and at the end ``summary``.

    ``out`` is a file, or None for standard output. Raises UsageProblem where it cannot be opened; all methods raise
    OSError.
    """

    def __init__(self, out: Path | None, comparison: Comparison) -> None:
        self._sink = ResultSink(out, append=False)
        self._comparison = comparison
        self._pages = 0

    @property
    def is_terminal(self) -> bool:
        """Whether a person sees it come."""
        return self._sink.is_terminal

    def begin(self) -> None:
        """Writes what stands before the pages; blocks."""
        head = json_line({"feature": self._comparison.feature.value, "providers": list(self._comparison.providers)})
        asyncio.run(self._sink.write(f'{head.rstrip()[:-1]},"pages":[\n'))

    async def add(self, page: ComparedPage) -> None:
        """Writes one page."""
        self._pages += 1
        piece = json_line(page.as_json()).rstrip("\n")
        await self._sink.write(piece if self._pages == 1 else f",\n{piece}")

    def end(self) -> None:
        """Writes the totals and closes the file; blocks."""
        with self._sink:
            asyncio.run(self._sink.write(f'\n],"summary":{json_line(self._comparison.as_json()).rstrip()}}}\n'))
