"""Fields out of lines that were put where a document has them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence

import pytest

from ocr_gateway.identity.check_digits import icao_check_digit
from ocr_gateway.identity.reading.mrz import ZoneFormat, parse_zone, tidy_line
from ocr_gateway.identity.reading.reader import read_fields
from ocr_gateway.model import CheckDigit, Field, IdDocument, Line, Word

TODAY = datetime.date(2026, 11, 22)
# ICAO 9303-4, -5 and -6, the specimens.
TD3 = ["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"]
TD1 = ["I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<"]
TD2 = ["I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<", "D231458907UTO7408122F1204159<<<<<<<6"]
SPECIMEN = {
    "issuing_country": "UTO",
    "surname": "ERIKSSON",
    "given_names": "ANNA MARIA",
    "nationality": "UTO",
    "birth_date": "1974-08-12",
    "sex": "F",
    "valid_until": "2012-04-15",
}

Put = tuple[float, float, str]


def line(x: float, y: float, text: str, size: float = 20, degrees: float = 0.0) -> Line:
    """A line from its top left; a character outside Latin is as wide as high. Turned about the origin."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def corners(left: float, right: float) -> tuple[tuple[float, float], ...]:
        return tuple(
            (px * cos - py * sin, px * sin + py * cos)
            for px, py in ((left, y), (right, y), (right, y + size), (left, y + size))
        )

    words, left = [], x
    for character in text:
        right = left + (size if character >= "\u2e80" else size / 2)
        if not character.isspace():
            words.append(Word(character, 0.9, corners(left, right)))
        left = right
    return Line(text, 0.9, corners(x, left), tuple(words))


def read(puts: Iterable[Put], document: IdDocument | None = None, degrees: float = 0.0) -> dict[str, Field]:
    fields = read_fields([line(x, y, text, degrees=degrees) for x, y, text in puts], document, TODAY)
    return {field.name: field for field in fields}


def forms(fields: dict[str, Field]) -> dict[str, str]:
    return {name: field.normalized_value for name, field in fields.items() if name != "document_type"}


FRONT: list[Put] = [
    (0, 0, "姓名"), (60, 0, "欧阳雨桐"), (0, 40, "性别 女"), (150, 40, "民族"), (210, 40, "维吾尔"),
    (0, 80, "出生"), (60, 80, "1985年"), (140, 80, "7月6日"), (0, 120, "住址 浙江省杭州市西湖区长江"),
    (60, 150, "西路649号1号楼59"), (60, 180, "1室"), (0, 240, "公民身份号码"), (150, 240, "11010519491231002X"),
]  # fmt: skip
FRONT_FORMS = {
    "name": "欧阳雨桐", "sex": "F", "ethnicity": "维吾尔", "birth_date": "1985-07-06",
    "address": "浙江省杭州市西湖区长江西路649号1号楼591室", "id_number": "11010519491231002X",
}  # fmt: skip


@pytest.mark.parametrize("degrees", [0, 7, -12, 90, 180, 271])
def test_an_identity_card_is_read_at_any_angle(degrees: float) -> None:
    """Rows are rows of the text, not of the image; polygons begin at the text's top left."""
    fields = read(FRONT, degrees=degrees)
    assert forms(fields) == FRONT_FORMS
    assert fields["id_number"].check_digit is CheckDigit.VALID
    drawn = line(150, 240, "11010519491231002X", degrees=degrees).polygon or ()
    assert [x for corner in fields["id_number"].polygon or () for x in corner] == pytest.approx(
        [x for corner in drawn for x in corner], abs=0.1
    )


def test_labels_may_be_joined_misread_or_missing() -> None:
    """One line for a whole row, a wrong character in a long label, no label before the name and the number."""
    puts: list[Put] = [
        (60, 0, "张三"), (0, 40, "性别男民族汉"), (0, 80, "出生1985年7月6日"), (0, 120, "住址人民路1号"),
        (0, 240, "公民身分号码11010519491231002X"),
    ]  # fmt: skip
    expected = {"name": "张三", "sex": "M", "ethnicity": "汉", "birth_date": "1985-07-06", "address": "人民路1号",
                "id_number": "11010519491231002X"}  # fmt: skip
    assert forms(read(puts)) == expected
    puts[0] = (0, 0, "姓各张三")
    puts[-1] = (150, 240, "1101O519491231OO2X")
    assert forms(read(puts)) == expected


def test_a_traditional_form_is_put_right() -> None:
    """A mainland card has simplified characters; the raw value stays as it was read."""
    fields = read([(0, 0, "姓名陈俊傑"), (0, 40, "性别男"), (150, 40, "民族漢")])
    assert (fields["name"].raw_value, fields["name"].normalized_value) == ("陈俊傑", "陈俊杰")
    assert fields["ethnicity"].normalized_value == "汉"


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("2015.11.21-2035.11.21", "2015-11-21", "2035-11-21"),
        ("2015.11.21-长期", "2015-11-21", ""),
        ("20151121-20351121", "2015-11-21", "2035-11-21"),
        ("2015.11.21 - 2035.11.21", "2015-11-21", "2035-11-21"),
    ],
)
def test_the_back_of_an_identity_card_is_read(period: str, first: str, last: str) -> None:
    """Authority and both ends of the validity."""
    fields = read(
        [(90, 0, "中华人民共和国"), (80, 50, "居民身份证"), (0, 150, "签发机关 杭州市公安局"), (0, 190, "有效期限"),
         (100, 190, period)]
    )  # fmt: skip
    assert forms(fields) == {"issuing_authority": "杭州市公安局", "valid_from": first, "valid_until": last}
    assert fields["document_type"].normalized_value == "identity_card"


LICENCE: list[Put] = [
    (400, 0, "营业执照"), (0, 60, "统一社会信用代码"), (0, 90, "91110000600037341L"),
    (0, 150, "名"), (60, 150, "称"), (120, 150, "北京(中国)有限公司"),
    (500, 150, "注册资本壹佰万元整"),
    (0, 190, "类"), (60, 190, "型有限责任公司"), (500, 190, "成立日期"), (620, 190, "2018年04月20日"),
    (0, 230, "法定代表人"), (120, 230, "王雨桐"), (500, 230, "营业期限"), (620, 230, "2018年04月20日至204"),
    (620, 260, "8年04月20日"),
    (0, 270, "经营范围"), (120, 270, "技术开发、技术咨询、企业"), (120, 300, "管理。"),
    (500, 300, "住"), (560, 300, "所"), (620, 300, "广东省深圳市人民路541"), (620, 330, "号27号楼"),
    (500, 450, "登记机关"), (560, 490, "2022 年 09 月 09 日"),
    (0, 540, "国家企业信用信息公示系统网址：http://www.gsxt.gov.cn"),
]  # fmt: skip


@pytest.mark.parametrize("degrees", [0, 5, -8])
def test_a_licence_in_two_columns_is_read(degrees: float) -> None:
    """Values go on below, each in its column; labels printed wide are single characters, joined to values or not."""
    fields = read(LICENCE, degrees=degrees)
    assert forms(fields) == {
        "credit_code": "91110000600037341L",
        "company_name": "北京（中国）有限公司",
        "company_type": "有限责任公司",
        "legal_representative": "王雨桐",
        "registered_capital": "壹佰万元整",
        "established_date": "2018-04-20",
        "valid_from": "2018-04-20",
        "valid_until": "2048-04-20",
        "address": "广东省深圳市人民路541号27号楼",
        "business_scope": "技术开发、技术咨询、企业管理。",
        "registration_date": "2022-09-09",
    }
    assert fields["credit_code"].check_digit is CheckDigit.VALID


def test_a_credit_code_is_repaired_only_where_one_character_can_stand() -> None:
    """A letter that no code has, and a letter among the leading digits; a wrong digit stays, and is flagged."""
    title: Put = (300, 0, "营业执照")
    for raw, value, verdict in (
        ("911I0000600O37341L", "91110000600037341L", CheckDigit.VALID),
        ("91110000600037841L", "91110000600037841L", CheckDigit.INVALID),
    ):
        fields = read([title, (0, 60, f"统一社会信用代码{raw}"), (0, 100, "名称某某公司")])
        assert (fields["credit_code"].normalized_value, fields["credit_code"].check_digit) == (value, verdict)


BANK: list[Put] = [
    (0, 0, "中国建设银行"), (0, 30, "China Construction Bank"), (400, 0, "信用卡"),
    (0, 150, "6217 0042"), (130, 150, "8464 0719"), (200, 200, "MONTH/YEAR"), (160, 220, "VALID"),
    (220, 225, "03/34"), (160, 240, "THRU"), (0, 280, "CHEN JIANGUO"), (400, 280, "银联"), (400, 310, "UnionPay"),
]  # fmt: skip


def test_a_bank_card_is_read_by_the_shapes_of_its_texts() -> None:
    """The number in parts of a row, the later of two months, and the name that is no printed word."""
    expected = {"card_number": "6217004284640719", "valid_until": "2034-03", "card_type": "credit",
                "bank_name": "中国建设银行", "holder_name": "CHEN JIANGUO"}  # fmt: skip
    fields = read([*BANK, (20, 225, "05/24")])
    assert forms(fields) == expected
    assert fields["card_number"].check_digit is CheckDigit.VALID


def test_a_page_of_text_is_no_document() -> None:
    """Neither running text nor a long number makes one, unless it is asked for."""
    puts: list[Put] = [(0, 0, "Invoice of Acme Bank"), (0, 40, "Total amount 1,234.56 EUR"), (0, 80, "名称 数量 单价")]
    assert read(puts) == {}
    number: list[Put] = [(0, 0, "Account"), (0, 40, "4111 1111 1111 1111")]
    assert read(number) == {}
    assert forms(read(number, IdDocument.BANK_CARD)) == {"card_number": "4111111111111111"}
    assert read([]) == {}


@pytest.mark.parametrize("document", [IdDocument.PASSPORT, IdDocument.BUSINESS_LICENCE, IdDocument.BANK_CARD])
def test_another_document_than_the_one_asked_for_has_no_fields(document: IdDocument) -> None:
    """An identity card's front is none of these."""
    assert read(FRONT, document) == {}


def zone_puts(lines: Sequence[str]) -> list[Put]:
    return [(0, 300 + 40 * number, text) for number, text in enumerate(lines)]


@pytest.mark.parametrize(
    ("lines", "number", "kind", "personal"),
    [(TD3, "L898902C3", "passport", "ZE184226B"), (TD1, "D23145890", "identity_card", None),
     (TD2, "D23145890", "identity_card", None)],
)  # fmt: skip
def test_the_specimens_of_the_standard_are_read(lines: list[str], number: str, kind: str, personal: str | None) -> None:
    """Every field, every check; the text above the zone is no part of it."""
    fields = read([(0, 0, "PASSPORT"), (0, 60, "ERIKSSON"), *zone_puts(lines)])
    expected = SPECIMEN | {"document_number": number, "mrz": "\n".join(lines)}
    assert forms(fields) == expected | ({"personal_number": personal} if personal else {})
    assert fields["document_type"].normalized_value == kind
    assert CheckDigit.INVALID not in {field.check_digit for field in fields.values()}
    assert fields["document_number"].check_digit is CheckDigit.VALID


def test_a_zone_is_asked_for_by_its_document() -> None:
    """A passport is any zone; an identity card is another one than a passport's."""
    assert read(zone_puts(TD1), IdDocument.IDENTITY_CARD)["document_number"].normalized_value == "D23145890"
    assert read(zone_puts(TD1), IdDocument.PASSPORT)["document_number"].normalized_value == "D23145890"
    assert read(zone_puts(TD3), IdDocument.IDENTITY_CARD) == {}


@pytest.mark.parametrize(
    "lines",
    [
        # 0 for O, 1 for I, 5 for S where letters stand; O, I, S, B where digits do.
        ["P<UT0ERIK550N<<ANNA<MAR1A<<<<<<<<<<<<<<<<<<<", "L898902C36UT07408I22F12O4IS9ZE184226B<<<<<1O"],
        # Fewer fillers than there are, a K and a « for some.
        ["P<UTOERIKSSON«ANNA<MARIA<<<<K<<<<", "L898902C36UTO7408122F1204159ZE184226B<<10"],
        # Fillers at the end not read, blanks within.
        ["P<UTOERIKSSON<<ANNA<MARIA", "L898902C36UTO 7408122F 1204159ZE184226B<<<<<10"],
    ],
)
def test_usual_confusions_in_a_zone_are_repaired(lines: list[str]) -> None:
    """By what can stand in each place; all checks hold then."""
    zone = parse_zone([tidy_line(text) for text in lines], ZoneFormat.TD3, TODAY)
    assert zone is not None
    assert zone.lines == tuple(TD3)
    assert zone.check_digit is CheckDigit.VALID
    assert {str(f.name): f.normalized for f in zone.fields if f.name in SPECIMEN} == SPECIMEN


def test_a_number_is_repaired_only_with_a_witness() -> None:
    """An O read as 0 is put back where the page says so elsewhere; else the number is flagged as it was read."""
    number = "LO98902C3"
    second = number + icao_check_digit(number) + TD3[1][10:43]
    second += icao_check_digit(second[:10] + second[13:20] + second[21:43])
    read_as = [TD3[0], second.replace("LO9", "L09")]
    for witness, value, verdict in (
        ([(0.0, 0.0, "No. LO98902C3")], number, CheckDigit.VALID),
        ([], "L098902C3", CheckDigit.INVALID),
    ):
        fields = read([*witness, *zone_puts(read_as)])
        assert fields["document_number"].normalized_value == value
        assert fields["document_number"].check_digit is verdict
        assert fields["document_number"].raw_value == "L098902C3"


def test_a_long_number_goes_on_in_the_optional_data() -> None:
    """ICAO 9303-5, 4.2.4: a filler in the place of the check digit, which stands after the rest."""
    first = "I<UTOD23145890<7349<<<<<<<<<<<"
    zone = parse_zone([first, TD1[1], TD1[2]], ZoneFormat.TD1, TODAY)
    assert zone is not None
    number = next(field for field in zone.fields if field.name == "document_number")
    assert (number.normalized, number.check_digit) == ("D23145890734", CheckDigit.VALID)


def test_a_passports_zone_is_not_taken_for_a_cards() -> None:
    """Where the fillers of its first line were lost, the length of the second one tells."""
    fields = read(zone_puts(["P<UTOERIKSSON<<ANNA<MARIA<<<", TD3[1]]))
    assert fields["mrz"].normalized_value == "\n".join(TD3)
