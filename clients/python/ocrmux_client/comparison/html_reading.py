"""What each provider read on a page, side by side, in HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ocrmux.ocr.v1.document_pb2 import Page, Table
from ocrmux_client.comparison.compared_page import ComparedPage
from ocrmux_client.comparison.content_agreement import CellPlace, cells_of, fields_of, value_of
from ocrmux_client.comparison.figures import NONE, field_value, milliseconds, money, share
from ocrmux_client.comparison.html_sheet import line_key
from ocrmux_client.comparison.text_difference import folded
from ocrmux_client.comparison.totals import Comparison
from ocrmux_client.comparison.word_marks import MarkedText, marked, marked_reference
from ocrmux_client.exporters.cell_grid import cell_grid
from ocrmux_client.items import Feature
from ocrmux_client.records import PageRecord


def reading_sections(comparison: Comparison, page: ComparedPage) -> str:
    """A section a provider, after one for the truth, if there is one.

    Texts are marked against the truth, or else against the first provider that read the page.
    """
    read = {name: record.page for name, record in page.records.items() if record.page is not None}
    if comparison.feature is Feature.ID_DOCUMENT:
        contents = dict.fromkeys(read, "")
    elif comparison.feature is Feature.TABLE:
        contents = {name: _tables(name, read) for name in read}
    else:
        contents = dict(_texts(comparison, page, read))
    sections = [_truth(page, list(read.values()))] if page.truth is not None else []
    for number, name in enumerate(comparison.providers):
        if (record := page.records.get(name)) is not None:
            sections.append(_section(number, name, page, record, contents.get(name, "")))
    if comparison.feature is Feature.ID_DOCUMENT:
        sections.append(_fields(read))
    return "".join(sections)


def _section(number: int, name: str, page: ComparedPage, record: PageRecord, content: str) -> str:
    if record.page is None:
        reason = " ".join(part for part in (record.status, record.reason) if part)
        content = f'<p class="failed">not read: {escape(f"{reason}: {record.message}")}</p>'
    facts = "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(value)}</dd></div>" for term, value in _facts(name, page))
    return (
        f'<section class="reading p{number}"><h3>{escape(name)}</h3><dl class="facts">{facts}</dl>{content}</section>\n'
    )


def _facts(name: str, page: ComparedPage) -> Iterator[tuple[str, str]]:
    record = page.records[name]
    provenance = record.provenance
    if (alike := page.agreement_of(name)) is not None:
        yield "agreement", share(alike)
    if (errors := page.errors.get(name)) is not None:
        yield "errors", share(errors.rate)
    if record.confidence is not None:
        yield "confidence", share(record.confidence)
    if record.from_cache:
        yield "cache", (record.cache or "").lower()
    elif provenance.timings.provider_ms:
        yield "time", f"{milliseconds(provenance.timings.provider_ms)} ms"
    if provenance.attempts > 1:
        yield "attempts", str(provenance.attempts)
    if provenance.billed_units:
        yield "units", f"{provenance.billed_units:g}"
    if provenance.currency:
        yield "cost", money({provenance.currency: provenance.cost})
    if provenance.model:
        yield "model", provenance.model


def _texts(comparison: Comparison, page: ComparedPage, read: dict[str, Page]) -> Iterator[tuple[str, str]]:
    first = next(iter(read), None)
    for name, own in read.items():
        number = comparison.providers.index(name)
        if page.truth is not None:
            text = marked(own.text, page.truth)
        elif name == first:
            text = marked_reference(own.text, [other.text for other in read.values() if other is not own])
        else:
            text = marked(own.text, read[first].text if first is not None else "")
        yield name, _marked_text(text, own, number)


def _truth(page: ComparedPage, read: list[Page]) -> str:
    text = marked_reference(page.truth or "", [other.text for other in read])
    return f'<section class="reading"><h3>truth</h3>{_marked_text(text, Page(), 0)}</section>\n'


def _marked_text(text: MarkedText, page: Page, provider_number: int) -> str:
    """Lines that have a box of their own are named by what they have in common with it."""
    lines = sum(len(block.lines) for block in page.blocks)
    linked = bool(lines) and page.text.count("\n") + 1 == lines
    pieces: list[str] = []
    line = 0
    for word in text.words:
        if pieces and "\n" in word.gap:
            line += word.gap.count("\n")
            pieces.append(f"</span>{escape(word.gap)}{_line_start(provider_number, line, linked=linked)}")
        else:
            line += word.gap.count("\n")
            pieces.append(escape(word.gap) if pieces else _line_start(provider_number, line, linked=linked))
        if word.missing:
            missing = escape(folded(" ".join(word.missing)))
            pieces.append(f"<del>{missing}</del> " if word.word else f" <del>{missing}</del>")
        pieces.append(f"<mark>{escape(word.word)}</mark>" if word.is_other else escape(word.word))
    body = f"{''.join(pieces)}</span>" if pieces else ""
    rest = (
        f'{escape(text.rest)}<span class="soft"> (the rest is not compared word by word)</span>'
        if text.rest.strip()
        else ""
    )
    return f'<div class="text" dir="auto">{body}{rest}</div>' if body or rest else '<p class="soft">nothing found</p>'


def _line_start(provider_number: int, line: int, *, linked: bool) -> str:
    return f'<span class="line" data-n="{line_key(provider_number, line)}">' if linked else '<span class="line">'


def _tables(name: str, read: dict[str, Page]) -> str:
    """The provider's tables; cells that another provider reads otherwise are marked."""
    cells = {other: cells_of(page) for other, page in read.items()}
    places = {place for found in cells.values() for place in found}
    differing = {place for place in places if len({found.get(place, "") for found in cells.values()}) > 1}
    tables = [_table(number, table, differing) for number, table in enumerate(read[name].tables)]
    return "".join(tables) or '<p class="soft">no table found</p>'


def _table(number: int, table: Table, differing: set[CellPlace]) -> str:
    rows = []
    for row, texts in enumerate(cell_grid(table)):
        cells = "".join(
            f"<td{' class=differs' if (number, row, column) in differing else ''}>"
            f"{'<br>'.join(escape(line) for line in text.splitlines())}</td>"
            for column, text in enumerate(texts)
        )
        rows.append(f"<tr>{cells}</tr>")
    return f'<div class="scrolls" tabindex="0"><table dir="auto">{"".join(rows)}</table></div>'


def _fields(read: dict[str, Page]) -> str:
    """A row a field, with each provider's value."""
    by_provider = {name: fields_of(page) for name, page in read.items()}
    names = dict.fromkeys(name for fields in by_provider.values() for name in fields)
    if not names:
        return '<section class="reading"><p class="soft">no fields found</p></section>\n'
    rows = []
    for name in names:
        found = [fields.get(name) for fields in by_provider.values()]
        differs = len({value_of(field) for field in found}) > 1
        cells = "".join(f"<td dir=auto>{escape(field_value(field))}</td>" for field in found)
        rows.append(f'<tr{" class=differs" if differs else ""}><th scope="row">{escape(name) or NONE}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in by_provider)
    return (
        '<section class="reading whole"><h3>fields</h3><div class="scrolls" tabindex="0"><table><thead><tr>'
        f'<th scope="col">field</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></section>\n'
    )
