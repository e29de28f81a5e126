"""Azure's answers, made into pages."""

from __future__ import annotations

from typing import Any

import pytest

from ocr_gateway.model import CellKind, CheckDigit, Feature, ProviderCall
from ocr_gateway.providers.azure.pages import page_of


def call(feature: Feature, width: int = 850, height: int = 1100) -> ProviderCall:
    return ProviderCall(b"", "image/png", width, height, feature)


def analysed(page: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    whole = {"pageNumber": 1, "width": 850, "height": 1100, "unit": "pixel", **(page or {})}
    return {"status": "succeeded", "analyzeResult": {"pages": [whole], **more}}


def word(content: str, offset: int, left: int, confidence: float = 0.9) -> dict[str, Any]:
    span = {"offset": offset, "length": len(content)}
    polygon = [left, 10, left + 10, 10, left + 10, 20, left, 20]
    return {"content": content, "polygon": polygon, "confidence": confidence, "span": span}


def test_words_belong_to_the_line_whose_span_holds_them() -> None:
    """Chinese words are single characters; a line's confidence is its words', by their length."""
    lines = [
        {"content": "总金额", "polygon": [0, 0, 30, 0, 30, 10, 0, 10], "spans": [{"offset": 0, "length": 3}]},
        {"content": "a bcd", "polygon": [0, 20, 30, 20, 30, 30, 0, 30], "spans": [{"offset": 4, "length": 5}]},
    ]
    words = [word("bcd", 6, 60, 0.5), word("总", 0, 0), word("金", 1, 10), word("额", 2, 20), word("a", 4, 40, 1.0)]
    page = page_of(analysed({"words": words, "lines": lines}), call(Feature.TEXT))
    (block,) = page.blocks
    assert [[each.text for each in line.words] for line in block.lines] == [["总", "金", "额"], ["a", "bcd"]]
    assert [line.confidence for line in block.lines] == [pytest.approx(0.9), pytest.approx((1.0 + 3 * 0.5) / 4)]


def test_inches_become_pixels() -> None:
    """Places are told in the page's own unit."""
    line = {"content": "x", "polygon": [1, 1, 2, 1, 2, 1.5, 1, 1.5], "spans": [{"offset": 0, "length": 1}]}
    page = page_of(
        analysed({"width": 8.5, "height": 11, "unit": "inch", "lines": [line], "words": []}), call(Feature.TEXT)
    )
    assert page.blocks[0].lines[0].polygon == ((100, 100), (200, 100), (200, 150), (100, 150))


def test_spans_of_one_are_left_out() -> None:
    """Rows and columns count from 0; the kinds that there are not are content."""
    cells = [
        {"kind": "columnHeader", "rowIndex": 0, "columnIndex": 0, "columnSpan": 2, "content": "sum"},
        {"rowIndex": 1, "columnIndex": 1, "content": "2"},
        {"kind": "rowHeader", "rowIndex": 1, "columnIndex": 0, "rowSpan": 2, "content": "1"},
    ]
    page = page_of(analysed(tables=[{"rowCount": 3, "columnCount": 2, "cells": cells}]), call(Feature.TABLE))
    (table,) = page.tables
    assert [(c.row, c.column, c.row_span, c.column_span, c.text, c.kind) for c in table.cells] == [
        (0, 0, 1, 2, "sum", CellKind.COLUMN_HEADER),
        (1, 0, 2, 1, "1", CellKind.ROW_HEADER),
        (1, 1, 1, 1, "2", CellKind.CONTENT),
    ]


def test_an_identity_document_has_canonical_fields() -> None:
    """The vendor's normalised dates are taken, its own names are not."""
    fields = {
        "LastName": {"type": "string", "content": "ERIKSSON", "confidence": 0.8},
        "DateOfBirth": {"type": "date", "valueDate": "1974-08-12", "content": "12 AUG 1974", "confidence": 0.7},
        "SomethingNew": {"type": "string", "content": "?"},
        "Sex": {"type": "string", "confidence": 0.9},
    }
    document = {"docType": "idDocument.passport", "confidence": 0.95, "fields": fields}
    page = page_of(analysed(documents=[document]), call(Feature.ID_DOCUMENT))
    assert [(field.name, field.raw_value, field.normalized_value, field.confidence) for field in page.fields] == [
        ("document_type", "passport", "passport", 0.95),
        ("surname", "ERIKSSON", "ERIKSSON", 0.8),
        ("birth_date", "12 AUG 1974", "1974-08-12", 0.7),
    ]
    assert {field.check_digit for field in page.fields} == {CheckDigit.NOT_APPLICABLE}


def test_an_empty_page_is_empty() -> None:
    """Whatever was asked for."""
    for feature in Feature:
        page = page_of(analysed(), call(feature))
        assert (page.blocks, page.tables, page.fields) == ((), (), ())
