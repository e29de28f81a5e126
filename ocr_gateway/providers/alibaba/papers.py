"""The fields of identity documents, as Alibaba answers them. Each object of fields comes with ``prism_keyValueInfo``,
which has their places and confidences by the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field, make_period
from ocr_gateway.model import Field, IdDocument, Polygon
from ocr_gateway.providers.alibaba.corrected_image import corrected_image
from ocr_gateway.providers.remote.documents import in_order, registration_field
from ocr_gateway.providers.remote.values import array, confidence, member, optional_text

_NAMES: Mapping[IdDocument, Mapping[str, FieldName]] = {
    IdDocument.IDENTITY_CARD: {
        "name": FieldName.NAME,
        "sex": FieldName.SEX,
        "ethnicity": FieldName.ETHNICITY,
        "birthDate": FieldName.BIRTH_DATE,
        "address": FieldName.ADDRESS,
        "idNumber": FieldName.ID_NUMBER,
        "issueAuthority": FieldName.ISSUING_AUTHORITY,
    },
    IdDocument.BUSINESS_LICENCE: {
        "companyName": FieldName.COMPANY_NAME,
        "companyType": FieldName.COMPANY_TYPE,
        "companyForm": FieldName.BUSINESS_FORM,
        "legalPerson": FieldName.LEGAL_REPRESENTATIVE,
        "registeredCapital": FieldName.REGISTERED_CAPITAL,
        "RegistrationDate": FieldName.ESTABLISHED_DATE,
        "businessAddress": FieldName.ADDRESS,
        "businessScope": FieldName.BUSINESS_SCOPE,
    },
    IdDocument.BANK_CARD: {
        "bankName": FieldName.BANK_NAME,
        "银行": FieldName.BANK_NAME,
        "cardNumber": FieldName.CARD_NUMBER,
        "银行卡号": FieldName.CARD_NUMBER,
        "validToDate": FieldName.VALID_UNTIL,
        "有效期至": FieldName.VALID_UNTIL,
    },
}
_CARD_TYPES = {"DC": "debit", "CC": "credit", "SCC": "semi_credit", "PC": "prepaid"}
_CARD_TYPE_KEYS = ("cardType", "卡种")
_FOR_EVER = "29991231"
_Places = Mapping[str, tuple[float | None, Polygon | None]]


def fields_of(said: dict[str, Any], document: IdDocument, width: int, height: int) -> tuple[Field, ...]:
    """The fields with a text; of both sides of a card where both are seen.

    Raises ValueError for an answer of another shape.
    """
    parts = [said]
    if document is IdDocument.IDENTITY_CARD:
        sides = member(said, "data")
        parts = [sides[side] for side in ("face", "back") if isinstance(sides, dict) and sides.get(side) is not None]
    found: list[Field | None] = []
    for part in parts:
        fields = member(part, "data")
        if not isinstance(fields, dict):
            raise ValueError("data is no object")
        found += _fields(fields, _places(part, width, height), document)
    return in_order(document, found)


def _places(part: dict[str, Any], width: int, height: int) -> _Places:
    image = corrected_image(part, width, height)
    return {
        optional_text(member(each, "key"), "key"): (
            confidence(each.get("valueProb"), 100),
            image.polygon(each.get("valuePos")),
        )
        for each in array(part.get("prism_keyValueInfo") or [], "prism_keyValueInfo")
    }


def _fields(said: dict[str, Any], places: _Places, document: IdDocument) -> Iterator[Field | None]:
    def value(key: str) -> tuple[str, float | None, Polygon | None]:
        return (optional_text(said.get(key), key), *places.get(key, (None, None)))

    for key, name in _NAMES[document].items():
        yield make_field(name, *value(key))
    if document is IdDocument.BANK_CARD:
        for key in _CARD_TYPE_KEYS:
            kind = value(key)
            yield make_field(FieldName.CARD_TYPE, *kind, _CARD_TYPES.get(kind[0].strip().upper()))
    else:
        yield from make_period(*value("validPeriod"))
    if document is IdDocument.BUSINESS_LICENCE:
        yield registration_field(*value("creditCode"))
        yield make_field(FieldName.VALID_FROM, *value("validFromDate"))
        last = value("validToDate")
        yield make_field(FieldName.VALID_UNTIL, *last, "" if last[0] == _FOR_EVER else None)
