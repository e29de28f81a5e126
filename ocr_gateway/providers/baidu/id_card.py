"""The fields of a Chinese identity card, as Baidu's ``idcard`` answers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.model import Field
from ocr_gateway.providers.baidu.json import box_polygon, member, text

_FIELDS: Mapping[str, FieldName] = {
    "姓名": FieldName.NAME,
    "性别": FieldName.SEX,
    "民族": FieldName.ETHNICITY,
    "出生": FieldName.BIRTH_DATE,
    "住址": FieldName.ADDRESS,
    "公民身份号码": FieldName.ID_NUMBER,
    "签发机关": FieldName.ISSUING_AUTHORITY,
    "签发日期": FieldName.VALID_FROM,
    "失效日期": FieldName.VALID_UNTIL,
}


def fields_of(said: dict[str, Any]) -> tuple[Field, ...]:
    """The fields with a text, those of the front first. Raises ValueError for an answer of another shape.

    An image without a card has no fields.
    """
    stated = member(said, "words_result")
    if not isinstance(stated, dict):
        if stated == []:
            return ()
        raise ValueError("words_result is no object")
    fields = (_field(name, stated[key]) for key, name in _FIELDS.items() if key in stated)
    return tuple(field for field in fields if field is not None)


def _field(name: FieldName, said: Any) -> Field | None:
    raw = text(member(said, "words"), "words")
    return make_field(name, raw, None, box_polygon(said["location"]) if "location" in said else None)
