"""How far two providers agree on a page: by its text, its tables' cells or its fields, each on a scale of 0 to 1."""

from __future__ import annotations

from ocrmux.ocr.v1.document_pb2 import Field, Page
from ocrmux_client.comparison.text_difference import folded, similarity
from ocrmux_client.items import Feature

MAX_CELLS = 20_000
"""Cells of a page that are compared."""

CellPlace = tuple[int, int, int]
"""Table, row and column, each from 0."""


def agreement(feature: Feature, first: Page, second: Page) -> float:
    """1 where both say the same, 0 where nothing is alike.

    Text: the similarity of the texts. Tables: the mean similarity of cells in the same place; what only one has counts
    0. Identity documents: the share of fields with the same value. Two pages without any are alike.
    """
    if feature is Feature.TABLE:
        return _cells_agreement(cells_of(first), cells_of(second))
    if feature is Feature.ID_DOCUMENT:
        return _fields_agreement(fields_of(first), fields_of(second))
    return similarity(first.text, second.text)


def cells_of(page: Page) -> dict[CellPlace, str]:
    """The folded texts of cells that are not empty, by place; at most 20 000."""
    cells: dict[CellPlace, str] = {}
    for number, table in enumerate(page.tables):
        for cell in table.cells:
            if (text := folded(cell.text)) and len(cells) < MAX_CELLS:
                cells[number, cell.row, cell.column] = text
    return cells


def fields_of(page: Page) -> dict[str, Field]:
    """The fields that have a value, by name, the first of each name."""
    fields: dict[str, Field] = {}
    for field in page.fields:
        if value_of(field):
            fields.setdefault(field.name, field)
    return fields


def value_of(field: Field | None) -> str:
    """The folded value as it is compared: the normalised one, else what is printed; empty for no field."""
    return "" if field is None else folded(field.normalized_value or field.raw_value)


def _cells_agreement(first: dict[CellPlace, str], second: dict[CellPlace, str]) -> float:
    places = first.keys() | second.keys()
    alike = sum(similarity(first[place], second[place]) for place in first.keys() & second.keys())
    return alike / len(places) if places else 1.0


def _fields_agreement(first: dict[str, Field], second: dict[str, Field]) -> float:
    names = first.keys() | second.keys()
    alike = sum(value_of(first.get(name)) == value_of(second.get(name)) for name in names)
    return alike / len(names) if names else 1.0
