"""One row a line of text, a table cell or a field, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ocrmux.ocr.v1.document_pb2 import CHECK_DIGIT_INVALID, CHECK_DIGIT_VALID, Cell, Field, Line, Page
from ocrmux.ocr.v1.geometry_pb2 import Polygon
from ocrmux_client.records import PageRecord

_CORNERS = 4
COLUMNS = (
    "source",
    "page",
    "line",
    "text",
    "confidence",
    *(f"{axis}{corner}" for corner in range(_CORNERS) for axis in "xy"),
    "kind",
    "table",
    "row",
    "column",
    "row_span",
    "column_span",
    "name",
    "as_printed",
    "check_digit",
)
_CHECKS = {CHECK_DIGIT_VALID: "holds", CHECK_DIGIT_INVALID: "does not hold"}


class CsvExporter:
    """Lines of text, then table cells, then fields, counted from 1 on each page; ``kind`` says which it is.

    A cell's table, row and column are counted from 1 too. A field has its name, its normalised value as the text, what
    is printed, and whether its check digit holds. A page with nothing on it and a page with an error have no row.
    Corners are pixels of the source image.
    """

    def head(self) -> str:
        """The column names."""
        return _rows([COLUMNS])

    def piece(self, record: PageRecord) -> str:
        """The page's rows."""
        page = record.page
        if page is None:
            return ""
        return _rows(
            [
                (record.source, record.page_number, number, text, *_confidence(part), *_corners(part.polygon), *more)
                for number, (text, part, more) in enumerate(_parts(page), start=1)
            ]
        )


def _parts(page: Page) -> Iterator[tuple[str, Line | Cell | Field, tuple[object, ...]]]:
    """Text, part, and what follows from ``kind`` on."""
    for block in page.blocks:
        for line in block.lines:
            yield line.text, line, ("line", *[""] * 8)
    for number, table in enumerate(page.tables, start=1):
        for cell in table.cells:
            place = (number, cell.row + 1, cell.column + 1, cell.row_span or 1, cell.column_span or 1)
            yield cell.text, cell, ("cell", *place, "", "", "")
    for field in page.fields:
        told = (field.name, field.raw_value, _CHECKS.get(field.check_digit, ""))
        yield field.normalized_value or field.raw_value, field, ("field", *[""] * 5, *told)


def _confidence(part: Line | Cell | Field) -> tuple[str]:
    return (f"{part.confidence:.4f}" if part.HasField("confidence") else "",)


def _corners(polygon: Polygon) -> list[str]:
    corners = [f"{value:.1f}" for point in polygon.points[:_CORNERS] for value in (point.x, point.y)]
    return corners + [""] * (2 * _CORNERS - len(corners))


def _rows(rows: list[tuple[object, ...]] | list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
