"""The fields of a Chinese identity card, as Baidu's ``idcard`` answers them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

from ocr_gateway.model import CheckDigit, Field
from ocr_gateway.providers.baidu_json import box_polygon, member, text

_ID_NUMBER = "id_number"
# ISO 7064 MOD 11-2 as GB 11643 applies it: the weight of each of 17 digits, and the check character of each remainder.
_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_CHECK_CHARACTERS = "10X98765432"
_SEXES = {"男": "M", "女": "F"}


def fields_of(said: dict[str, Any]) -> tuple[Field, ...]:
    """The fields with a text, those of the front first. Raises ValueError for an answer of another shape.

    Normalised are dates (YYYY-MM-DD; empty for one without end, 长期, and for one that no calendar has), the sex (M or
    F, as in ICAO 9303), and the number (no blanks, a large X). An image without a card has no fields.
    """
    stated = member(said, "words_result")
    if not isinstance(stated, dict):
        if stated == []:
            return ()
        raise ValueError("words_result is no object")
    fields = (_field(name, normalise, stated[key]) for key, (name, normalise) in _FIELDS.items() if key in stated)
    return tuple(field for field in fields if field.raw_value)


def check_id_number(number: str) -> CheckDigit:
    """Whether the check character of a citizen's number of 18 characters holds; the older ones of 15 have none."""
    if re.fullmatch(r"[0-9]{15}", number):
        return CheckDigit.NOT_APPLICABLE
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        return CheckDigit.INVALID
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
    return CheckDigit.VALID if _CHECK_CHARACTERS[total % 11] == number[17] else CheckDigit.INVALID


def _field(name: str, normalise: Callable[[str], str], said: Any) -> Field:
    raw = text(member(said, "words"), "words").strip()
    normalized = normalise(raw)
    return Field(
        name=name,
        raw_value=raw,
        normalized_value=normalized,
        confidence=None,
        polygon=box_polygon(said["location"]) if "location" in said else None,
        check_digit=check_id_number(normalized) if name == _ID_NUMBER else CheckDigit.NOT_APPLICABLE,
    )


def _date(raw: str) -> str:
    match = re.fullmatch(r"([0-9]{4})\D{0,2}([0-9]{1,2})\D{0,2}([0-9]{1,2})\D{0,2}", raw)
    if match is None:
        return ""
    try:
        return datetime.date(*map(int, match.groups())).isoformat()
    except ValueError:
        return ""


def _without_blanks(raw: str) -> str:
    return re.sub(r"\s+", "", raw)


def _number(raw: str) -> str:
    return _without_blanks(raw).upper()


def _sex(raw: str) -> str:
    return _SEXES.get(raw, "")


_FIELDS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "姓名": ("name", _without_blanks),
    "性别": ("sex", _sex),
    "民族": ("ethnicity", _without_blanks),
    "出生": ("birth_date", _date),
    "住址": ("address", _without_blanks),
    "公民身份号码": (_ID_NUMBER, _number),
    "签发机关": ("issuing_authority", _without_blanks),
    "签发日期": ("valid_from", _date),
    "失效日期": ("valid_until", _date),
}
