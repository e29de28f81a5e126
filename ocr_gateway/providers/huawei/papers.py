"""The fields of identity documents, as Huawei answers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field, make_period
from ocr_gateway.model import Field, IdDocument
from ocr_gateway.providers.huawei.pages import polygon_of
from ocr_gateway.providers.remote.documents import in_order, registration_field
from ocr_gateway.providers.remote.values import confidence, optional_text

_NAMES: Mapping[IdDocument, Mapping[str, FieldName]] = {
    IdDocument.IDENTITY_CARD: {
        "name": FieldName.NAME,
        "sex": FieldName.SEX,
        "ethnicity": FieldName.ETHNICITY,
        "birth": FieldName.BIRTH_DATE,
        "address": FieldName.ADDRESS,
        "number": FieldName.ID_NUMBER,
        "issue": FieldName.ISSUING_AUTHORITY,
        "valid_from": FieldName.VALID_FROM,
        "valid_to": FieldName.VALID_UNTIL,
    },
    IdDocument.BUSINESS_LICENCE: {
        "name": FieldName.COMPANY_NAME,
        "type": FieldName.COMPANY_TYPE,
        "address": FieldName.ADDRESS,
        "legal_representative": FieldName.LEGAL_REPRESENTATIVE,
        "registered_capital": FieldName.REGISTERED_CAPITAL,
        "organization_form": FieldName.BUSINESS_FORM,
        "found_date": FieldName.ESTABLISHED_DATE,
        "business_scope": FieldName.BUSINESS_SCOPE,
        "issue_date": FieldName.REGISTRATION_DATE,
    },
    IdDocument.BANK_CARD: {
        "bank_name": FieldName.BANK_NAME,
        "card_number": FieldName.CARD_NUMBER,
        "issue_date": FieldName.VALID_FROM,
        "expiry_date": FieldName.VALID_UNTIL,
        "type": FieldName.CARD_TYPE,
    },
}


def fields_of(result: Any, document: IdDocument) -> tuple[Field, ...]:
    """The fields with a text; of both sides of a card where both were asked for.

    Raises ValueError for an answer of another shape.
    """
    if not isinstance(result, dict):
        raise ValueError("its result is no object")
    sides = [result, *(result[side] for side in ("front", "back") if isinstance(result.get(side), dict))]
    return in_order(document, (field for side in sides for field in _fields(side, document)))


def _fields(said: Mapping[str, Any], document: IdDocument) -> Iterator[Field | None]:
    sure, places = _object(said, "confidence"), _object(said, "text_location")
    for key, name in _NAMES[document].items():
        raw = optional_text(said.get(key), key)
        yield make_field(name, raw, confidence(sure.get(key)), polygon_of(places.get(key)))
    if document is IdDocument.BUSINESS_LICENCE:
        term, number = "business_term", "registration_number"
        yield from make_period(optional_text(said.get(term), term), confidence(sure.get(term)), None)
        yield registration_field(optional_text(said.get(number), number), confidence(sure.get(number)), None)


def _object(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}
