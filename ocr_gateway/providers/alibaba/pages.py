"""Alibaba's answers, made into pages. Whatever is not as documented raises ValueError, which says what.

Of a text's places ``pos`` is used; ``x``, ``y``, ``width`` and ``height`` describe it before it was turned.
"""

from __future__ import annotations

from typing import Any

from ocr_gateway.model import Block, Cell, Line, Page, Table
from ocr_gateway.providers.alibaba.corrected_image import CorrectedImage, corrected_image
from ocr_gateway.providers.remote.characters import Character, words_of
from ocr_gateway.providers.remote.values import array, confidence, index, member, optional_text, text

_CellKey = tuple[Any, Any]


def text_page(said: dict[str, Any], width: int, height: int) -> Page:
    """Lines, in Alibaba's paragraphs where they were asked for."""
    image = corrected_image(said, width, height)
    paragraphs: dict[int | None, list[Line]] = {}
    for each in array(member(said, "prism_wordsInfo"), "prism_wordsInfo"):
        line = _line(each, image)
        paragraph = each.get("paragraphId")
        paragraphs.setdefault(paragraph if isinstance(paragraph, int) else None, []).append(line)
    return Page(width, height, blocks=tuple(Block(tuple(lines)) for lines in paragraphs.values()))


def table_page(said: dict[str, Any], width: int, height: int) -> Page:
    """Tables; what Alibaba reads beside them is left out, since that is what TEXT is for."""
    image = corrected_image(said, width, height)
    sure = _cell_confidences(said)
    tables = [_table(each, image, sure) for each in array(said.get("prism_tablesInfo") or [], "prism_tablesInfo")]
    return Page(width, height, tables=tuple(table for table in tables if table.cells))


def _line(said: Any, image: CorrectedImage) -> Line:
    words = text(member(said, "word"), "word")
    characters = [
        Character(text(member(each, "word"), "word"), confidence(each.get("prob"), 100), image.box(each))
        for each in array(said.get("charInfo") or [], "charInfo")
    ]
    return Line(
        words,
        confidence(said.get("prob"), 100),
        image.polygon(said.get("pos")),
        words_of(words, characters, image.turn),
    )


def _cell_confidences(said: dict[str, Any]) -> dict[_CellKey, float]:
    """The least confidence of the texts of each cell, by the identifiers of its table and its own."""
    least: dict[_CellKey, float] = {}
    for each in array(said.get("prism_wordsInfo") or [], "prism_wordsInfo"):
        sure = confidence(member(each, "prob"), 100) if isinstance(each, dict) and "prob" in each else None
        if sure is not None and (key := _key(each.get("tableId"), each.get("tableCellId"))):
            least[key] = min(sure, least.get(key, 1.0))
    return least


def _key(table: Any, cell: Any) -> _CellKey | None:
    return (table, cell) if isinstance(table, int | str) and isinstance(cell, int | str) else None


def _table(said: Any, image: CorrectedImage, sure: dict[_CellKey, float]) -> Table:
    identifier = said.get("tableId") if isinstance(said, dict) else None
    infos = array(member(said, "cellInfos"), "cellInfos")
    cells = sorted((_cell(each, identifier, image, sure) for each in infos), key=lambda cell: (cell.row, cell.column))
    rows = index(said.get("yCellSize", 0), "yCellSize")
    columns = index(said.get("xCellSize", 0), "xCellSize")
    return Table(
        row_count=max([rows, *(cell.row + cell.row_span for cell in cells)]),
        column_count=max([columns, *(cell.column + cell.column_span for cell in cells)]),
        cells=tuple(cells),
    )


def _cell(said: Any, table: Any, image: CorrectedImage, sure: dict[_CellKey, float]) -> Cell:
    """Alibaba counts from 0, and ends are inclusive."""
    row, row_end, column, column_end = (index(member(said, name), name) for name in ("ysc", "yec", "xsc", "xec"))
    key = _key(table, said.get("tableCellId"))
    return Cell(
        row=row,
        column=column,
        row_span=max(1, row_end - row + 1),
        column_span=max(1, column_end - column + 1),
        text=optional_text(said.get("word"), "word"),
        confidence=sure.get(key) if key else None,
        polygon=image.polygon(said.get("pos")),
    )
