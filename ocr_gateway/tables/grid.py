"""A table's grid: where its rows and columns part, and which of its squares make one cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GridCell:
    """A cell's place; indices from 0, spans from 1."""

    row: int
    column: int
    row_span: int = 1
    column_span: int = 1


@dataclass(frozen=True, slots=True)
class Grid:
    """The edges of rows (down) and columns (across), pixels, one more than there are of each; the cells fill it."""

    row_edges: tuple[float, ...]
    column_edges: tuple[float, ...]
    cells: tuple[GridCell, ...]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.column_edges[0], self.row_edges[0], self.column_edges[-1], self.row_edges[-1]

    def box_of(self, cell: GridCell) -> tuple[float, float, float, float]:
        """A cell's left, top, right, bottom."""
        return (
            self.column_edges[cell.column],
            self.row_edges[cell.row],
            self.column_edges[cell.column + cell.column_span],
            self.row_edges[cell.row + cell.row_span],
        )


def joined_cells(
    rows: int, columns: int, open_below: Callable[[int, int], bool], open_right: Callable[[int, int], bool]
) -> tuple[GridCell, ...]:
    """The cells of a grid whose squares are one cell with the square below, or right, where nothing parts them.

    What comes out as no rectangle is cut into its rows' runs.
    """
    parent = list(range(rows * columns))

    def root(square: int) -> int:
        while parent[square] != square:
            parent[square] = parent[parent[square]]
            square = parent[square]
        return square

    for row in range(rows):
        for column in range(columns):
            square = row * columns + column
            if column + 1 < columns and open_right(row, column):
                parent[root(square + 1)] = root(square)
            if row + 1 < rows and open_below(row, column):
                parent[root(square + columns)] = root(square)
    members: dict[int, list[tuple[int, int]]] = {}
    for square in range(rows * columns):
        members.setdefault(root(square), []).append(divmod(square, columns))
    cells = [cell for squares in members.values() for cell in _rectangles(squares)]
    return tuple(sorted(cells, key=lambda cell: (cell.row, cell.column)))


def filled_cells(rows: int, columns: int, taken: Iterable[GridCell]) -> tuple[GridCell, ...]:
    """The taken cells, which do not overlap, and a cell for each square that they leave."""
    cells = list(taken)
    covered = {
        (row, column)
        for cell in cells
        for row in range(cell.row, cell.row + cell.row_span)
        for column in range(cell.column, cell.column + cell.column_span)
    }
    squares = ((row, column) for row in range(rows) for column in range(columns))
    cells.extend(GridCell(row, column) for row, column in squares if (row, column) not in covered)
    return tuple(sorted(cells, key=lambda cell: (cell.row, cell.column)))


def _rectangles(squares: Sequence[tuple[int, int]]) -> list[GridCell]:
    top, left = min(row for row, _ in squares), min(column for _, column in squares)
    height = max(row for row, _ in squares) - top + 1
    width = max(column for _, column in squares) - left + 1
    if height * width == len(squares):
        return [GridCell(top, left, height, width)]
    runs: list[GridCell] = []
    for row, column in squares:
        if runs and runs[-1].row == row and runs[-1].column + runs[-1].column_span == column:
            runs[-1] = GridCell(row, runs[-1].column, 1, runs[-1].column_span + 1)
        else:
            runs.append(GridCell(row, column))
    return runs
