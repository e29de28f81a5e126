"""Markdown, and tables in HTML or pipes, as language models write them."""

from __future__ import annotations

import contextlib
import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.model import CellKind, Table
from ocr_gateway.providers.remote.marked_text import MAX_CELLS, MAX_LINES, MAX_PLACES, plain_lines, tables_of


def cells_of(table: Table) -> list[tuple[int, int, int, int, str]]:
    return [(cell.row, cell.column, cell.row_span, cell.column_span, cell.text) for cell in table.cells]


@pytest.mark.parametrize(
    ("marked", "lines"),
    [
        ("# Invoice 7 #", ["Invoice 7"]),
        ("**Total**: 5 &amp; more", ["Total: 5 & more"]),
        ("![logo](img-0.jpeg)\n\n[here](https://example.com)", ["here"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["a\tb", "1\t2"]),
        ("---\n***\nline", ["line"]),
        ("```\ncode 1\n```", ["code 1"]),
        ("one<br>two", ["one", "two"]),
        ("2 * 3 * 4 = 24", ["2 * 3 * 4 = 24"]),
        ("a < b > c", ["a < b > c"]),
        ("中文 <u>下划线</u>", ["中文  下划线"]),
        ("***both*** and __one **in** other__", ["both and one in other"]),
        ("5 ** 6 ** 7 and Name: ________", ["5 ** 6 ** 7 and Name: ________"]),
        ("Unit No. #", ["Unit No. #"]),
        ("[wiki](https://example.com/a_(b)) ok", ["wiki ok"]),
        ("", []),
    ],
)
def test_marks_are_taken_off_lines(marked: str, lines: list[str]) -> None:
    """What is printed stays, what only marks it goes."""
    assert plain_lines(marked) == lines


def test_an_html_table_has_its_spans() -> None:
    """Rows and columns that a cell covers are not given to the next one; the head heads columns."""
    (table,) = tables_of(
        "<table><thead><tr><th colspan=2>Name</th><th rowspan='2'>Sum</th></tr><tr><th>a</th><th>b</th></tr></thead>"
        "<tbody><tr><th>x</th><td>1<br>2</td><td>3</td></tr></tbody></table>"
    )
    assert (table.row_count, table.column_count) == (3, 3)
    assert cells_of(table) == [
        (0, 0, 1, 2, "Name"),
        (0, 2, 2, 1, "Sum"),
        (1, 0, 1, 1, "a"),
        (1, 1, 1, 1, "b"),
        (2, 0, 1, 1, "x"),
        (2, 1, 1, 1, "1\n2"),
        (2, 2, 1, 1, "3"),
    ]
    assert [cell.kind for cell in table.cells] == [
        *[CellKind.COLUMN_HEADER] * 4,
        CellKind.ROW_HEADER,
        *[CellKind.CONTENT] * 2,
    ]


def test_a_span_ends_with_the_table() -> None:
    """A cell that claims a thousand rows has those that there are."""
    (table,) = tables_of("<table><tr><td rowspan=999>a</td><td>b</td></tr><tr><td>c</td></tr></table>")
    assert cells_of(table) == [(0, 0, 2, 1, "a"), (0, 1, 1, 1, "b"), (1, 1, 1, 1, "c")]


def test_a_table_in_pipes_is_read() -> None:
    """Its first row heads the columns; text around it is none of it."""
    (table,) = tables_of("before\n\n| a | b |\n|:--|--:|\n| 1 | x \\| y |\n\nafter")
    assert cells_of(table) == [(0, 0, 1, 1, "a"), (0, 1, 1, 1, "b"), (1, 0, 1, 1, "1"), (1, 1, 1, 1, "x | y")]
    assert table.cells[0].kind is CellKind.COLUMN_HEADER


def test_text_without_a_table_has_none() -> None:
    """Nor has an empty one, or a line with a pipe."""
    assert tables_of("a | b\nno table") == tables_of("<table></table>") == tables_of("") == []


def test_several_tables_are_several() -> None:
    """One within a cell is that cell's text."""
    first, second = tables_of(
        "<table><tr><td>a<table><tr><td>inner</td></tr></table></td></tr></table><p>x</p><table><tr><td>b</td></tr></table>"
    )
    assert [cell.text for cell in first.cells] == ["ainner"]
    assert [cell.text for cell in second.cells] == ["b"]


def test_too_many_cells_are_refused() -> None:
    """A model that repeats itself does not fill the memory."""
    with pytest.raises(ValueError, match="cells"):
        tables_of("<table>" + "<tr><td>1</td></tr>" * (MAX_CELLS + 1) + "</table>")


@pytest.mark.parametrize(
    "marked",
    [
        f"<table><tr>{'<td colspan=1000>1</td>' * 300}</tr></table>",
        f"<table><tr><td colspan=900>1</td></tr>{'<tr>' * MAX_PLACES}</table>",
        f"a|b\n--|--\n{'|' * (MAX_CELLS + 2)}",
    ],
)
def test_a_table_of_too_many_places_is_refused(marked: str) -> None:
    """Few cells can span a grid that nobody can lay out."""
    with pytest.raises(ValueError, match="more than"):
        tables_of(marked)


def test_too_many_lines_are_refused() -> None:
    """A model that repeats itself does not fill the memory."""
    assert len(plain_lines("a\n" * MAX_LINES)) == MAX_LINES
    with pytest.raises(ValueError, match="lines"):
        plain_lines("a\n" * (MAX_LINES + 1))


@pytest.mark.timeout(30)  # what grew with the square took minutes
@pytest.mark.parametrize(
    "piece",
    ["**a ", "__a ", "![", "[", "[a](", "[a](()", "![a](b(c)", " ", " #", "<a", "<br ", "<br", "--", "|--", "|", "\\|",
     "<", "<!--", "<!", "<?", "</", '<a b="', "<td rowspan", "<td rowspan=", "&#1", "&", "*", "_", "`"],
)  # fmt: skip
@pytest.mark.parametrize("before", ["", "|", "<table><tr><td>", "<td "])
def test_time_grows_with_the_length(piece: str, before: str) -> None:
    """What a model repeats for ever is read at once, on the event loop as it may be."""
    marked = before + piece * (200_000 // len(piece))
    with contextlib.suppress(ValueError):
        assert len(plain_lines(marked)) <= MAX_LINES
    with contextlib.suppress(ValueError):
        assert sum(len(table.cells) for table in tables_of(marked)) <= MAX_CELLS


WORDS = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=5)


@given(st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_plain_grids_come_back(rows: list[list[str]]) -> None:
    """Every cell at its place."""
    marked = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    (table,) = tables_of(f"<table>{marked}</table>")
    assert cells_of(table) == [(r, c, 1, 1, cell) for r, row in enumerate(rows) for c, cell in enumerate(row)]


@given(st.text(st.sampled_from("<>/tabletrd=\"'colspan1239|-\n# *[]()!`"), max_size=200))
def test_no_text_breaks_it(marked: str) -> None:
    """Whatever a model writes is lines and perhaps tables."""
    assert all(line.strip() for line in plain_lines(marked))
    for table in tables_of(f"<table>{marked}"):
        assert all(cell.row + cell.row_span <= table.row_count for cell in table.cells)
        assert all(cell.column + cell.column_span <= table.column_count for cell in table.cells)
