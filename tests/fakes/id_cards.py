"""Identity documents drawn from a seed, with the exact values of their fields.

The persons, companies and numbers are made up. Layouts follow the printed documents; the fonts do not.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from stdnum import luhn
from stdnum.cn import ric, uscc

from ocr_gateway.identity.check_digits import icao_check_digit
from tests.fakes.card_sheet import BLUE, MONO, MONO_BOLD, SANS, Colour, Pixels, Sheet

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Kind(enum.Enum):
    """What is drawn."""

    ID_FRONT = "id_front"
    ID_BACK = "id_back"
    LICENCE_PORTRAIT = "licence_portrait"
    LICENCE_LANDSCAPE = "licence_landscape"
    BANK_CARD = "bank_card"
    PASSPORT = "passport"
    TD1 = "td1"


CHECKED: dict[Kind, tuple[str, ...]] = {
    Kind.ID_FRONT: ("id_number",),
    Kind.ID_BACK: (),
    Kind.LICENCE_PORTRAIT: ("credit_code",),
    Kind.LICENCE_LANDSCAPE: ("credit_code",),
    Kind.BANK_CARD: ("card_number",),
    Kind.PASSPORT: ("document_number", "birth_date", "valid_until", "personal_number"),
    Kind.TD1: ("document_number", "birth_date", "valid_until"),
}
"""The fields with a check digit of their own."""


# The larger documents are seen from further away.
_SCALE = dict.fromkeys(Kind, 1.0) | {Kind.LICENCE_PORTRAIT: 0.7, Kind.LICENCE_LANDSCAPE: 0.7, Kind.PASSPORT: 0.8}


@dataclass(frozen=True, slots=True)
class Card:
    """A drawn document: its pixels, and the normalised value of each field on it."""

    kind: Kind
    pixels: Pixels
    fields: dict[str, str]


def draw_card(kind: Kind, seed: int, wrong: str | None = None) -> Card:
    """The card of this seed; with ``wrong``, one of ``CHECKED``, that field is printed with one digit changed."""
    rng = np.random.default_rng([seed, list(Kind).index(kind)])
    card = _DRAW[kind](rng, wrong)
    pixels = cv2.resize(card.pixels, None, fx=_SCALE[kind], fy=_SCALE[kind], interpolation=cv2.INTER_AREA)
    return Card(kind, np.asarray(pixels, np.uint8), card.fields)


def _one(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _day(rng: np.random.Generator, first_year: int, last_year: int) -> datetime.date:
    return datetime.date(int(rng.integers(first_year, last_year + 1)), 1, 1) + datetime.timedelta(
        int(rng.integers(0, 365))
    )


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(map(str, rng.integers(0, 10, count)))


def _changed(rng: np.random.Generator, text: str, first: int = 0, last: int | None = None) -> str:
    """The text with one digit between these places turned into another one."""
    places = [i for i, each in enumerate(text) if each.isdigit() and first <= i < (len(text) if last is None else last)]
    place = places[int(rng.integers(len(places)))]
    return text[:place] + str((int(text[place]) + int(rng.integers(1, 10))) % 10) + text[place + 1 :]


_SURNAMES = ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "欧阳", "司马"]
_GIVEN = ["伟", "芳", "秀英", "敏", "静", "丽", "强", "磊", "建国", "洋", "艳", "勇", "俊杰", "雨桐", "子轩"]
_ETHNICITIES = ["汉", "汉", "汉", "回", "满", "壮", "苗", "维吾尔", "蒙古"]
_PLACES = (
    ("110105", "北京市朝阳区"),
    ("310104", "上海市徐汇区"),
    ("440304", "广东省深圳市福田区"),
    ("510104", "四川省成都市锦江区"),
    ("330106", "浙江省杭州市西湖区"),
)
_STREETS = ("人民路", "建设大道", "解放北街", "科苑南路", "长江西路")


def _address(rng: np.random.Generator, place: str) -> str:
    building, room = int(rng.integers(1, 30)), int(rng.integers(101, 2900))
    return f"{place}{_one(rng, _STREETS)}{int(rng.integers(1, 999))}号{building}号楼{room}室"


def _id_front(rng: np.random.Generator, wrong: str | None) -> Card:
    code, place = _PLACES[int(rng.integers(len(_PLACES)))]
    born = _day(rng, 1950, 2005)
    stem = f"{code}{born:%Y%m%d}{int(rng.integers(10, 999)):03d}"
    number = stem + ric.calc_check_digit(stem + "0")
    male = int(stem[-1]) % 2 == 1
    fields = {
        "name": _one(rng, _SURNAMES) + _one(rng, _GIVEN),
        "sex": "M" if male else "F",
        "ethnicity": _one(rng, _ETHNICITIES),
        "birth_date": born.isoformat(),
        "address": _address(rng, place),
        "id_number": _changed(rng, number) if wrong == "id_number" else number,
    }
    sheet = Sheet(1000, 630, (226, 232, 238))
    sheet.waves((208, 220, 230))
    sheet.box((640, 80, 920, 440), (200, 206, 214))
    sheet.disc((710, 130, 850, 300), (150, 120, 104))
    sheet.box((680, 320, 880, 440), (60, 64, 78))
    for x, y, label in ((70, 84, "姓名"), (70, 156, "性别"), (300, 156, "民族"), (70, 228, "出生"), (70, 304, "住址")):
        sheet.text(x, y, label, 30, BLUE)
    sheet.text(170, 80, fields["name"], 38)
    sheet.text(170, 156, "男" if male else "女", 32)
    sheet.text(390, 156, fields["ethnicity"], 32)
    for x, value, label in ((170, born.year, "年"), (312, born.month, "月"), (402, born.day, "日")):
        sheet.text(x, 228, str(value), 32)
        sheet.text(x + (88 if label == "年" else 48), 230, label, 28, BLUE)
    for row in range(0, len(fields["address"]), 11):
        sheet.text(170, 302 + row // 11 * 46, fields["address"][row : row + 11], 34, step=36)
    sheet.text(70, 536, "公民身份号码", 30, BLUE)
    sheet.text(330, 528, fields["id_number"], 42, font=MONO_BOLD, step=32)
    return Card(Kind.ID_FRONT, sheet.pixels, fields)


def _id_back(rng: np.random.Generator, wrong: str | None) -> Card:
    start = _day(rng, 2008, 2022)
    end = start.replace(year=start.year + int(_one(rng, ("10", "20")))) if start.day != 29 else None
    authority = _PLACES[int(rng.integers(len(_PLACES)))][1].removeprefix("广东省").removeprefix("四川省") + "公安局"
    fields = {
        "issuing_authority": authority,
        "valid_from": start.isoformat(),
        "valid_until": end.isoformat() if end else "",
    }
    sheet = Sheet(1000, 630, (232, 236, 232))
    sheet.waves((214, 226, 218))
    sheet.disc((70, 60, 230, 220), (190, 60, 50))
    sheet.text(330, 70, "中华人民共和国", 56, step=76)
    sheet.text(310, 170, "居民身份证", 84, step=118)
    sheet.text(250, 440, "签发机关", 30)
    sheet.text(400, 436, authority, 36)
    sheet.text(250, 524, "有效期限", 30)
    last = f"{end:%Y.%m.%d}" if end else "长期"
    sheet.text(400, 520, f"{start:%Y.%m.%d}-{last}", 36)
    return Card(Kind.ID_BACK, sheet.pixels, fields)


def _licence(rng: np.random.Generator, wrong: str | None, landscape: bool) -> Card:
    code, place = _PLACES[int(rng.integers(len(_PLACES)))]
    stem = f"91{code}MA" + "".join(_one(rng, "0123456789ABCDEFGHJKLMNPQRTUWXY") for _ in range(7))
    number = stem + uscc.calc_check_digit(stem)
    founded, issued = _day(rng, 2000, 2018), _day(rng, 2019, 2023)
    word, trade = _one(rng, ("云帆", "恒瑞", "博远", "天成")), _one(rng, ("科技", "贸易", "餐饮管理", "建筑工程"))
    city = place[:2]
    open_ended = bool(rng.integers(0, 2))
    until = founded.replace(year=founded.year + 30, day=min(founded.day, 28))
    scope = "技术开发、技术咨询、技术服务；销售电子产品、计算机软硬件及辅助设备；货物进出口。"
    if rng.integers(0, 2):
        scope += "（依法须经批准的项目，经相关部门批准后方可开展经营活动）"
    fields = {
        "credit_code": _changed(rng, number) if wrong == "credit_code" else number,
        "company_name": f"{city}{word}{trade}有限公司",
        "company_type": _one(rng, ("有限责任公司", "有限责任公司（自然人独资）", "有限责任公司（法人独资）")),
        "legal_representative": _one(rng, _SURNAMES) + _one(rng, _GIVEN),
        "registered_capital": _one(rng, ("壹佰万元整", "伍佰万元人民币", "1000万元人民币", "贰仟万元整")),
        "established_date": founded.isoformat(),
        "valid_from": founded.isoformat(),
        "valid_until": "" if open_ended else until.isoformat(),
        "address": _address(rng, place),
        "business_scope": scope,
        "registration_date": issued.isoformat(),
    }
    period = f"{_cn(founded)}至{'长期' if open_ended else _cn(until)}"
    rows = (
        ("名称", fields["company_name"]),
        ("类型", fields["company_type"]),
        ("法定代表人", fields["legal_representative"]),
        ("经营范围", scope),
        ("注册资本", fields["registered_capital"]),
        ("成立日期", _cn(founded)),
        ("营业期限", period),
        ("住所", fields["address"]),
    )
    draw = _landscape if landscape else _portrait
    return Card(
        Kind.LICENCE_LANDSCAPE if landscape else Kind.LICENCE_PORTRAIT,
        draw(fields["credit_code"], rows, f"{issued.year}年 {issued.month:02d}月 {issued.day:02d}日", rng),
        fields,
    )


def _cn(day: datetime.date) -> str:
    return f"{day.year}年{day.month:02d}月{day.day:02d}日"


def _label(sheet: Sheet, x: float, y: float, label: str, size: int) -> None:
    """A label spread to five characters' width, as licences have them."""
    width = 4.6 * size
    step = width / max(len(label) - 1, 1) if len(label) < 5 else size * 1.15
    sheet.text(x, y, label, size, step=step)


def _column(
    sheet: Sheet, x: float, y: float, rows: Sequence[tuple[str, str]], size: int, room: int, gap: float
) -> float:
    """Labels below each other with their values to the right, each as many lines as it takes; where the next goes."""
    for label, value in rows:
        _label(sheet, x, y, label, size)
        for start in range(0, len(value), room):
            sheet.text(x + size * 7.2, y, value[start : start + room], size)
            y += size * 1.5
        y += gap
    return y


def _landscape(code: str, rows: Sequence[tuple[str, str]], issued: str, rng: np.random.Generator) -> Pixels:
    sheet = Sheet(1500, 1060, (250, 248, 240))
    sheet.text(480, 90, "营业执照", 110, step=145)
    sheet.text(690, 225, "（副 本）", 34)
    sheet.text(110, 150, "统一社会信用代码", 26)
    sheet.text(110, 192, code, 27, font=SANS)
    sheet.chequers(1220, 110, 150, rng)
    _column(sheet, 110, 340, rows[:4], 27, 17, 22)
    _column(sheet, 820, 340, rows[4:], 27, 15, 22)
    sheet.text(900, 860, "登记机关", 34, step=50)
    sheet.text(1050, 940, issued, 30)
    return sheet.pixels


def _portrait(code: str, rows: Sequence[tuple[str, str]], issued: str, rng: np.random.Generator) -> Pixels:
    sheet = Sheet(1060, 1500, (250, 248, 240))
    sheet.disc((470, 60, 590, 180), (196, 70, 54))
    sheet.text(250, 210, "营业执照", 110, step=150)
    sheet.text(360, 370, f"统一社会信用代码 {code}", 26)
    name, kind, person, scope, capital, founded, period, seat = rows
    _column(sheet, 120, 450, (name, kind, seat, person, capital, founded, period, scope), 29, 20, 22)
    sheet.text(560, 1290, "登记机关", 34, step=50)
    sheet.text(600, 1380, issued, 30)
    sheet.chequers(120, 1270, 140, rng)
    return sheet.pixels


_BANKS = (("中国工商银行", "ICBC", "622202"), ("中国建设银行", "China Construction Bank", "621700"),
          ("招商银行", "CHINA MERCHANTS BANK", "621483"), ("中国银行", "BANK OF CHINA", "456351"))  # fmt: skip
_LATIN_NAMES = ("ZHANG WEI", "LI NA", "WANG XIAOMING", "CHEN JIANGUO", "OUYANG FENG")


def _bank_card(rng: np.random.Generator, wrong: str | None) -> Card:
    bank, latin, prefix = _BANKS[int(rng.integers(len(_BANKS)))]
    credit = bool(rng.integers(0, 2))
    stem = prefix + _digits(rng, (16 if credit else 19) - 7)
    number = stem + luhn.calc_check_digit(stem)
    month, year = int(rng.integers(1, 13)), int(rng.integers(25, 39))
    fields = {
        "card_number": _changed(rng, number) if wrong == "card_number" else number,
        "valid_until": f"20{year}-{month:02d}",
        "card_type": "credit" if credit else "debit",
        "bank_name": bank,
        "holder_name": _one(rng, _LATIN_NAMES),
    }
    ground: Colour = (150, 36, 44) if credit else (36, 70, 128)
    silver: Colour = (228, 228, 222)
    sheet = Sheet(1000, 630, ground)
    sheet.waves((ground[0] + 12, ground[1] + 12, ground[2] + 12))
    sheet.text(70, 50, bank, 52, silver)
    sheet.text(70, 116, latin, 24, silver, SANS)
    sheet.text(760, 66, "信用卡" if credit else "借记卡", 36, silver)
    sheet.box((80, 210, 200, 300), (206, 176, 96))
    shown = fields["card_number"]
    groups = [shown[i : i + 4] for i in range(0, 16, 4)] if credit else [shown[:6], shown[6:]]
    for lift, ink in ((2, (20, 20, 24)), (0, silver)):
        sheet.text(70 + lift, 340 + lift, " ".join(groups), 60 if credit else 58, ink, MONO_BOLD)
    sheet.text(390, 424, "MONTH/YEAR", 16, silver, SANS)
    sheet.text(330, 446, "VALID", 16, silver, SANS)
    sheet.text(330, 466, "THRU", 16, silver, SANS)
    sheet.text(400, 444, f"{month:02d}/{year}", 40, silver, MONO_BOLD)
    sheet.text(70, 530, fields["holder_name"], 38, silver, MONO_BOLD)
    sheet.text(820, 520, "银联", 44, silver)
    sheet.text(810, 572, "UnionPay", 24, silver, SANS)
    return Card(Kind.BANK_CARD, sheet.pixels, fields)


_PERSONS = (("ERIKSSON", "ANNA MARIA"), ("ZHANG", "WEI"), ("MUELLER", "HANS PETER"), ("O BRIEN", "LIAM"),
            ("GARCIA LOPEZ", "MARIA"), ("SZABO", "BOGLARKA"), ("BOISSY", "ZOE"))  # fmt: skip
_COUNTRIES = ("UTO", "CHN", "FRA", "GBR", "ESP", "HUN", "SWE")


@dataclass(frozen=True, slots=True)
class _Holder:
    surname: str
    given: str
    country: str
    number: str
    sex: str
    born: datetime.date
    until: datetime.date

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Holder:
        surname, given = _PERSONS[int(rng.integers(len(_PERSONS)))]
        number = _one(rng, "ABCEGKLPX") + _one(rng, _ALPHABET) + _digits(rng, 7)
        until = _day(rng, 2027, 2036)
        return cls(surname, given, _one(rng, _COUNTRIES), number, _one(rng, "MF"), _day(rng, 1950, 2008), until)

    @property
    def name(self) -> str:
        return f"{self.surname}<<{self.given}".replace(" ", "<")

    def fields(self, document: str) -> dict[str, str]:
        return {
            "document_type": document,
            "issuing_country": self.country,
            "surname": self.surname,
            "given_names": self.given,
            "document_number": self.number,
            "nationality": self.country,
            "birth_date": self.born.isoformat(),
            "sex": self.sex,
            "valid_until": self.until.isoformat(),
        }


def _checked(text: str) -> str:
    return text + icao_check_digit(text)


def _passport(rng: np.random.Generator, wrong: str | None) -> Card:
    holder = _Holder.drawn(rng)
    personal = _digits(rng, 8) if rng.integers(0, 2) or wrong == "personal_number" else ""
    number, born, until = _checked(holder.number), _checked(f"{holder.born:%y%m%d}"), _checked(f"{holder.until:%y%m%d}")
    optional = personal.ljust(14, "<")
    optional += icao_check_digit(optional) if personal else "<"
    total = icao_check_digit(number + born + until + optional)
    lines = [
        f"P<{holder.country}{holder.name}".ljust(44, "<"),
        number + holder.country + born + holder.sex + until + optional + total,
    ]
    places = {"document_number": (0, 9), "birth_date": (13, 19), "valid_until": (21, 27), "personal_number": (28, 36)}
    if wrong is not None:
        lines[1] = _changed(rng, lines[1], *places[wrong])
    fields = holder.fields("passport") | ({"personal_number": personal} if personal else {})
    fields["mrz"] = "\n".join(lines)
    sheet = Sheet(1250, 880, (236, 232, 224))
    sheet.waves((224, 222, 214))
    sheet.box((70, 170, 370, 570), (198, 200, 204))
    sheet.disc((140, 220, 300, 420), (160, 130, 112))
    sheet.text(70, 60, "PASSPORT", 44, font=SANS)
    rows = (
        ("Type", "P"), ("Surname", holder.surname), ("Given names", holder.given), ("Passport No.", holder.number),
        ("Date of birth", f"{holder.born:%d %b %Y}".upper()), ("Date of expiry", f"{holder.until:%d %b %Y}".upper()),
    )  # fmt: skip
    for place, (label, value) in enumerate(rows):
        sheet.text(430, 150 + place * 80, label, 20, BLUE, SANS)
        sheet.text(430, 178 + place * 80, value, 32, font=SANS)
    _zone(sheet, lines, 60, 730, 42, 62, 1250)
    return Card(Kind.PASSPORT, sheet.pixels, fields)


def _td1(rng: np.random.Generator, wrong: str | None) -> Card:
    holder = _Holder.drawn(rng)
    number, born, until = _checked(holder.number), _checked(f"{holder.born:%y%m%d}"), _checked(f"{holder.until:%y%m%d}")
    first = f"I<{holder.country}{number}".ljust(30, "<")
    second = f"{born}{holder.sex}{until}{holder.country}".ljust(29, "<")
    second += icao_check_digit(first[5:30] + second[0:7] + second[8:15] + second[18:29])
    lines = [first, second, holder.name.ljust(30, "<")[:30]]
    places = {"document_number": (0, 5, 14), "birth_date": (1, 0, 6), "valid_until": (1, 8, 14)}
    if wrong is not None:
        row, *place = places[wrong]
        lines[row] = _changed(rng, lines[row], *place)
    fields = holder.fields("identity_card") | {"mrz": "\n".join(lines)}
    sheet = Sheet(1000, 630, (228, 234, 230))
    sheet.waves((212, 222, 216))
    sheet.box((80, 70, 220, 170), (206, 176, 96))
    sheet.text(300, 80, "Address", 20, BLUE, SANS)
    sheet.text(300, 110, "12 HARBOUR STREET", 30, font=SANS)
    sheet.text(300, 190, "Height", 20, BLUE, SANS)
    sheet.text(300, 220, "172 cm", 30, font=SANS)
    _zone(sheet, lines, 60, 400, 46, 62, 1000)
    return Card(Kind.TD1, sheet.pixels, fields)


def _zone(sheet: Sheet, lines: Sequence[str], x: int, y: int, size: int, leading: int, width: int) -> None:
    """A machine-readable zone, its characters spread evenly over the width as OCR-B's are."""
    step = (width - 2 * x) / len(lines[0])
    for row, line in enumerate(lines):
        sheet.text(x, y + row * leading, line, min(size, round(step / 0.62)), font=MONO, step=step)


def _licence_portrait(rng: np.random.Generator, wrong: str | None) -> Card:
    return _licence(rng, wrong, landscape=False)


def _licence_landscape(rng: np.random.Generator, wrong: str | None) -> Card:
    return _licence(rng, wrong, landscape=True)


_DRAW = {
    Kind.ID_FRONT: _id_front,
    Kind.ID_BACK: _id_back,
    Kind.LICENCE_PORTRAIT: _licence_portrait,
    Kind.LICENCE_LANDSCAPE: _licence_landscape,
    Kind.BANK_CARD: _bank_card,
    Kind.PASSPORT: _passport,
    Kind.TD1: _td1,
}
