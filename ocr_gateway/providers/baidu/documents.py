"""The fields of Chinese identity cards, business licences and bank cards, as Baidu answers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field, make_period
from ocr_gateway.model import Field, IdDocument
from ocr_gateway.providers.remote.documents import in_order
from ocr_gateway.providers.remote.places import box_polygon
from ocr_gateway.providers.remote.values import member, optional_text, text

_ID_CARD: Mapping[str, FieldName] = {
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
# image_status of an image that shows no identity card, or another card: whatever was read on it is of no such field.
_NO_ID_CARD = ("non_idcard", "other_type_card")
_PERIOD = "有效期"
_BUSINESS_LICENCE: Mapping[str, FieldName] = {
    "社会信用代码": FieldName.CREDIT_CODE,
    "单位名称": FieldName.COMPANY_NAME,
    "类型": FieldName.COMPANY_TYPE,
    "组成形式": FieldName.BUSINESS_FORM,
    "法人": FieldName.LEGAL_REPRESENTATIVE,
    "注册资本": FieldName.REGISTERED_CAPITAL,
    "实收资本": FieldName.PAID_IN_CAPITAL,
    "成立日期": FieldName.ESTABLISHED_DATE,
    "有效期起始日期": FieldName.VALID_FROM,
    _PERIOD: FieldName.VALID_UNTIL,
    "地址": FieldName.ADDRESS,
    "经营范围": FieldName.BUSINESS_SCOPE,
    "核准日期": FieldName.REGISTRATION_DATE,
    "登记机关": FieldName.ISSUING_AUTHORITY,
    "证件编号": FieldName.CERTIFICATE_NUMBER,
}
_BANK_CARD: Mapping[str, FieldName] = {
    "bank_card_number": FieldName.CARD_NUMBER,
    "valid_date": FieldName.VALID_UNTIL,
    "bank_name": FieldName.BANK_NAME,
    "holder_name": FieldName.HOLDER_NAME,
}
# bank_card_type; 0 is one that was not made out.
_CARD_TYPES: Mapping[int, str] = {1: "debit", 2: "credit", 3: "semi_credit", 4: "prepaid"}


def id_card_fields(said: dict[str, Any]) -> tuple[Field, ...]:
    """Those with a text, of the front first; none where there is no identity card. Raises ValueError for an answer of
    another shape."""
    stated = _stated(said)
    if said.get("image_status") in _NO_ID_CARD:
        return ()
    return in_order(
        IdDocument.IDENTITY_CARD,
        (field for key, name in _ID_CARD.items() if key in stated for field in _fields(name, stated[key])),
    )


def business_licence_fields(said: dict[str, Any]) -> tuple[Field, ...]:
    """Those that the licence states. Raises ValueError for an answer of another shape."""
    stated = _stated(said)
    return in_order(
        IdDocument.BUSINESS_LICENCE,
        (
            field
            for key, name in _BUSINESS_LICENCE.items()
            if key in stated
            for field in _fields(name, stated[key], is_period=key == _PERIOD)
        ),
    )


def bank_card_fields(said: dict[str, Any]) -> tuple[Field, ...]:
    """Those that were made out, without places. Raises ValueError for an answer of another shape."""
    stated = member(said, "result")
    fields = [
        make_field(name, optional_text(stated.get(key), key), None, None)
        for key, name in _BANK_CARD.items()
        if key in _object(stated)
    ]
    kind = stated.get("bank_card_type")
    if isinstance(kind, int) and not isinstance(kind, bool) and kind in _CARD_TYPES:
        fields.append(make_field(FieldName.CARD_TYPE, str(kind), None, None, normalized=_CARD_TYPES[kind]))
    return in_order(IdDocument.BANK_CARD, fields)


def _stated(said: dict[str, Any]) -> Mapping[str, Any]:
    """``words_result`` by name; an empty list says that there is nothing."""
    stated = member(said, "words_result")
    return {} if stated == [] else _object(stated)


def _object(said: Any) -> Mapping[str, Any]:
    if not isinstance(said, dict):
        raise ValueError("words_result is no object")
    return said


def _fields(name: FieldName, said: Any, *, is_period: bool = False) -> Iterator[Field]:
    """The field, where it says something; both ends of a period that is in one piece."""
    raw = text(member(said, "words"), "words")
    polygon = box_polygon(said["location"]) if "location" in said else None
    if is_period:
        yield from make_period(raw, None, polygon)
    elif (field := make_field(name, raw, None, polygon)) is not None:
        yield field
