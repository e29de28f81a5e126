"""Check digits find what their schemes promise to find, and machine-readable zones come back as they were composed."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric, uscc

from ocr_gateway.identity.check_digits import (
    check_card_number,
    check_credit_code,
    check_icao,
    check_id_number,
    icao_check_digit,
)
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.normalise import date, mrz_date
from ocr_gateway.identity.reading.mrz import Zone, ZoneFormat, parse_zone, tidy_line
from ocr_gateway.identity.reading.reader import read_fields
from ocr_gateway.model import CheckDigit, IdDocument, Line, Polygon, Word

TODAY = datetime.date(2026, 11, 22)
DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=count, max_size=count)


def changed(data: st.DataObject, text: str, alphabet: str) -> str:
    """One character exchanged for another one of the alphabet."""
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([each for each in alphabet if each != text[place]]))
    return text[:place] + other + text[place + 1 :]


@given(st.data(), digits(17))
def test_any_wrong_character_of_a_citizens_number_is_found(data: st.DataObject, stem: str) -> None:
    """MOD 11-2: the number holds, and with one digit changed it does not."""
    number = stem + ric.calc_check_digit(stem + "0")
    assert check_id_number(number) is CheckDigit.VALID
    assert check_id_number(changed(data, number, DIGITS)) is CheckDigit.INVALID


@given(st.data(), st.text(USCC_ALPHABET, min_size=17, max_size=17))
def test_any_wrong_character_of_a_credit_code_is_found(data: st.DataObject, stem: str) -> None:
    """MOD 31: the code holds, and with one character changed it does not."""
    code = stem + uscc.calc_check_digit(stem)
    assert check_credit_code(code) is CheckDigit.VALID
    assert check_credit_code(changed(data, code, USCC_ALPHABET)) is CheckDigit.INVALID


@given(st.data(), st.text(DIGITS, min_size=11, max_size=18))
def test_any_wrong_digit_of_a_card_number_is_found(data: st.DataObject, stem: str) -> None:
    """Luhn: the number holds, and with one digit changed it does not."""
    number = stem + luhn.calc_check_digit(stem)
    assert check_card_number(number) is CheckDigit.VALID
    assert check_card_number(changed(data, number, DIGITS)) is CheckDigit.INVALID


@given(st.data(), st.text(DIGITS, min_size=1, max_size=39))
def test_any_wrong_digit_of_a_zones_part_is_found(data: st.DataObject, text: str) -> None:
    """7-3-1: each weight has no factor in common with 10, so a digit for another one is always found."""
    digit = icao_check_digit(text)
    assert check_icao(text, digit) is CheckDigit.VALID
    assert check_icao(changed(data, text, DIGITS), digit) is CheckDigit.INVALID
    assert check_icao(text, changed(data, digit, DIGITS)) is CheckDigit.INVALID


WORDS = st.text(LETTERS, min_size=1, max_size=6)
NAMES = st.lists(WORDS, min_size=1, max_size=2).map(" ".join)
# Of a length of its own, and without what an engine's twins would be repaired to.
NUMBERS = st.text("ACDEFGHJKLMNPQRTUVWXY34679", min_size=9, max_size=9)
BORN = st.dates(datetime.date(1930, 1, 1), TODAY)
UNTIL = st.dates(datetime.date(1990, 1, 1), datetime.date(2075, 12, 31))
COUNTRIES = st.sampled_from(["UTO", "CHN", "D", "GBR"])


def checked(text: str) -> str:
    return text + icao_check_digit(text)


def td3(
    surname: str, given: str, country: str, number: str, born: str, sex: str, until: str, personal: str
) -> list[str]:
    optional = checked(personal.ljust(14, "<"))
    parts = checked(number), checked(born), checked(until)
    total = icao_check_digit("".join(parts) + optional)
    name = f"{surname}<<{given}".replace(" ", "<")
    nation = country.ljust(3, "<")
    second = parts[0] + nation + parts[1] + sex + parts[2] + optional + total
    return [f"P<{nation}{name}".ljust(44, "<"), second]


def td2(
    surname: str, given: str, country: str, number: str, born: str, sex: str, until: str, personal: str
) -> list[str]:
    parts, optional = (checked(number), checked(born), checked(until)), personal[:7].ljust(7, "<")
    name = f"{surname}<<{given}".replace(" ", "<")
    nation = country.ljust(3, "<")
    second = parts[0] + nation + parts[1] + sex + parts[2] + optional
    return [f"I<{nation}{name}".ljust(36, "<"), second + icao_check_digit("".join(parts) + optional)]


def td1(
    surname: str, given: str, country: str, number: str, born: str, sex: str, until: str, personal: str
) -> list[str]:
    nation = country.ljust(3, "<")
    first = f"I<{nation}{checked(number)}{personal}".ljust(30, "<")
    second = f"{checked(born)}{sex}{checked(until)}{nation}".ljust(29, "<")
    second += icao_check_digit(first[5:] + second[:7] + second[8:15] + second[18:29])
    return [first, second, f"{surname}<<{given}".replace(" ", "<").ljust(30, "<")]


COMPOSED = {ZoneFormat.TD1: td1, ZoneFormat.TD2: td2, ZoneFormat.TD3: td3}


def values(zone: Zone) -> dict[str, str]:
    return {str(field.name): field.normalized for field in zone.fields}


@given(
    st.sampled_from(list(ZoneFormat)), NAMES, NAMES, COUNTRIES, NUMBERS, BORN, st.sampled_from("MF<"), UNTIL,
    st.text(DIGITS, max_size=7),
)  # fmt: skip
def test_a_zone_comes_back_as_it_was_composed(
    form: ZoneFormat,
    surname: str,
    given_names: str,
    country: str,
    number: str,
    born: datetime.date,
    sex: str,
    until: datetime.date,
    personal: str,
) -> None:
    """All fields of each format, and all checks hold."""
    lines = COMPOSED[form](surname, given_names, country, number, f"{born:%y%m%d}", sex, f"{until:%y%m%d}", personal)
    zone = parse_zone([tidy_line(line) for line in lines], form, TODAY)
    assert zone is not None
    assert zone.check_digit is CheckDigit.VALID
    expected = (
        {
            "document_type": "passport" if form is ZoneFormat.TD3 else "identity_card",
            "issuing_country": country,
            "surname": surname,
            "given_names": given_names,
            "document_number": number,
            "nationality": country,
            "birth_date": born.isoformat(),
            "valid_until": until.isoformat(),
        }
        | ({"personal_number": personal} if personal else {})
        | ({"sex": sex} if sex != "<" else {})
    )
    found = values(zone)
    assert {name: found.get(name) for name in expected} == expected
    assert zone.lines == tuple(lines)


@given(
    st.data(), NUMBERS, BORN, UNTIL,
    st.sampled_from([FieldName.DOCUMENT_NUMBER, FieldName.BIRTH_DATE, FieldName.VALID_UNTIL]),
)  # fmt: skip
def test_a_wrong_digit_in_a_zone_is_flagged(
    data: st.DataObject, number: str, born: datetime.date, until: datetime.date, name: FieldName
) -> None:
    """The field that it stands in is INVALID, and so is the zone; the others hold."""
    lines = td3("SMITH", "JOHN", "GBR", "1" + number[1:], f"{born:%y%m%d}", "M", f"{until:%y%m%d}", "")
    first = {FieldName.DOCUMENT_NUMBER: 0, FieldName.BIRTH_DATE: 13, FieldName.VALID_UNTIL: 21}[name]
    length = 1 if name is FieldName.DOCUMENT_NUMBER else 6
    part = changed(data, lines[1][first : first + length], DIGITS)
    lines[1] = lines[1][:first] + part + lines[1][first + length :]
    zone = parse_zone(lines, ZoneFormat.TD3, TODAY)
    assert zone is not None
    assert [field.name for field in zone.fields if field.check_digit is CheckDigit.INVALID] == [name]
    assert zone.check_digit is CheckDigit.INVALID


@given(st.dates(datetime.date(1000, 1, 1), datetime.date(9999, 12, 31)))
def test_all_shapes_of_a_date_come_to_one(day: datetime.date) -> None:
    """Figures with and without separators, and 年月日."""
    shapes = (
        f"{day.year}年{day.month}月{day.day}日",
        f"{day:%Y%m%d}",
        day.isoformat(),
        f"{day.year}.{day.month:02d}.{day.day:02d}",
    )
    assert {date(shape) for shape in shapes if len(shape) >= 8} == {day.isoformat()}


@given(st.dates(TODAY.replace(year=1927), TODAY))
def test_a_birthday_of_the_last_hundred_years_keeps_its_century(day: datetime.date) -> None:
    """Of two centuries the day of birth is in the last one that has had it."""
    assert mrz_date(f"{day:%y%m%d}", TODAY, past=True) == day.isoformat()


SNIPPETS = st.sampled_from([
    "姓名", "性别", "民族", "出生", "住址", "公民身份号码", "居民身份证", "签发机关", "有效期限", "营业执照", "名",
    "称", "类住", "统一社会信用代码", "登记机关", "营业期限", "至", "长期", "2019", "年", "0", "X", "<", "<<<<",
    "P<UTO", "VALID", "THRU", "05/27", "中国银行", "6217004284640719", "110105194912310021", "张", "«", "²", "٠",
    "ß"
])  # fmt: skip
COORDINATES = st.floats(-50, 4000, allow_nan=False)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A line of whatever text anywhere, with words that spell it or do not."""
    text = "".join(draw(st.lists(SNIPPETS | st.text(max_size=3), max_size=6)))
    corner = st.tuples(COORDINATES, COORDINATES)
    polygon: Polygon | None = draw(st.none() | st.tuples(corner, corner, corner, corner))
    words = tuple(Word(part, None, polygon) for part in text.split()) if polygon and draw(st.booleans()) else ()
    return Line(text, draw(st.none() | st.floats(0, 1)), polygon, words)


@given(st.lists(lines(), max_size=12), st.none() | st.sampled_from(IdDocument))
def test_any_lines_make_fields_or_none(page: list[Line], document: IdDocument | None) -> None:
    """Whatever an engine reads, nothing is raised, no name comes twice and no field is empty."""
    fields = read_fields(page, document, TODAY)
    assert len({field.name for field in fields}) == len(fields)
    assert all(field.raw_value and (field.polygon is None or len(field.polygon) == 4) for field in fields)
