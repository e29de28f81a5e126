"""A comparison on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ocrmux.ocr.v1.document_pb2 import Page
from ocrmux_client.comparison.compared_page import ComparedPage, Pair
from ocrmux_client.comparison.content_agreement import cells_of, fields_of, value_of
from ocrmux_client.comparison.figures import NONE, field_value, notes, share, summary_columns
from ocrmux_client.comparison.text_difference import Change, folded
from ocrmux_client.comparison.totals import Comparison
from ocrmux_client.comparison.word_marks import MarkedText, marked
from ocrmux_client.items import Feature

PAGES_MAX = 20
DIFFERENCES_MAX = 5
_LINES_MAX = 12
_RUN_MAX = 160  # characters
_BRACKETS = {Change.SAME: "{}", Change.REMOVED: "[-{}-]", Change.ADDED: "{{+{}+}}"}
_STYLES = {Change.SAME: "dim", Change.REMOVED: "red", Change.ADDED: "green"}
_PLACE_WIDTH = 30
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}")

Piece = tuple[Change, str]
_ROWS_MAX = 20
_PAIRS_MAX = 3
_RIGHT = frozenset({"read", "failed", "agreement", "errors", "confidence", "p50 ms", "p95 ms", "cached", "units"})


def comparison_report(comparison: Comparison) -> RenderableType:
    """The providers, then up to 20 pages, those that differ most first, then the differences of up to 5 of them."""
    parts: list[RenderableType] = [_summary(comparison)]
    parts += [Text(), *(Text(note, "dim") for note in notes(comparison))]
    worst = comparison.worst[:PAGES_MAX]
    if worst:
        parts += [Text(), _pages(comparison, worst)]
        if rest := comparison.pages - len(worst):
            parts.append(Text(f"and {rest} more that differ less", "dim"))
    for page in [page for page in worst if page.lowest is not None and page.lowest < 1][:DIFFERENCES_MAX]:
        parts += [Text(), *_differences(comparison, page)]
    return Group(*parts)


def _summary(comparison: Comparison) -> Table:
    columns = summary_columns(comparison)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for name in columns:
        table.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=name == "provider")
    for row in zip(*columns.values(), strict=True):
        cells = dict(zip(columns, row, strict=True))
        table.add_row(*(Text(cell, _style(name, cell)) for name, cell in cells.items()))
    return table


def _style(name: str, cell: str) -> str:
    if name == "provider":
        return "bold"
    return "red" if name == "failed" and cell != "0" else ""


def _pages(comparison: Comparison, pages: Sequence[ComparedPage]) -> Table:
    """A row a page: the agreement of each pair where there are few, else its mean; errors; what is worth a word."""
    pairs = list(comparison.pairs)
    if len(pairs) > (1 if comparison.with_truth else _PAIRS_MAX):
        pairs = []
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    table.add_column("page", overflow="fold", min_width=min(_PLACE_WIDTH, max(cell_len(page.place) for page in pages)))
    for pair in pairs:
        table.add_column("\n= ".join(pair), justify="right")
    if not pairs:
        table.add_column("mean\nagreement", justify="right")
    if comparison.with_truth:
        for name in comparison.providers:
            table.add_column(f"{name}\nerrors", justify="right")
    told = [_remark(page, names_pair=not pairs) for page in pages]
    if any(told):
        table.add_column("")
    for page, remark in zip(pages, told, strict=True):
        table.add_row(*_page_row(comparison, page, pairs), *([remark] if any(told) else []))
    return table


def _page_row(comparison: Comparison, page: ComparedPage, pairs: Sequence[Pair]) -> Iterator[Text]:
    yield Text(_printable(page.place))
    yield from [_shaded(page.agreements.get(pair)) for pair in pairs] or [_shaded(page.mean)]
    if comparison.with_truth:
        for name in comparison.providers:
            errors = page.errors.get(name)
            yield Text(share(None if errors is None else errors.rate))


def _remark(page: ComparedPage, *, names_pair: bool) -> Text:
    if all(record.ok and not _has_content(record.page) for record in page.records.values()):
        return Text("nothing found by anyone", "dim")
    if page.failed:
        return Text(f"not read by {', '.join(page.failed)}", "red")
    if page.outlier is not None:
        return Text(f"{page.outlier} differs most")
    if names_pair and page.worst_pair is not None and page.lowest != 1.0:
        return Text(f"lowest: {' = '.join(page.worst_pair)}")
    return Text()


def _shaded(value: float | None) -> Text:
    if value is None:
        return Text(NONE)
    return Text(share(value), "green" if value >= 0.98 else "yellow" if value >= 0.9 else "red")


def _differences(comparison: Comparison, page: ComparedPage) -> Iterator[RenderableType]:
    pair = page.worst_pair
    if pair is None:
        return
    title = Text(_printable(page.place), "bold")
    if comparison.feature is Feature.TEXT:
        ours, theirs = (_page(page, name) for name in pair)
        told = Text.assemble((f"[-{pair[0]}-]", "red"), " ", (f"{{+{pair[1]}+}}", "green"))
        yield Text.assemble(title, "  ", told)
        yield Padding(difference_lines(ours.text, theirs.text), (0, 0, 0, 2))
    else:
        yield title
        yield Padding(_values(comparison, page), (0, 0, 0, 2))


def difference_lines(first: str, second: str) -> Text:
    """The second text's lines that differ from the first, as ``git diff --word-diff`` shows them; 12 at most."""
    lines = list(_lines(marked(second, first)))
    differing = [line for line in lines if any(change is not Change.SAME for change, _ in line)]
    text = Text("\n").join(_line(line) for line in differing[:_LINES_MAX])
    if (rest := len(differing) - _LINES_MAX) > 0:
        text.append(f"\nand {rest} more lines", "dim")
    return text


def _lines(text: MarkedText) -> Iterator[list[Piece]]:
    """The text's lines, as pieces that end with what parts them from the next."""
    line: list[Piece] = []
    for word in text.words:
        if "\n" in word.gap and line:
            yield line
            line = []
        blank = " " if line and (word.gap or not word.word) else ""
        if word.missing:
            line.append((Change.REMOVED, blank + folded(" ".join(word.missing))))
            blank = " " if word.word else ""
        if word.word:
            line.append((Change.ADDED if word.is_other else Change.SAME, blank + word.word))
    if line:
        yield line


def _line(pieces: Sequence[Piece]) -> Text:
    """Runs of one kind in one pair of brackets; long ones are cut in the middle."""
    text = Text()
    for change, run in groupby(pieces, key=lambda piece: piece[0]):
        told = "".join(piece for _, piece in run)
        blank = " " if told.startswith(" ") else ""
        told = _printable(told.strip())
        if len(told) > _RUN_MAX:
            told = f"{told[: _RUN_MAX // 2]}…{told[-_RUN_MAX // 2 :]}"
        text.append(blank)
        text.append(_BRACKETS[change].format(told), _STYLES[change])
    return text


def _values(comparison: Comparison, page: ComparedPage) -> RenderableType:
    """The cells or fields on which the providers do not agree, or of an identity document all fields."""
    read = {name: _page(page, name) for name, record in page.records.items() if record.ok}
    rows = list(_field_rows(read) if comparison.feature is Feature.ID_DOCUMENT else _cell_rows(read))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    table.add_column("field" if comparison.feature is Feature.ID_DOCUMENT else "cell", style="dim")
    for name in read:
        table.add_column(name, overflow="fold")
    for place, values, differs in rows[:_ROWS_MAX]:
        table.add_row(
            Text(_printable(place)), *(Text(_printable(value), "yellow" if differs else "") for value in values)
        )
    if len(rows) > _ROWS_MAX:
        return Group(table, Text(f"and {len(rows) - _ROWS_MAX} more", "dim"))
    return table


def _field_rows(read: dict[str, Page]) -> Iterator[tuple[str, list[str], bool]]:
    by_provider = [fields_of(page) for page in read.values()]
    for name in dict.fromkeys(name for fields in by_provider for name in fields):
        found = [fields.get(name) for fields in by_provider]
        yield name, [field_value(field) for field in found], len({value_of(field) for field in found}) > 1


def _cell_rows(read: dict[str, Page]) -> Iterator[tuple[str, list[str], bool]]:
    by_provider = [cells_of(page) for page in read.values()]
    several = any(table for cells in by_provider for table, _, _ in cells)
    for place in sorted({place for cells in by_provider for place in cells}):
        texts = [cells.get(place, "") for cells in by_provider]
        if len(set(texts)) > 1:
            table, row, column = place
            name = f"{f'table {table + 1}, ' if several else ''}row {row + 1}, column {column + 1}"
            yield name, [text or NONE for text in texts], True


def _has_content(page: Page | None) -> bool:
    return page is not None and bool(page.text.strip() or page.tables or page.fields)


def _printable(text: str) -> str:
    """The text without what a terminal would obey: what was read is not trusted."""
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode()


def _page(page: ComparedPage, provider: str) -> Page:
    read = page.records[provider].page
    return Page() if read is None else read
