"""Textract's answers, made into pages. Whatever is not as documented raises ValueError, which says what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ocr_gateway.model import Block, Cell, CellKind, Line, Page, Table, Word
from ocr_gateway.providers.aws.blocks import Blocks
from ocr_gateway.providers.remote.values import array, confidence, index, member

_PERCENT = 100.0
_HEADER, _FOOTER = "COLUMN_HEADER", "TABLE_FOOTER"


def text_page(said: dict[str, Any], width: int, height: int) -> Page:
    """The page of DetectDocumentText: its lines, in one block, as Textract knows no paragraphs."""
    blocks = Blocks(member(said, "Blocks"), width, height)
    lines = tuple(_line(each, blocks) for each in blocks.of_type("LINE"))
    return Page(width, height, blocks=(Block(lines),) if lines else ())


def table_page(said: dict[str, Any], width: int, height: int) -> Page:
    """The page of AnalyzeDocument: its tables."""
    blocks = Blocks(member(said, "Blocks"), width, height)
    return Page(width, height, tables=tuple(_table(each, blocks) for each in blocks.of_type("TABLE")))


def _line(line: dict[str, Any], blocks: Blocks) -> Line:
    words = (each for each in blocks.related(line, "CHILD") if each.get("BlockType") == "WORD")
    return Line(
        blocks.text(line),
        confidence(line.get("Confidence"), _PERCENT),
        blocks.polygon(line),
        tuple(
            Word(blocks.text(each), confidence(each.get("Confidence"), _PERCENT), polygon)
            for each in words
            if (polygon := blocks.polygon(each)) is not None
        ),
    )


def _table(table: dict[str, Any], blocks: Blocks) -> Table:
    """The cells that Textract counts are of one row and one column each; what spans several is a merged one of them."""
    single = {str(each.get("Id")): each for each in blocks.related(table, "CHILD") if each.get("BlockType") == "CELL"}
    words = {name: _words(each, blocks) for name, each in single.items()}
    cells: list[Cell] = []
    for merged in blocks.related(table, "MERGED_CELL"):
        parts = [each for each in blocks.related(merged, "CHILD") if str(each.get("Id")) in single]
        parts.sort(key=lambda each: _place(each))
        names = [str(each.get("Id")) for each in parts]
        joined = " ".join(filter(None, (words[name] for name in names)))
        cells.append(_cell(merged, joined, {kind for each in (merged, *parts) for kind in _kinds(each)}, blocks))
        for name in names:  # each stands in one cell; a second claim finds nothing left
            del single[name]
    cells += (_cell(each, words[name], set(_kinds(each)), blocks) for name, each in single.items())
    cells.sort(key=lambda cell: (cell.row, cell.column))
    return Table(
        row_count=max((cell.row + cell.row_span for cell in cells), default=0),
        column_count=max((cell.column + cell.column_span for cell in cells), default=0),
        cells=tuple(cells),
        polygon=blocks.polygon(table),
        confidence=confidence(table.get("Confidence"), _PERCENT),
    )


def _cell(cell: dict[str, Any], words: str, kinds: set[str], blocks: Blocks) -> Cell:
    row, column = _place(cell)
    return Cell(
        row=row,
        column=column,
        row_span=_span(cell, "RowSpan"),
        column_span=_span(cell, "ColumnSpan"),
        text=words,
        confidence=confidence(cell.get("Confidence"), _PERCENT),
        polygon=blocks.polygon(cell),
        kind=CellKind.COLUMN_HEADER if _HEADER in kinds else CellKind.FOOTER if _FOOTER in kinds else CellKind.CONTENT,
    )


def _words(cell: dict[str, Any], blocks: Blocks) -> str:
    """A cell's words, one after another, and its tick boxes."""
    return " ".join(filter(None, (blocks.text(each) for each in blocks.related(cell, "CHILD"))))


def _place(cell: dict[str, Any]) -> tuple[int, int]:
    """Row and column from 0; Textract counts from 1."""
    row, column = (index(member(cell, name), name) for name in ("RowIndex", "ColumnIndex"))
    if not row or not column:
        raise ValueError("rows and columns are counted from 1")
    return row - 1, column - 1


def _span(cell: dict[str, Any], name: str) -> int:
    return max(1, index(cell.get(name, 1), name))


def _kinds(cell: dict[str, Any]) -> Iterator[str]:
    said = cell.get("EntityTypes")
    return (each for each in array(said, "EntityTypes") if isinstance(each, str)) if said is not None else iter(())
