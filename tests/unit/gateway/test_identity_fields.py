"""Fields of identity documents: their names, their normal forms, and what a check digit that fails does to them."""

from __future__ import annotations

import datetime

import pytest

from ocr_gateway.identity.check_digits import (
    check_card_number,
    check_credit_code,
    check_icao,
    check_id_number,
    check_registration_number,
    icao_check_digit,
)
from ocr_gateway.identity.field_names import DRIVING_LICENCE_FIELDS, FIELDS_OF, FieldName
from ocr_gateway.identity.fields import DOUBTED_CONFIDENCE, make_field, make_period
from ocr_gateway.identity.normalise import date, mrz_date, normalise, split_period
from ocr_gateway.model import CheckDigit, IdDocument

VALID, INVALID, NONE = CheckDigit.VALID, CheckDigit.INVALID, CheckDigit.NOT_APPLICABLE
TODAY = datetime.date(2026, 11, 22)


def test_every_name_belongs_to_a_document() -> None:
    """Each document has its list, and no name is on none."""
    assert set(FIELDS_OF) == set(IdDocument)
    listed = {name for names in FIELDS_OF.values() for name in names} | set(DRIVING_LICENCE_FIELDS)
    assert listed == set(FieldName)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("2019年3月5日", "2019-03-05"),
        ("2019 年 03 月 05 日", "2019-03-05"),
        ("二〇一九年十二月二十五日", "2019-12-25"),
        ("二○○八年十月十日", "2008-10-10"),
        ("20190305", "2019-03-05"),
        ("2019.03.05", "2019-03-05"),
        ("2019/3/5", "2019-03-05"),
        ("２０１９年３月５日", "2019-03-05"),
        ("05/2027", "2027-05"),
        ("05/27", "2027-05"),
        ("03/05/2019", "2019-03-05"),
        ("25/12/2019", "2019-12-25"),
        ("05 MAR 2019", "2019-03-05"),
        ("05 Mar/Mar 2019", "2019-03-05"),
        ("March 5, 2019", "2019-03-05"),
        ("长期", ""),
        ("19990230", ""),
        ("2019111", ""),
        ("13/27", ""),
    ],
)
def test_dates_of_all_shapes_come_to_one(raw: str, value: str) -> None:
    """YYYY-MM-DD, or YYYY-MM without a day; empty for no end and for no date."""
    assert date(raw) == value


@pytest.mark.parametrize(
    ("raw", "past", "value"),
    [
        ("690806", True, "1969-08-06"),
        ("261122", True, "2026-11-22"),
        ("261123", True, "1926-11-23"),
        ("340317", False, "2034-03-17"),
        ("761231", False, "1976-12-31"),
        ("751231", False, "2075-12-31"),
        ("<<<<<<", True, ""),
        ("690230", True, ""),
    ],
)
def test_a_zones_date_gets_its_century(raw: str, past: bool, value: str) -> None:
    """The last day that has been, for a birth; within 50 years of today otherwise."""
    assert mrz_date(raw, TODAY, past=past) == value


@pytest.mark.parametrize(
    ("raw", "ends"),
    [
        ("2010.07.21-2030.07.21", ("2010.07.21", "2030.07.21")),
        ("2016年5月3日至长期", ("2016年5月3日", "长期")),
        ("自2016年05月03日至2036年05月02日", ("2016年05月03日", "2036年05月02日")),
        ("2016-05-03至2026-05-02", ("2016-05-03", "2026-05-02")),
        ("2010.07.21-长期", ("2010.07.21", "长期")),
        ("长期", ("", "长期")),
    ],
)
def test_a_period_is_split_into_its_ends(raw: str, ends: tuple[str, str]) -> None:
    """Whatever stands between the two dates."""
    assert split_period(raw) == ends


def test_a_period_makes_two_fields() -> None:
    """The one without end has a raw value and no normal form."""
    first, last = make_period("2010.07.21-长期", 0.9, None)
    assert (first.name, first.normalized_value) == ("valid_from", "2010-07-21")
    assert (last.name, last.raw_value, last.normalized_value) == ("valid_until", "长期", "")


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        (FieldName.NAME, "张 三", "张三"),
        (FieldName.NAME, "Anna  Maria", "Anna Maria"),
        (FieldName.SURNAME, "Eriksson", "ERIKSSON"),
        (FieldName.SEX, "女", "F"),
        (FieldName.SEX, "male", "M"),
        (FieldName.SEX, "<", "X"),
        (FieldName.SEX, "?", ""),
        (FieldName.ETHNICITY, "汉族", "汉"),
        (FieldName.ADDRESS, "人民路 6 4 9 号 1 号楼", "人民路649号1号楼"),
        (FieldName.ADDRESS, "12  HARBOUR STREET", "12 HARBOUR STREET"),
        (FieldName.COMPANY_NAME, "北京(中国)有限公司", "北京（中国）有限公司"),
        (FieldName.COMPANY_NAME, "ACME (China) Co., Ltd", "ACME (China) Co., Ltd"),
        (FieldName.BUSINESS_SCOPE, "技术开发,技术咨询;销售(1,000台)", "技术开发，技术咨询；销售（1,000台）"),
        (FieldName.ID_NUMBER, "11010519491231002x", "11010519491231002X"),
        (FieldName.CARD_NUMBER, "6217 0042-8464 0719", "6217004284640719"),
        (FieldName.CARD_TYPE, "借记卡", "debit"),
        (FieldName.CARD_TYPE, "准贷记卡", "semi_credit"),
        (FieldName.CARD_TYPE, "?", ""),
        (FieldName.DOCUMENT_TYPE, "P", "passport"),
        (FieldName.DOCUMENT_TYPE, "ID", "identity_card"),
        (FieldName.DOCUMENT_TYPE, "DRIVER LICENSE FRONT", "driver_license_front"),
        (FieldName.MRZ, "p<uto a\n\nb <", "P<UTOA\nB<"),
    ],
)
def test_values_have_one_form(name: FieldName, raw: str, value: str) -> None:
    """By the name of the field."""
    assert normalise(name, raw) == value


@pytest.mark.parametrize("raw", ["", "  ", "无", "-", "--", "N/A"])
def test_nothing_is_no_field(raw: str) -> None:
    """Blanks, and what providers write for nothing."""
    assert make_field(FieldName.ADDRESS, raw, 0.9, None) is None


def test_a_check_that_fails_lowers_the_confidence() -> None:
    """To the bound, never up to it; without a confidence there is none still."""
    wrong, right = "110105194912310021", "11010519491231002X"
    for number, said, check_digit, confidence in (
        (right, 0.99, VALID, 0.99),
        (wrong, 0.99, INVALID, DOUBTED_CONFIDENCE),
        (wrong, 0.1, INVALID, 0.1),
        (wrong, None, INVALID, None),
    ):
        field = make_field(FieldName.ID_NUMBER, number, said, None)
        assert field is not None
        assert (field.check_digit, field.confidence) == (check_digit, confidence)


def test_a_caller_may_know_better() -> None:
    """A given normal form and a given verdict stand."""
    field = make_field(FieldName.BIRTH_DATE, "690806", 0.8, None, "1969-08-06", INVALID)
    assert field is not None
    assert (field.normalized_value, field.check_digit, field.confidence) == ("1969-08-06", INVALID, DOUBTED_CONFIDENCE)


def test_examples_of_the_standards_hold() -> None:
    """GB 11643, GB 32100, GS 15 and ICAO 9303, with examples that are printed in them or in public registers."""
    assert check_id_number("11010519491231002X") is VALID
    assert check_id_number("110105491231002") is NONE
    assert check_credit_code("91110000600037341L") is VALID
    assert check_credit_code("9111000060003734IL") is INVALID
    assert check_registration_number("440301103097413") is VALID
    assert check_registration_number("440301103097414") is INVALID
    assert check_registration_number("4403011030974") is NONE
    assert check_card_number("4111111111111111") is VALID
    assert check_card_number("411111111111") is INVALID
    assert icao_check_digit("L898902C3") == "6"
    assert check_icao("ZE184226B<<<<<", "1") is VALID
    assert check_icao("<<<<<<<<<<<<<<", "<") is VALID
    assert check_icao("ZE184226B<<<<<", "<") is INVALID
    with pytest.raises(ValueError, match="machine-readable"):
        icao_check_digit("a")
