"""Fields of identity documents, of what services state."""

from __future__ import annotations

from collections.abc import Iterable

from ocr_gateway.identity.field_names import FIELDS_OF, FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.identity.normalise import number
from ocr_gateway.model import Field, IdDocument, Polygon

_OLD_LENGTHS = (13, 15)


def registration_field(raw: str, confidence: float | None, polygon: Polygon | None) -> Field | None:
    """A business licence's number, where a service has one name for both: the credit code of 18 characters, or the
    registration number of older licences, 13 or 15 digits."""
    plain = number(raw)
    is_old = len(plain) in _OLD_LENGTHS and plain.isdecimal()
    return make_field(FieldName.REGISTRATION_NUMBER if is_old else FieldName.CREDIT_CODE, raw, confidence, polygon)


def in_order(document: IdDocument, fields: Iterable[Field | None]) -> tuple[Field, ...]:
    """The fields that there are, each name once, in the order in which the document's are answered.

    Where there are any and none says which document it is, that is the one that was asked for.
    """
    by_name: dict[str, Field] = {}
    for field in fields:
        if field is not None:
            by_name.setdefault(field.name, field)
    kind = make_field(FieldName.DOCUMENT_TYPE, document.value, None, None)
    if by_name and kind is not None:
        by_name.setdefault(kind.name, kind)
    places = {name: place for place, name in enumerate(FIELDS_OF[document])}
    return tuple(sorted(by_name.values(), key=lambda field: places.get(FieldName(field.name), len(places))))
