"""Fields as answers have them: normalised by name, with their check digits looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ocr_gateway.identity.check_digits import (
    check_card_number,
    check_credit_code,
    check_id_number,
    check_registration_number,
)
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.normalise import normalise, split_period
from ocr_gateway.model import CheckDigit, Field, Polygon

DOUBTED_CONFIDENCE = 0.3
"""The most that a field may have whose check digit does not hold: at least one of its characters is wrong."""

# What providers write where a document states nothing.
_NOTHING = frozenset({"无", "-", "--", "—", "/", "n/a", "null", "nil"})
_CHECKS: Mapping[FieldName, Callable[[str], CheckDigit]] = {
    FieldName.ID_NUMBER: check_id_number,
    FieldName.CREDIT_CODE: check_credit_code,
    FieldName.REGISTRATION_NUMBER: check_registration_number,
    FieldName.CARD_NUMBER: check_card_number,
}


def make_field(
    name: FieldName,
    raw: str,
    confidence: float | None,
    polygon: Polygon | None,
    normalized: str | None = None,
    check_digit: CheckDigit | None = None,
) -> Field | None:
    """The field ``name`` with the value ``raw`` as it was read; None where that says nothing.

    ``normalized`` and ``check_digit`` are for those who know them better than the value tells: a date that the provider
    made out itself, a check digit that stands beside the value. Where the check digit does not hold, the confidence is
    at most ``DOUBTED_CONFIDENCE``; where there is none, there is none still.
    """
    value = raw.strip()
    if not value or value.lower() in _NOTHING:
        return None
    form = normalise(name, value) if normalized is None else normalized
    if check_digit is None:
        check_digit = _CHECKS[name](form) if name in _CHECKS else CheckDigit.NOT_APPLICABLE
    if check_digit is CheckDigit.INVALID and confidence is not None:
        confidence = min(confidence, DOUBTED_CONFIDENCE)
    return Field(name, value, form, confidence, polygon, check_digit)


def make_period(raw: str, confidence: float | None, polygon: Polygon | None) -> tuple[Field, ...]:
    """valid_from and valid_until of a period in one piece: 2010.07.21-2030.07.21, 2016年5月3日至长期."""
    first, last = split_period(raw)
    made = (
        make_field(FieldName.VALID_FROM, first, confidence, polygon),
        make_field(FieldName.VALID_UNTIL, last, confidence, polygon),
    )
    return tuple(field for field in made if field is not None)
