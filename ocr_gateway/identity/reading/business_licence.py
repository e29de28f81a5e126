"""The Chinese business licence, upright or lying, of companies and of sole traders."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field, make_period
from ocr_gateway.identity.normalise import date, split_period
from ocr_gateway.identity.reading.labels import Sorted, Vocabulary, joined, sort_pieces
from ocr_gateway.identity.reading.layout import Level, Piece, Spelt, mean, rows_of
from ocr_gateway.identity.reading.repairs import as_digits, compact
from ocr_gateway.model import Field, IdDocument

_N = FieldName
_VOCABULARY = Vocabulary(
    labels={
        "统一社会信用代码": _N.CREDIT_CODE, "社会信用代码": _N.CREDIT_CODE, "信用代码": _N.CREDIT_CODE,
        "注册号": _N.REGISTRATION_NUMBER, "证照编号": _N.CERTIFICATE_NUMBER, "编号": _N.CERTIFICATE_NUMBER,
        "名称": _N.COMPANY_NAME, "企业名称": _N.COMPANY_NAME, "字号名称": _N.COMPANY_NAME, "公司名称": _N.COMPANY_NAME,
        "类型": _N.COMPANY_TYPE, "公司类型": _N.COMPANY_TYPE, "企业类型": _N.COMPANY_TYPE,
        "主体类型": _N.COMPANY_TYPE, "组成形式": _N.BUSINESS_FORM,
        "法定代表人": _N.LEGAL_REPRESENTATIVE, "法定代表人姓名": _N.LEGAL_REPRESENTATIVE,
        "负责人": _N.LEGAL_REPRESENTATIVE, "经营者": _N.LEGAL_REPRESENTATIVE, "经营者姓名": _N.LEGAL_REPRESENTATIVE,
        "投资人": _N.LEGAL_REPRESENTATIVE, "执行事务合伙人": _N.LEGAL_REPRESENTATIVE,
        "注册资本": _N.REGISTERED_CAPITAL, "注册资金": _N.REGISTERED_CAPITAL, "出资总额": _N.REGISTERED_CAPITAL,
        "实收资本": _N.PAID_IN_CAPITAL, "成立日期": _N.ESTABLISHED_DATE, "注册日期": _N.ESTABLISHED_DATE,
        "营业期限": _N.VALID_UNTIL, "经营期限": _N.VALID_UNTIL, "合伙期限": _N.VALID_UNTIL,
        "住所": _N.ADDRESS, "经营场所": _N.ADDRESS, "营业场所": _N.ADDRESS, "主要经营场所": _N.ADDRESS,
        "经营范围": _N.BUSINESS_SCOPE, "登记机关": _N.ISSUING_AUTHORITY, "发照机关": _N.ISSUING_AUTHORITY,
        "核准日期": _N.REGISTRATION_DATE, "登记日期": _N.REGISTRATION_DATE, "发证日期": _N.REGISTRATION_DATE,
    },
    many_lines={
        _N.COMPANY_NAME, _N.COMPANY_TYPE, _N.REGISTERED_CAPITAL, _N.VALID_UNTIL, _N.ADDRESS, _N.BUSINESS_SCOPE,
    },
    single={
        "名": _N.COMPANY_NAME, "称": _N.COMPANY_NAME, "类": _N.COMPANY_TYPE, "型": _N.COMPANY_TYPE,
        "住": _N.ADDRESS, "所": _N.ADDRESS,
    },
)  # fmt: skip
_TITLE = "营业执照"
_CREDIT_CODE = re.compile(r"(?<![0-9A-Z])[0-9A-Z]{18}(?![0-9A-Z])")
# Letters that the code does not have (GB 32100), and what they are when they are read.
_NO_LETTERS = str.maketrans("IOSZ", "1052")
_FOOT = re.compile(r"gsxt|公示系统|年度报告|市场主体应当|网址", re.IGNORECASE)


def read_business_licence(lines: Sequence[Spelt], level: Level) -> tuple[Field, ...]:
    """The fields from the top; none where the lines are no licence's."""
    sorted_ = sort_pieces((line for line in lines if not _FOOT.search(line.characters)), _VOCABULARY)
    title = next((line for line in lines if _TITLE in line.characters), None)
    if len(sorted_.labels) < (2 if title else 3) and _N.CREDIT_CODE not in sorted_.labels:
        return ()
    known = title.whole if title else next(iter(sorted_.labels.values()))[0]
    fields = [
        make_field(_N.DOCUMENT_TYPE, known.text, known.confidence, level.polygon([known]),
                   IdDocument.BUSINESS_LICENCE.value),
        _credit_code(sorted_, level),
        sorted_.field(_N.REGISTRATION_NUMBER, level),
        sorted_.field(_N.CERTIFICATE_NUMBER, level),
        *(sorted_.field(name, level) for name in (
            _N.COMPANY_NAME, _N.COMPANY_TYPE, _N.BUSINESS_FORM, _N.LEGAL_REPRESENTATIVE, _N.REGISTERED_CAPITAL,
            _N.PAID_IN_CAPITAL, _N.ESTABLISHED_DATE,
        )),
        *_period(sorted_, level),
        sorted_.field(_N.ADDRESS, level),
        sorted_.field(_N.BUSINESS_SCOPE, level),
        *_office(sorted_, level),
    ]  # fmt: skip
    return tuple(field for field in fields if field is not None)


def _credit_code(sorted_: Sorted, level: Level) -> Field | None:
    """The code beside or below its label, or the one piece of its shape.

    A letter that no code has is put right; so is one among the eight digits that it begins with. A check character
    that does not hold is left so: which character is wrong cannot be known.
    """
    own = sorted_.text(_N.CREDIT_CODE)
    pieces = sorted_.values.get(_N.CREDIT_CODE, [])
    if not _CREDIT_CODE.search(compact(own)):
        shaped = [piece for piece in sorted_.loose if _CREDIT_CODE.search(compact(piece.text))]
        pieces = shaped[:1] or pieces
    if not pieces:
        return None
    raw = joined(sorted(pieces, key=lambda each: each.left))
    found = _CREDIT_CODE.search(compact(raw))
    code = found[0] if found else re.sub(r"[^0-9A-Z]", "", compact(raw))
    code = code[:2] + as_digits(code[2:8]) + code[8:]
    return make_field(
        _N.CREDIT_CODE, raw, mean([piece.confidence for piece in pieces]), level.polygon(pieces),
        code.translate(_NO_LETTERS),
    )  # fmt: skip


def _period(sorted_: Sorted, level: Level) -> tuple[Field, ...]:
    pieces = sorted_.values.get(_N.VALID_UNTIL, [])
    if not pieces:
        return ()
    confidence, polygon = mean([piece.confidence for piece in pieces]), level.polygon(pieces)
    text = "".join(sorted_.text(_N.VALID_UNTIL).split())
    first, last = split_period(text)
    if date(last) or not first or date(first):
        return make_period(text, confidence, polygon)
    return tuple(filter(None, [make_field(_N.VALID_UNTIL, text, confidence, polygon)]))


def _office(sorted_: Sorted, level: Level) -> list[Field | None]:
    """Who issued the licence, and when: the date at the foot that has no label of its own."""
    if _N.ISSUING_AUTHORITY in sorted_.values and date(_dense(sorted_.values[_N.ISSUING_AUTHORITY])):
        # The date stands below the label, where the office's seal is expected.
        sorted_.loose += sorted_.values.pop(_N.ISSUING_AUTHORITY)
    fields = [sorted_.field(_N.ISSUING_AUTHORITY, level)]
    if _N.REGISTRATION_DATE in sorted_.values:
        return [*fields, sorted_.field(_N.REGISTRATION_DATE, level)]
    dated = [row for row in rows_of(sorted_.loose) if date(_dense(row))]
    if dated:
        row = dated[-1]
        confidence = mean([piece.confidence for piece in row])
        fields.append(make_field(_N.REGISTRATION_DATE, joined(row), confidence, level.polygon(row), date(_dense(row))))
    return fields


def _dense(pieces: Sequence[Piece]) -> str:
    return "".join("".join(piece.text.split()) for piece in pieces)
