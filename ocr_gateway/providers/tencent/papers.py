"""The fields of identity documents, as Tencent answers them: without places and confidences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field, make_period
from ocr_gateway.identity.normalise import normalise
from ocr_gateway.model import Field, IdDocument
from ocr_gateway.providers.remote.documents import in_order, registration_field
from ocr_gateway.providers.remote.values import optional_text

_NAMES: Mapping[IdDocument, Mapping[str, FieldName]] = {
    IdDocument.IDENTITY_CARD: {
        "Name": FieldName.NAME,
        "Sex": FieldName.SEX,
        "Nation": FieldName.ETHNICITY,
        "Birth": FieldName.BIRTH_DATE,
        "Address": FieldName.ADDRESS,
        "IdNum": FieldName.ID_NUMBER,
        "Authority": FieldName.ISSUING_AUTHORITY,
    },
    IdDocument.BUSINESS_LICENCE: {
        "Name": FieldName.COMPANY_NAME,
        "Capital": FieldName.REGISTERED_CAPITAL,
        "Person": FieldName.LEGAL_REPRESENTATIVE,
        "Address": FieldName.ADDRESS,
        "Business": FieldName.BUSINESS_SCOPE,
        "Type": FieldName.COMPANY_TYPE,
        "ComposingForm": FieldName.BUSINESS_FORM,
        "SetDate": FieldName.ESTABLISHED_DATE,
        "RegistrationDate": FieldName.REGISTRATION_DATE,
        "RegistrationAuthority": FieldName.ISSUING_AUTHORITY,
        "SerialNumber": FieldName.CERTIFICATE_NUMBER,
    },
    IdDocument.BANK_CARD: {
        "CardNo": FieldName.CARD_NUMBER,
        "ValidDate": FieldName.VALID_UNTIL,
        "CardType": FieldName.CARD_TYPE,
        "CardName": FieldName.CARD_NAME,
    },
}
_PERIODS: Mapping[IdDocument, str] = {IdDocument.IDENTITY_CARD: "ValidDate", IdDocument.BUSINESS_LICENCE: "Period"}
_BANK_CODE = re.compile(r"\s*[(（][0-9]+[)）]\s*$")


def fields_of(said: dict[str, Any], document: IdDocument) -> tuple[Field, ...]:
    """The fields with a text. Raises ValueError for an answer of another shape."""
    return in_order(document, _fields(said, document))


def _fields(said: dict[str, Any], document: IdDocument) -> Iterator[Field | None]:
    for key, name in _NAMES[document].items():
        yield make_field(name, optional_text(said.get(key), key), None, None)
    if document in _PERIODS:
        key = _PERIODS[document]
        yield from make_period(optional_text(said.get(key), key), None, None)
    if document is IdDocument.BUSINESS_LICENCE:
        yield registration_field(optional_text(said.get("RegNum"), "RegNum"), None, None)
    if document is IdDocument.BANK_CARD:
        bank = optional_text(said.get("BankInfo"), "BankInfo")  # with the bank's code: 招商银行(03080000)
        yield make_field(
            FieldName.BANK_NAME, bank, None, None, normalise(FieldName.BANK_NAME, _BANK_CODE.sub("", bank))
        )
