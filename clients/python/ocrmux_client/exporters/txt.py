"""Text for a person: a header line a page, then what was read."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from ocrmux.ocr.v1.document_pb2 import CHECK_DIGIT_INVALID, CHECK_DIGIT_VALID, Field, Page, Table
from ocrmux_client.exporters.cell_grid import cell_grid
from ocrmux_client.records import PageRecord

_CHECKS = {CHECK_DIGIT_VALID: "  (check digit holds)", CHECK_DIGIT_INVALID: "  (CHECK DIGIT DOES NOT HOLD)"}


class TextExporter:
    """Every page, errors too: where it stands and how it was read, its text, its tables aligned, its fields."""

    def head(self) -> str:
        """Nothing."""
        return ""

    def piece(self, record: PageRecord) -> str:
        """The page's header, its content and a blank line."""
        header = " · ".join(_header(record))
        if record.page is None:
            return f"=== {header}\n\n"
        parts = [part for part in _content(record.page) if part]
        return "\n".join([f"=== {header}", *(parts or ["(nothing found)"]), "", ""])


def _header(record: PageRecord) -> Iterator[str]:
    yield record.place
    if record.page is None:
        yield " ".join(part for part in (record.status, record.reason) if part)
        yield record.message
        return
    if record.provenance.provider:
        yield record.provenance.provider
    if record.cache is not None:
        yield f"cache {record.cache.lower()}"
    yield f"{record.provenance.timings.total_ms:.0f} ms"
    if record.confidence is not None:
        yield f"confidence {record.confidence:.1%}"
    if record.provenance.currency:
        yield f"{record.provenance.cost:.4g} {record.provenance.currency}"


def _content(page: Page) -> Iterator[str]:
    yield page.text.rstrip("\n")
    for table in page.tables:
        yield _aligned(table)
    width = max((cell_len(field.name) for field in page.fields), default=0)
    for field in page.fields:
        yield f"{field.name:<{width}}  {_value(field)}".replace("\n", "\n" + " " * (width + 2))


def _value(field: Field) -> str:
    value = field.normalized_value or field.raw_value
    gap = "\n" if "\n" in value else "  "
    raw = f"{gap}[{field.raw_value}]" if field.raw_value not in {"", value} else ""
    return f"{value}{raw}{_CHECKS.get(field.check_digit, '')}"


def _aligned(table: Table) -> str:
    grid = [[" ".join(text.split()) for text in row] for row in cell_grid(table)]
    if not grid:
        return ""
    widths = [max(cell_len(row[column]) for row in grid) for column in range(len(grid[0]))]
    lines = [
        "| " + " | ".join(_padded(text, width) for text, width in zip(row, widths, strict=True)) + " |" for row in grid
    ]
    return "\n".join(lines)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
