"""What language models write instead of plain lines: Markdown, and tables in HTML or in pipes.

A model that repeats itself writes anything at any length, so all of it is read in time and memory that grow with the
length alone: the patterns do not go back (possessive quantifiers), and ``html.parser`` is not used, which takes
quadratic time for tags that do not end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape

from ocr_gateway.model import Cell, CellKind, Table

MAX_CELLS = 20_000
"""Of all tables of a text."""
MAX_PLACES = 200_000
"""Rows times columns of a table."""
MAX_LINES = 100_000
_MAX_SPAN = 1000
_MAX_TABLES = 1000
_HEADING = re.compile(r"\s{0,3}+#{1,6}+\s++")
_STRONG = re.compile(r"((?<!\*)\*{2,3}(?!\*)|(?<!_)__(?!_))")
_ADDRESS = r"\([^()]*+(?:\([^()]*+\)[^()]*+)*+\)"
_IMAGE = re.compile(rf"!\[[^\[\]]*+\]{_ADDRESS}")
_LINK = re.compile(rf"\[([^\[\]]++)\]{_ADDRESS}")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}+>")
_BREAK = re.compile(r"<br\s*+/?>", re.IGNORECASE)
_RULE_CELL = re.compile(r":?-{2,}+:?")
_FENCE = re.compile(r"\s*+(```|~~~)")
_HTML_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*+)([^<>]*+)>")
_SPAN = re.compile(r"""\b(rowspan|colspan)\s*+=\s*+["']?+\s*+([0-9]{1,6})""", re.IGNORECASE)


def plain_lines(marked: str) -> list[str]:
    """The lines without marks of headings, emphasis, links, pictures, rules and tags; cells of a table's row are parted
    by a tab. Empty lines are left out.

    Raises ValueError for more than ``MAX_LINES``.
    """
    lines: list[str] = []
    for raw in _BREAK.sub("\n", marked).splitlines():
        if _FENCE.match(raw) or _is_rule(raw) or _is_line(raw.strip()):
            continue
        line = _LINK.sub(r"\1", _IMAGE.sub("", _without_emphasis(_without_heading(raw))))
        line = unescape(_TAG.sub(" ", line)).strip()
        if line.startswith("|") and line.endswith("|") and len(line) > 1:
            line = "\t".join(_pipe_cells(line))
        if line:
            lines.append(line)
        if len(lines) > MAX_LINES:
            raise ValueError(f"a text of more than {MAX_LINES} lines")
    return lines


def tables_of(marked: str) -> list[Table]:
    """The tables of a text: those in HTML, or else those in pipes. Without places and confidences.

    Raises ValueError for more than ``MAX_CELLS`` cells and for a table of more than ``MAX_PLACES``.
    """
    found = _html_tables(marked) if "<table" in marked.lower() else list(_pipe_tables(marked.splitlines()))
    return [table for rows in found[:_MAX_TABLES] if (table := _laid_out(rows)) is not None]


def _without_heading(line: str) -> str:
    """A heading's words; any other line as it is."""
    found = _HEADING.match(line)
    if found is None:
        return line
    words = line[found.end() :].rstrip()
    unclosed = words.rstrip("#")
    return unclosed if unclosed[-1:].isspace() else words


def _without_emphasis(line: str) -> str:
    """Without the marks of pairs that stand right round something."""
    parts = _STRONG.split(line)
    opened: dict[str, int] = {}
    for place in range(1, len(parts), 2):
        mark, before, after = parts[place], parts[place - 1], parts[place + 1]
        if mark in opened and before and not before[-1].isspace():
            parts[opened.pop(mark)] = parts[place] = ""
        elif mark not in opened and after and not after[0].isspace():
            opened[mark] = place
    return "".join(parts)


def _is_rule(line: str) -> bool:
    """Whether it parts a table's head from its rows, in pipes."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    return all(_RULE_CELL.fullmatch(cell.strip()) for cell in inner.split("|"))


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
    cells: list[Cell] = []
    taken_until: dict[int, int] = {}
    columns = 0
    for row, given in enumerate(rows):
        column = 0
        for each in given:
            while taken_until.get(column, 0) > row:
                column += 1
            span = min(each.row_span, len(rows) - row)
            if (column + each.column_span) * len(rows) > MAX_PLACES:
                raise ValueError(f"a table of more than {MAX_PLACES} places")
            for covered in range(column, column + each.column_span):
                taken_until[covered] = row + span
            words = "\n".join(filter(None, (" ".join(line.split()) for line in "".join(each.text).split("\n"))))
            cells.append(Cell(row, column, span, each.column_span, words, None, None, each.kind))
            column += each.column_span
            columns = max(columns, column)
    if not cells:
        return None
    return Table(len(rows), columns, tuple(sorted(cells, key=lambda cell: (cell.row, cell.column))))


def _html_tables(marked: str) -> list[_Rows]:
    reader = _HtmlTables()
    marked, end = _without_comments(marked), 0
    for tag in _HTML_TAG.finditer(marked):
        reader.read_text(marked[end : tag.start()])
        reader.read_tag(tag[2].lower(), tag[3], is_end=bool(tag[1]))
        end = tag.end()
    reader.read_text(marked[end:])
    return reader.tables


def _without_comments(marked: str) -> str:
    parts: list[str] = []
    at = 0
    while (begin := marked.find("<!--", at)) >= 0 and (end := marked.find("-->", begin)) >= 0:
        parts.append(marked[at:begin])
        at = end + len("-->")
    return "".join((*parts, marked[at:]))


class _HtmlTables:
    """Gathers the outermost tables; one within a cell is read as that cell's text."""

    def __init__(self) -> None:
        self.tables: list[_Rows] = []
        self._depth = 0
        self._cells = 0
        self._in_head = False
        self._cell: _Given | None = None

    def read_tag(self, tag: str, attributes: str, *, is_end: bool) -> None:
        """Opens or closes a table, its head, a row or a cell; a break is one in the text."""
        if is_end:
            self._close(tag)
        elif tag == "table":
            self._depth += 1
            if self._depth == 1:
                self.tables.append([])
                self._cell, self._in_head = None, False
        elif self._depth == 1:
            self._open(tag, attributes)

    def read_text(self, words: str) -> None:
        """Text of the open cell."""
        if self._cell is not None and words:
            self._cell.text.append(unescape(words).replace("\n", " "))

    def _open(self, tag: str, attributes: str) -> None:
        if tag == "thead":
            self._in_head = True
        elif tag in ("tbody", "tfoot"):
            self._in_head = False
        elif tag == "tr":
            self.tables[-1].append([])
            self._cell = None
        elif tag in ("td", "th"):
            self._open_cell(tag, attributes)
        elif tag in ("br", "p", "div") and self._cell is not None:
            self._cell.text.append("\n")

    def _close(self, tag: str) -> None:
        if tag == "table" and self._depth:
            self._depth -= 1
            self._cell = self._cell if self._depth else None
        elif self._depth == 1 and tag in ("td", "th", "tr"):
            self._cell = None
        elif self._depth == 1 and tag == "thead":
            self._in_head = False

    def _open_cell(self, tag: str, attributes: str) -> None:
        self._cells += 1
        _check_cells(self._cells)
        rows = self.tables[-1]
        if not rows:
            rows.append([])
        spans = {name.lower(): min(_MAX_SPAN, max(1, int(said))) for name, said in _SPAN.findall(attributes)}
        heads_column = self._in_head or (tag == "th" and len(rows) == 1)
        kind = CellKind.COLUMN_HEADER if heads_column else CellKind.ROW_HEADER if tag == "th" else CellKind.CONTENT
        self._cell = _Given([], spans.get("rowspan", 1), spans.get("colspan", 1), kind)
        rows[-1].append(self._cell)


def _check_cells(count: int) -> None:
    if count > MAX_CELLS:
        raise ValueError(f"tables of more than {MAX_CELLS} cells")


def _pipe_tables(lines: Sequence[str]) -> Iterator[_Rows]:
    """Runs of lines with pipes whose second one is a rule; the first one heads the columns (GitHub's Markdown)."""
    run: list[str] = []
    cells = 0
    for line in (*lines, ""):
        if "|" in line:
            run.append(line)
            continue
        if len(run) > 1 and _is_rule(run[1]):
            cells += sum(row.count("|") for row in run)
            _check_cells(cells)
            head = [_Given([cell], kind=CellKind.COLUMN_HEADER) for cell in _pipe_cells(run[0])]
            yield [head, *([_Given([cell]) for cell in _pipe_cells(row)] for row in run[2:])]
        run = []


def _pipe_cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [_BREAK.sub("\n", cell).replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner)]
