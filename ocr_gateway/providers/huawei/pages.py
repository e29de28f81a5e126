"""Huawei's answers, made into pages. Whatever is not as documented raises ValueError, which says what."""

from __future__ import annotations

from typing import Any

from ocr_gateway.model import Block, Cell, Line, Page, Polygon, Table
from ocr_gateway.providers.remote.characters import Character, words_of
from ocr_gateway.providers.remote.places import corner_polygon
from ocr_gateway.providers.remote.values import array, confidence, index, member, number, text

_TABLE = "table"


def text_page(result: Any, width: int, height: int) -> Page:
    """One block of lines."""
    turn = _turn(result)
    said = array(member(result, "words_block_list"), "words_block_list")
    lines = tuple(_line(each, turn) for each in said)
    return Page(width, height, blocks=(Block(lines),) if lines else ())


def table_page(result: Any, width: int, height: int) -> Page:
    """Tables; the regions of text beside them are left out, since that is what TEXT is for."""
    regions = array(member(result, "words_region_list"), "words_region_list")
    tables = [_table(each) for each in regions if member(each, "type") == _TABLE]
    return Page(width, height, tables=tuple(table for table in tables if table.cells))


def polygon_of(said: Any, turn: int = 0) -> Polygon | None:
    """Four ``[x, y]``; None where there are none."""
    return None if said is None else corner_polygon(said, turn, x=0, y=1)


def _turn(result: Any) -> int:
    """Quarters by which the image stands turned counter-clockwise; ``direction`` counts degrees, -1 for unknown."""
    direction = result.get("direction") if isinstance(result, dict) else None
    if direction is None or direction == -1:
        return 0
    return round(number(direction, "direction") / 90) % 4


def _line(said: Any, turn: int) -> Line:
    words = text(member(said, "words"), "words")
    characters = [
        Character(
            text(member(each, "char"), "char"),
            confidence(each.get("char_confidence")),
            polygon_of(each.get("char_location"), turn),
        )
        for each in array(said.get("char_list") or [], "char_list")
    ]
    return Line(
        words,
        confidence(said.get("confidence")),
        polygon_of(said.get("location"), turn),
        words_of(words, characters, turn),
    )


def _table(said: Any) -> Table:
    cells = sorted(
        (_cell(each) for each in array(member(said, "words_block_list"), "words_block_list")),
        key=lambda cell: (cell.row, cell.column),
    )
    return Table(
        row_count=max((cell.row + cell.row_span for cell in cells), default=0),
        column_count=max((cell.column + cell.column_span for cell in cells), default=0),
        cells=tuple(cells),
    )


def _cell(said: Any) -> Cell:
    """``rows`` and ``columns`` list all that the cell takes, from 0."""
    row, row_span = _extent(said, "rows")
    column, column_span = _extent(said, "columns")
    place = said.get("cell_location")
    return Cell(
        row=row,
        column=column,
        row_span=row_span,
        column_span=column_span,
        text=text(member(said, "words"), "words"),
        confidence=confidence(said.get("confidence")),
        polygon=polygon_of(said.get("location") if place is None else place),
    )


def _extent(said: Any, name: str) -> tuple[int, int]:
    numbers = [index(each, name) for each in array(member(said, name), name)]
    if not numbers:
        raise ValueError(f"{name} is empty")
    return min(numbers), max(numbers) - min(numbers) + 1
