"""Encodes what a provider read as an ``ocrmux.ocr.v1.Document``, once; cache and answers carry the bytes."""

from __future__ import annotations

from ocr_gateway.model import (
    Block,
    Cell,
    CellKind,
    CheckDigit,
    Field,
    Line,
    Page,
    Polygon,
    Table,
    Word,
)
from ocrmux.ocr.v1 import document_pb2, geometry_pb2

SCHEMA_VERSION = 1
"""A part of the cache's key: raised when the same page would be encoded in another way."""

_CELL_KINDS = {
    CellKind.CONTENT: document_pb2.CELL_KIND_CONTENT,
    CellKind.COLUMN_HEADER: document_pb2.CELL_KIND_COLUMN_HEADER,
    CellKind.ROW_HEADER: document_pb2.CELL_KIND_ROW_HEADER,
    CellKind.FOOTER: document_pb2.CELL_KIND_FOOTER,
}
_CHECK_DIGITS = {
    CheckDigit.NOT_APPLICABLE: document_pb2.CHECK_DIGIT_NOT_APPLICABLE,
    CheckDigit.VALID: document_pb2.CHECK_DIGIT_VALID,
    CheckDigit.INVALID: document_pb2.CHECK_DIGIT_INVALID,
}


def encode_document(page: Page) -> bytes:
    """The serialised Document of one page, numbered 1."""
    lines = [line for block in page.blocks for line in block.lines]
    document = document_pb2.Document(
        pages=[
            document_pb2.Page(
                number=1,
                size=geometry_pb2.Size(width=page.width, height=page.height),
                text="\n".join(line.text for line in lines),
                confidence=_weighted_mean([(line.confidence, line.text) for line in lines]),
                languages=page.languages,
                blocks=[_block(block) for block in page.blocks],
                tables=[_table(table) for table in page.tables],
                fields=[_field(field) for field in page.fields],
            )
        ]
    )
    return document.SerializeToString()


def page_confidence(page: Page) -> float | None:
    """How sure the provider is of what it read, 0..1: the mean over lines, cells and fields; None: it does not say."""
    lines = [(line.confidence, line.text) for block in page.blocks for line in block.lines]
    cells = [(cell.confidence, cell.text) for table in page.tables for cell in table.cells]
    fields = [(field.confidence, field.raw_value) for field in page.fields]
    return _weighted_mean([*lines, *cells, *fields])


def _weighted_mean(parts: list[tuple[float | None, str]]) -> float | None:
    """Mean over the parts that state a confidence, weighted by their length in characters."""
    weighed = [(confidence, len(text)) for confidence, text in parts if confidence is not None and text]
    total = sum(weight for _, weight in weighed)
    return sum(confidence * weight for confidence, weight in weighed) / total if total else None


def _polygon(polygon: Polygon | None) -> geometry_pb2.Polygon | None:
    if polygon is None:
        return None
    return geometry_pb2.Polygon(points=[geometry_pb2.Point(x=x, y=y) for x, y in polygon])


def _block(block: Block) -> document_pb2.Block:
    return document_pb2.Block(polygon=_polygon(block.polygon), lines=[_line(line) for line in block.lines])


def _line(line: Line) -> document_pb2.Line:
    return document_pb2.Line(
        text=line.text,
        confidence=line.confidence,
        polygon=_polygon(line.polygon),
        words=[_word(word) for word in line.words],
    )


def _word(word: Word) -> document_pb2.Word:
    return document_pb2.Word(text=word.text, confidence=word.confidence, polygon=_polygon(word.polygon))


def _table(table: Table) -> document_pb2.Table:
    return document_pb2.Table(
        polygon=_polygon(table.polygon),
        row_count=table.row_count,
        column_count=table.column_count,
        cells=[_cell(cell) for cell in table.cells],
        confidence=table.confidence,
    )


def _cell(cell: Cell) -> document_pb2.Cell:
    return document_pb2.Cell(
        row=cell.row,
        column=cell.column,
        row_span=cell.row_span,
        column_span=cell.column_span,
        text=cell.text,
        confidence=cell.confidence,
        polygon=_polygon(cell.polygon),
        kind=_CELL_KINDS[cell.kind] if cell.kind is not None else document_pb2.CELL_KIND_UNSPECIFIED,
    )


def _field(field: Field) -> document_pb2.Field:
    return document_pb2.Field(
        name=field.name,
        raw_value=field.raw_value,
        normalized_value=field.normalized_value,
        confidence=field.confidence,
        polygon=_polygon(field.polygon),
        check_digit=(
            _CHECK_DIGITS[field.check_digit] if field.check_digit is not None else document_pb2.CHECK_DIGIT_UNSPECIFIED
        ),
    )
