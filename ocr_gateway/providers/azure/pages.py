"""Document Intelligence's results, made into pages. Whatever is not as documented raises ValueError, which says what.

Places are told in the page's own unit, pixels for images and inches for PDFs, from the corner at which the text begins;
a result's ``width`` and ``height`` are in that unit too, so that scaling by them undoes both.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.model import Block, Cell, CellKind, Feature, Field, Line, Page, Polygon, ProviderCall, Table, Word
from ocr_gateway.providers.remote.values import array, confidence, extent, index, member, number, text

_KINDS = {
    "content": CellKind.CONTENT,
    "columnHeader": CellKind.COLUMN_HEADER,
    "rowHeader": CellKind.ROW_HEADER,
    "stubHead": CellKind.COLUMN_HEADER,
    "description": CellKind.FOOTER,
}
_FIELDS: Mapping[str, FieldName] = {
    "FirstName": FieldName.GIVEN_NAMES,
    "LastName": FieldName.SURNAME,
    "MiddleName": FieldName.MIDDLE_NAME,
    "FullName": FieldName.NAME,
    "DocumentNumber": FieldName.DOCUMENT_NUMBER,
    "DocumentDiscriminator": FieldName.DOCUMENT_DISCRIMINATOR,
    "PersonalNumber": FieldName.PERSONAL_NUMBER,
    "DateOfBirth": FieldName.BIRTH_DATE,
    "PlaceOfBirth": FieldName.PLACE_OF_BIRTH,
    "DateOfIssue": FieldName.VALID_FROM,
    "DateOfExpiration": FieldName.VALID_UNTIL,
    "Sex": FieldName.SEX,
    "Nationality": FieldName.NATIONALITY,
    "CountryRegion": FieldName.ISSUING_COUNTRY,
    "Region": FieldName.ISSUING_REGION,
    "Address": FieldName.ADDRESS,
    "IssuingAuthority": FieldName.ISSUING_AUTHORITY,
    "MachineReadableZone": FieldName.MRZ,
    "Endorsements": FieldName.ENDORSEMENTS,
    "Restrictions": FieldName.RESTRICTIONS,
    "VehicleClassifications": FieldName.VEHICLE_CLASS,
    "EyeColor": FieldName.EYE_COLOUR,
    "HairColor": FieldName.HAIR_COLOUR,
    "Height": FieldName.HEIGHT,
    "Weight": FieldName.WEIGHT,
}
"""Of prebuilt-idDocument. The list of its fields is not confirmed; others are passed over."""
_TYPES = {"idDocument.passport": "passport"}
_NORMAL = ("valueDate", "valueCountryRegion")


@dataclass(frozen=True, slots=True)
class _Scale:
    """From the page's unit to pixels of the image."""

    across: float
    down: float

    def polygon(self, said: Any) -> Polygon | None:
        """Four points from eight numbers; None for anything else than eight."""
        numbers = [number(each, "a coordinate") for each in array(said, "polygon")]
        if len(numbers) != 8:
            return None
        return tuple((x * self.across, y * self.down) for x, y in zip(numbers[::2], numbers[1::2], strict=True))

    def region(self, said: Any) -> Polygon | None:
        """The polygon of the first of ``boundingRegions``; None where there is none."""
        regions = array(said.get("boundingRegions") or [], "boundingRegions")
        return self.polygon(member(regions[0], "polygon")) if regions else None


def page_of(said: dict[str, Any], call: ProviderCall) -> Page:
    """The page that ``analyzeResult`` describes."""
    result = member(said, "analyzeResult")
    pages = array(member(result, "pages"), "pages")
    if len(pages) != 1:
        raise ValueError(f"{len(pages)} pages for one image")
    scale = _scale(pages[0], call)
    match call.feature:
        case Feature.TEXT:
            return Page(call.width, call.height, blocks=_blocks(pages[0], scale))
        case Feature.TABLE:
            tables = array(result.get("tables") or [], "tables")
            return Page(call.width, call.height, tables=tuple(_table(each, scale) for each in tables))
        case Feature.ID_DOCUMENT:
            documents = array(result.get("documents") or [], "documents")
            return Page(call.width, call.height, fields=tuple(f for each in documents for f in _fields(each, scale)))


def _scale(page: Any, call: ProviderCall) -> _Scale:
    width, height = extent(member(page, "width"), "width"), extent(member(page, "height"), "height")
    return _Scale(call.width / width, call.height / height)


def _blocks(page: Any, scale: _Scale) -> tuple[Block, ...]:
    """One block: paragraphs are told by another model. Words belong to the line whose span holds theirs."""
    told = array(page.get("words") or [], "words")
    words = sorted(((_span(member(each, "span"))[0], _word(each, scale)) for each in told), key=itemgetter(0))
    starts = [start for start, _ in words]
    lines = tuple(
        _line(each, [word for _, word in words], starts, scale) for each in array(page.get("lines") or [], "lines")
    )
    return (Block(lines),) if lines else ()


def _line(said: Any, words: Sequence[Word], starts: Sequence[int], scale: _Scale) -> Line:
    spans = [_span(each) for each in array(member(said, "spans"), "spans")]
    own = [
        word
        for start, length in spans
        for word in words[bisect_left(starts, start) : bisect_left(starts, start + length)]
    ]
    sure = [(word.confidence, len(word.text)) for word in own if word.confidence is not None]
    letters = sum(length for _, length in sure)
    return Line(
        text(member(said, "content"), "content"),
        sum(each * length for each, length in sure) / letters if letters else None,
        scale.polygon(said["polygon"]) if said.get("polygon") else None,
        tuple(own),
    )


def _word(said: Any, scale: _Scale) -> Word:
    place = scale.polygon(member(said, "polygon"))
    if place is None:
        raise ValueError("a word without a place")
    return Word(text(member(said, "content"), "content"), confidence(said.get("confidence")), place)


def _span(said: Any) -> tuple[int, int]:
    limit = 100_000_000
    return index(member(said, "offset"), "offset", limit), index(member(said, "length"), "length", limit)


def _table(said: Any, scale: _Scale) -> Table:
    cells = [_cell(each, scale) for each in array(member(said, "cells"), "cells")]
    return Table(
        index(member(said, "rowCount"), "rowCount"),
        index(member(said, "columnCount"), "columnCount"),
        tuple(sorted(cells, key=lambda cell: (cell.row, cell.column))),
        scale.region(said),
    )


def _cell(said: Any, scale: _Scale) -> Cell:
    """Spans of 1 are left out."""
    return Cell(
        row=index(member(said, "rowIndex"), "rowIndex"),
        column=index(member(said, "columnIndex"), "columnIndex"),
        row_span=max(1, index(said.get("rowSpan", 1), "rowSpan")),
        column_span=max(1, index(said.get("columnSpan", 1), "columnSpan")),
        text=text(member(said, "content"), "content"),
        confidence=None,
        polygon=scale.region(said),
        kind=_KINDS.get(str(said.get("kind", "content"))),
    )


def _fields(document: Any, scale: _Scale) -> list[Field]:
    """The fields of one document, its type first."""
    kind = text(member(document, "docType"), "docType")
    fields = [
        make_field(
            FieldName.DOCUMENT_TYPE, _TYPES.get(kind, _snake(kind)), confidence(document.get("confidence")), None
        )
    ]
    told = member(document, "fields")
    if not isinstance(told, dict):
        raise ValueError("fields is no object")
    for key, name in _FIELDS.items():
        if isinstance(said := told.get(key), dict):
            fields.append(_field(name, said, scale))
    return [field for field in fields if field is not None]


def _field(name: FieldName, said: Mapping[str, Any], scale: _Scale) -> Field | None:
    value = said.get("content") or said.get("valueString")
    if not isinstance(value, str):
        return None
    normal = next((said[key] for key in _NORMAL if isinstance(said.get(key), str)), None)
    if name is FieldName.MRZ:
        normal = None
    return make_field(name, text(value, "content"), confidence(said.get("confidence")), scale.region(said), normal)


def _snake(kind: str) -> str:
    """``idDocument.driverLicense`` as driver_license."""
    last = kind.rpartition(".")[2]
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in last).strip("_")
