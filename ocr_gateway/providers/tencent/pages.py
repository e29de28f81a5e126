"""Tencent's answers, made into pages. Whatever is not as documented raises ValueError, which says what.

``Polygon`` lies in the image that was sent, ``ItemPolygon`` in one that was turned level and is not used. ``Angle`` (or
``Angel``, as older answers spell it) tells by how many degrees text is turned clockwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ocr_gateway.model import Block, Cell, CellKind, Line, Page, Polygon, Table
from ocr_gateway.providers.remote.characters import Character, words_of
from ocr_gateway.providers.remote.places import corner_polygon
from ocr_gateway.providers.remote.values import array, confidence, index, member, number, optional_text, text
from ocr_gateway.providers.tencent.actions import LANGUAGES

_NO_TABLE = 0
_KINDS = {"header": CellKind.COLUMN_HEADER, "body": CellKind.CONTENT, "footer": CellKind.FOOTER}
_LANGUAGE_OF = {code: language for language, code in LANGUAGES.items() if language != "en"}


def text_page(said: dict[str, Any], width: int, height: int) -> Page:
    """Lines, in Tencent's paragraphs where it tells them."""
    turn = _turn(said)
    paragraphs: dict[int | None, list[Line]] = {}
    for each in _list_or_null(member(said, "TextDetections"), "TextDetections"):
        paragraphs.setdefault(_paragraph(each), []).append(_line(each, turn))
    blocks = tuple(Block(tuple(lines)) for lines in paragraphs.values())
    language = _LANGUAGE_OF.get(optional_text(said.get("Language"), "Language"))
    return Page(width, height, blocks=blocks, languages=(language,) if language else ())


def table_page(said: dict[str, Any], width: int, height: int) -> Page:
    """Tables; what Tencent reads beside them is left out, since that is what TEXT is for."""
    turn = _turn(said)
    tables = [
        _table(each, turn)
        for each in _list_or_null(member(said, "TableDetections"), "TableDetections")
        if member(each, "Type") != _NO_TABLE
    ]
    return Page(width, height, tables=tuple(table for table in tables if table.cells))


def _turn(said: dict[str, Any]) -> int:
    """Quarters by which the text stands turned counter-clockwise."""
    angle = said.get("Angle", said.get("Angel"))
    return 0 if angle is None else round(-number(angle, "Angle") / 90) % 4


def _paragraph(said: Any) -> int | None:
    """The paragraph's number in ``AdvancedInfo``, which is JSON in a text, or anything else."""
    try:
        found = json.loads(member(said, "AdvancedInfo"))["Parag"]["ParagNo"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, int) else None


def _line(said: Any, turn: int) -> Line:
    words = text(member(said, "DetectedText"), "DetectedText")
    return Line(
        words,
        confidence(said.get("Confidence"), 100),
        _polygon(said.get("Polygon"), turn),
        words_of(words, _characters(said, turn), turn),
    )


def _characters(said: Any, turn: int) -> Sequence[Character]:
    """The characters; none of them where they do not agree in number with their places."""
    characters = _list_or_null(said.get("Words"), "Words")
    places = _list_or_null(said.get("WordCoordPoint"), "WordCoordPoint")
    if len(characters) != len(places):
        return ()
    return [
        Character(
            text(member(character, "Character"), "Character"),
            confidence(character.get("Confidence"), 100),
            _polygon(member(place, "WordCoordinate"), turn),
        )
        for character, place in zip(characters, places, strict=True)
    ]


def _table(said: Any, turn: int) -> Table:
    cells = sorted(
        (_cell(each, turn) for each in _list_or_null(said.get("Cells"), "Cells")),
        key=lambda cell: (cell.row, cell.column),
    )
    return Table(
        row_count=max((cell.row + cell.row_span for cell in cells), default=0),
        column_count=max((cell.column + cell.column_span for cell in cells), default=0),
        cells=tuple(cells),
        polygon=_polygon(said.get("TableCoordPoint"), turn),
    )


def _cell(said: Any, turn: int) -> Cell:
    """Tencent counts the grid's lines, so that ends are exclusive; an end at its start is a single row or column."""
    row, row_end, column, column_end = (
        index(member(said, name), name) for name in ("RowTl", "RowBr", "ColTl", "ColBr")
    )
    return Cell(
        row=row,
        column=column,
        row_span=max(1, row_end - row),
        column_span=max(1, column_end - column),
        text=optional_text(said.get("Text"), "Text"),
        confidence=confidence(said.get("Confidence"), 100),
        polygon=_polygon(said.get("Polygon"), turn),
        kind=_KINDS.get(optional_text(said.get("Type"), "Type").lower()),
    )


def _polygon(said: Any, turn: int) -> Polygon | None:
    return None if said is None else corner_polygon(said, turn, x="X", y="Y")


def _list_or_null(said: Any, what: str) -> list[Any]:
    return [] if said is None else array(said, what)
