"""What AnalyzeID reads of one document, in the gateway's names.

Source: docs.aws.amazon.com/textract/latest/dg/identitydocumentfields.html, the lists of normalised fields of driving
licences and of passports. Textract gives no places of fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ocr_gateway.identity.field_names import DRIVING_LICENCE_FIELDS, FIELDS_OF, FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.model import Field, IdDocument
from ocr_gateway.providers.remote.values import array, confidence, member, optional_text, text

NAMES: Mapping[str, FieldName] = {
    "FIRST_NAME": FieldName.GIVEN_NAMES,
    "LAST_NAME": FieldName.SURNAME,
    "MIDDLE_NAME": FieldName.MIDDLE_NAME,
    "SUFFIX": FieldName.NAME_SUFFIX,
    "CITY_IN_ADDRESS": FieldName.CITY,
    "ZIP_CODE_IN_ADDRESS": FieldName.POSTAL_CODE,
    "STATE_IN_ADDRESS": FieldName.REGION,
    "COUNTY": FieldName.COUNTY,
    "STATE_NAME": FieldName.ISSUING_REGION,
    "DOCUMENT_NUMBER": FieldName.DOCUMENT_NUMBER,
    "EXPIRATION_DATE": FieldName.VALID_UNTIL,
    "DATE_OF_BIRTH": FieldName.BIRTH_DATE,
    "DATE_OF_ISSUE": FieldName.VALID_FROM,
    "CLASS": FieldName.VEHICLE_CLASS,
    "RESTRICTIONS": FieldName.RESTRICTIONS,
    "ENDORSEMENTS": FieldName.ENDORSEMENTS,
    "ID_TYPE": FieldName.DOCUMENT_TYPE,
    "VETERAN": FieldName.VETERAN,
    "ADDRESS": FieldName.ADDRESS,
    "PLACE_OF_BIRTH": FieldName.PLACE_OF_BIRTH,
    "MRZ_CODE": FieldName.MRZ,
}
_ISO_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(T.*)?")
_ORDER = {
    name: place for place, name in enumerate(dict.fromkeys((*DRIVING_LICENCE_FIELDS, *FIELDS_OF[IdDocument.PASSPORT])))
}


def fields_of(document: Any) -> tuple[Field, ...]:
    """The fields of one of ``IdentityDocuments``, each name once; those without a value, which are there too, and
    those that Textract did not recognise (``other``) are left out."""
    found: dict[FieldName, Field] = {}
    for each in array(member(document, "IdentityDocumentFields"), "IdentityDocumentFields"):
        kind = text(member(member(each, "Type"), "Text"), "Type").strip().upper().replace(" ", "_")
        name = NAMES.get(kind)
        value = each.get("ValueDetection")
        if name is None or name in found or value is None:
            continue
        made = make_field(
            name,
            optional_text(member(value, "Text"), "Text"),
            confidence(value.get("Confidence"), 100.0),
            None,
            _normalised(value),
        )
        if made is not None:
            found[name] = made
    return tuple(sorted(found.values(), key=lambda field: _ORDER[FieldName(field.name)]))


def _normalised(value: dict[str, Any]) -> str | None:
    """A date as Textract has made it out, YYYY-MM-DD; None where it says nothing."""
    said = value.get("NormalizedValue")
    stated = said.get("Value") if isinstance(said, dict) else None
    match = _ISO_DATE.fullmatch(stated) if isinstance(stated, str) else None
    return match[1] if match else None
