"""Ruled tables come back as they were drawn, whatever their cells, rules and place."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ocr_gateway.model import Line, Word
from ocr_gateway.tables.finder import find_tables
from tests.fakes.table_lines import box_polygon

Place = tuple[int, int, int, int]


@st.composite
def spans(draw: st.DrawFn) -> list[Place]:
    """The cells of a grid (row, column, row span, column span), of which some are joined to larger rectangles."""
    rows, columns = draw(st.integers(1, 7)), draw(st.integers(1, 6))
    taken: dict[tuple[int, int], Place] = {}
    for row in range(rows):
        for column in range(columns):
            if (row, column) in taken:
                continue
            height = draw(st.integers(1, min(3, rows - row))) if draw(st.booleans()) else 1
            width = draw(st.integers(1, min(3, columns - column))) if draw(st.booleans()) else 1
            squares = [(r, c) for r in range(row, row + height) for c in range(column, column + width)]
            if any(square in taken for square in squares):
                squares, height, width = [(row, column)], 1, 1
            taken.update(dict.fromkeys(squares, (row, column, height, width)))
    return _as_seen(sorted(set(taken.values())))


def _as_seen(places: list[Place]) -> list[Place]:
    """The places counted by the edges at which some cell ends: no reader can know of others."""
    rows = sorted({edge for row, _, height, _ in places for edge in (row, row + height)})
    columns = sorted({edge for _, column, _, width in places for edge in (column, column + width)})
    return [
        (rows.index(r), columns.index(c), rows.index(r + h) - rows.index(r), columns.index(c + w) - columns.index(c))
        for r, c, h, w in places
    ]


@given(
    places=spans(),
    sizes=st.lists(st.integers(30, 90), min_size=13, max_size=13),
    thickness=st.integers(1, 4),
    shade=st.integers(0, 140),
    margin=st.sampled_from([0, 1, 7, 40]),
    text_px=st.integers(12, 20),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_cell_comes_back(
    places: list[Place], sizes: list[int], thickness: int, shade: int, margin: int, text_px: int
) -> None:
    """Rows, columns, spans, texts and boxes are those drawn, at any rule's width and shade, at the page's edge too."""
    assume(len(places) > 1)
    ys = margin + np.concatenate([[0], np.cumsum(sizes[:7])])
    xs = margin + np.concatenate([[0], np.cumsum(sizes[7:])])
    bottom, right = (max(r + h for r, _, h, _ in places), max(c + w for _, c, _, w in places))
    page = np.full((int(ys[bottom]) + margin + thickness, int(xs[right]) + margin + thickness, 3), 250, np.uint8)
    lines = []
    for number, (row, column, height, width) in enumerate(places):
        x0, x1, y0, y1 = int(xs[column]), int(xs[column + width]), int(ys[row]), int(ys[row + height])
        for y in (y0, y1):
            page[y : y + thickness, x0 : x1 + thickness] = shade
        for x in (x0, x1):
            page[y0 : y1 + thickness, x : x + thickness] = shade
        middle_x, middle_y = (x0 + x1 + thickness) / 2, (y0 + y1 + thickness) / 2
        box = box_polygon((middle_x - 10, middle_y - text_px / 2, middle_x + 10, middle_y + text_px / 2))
        lines.append(Line(f"w{number}", 0.8, box, (Word(f"w{number}", 0.8, box),)))
    (table,) = find_tables(page, lines)
    found = [(cell.row, cell.column, cell.row_span, cell.column_span, cell.text) for cell in table.cells]
    assert found == [(*place, f"w{number}") for number, place in enumerate(places)]
    for cell, (row, column, height, width) in zip(table.cells, places, strict=True):
        assert cell.polygon is not None
        drawn = box_polygon((xs[column], ys[row], xs[column + width], ys[row + height]))
        offsets = [abs(a - b) for p, q in zip(cell.polygon, drawn, strict=True) for a, b in zip(p, q, strict=True)]
        assert max(offsets) <= thickness / 2 + 2
        assert abs((cell.confidence or 0) - 0.8) < 1e-9
