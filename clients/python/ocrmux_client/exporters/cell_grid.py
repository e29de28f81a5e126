"""A table's cells as rows and columns of text."""

from __future__ import annotations

from ocrmux.ocr.v1.document_pb2 import Table

_MOST_CELLS = 100_000


def cell_grid(table: Table) -> list[list[str]]:
    """Rows of equal length. A spanning cell's text stands in its first row and column, the rest of it is empty.

    Cells outside the announced rows and columns widen the grid. Empty for a table without cells, or with more than
    100 000 places.
    """
    row_count = max([table.row_count, *(cell.row + 1 for cell in table.cells)])
    column_count = max([table.column_count, *(cell.column + 1 for cell in table.cells)])
    if not table.cells or row_count * column_count > _MOST_CELLS:
        return []
    grid = [[""] * column_count for _ in range(row_count)]
    for cell in table.cells:
        grid[cell.row][cell.column] = cell.text
    return grid
