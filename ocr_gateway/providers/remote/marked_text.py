"""What language models write instead of plain lines: Markdown, and tables in HTML or in pipes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser

from ocr_gateway.model import Cell, CellKind, Table

MAX_CELLS = 20_000
_MAX_SPAN = 1000
_MAX_TABLES = 1000
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+|\s+#+\s*$")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$")
_FENCE = re.compile(r"^\s*(```|~~~)")


def plain_lines(marked: str) -> list[str]:
    """The lines without marks of headings, emphasis, links, pictures, rules and tags; cells of a table's row are parted
    by a tab. Empty lines are left out."""
    lines: list[str] = []
    for raw in _BREAK.sub("\n", marked).splitlines():
        if _FENCE.match(raw) or _RULE.match(raw) or _is_line(raw.strip()):
            continue
        line = _LINK.sub(r"\1", _IMAGE.sub("", _STRONG.sub(r"\2", _HEADING.sub("", raw))))
        line = unescape(_TAG.sub(" ", line)).strip()
        if line.startswith("|") and line.endswith("|") and len(line) > 1:
            line = "\t".join(_pipe_cells(line))
        if line:
            lines.append(line)
    return lines


def tables_of(marked: str) -> list[Table]:
    """The tables of a text: those in HTML, or else those in pipes. Without places and confidences.

    Raises ValueError for more than ``MAX_CELLS`` cells.
    """
    if "<table" in marked.lower():
        reader = _HtmlTables()
        reader.feed(marked)
        reader.close()
        found = reader.tables
    else:
        found = list(_pipe_tables(marked.splitlines()))
    return [table for rows in found[:_MAX_TABLES] if (table := _laid_out(rows)) is not None]


def _is_line(stripped: str) -> bool:
    """Whether it draws a line across the page."""
    return len(stripped) > 2 and len(set(stripped)) == 1 and stripped[0] in "-*_"


@dataclass(slots=True)
class _Given:
    """A cell as it is written."""

    text: list[str] = field(default_factory=list)
    row_span: int = 1
    column_span: int = 1
    kind: CellKind = CellKind.CONTENT


_Rows = list[list[_Given]]


def _laid_out(rows: _Rows) -> Table | None:
    """The cells on the grid, as the HTML standard's table model lays them out: each takes the next free place of its
    row, and what it spans is taken (WHATWG HTML, 4.9.12)."""
    if sum(map(len, rows)) > MAX_CELLS:
        raise ValueError(f"a table of more than {MAX_CELLS} cells")
    cells: list[Cell] = []
    taken_until: dict[int, int] = {}
    columns = 0
    for row, given in enumerate(rows):
        column = 0
        for each in given:
            while taken_until.get(column, 0) > row:
                column += 1
            span = min(each.row_span, len(rows) - row)
            for covered in range(column, column + each.column_span):
                taken_until[covered] = row + span
            words = "\n".join(filter(None, (" ".join(line.split()) for line in "".join(each.text).split("\n"))))
            cells.append(Cell(row, column, span, each.column_span, words, None, None, each.kind))
            column += each.column_span
            columns = max(columns, column)
    if not cells:
        return None
    return Table(len(rows), columns, tuple(sorted(cells, key=lambda cell: (cell.row, cell.column))))


class _HtmlTables(HTMLParser):
    """Gathers the outermost tables; one within a cell is read as that cell's text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[_Rows] = []
        self._depth = 0
        self._in_head = False
        self._cell: _Given | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens a table, a row or a cell; a break is one in the text."""
        if tag == "table":
            self._depth += 1
            if self._depth == 1:
                self.tables.append([])
                self._cell, self._in_head = None, False
        elif self._depth != 1:
            return
        elif tag == "thead":
            self._in_head = True
        elif tag in ("tbody", "tfoot"):
            self._in_head = False
        elif tag == "tr":
            self.tables[-1].append([])
            self._cell = None
        elif tag in ("td", "th"):
            self._open_cell(tag, dict(attrs))
        elif tag in ("br", "p", "div") and self._cell is not None:
            self._cell.text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Closes a table, its head or a cell."""
        if tag == "table" and self._depth:
            self._depth -= 1
            self._cell = self._cell if self._depth else None
        elif self._depth == 1 and tag in ("td", "th", "tr"):
            self._cell = None
        elif self._depth == 1 and tag == "thead":
            self._in_head = False

    def handle_data(self, data: str) -> None:
        """Text of the open cell."""
        if self._cell is not None:
            self._cell.text.append(data.replace("\n", " "))

    def _open_cell(self, tag: str, attributes: dict[str, str | None]) -> None:
        rows = self.tables[-1]
        if not rows:
            rows.append([])
        heads_column = self._in_head or (tag == "th" and len(rows) == 1)
        kind = CellKind.COLUMN_HEADER if heads_column else CellKind.ROW_HEADER if tag == "th" else CellKind.CONTENT
        self._cell = _Given([], _span(attributes.get("rowspan")), _span(attributes.get("colspan")), kind)
        rows[-1].append(self._cell)


def _span(said: str | None) -> int:
    digits = (said or "").strip()
    return min(_MAX_SPAN, max(1, int(digits[:6]))) if digits.isascii() and digits.isdigit() else 1


def _pipe_tables(lines: Iterable[str]) -> Iterator[_Rows]:
    """Runs of lines with pipes whose second one is a rule; the first one heads the columns (GitHub's Markdown)."""
    run: list[str] = []
    for line in (*lines, ""):
        if "|" in line:
            run.append(line)
            continue
        if len(run) > 1 and _RULE.match(run[1]):
            head = [_Given([cell], kind=CellKind.COLUMN_HEADER) for cell in _pipe_cells(run[0])]
            yield [head, *([_Given([cell]) for cell in _pipe_cells(row)] for row in run[2:])]
        run = []


def _pipe_cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [_BREAK.sub("\n", cell).replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner)]
