"""The made-up persons and companies that every vendor's stand-in reads on identity documents.

Values are as ``ocr_gateway.identity`` normalises them; each stand-in writes them as its vendor does. Numbers hold to
their check digits.
"""

from __future__ import annotations

from collections.abc import Mapping

from ocr_gateway.model import IdDocument

ID_CARD_FRONT: Mapping[str, str] = {
    "name": "张三",
    "sex": "F",
    "ethnicity": "汉",
    "birth_date": "1949-12-31",
    "address": "北京市朝阳区建国路93号",
    "id_number": "11010519491231002X",
}
ID_CARD_BACK: Mapping[str, str] = {
    "issuing_authority": "北京市公安局朝阳分局",
    "valid_from": "2020-01-31",
    "valid_until": "2040-01-31",
}
BUSINESS_LICENCE: Mapping[str, str] = {
    "credit_code": "91110105MA01ABCD7M",
    "company_name": "北京样例科技有限公司",
    "company_type": "有限责任公司",
    "legal_representative": "李四",
    "registered_capital": "壹佰万元整",
    "established_date": "2015-06-01",
    "valid_from": "2015-06-01",
    "valid_until": "2035-05-31",
    "address": "北京市朝阳区建国路93号",
    "business_scope": "技术开发；技术咨询",
    "registration_date": "2018-03-05",
}
BANK_CARD: Mapping[str, str] = {
    "card_number": "6225880123456783",
    "valid_until": "2029-07",
    "card_type": "debit",
    "bank_name": "招商银行",
}
PASSPORT: Mapping[str, str] = {
    "document_type": "passport",
    "issuing_country": "CHN",
    "surname": "LI",
    "given_names": "XIAOMING",
    "document_number": "EJ1234567",
    "nationality": "CHN",
    "birth_date": "1985-06-15",
    "sex": "M",
    "valid_until": "2030-12-31",
    "mrz": "POCHNLI<<XIAOMING<<<<<<<<<<<<<<<<<<<<<<<<<<<\nEJ12345673CHN8506151M3012316<<<<<<<<<<<<<<<8",
}
SUBJECTS: Mapping[IdDocument, Mapping[str, str]] = {
    IdDocument.IDENTITY_CARD: ID_CARD_FRONT,
    IdDocument.BUSINESS_LICENCE: BUSINESS_LICENCE,
    IdDocument.BANK_CARD: BANK_CARD,
    IdDocument.PASSPORT: PASSPORT,
}
"""What is read where no side is asked for."""


def in_chinese(day: str) -> str:
    """A date as it is printed: 2015年06月01日."""
    year, month, date = day.split("-")
    return f"{year}年{month}月{date}日"
