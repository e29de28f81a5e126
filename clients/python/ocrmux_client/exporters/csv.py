"""One row a line of text, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ocrmux.ocr.v1.document_pb2 import Cell, Field, Line, Page
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
)


class CsvExporter:
    """Lines of text, then table cells and fields (as ``name: value``), counted from 1 on each page.

    A page without text and a page with an error have no row. Corners are pixels of the source image.
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
                (record.source, record.page_number, number, text, *_confidence(part), *_corners(part.polygon))
                for number, (text, part) in enumerate(_parts(page), start=1)
            ]
        )


def _parts(page: Page) -> Iterator[tuple[str, Line | Cell | Field]]:
    for block in page.blocks:
        for line in block.lines:
            yield line.text, line
    for table in page.tables:
        for cell in table.cells:
            yield cell.text, cell
    for field in page.fields:
        yield f"{field.name}: {field.normalized_value or field.raw_value}", field


def _confidence(part: Line | Cell | Field) -> tuple[str]:
    return (f"{part.confidence:.4f}" if part.HasField("confidence") else "",)


def _corners(polygon: Polygon) -> list[str]:
    corners = [f"{value:.1f}" for point in polygon.points[:_CORNERS] for value in (point.x, point.y)]
    return corners + [""] * (2 * _CORNERS - len(corners))


def _rows(rows: list[tuple[object, ...]] | list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
