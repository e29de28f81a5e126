"""Values as they are printed, made into one form each. What makes no sense becomes the empty string."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable, Mapping

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.model import IdDocument

_CJK = "\u3007\u3400-\u9fff"
_DIGITS_IN_WORDS = {character: str(value) for value, character in enumerate("〇一二三四五六七八九")} | {
    "零": "0",
    "○": "0",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SEXES = {"男": "M", "女": "F", "M": "M", "F": "F", "MALE": "M", "FEMALE": "F", "X": "X", "<": "X", "UNSPECIFIED": "X"}
_CARD_TYPES = {
    "借记卡": "debit", "储蓄卡": "debit", "DEBIT": "debit", "DEBIT CARD": "debit",
    "贷记卡": "credit", "信用卡": "credit", "CREDIT": "credit", "CREDIT CARD": "credit",
    "准贷记卡": "semi_credit",
    "预付费卡": "prepaid", "预付卡": "prepaid", "PREPAID": "prepaid", "PREPAID CARD": "prepaid",
}  # fmt: skip
_DOCUMENT_TYPES = {
    "P": IdDocument.PASSPORT.value,
    "I": IdDocument.IDENTITY_CARD.value,
    "A": IdDocument.IDENTITY_CARD.value,
    "C": IdDocument.IDENTITY_CARD.value,
    "V": "visa",
}
# Punctuation of either width is full-width between Chinese characters.
_WIDE = str.maketrans("(),;:", "（），；：")
# "2019.03.05-2029.03.05" is split at the hyphen that stands behind a date; "2019-03-05" has none such.
_DATE = r"[0-9]{4}\s*[年./\-]\s*[0-9]{1,2}\s*[月./\-]\s*[0-9]{1,2}\s*日?|[0-9]{8}"
# Blanks before the sign are a part of the second group: a run of them is looked at once.
_PERIOD = re.compile(rf"\s*+自?+\s*+(?:({_DATE})\s*|([^至到~—–]*?))(?:至|到|~|—++|–|(?<=[0-9日])\s*-)(.*)", re.DOTALL)


def normalise(name: FieldName, raw: str) -> str:
    """The value of the field ``name`` in the form that ``docs/api.md`` lists; empty where it makes none."""
    return _FORMS.get(name, text)(raw)


def date(raw: str) -> str:
    """YYYY-MM-DD, or YYYY-MM where no day is printed; empty for one without end (长期) and for one of no calendar.

    Takes 2019年3月5日, 二〇一九年三月五日, 20190305, 2019-03-05 and the like, 05 MAR 2019, MAR 5, 2019, 05/27, 05/2027.
    03/05/2019 is the fifth of March, as on US documents, unless the first number is no month.
    """
    tidy = " ".join(_in_figures(_narrow(raw)).upper().split())
    for pattern, places in _DATE_SHAPES:
        if match := pattern.fullmatch(tidy):
            parts = {place: match[place] for place in places}
            return _date_of(parts.get("y", ""), parts.get("m", ""), parts.get("d", ""))
    return ""


def mrz_date(raw: str, today: datetime.date, *, past: bool) -> str:
    """YYYY-MM-DD of a machine-readable zone's YYMMDD; empty where a part is unknown (<) or no calendar has it.

    The zone does not state the century. A day of birth (``past``) is the last such day that has been. Any other is the
    one within 50 years before and 49 years after this year.
    """
    if not re.fullmatch(r"[0-9]{6}", raw):
        return ""
    year = today.year - today.year % 100 + int(raw[:2])
    if past:
        year -= 100 if (year, raw[2:]) > (today.year, f"{today:%m%d}") else 0
    elif year - today.year > 49:
        year -= 100
    elif today.year - year > 50:
        year += 100
    return _date_of(str(year), raw[2:4], raw[4:])


def split_period(raw: str) -> tuple[str, str]:
    """The two ends of a period as printed: 2010.07.21-2030.07.21, 2016年5月3日至长期. One end alone is its last."""
    match = _PERIOD.fullmatch(raw)
    return ("", raw.strip()) if match is None else ((match[1] or match[2] or "").strip(), match[3].strip())


def sex(raw: str) -> str:
    """M, F or X, as in ICAO 9303."""
    return _SEXES.get(_narrow(raw).strip().upper(), "")


def number(raw: str) -> str:
    """In capitals, half-width, without blanks and hyphens."""
    return re.sub(r"[\s\-]+", "", _narrow(raw)).upper()


def digits(raw: str) -> str:
    """As ``number``, without anything else that separates groups of digits."""
    return re.sub(r"[.·•,]", "", number(raw))


def text(raw: str) -> str:
    """Words: runs of blanks made one, none beside a Chinese character; letters and digits half-width.

    Among Chinese characters there are no blanks between digits either: engines see them where type is set wide.

    Brackets, commas, colons and semicolons are full-width beside Chinese characters, half-width elsewhere.
    """
    tidy = " ".join(_narrow(raw).split())
    tidy = re.sub(rf" *([{_CJK}（），；：、。]) *", r"\1", tidy)
    tidy = re.sub(rf"(?<=[{_CJK}])[(),;:]|[(),;:](?=[{_CJK}])", lambda found: found[0].translate(_WIDE), tidy)
    if re.search(rf"[{_CJK}]", tidy):
        tidy = re.sub(r"(?<=[0-9]) (?=[0-9])", "", tidy)
        # A bracket has its partner's width.
        tidy = re.sub(r"（([^（）()]*)\)", r"（\1）", re.sub(r"\(([^（）()]*)）", r"（\1）", tidy))
    return tidy


def latin_name(raw: str) -> str:
    """As ``text``, in capitals."""
    return text(raw).upper()


def ethnicity(raw: str) -> str:
    """Without blanks, and without 族."""
    joined = "".join(raw.split())
    return joined.removesuffix("族") or joined


def card_type(raw: str) -> str:
    """debit, credit, semi_credit or prepaid."""
    return _CARD_TYPES.get(" ".join(raw.upper().split()), "")


def document_type(raw: str) -> str:
    """An IdDocument's value for a document code of a machine-readable zone, else the words in lower snake case."""
    tidy = re.sub(r"[^a-z0-9]+", "_", raw.strip().lower()).strip("_")
    code = raw.strip().upper()
    return _DOCUMENT_TYPES.get(code[:1], tidy) if len(code) <= 2 else tidy


def mrz(raw: str) -> str:
    """Lines without blanks, in capitals, separated by newlines."""
    return "\n".join("".join(line.split()).upper() for line in raw.splitlines() if line.strip())


def _narrow(raw: str) -> str:
    """Full-width letters, digits and signs made half-width."""
    return "".join(
        unicodedata.normalize("NFKC", each) if "\uff01" <= each <= "\uff5e" or each == "\u3000" else each
        for each in raw
    )


def _in_figures(raw: str) -> str:
    """A date's Chinese numerals made digits: 二〇一九年三月二十五日."""
    if not re.search(r"[〇○零一二三四五六七八九十]", raw):
        return raw
    figures = re.sub(
        r"[〇○零一二三四五六七八九](?=十|$)|.", lambda found: _DIGITS_IN_WORDS.get(found[0], found[0]), raw
    )
    return re.sub(r"([0-9]?)十([0-9]?)", lambda found: str(int(found[1] or 1) * 10 + int(found[2] or 0)), figures)


def _date_of(year: str, month: str, day: str) -> str:
    if month[:3] in _MONTHS:
        month = str(_MONTHS.index(month[:3]) + 1)
    if len(year) == 2:
        year = "20" + year
    if day and int(month) > 12 >= int(day):
        month, day = day, month
    try:
        found = datetime.date(int(year), int(month), int(day or 1))
    except ValueError:
        return ""
    return found.isoformat() if day else found.isoformat()[:7]


def _shape(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    compiled = re.compile(pattern)
    return compiled, tuple(compiled.groupindex)


_MONTH_NAME = rf"(?P<m>(?:{'|'.join(_MONTHS)})[A-Z]*)"
_DATE_SHAPES = (
    _shape(r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"),
    _shape(r"(?P<y>[0-9]{4})\D{1,3}(?P<m>[0-9]{1,2})\D{1,3}(?P<d>[0-9]{1,2})\D{0,2}"),
    _shape(r"(?P<y>[0-9]{4}) ?[-./年] ?(?P<m>[0-9]{1,2}) ?月?"),
    _shape(r"(?P<m>[0-9]{1,2})[-./](?P<d>[0-9]{1,2})[-./](?P<y>[0-9]{4})"),
    _shape(r"(?P<m>[0-9]{2}) ?[-./] ?(?P<y>[0-9]{4}|[0-9]{2})"),
    _shape(rf"(?P<d>[0-9]{{1,2}})[ \-./]?{_MONTH_NAME}(?:/[A-Z]+)?[ \-./]?(?P<y>[0-9]{{4}})"),
    _shape(rf"{_MONTH_NAME}[ \-./]?(?P<d>[0-9]{{1,2}}),?[ \-./]?(?P<y>[0-9]{{4}})"),
)

_FORMS: Mapping[FieldName, Callable[[str], str]] = {
    FieldName.DOCUMENT_TYPE: document_type,
    FieldName.SURNAME: latin_name,
    FieldName.GIVEN_NAMES: latin_name,
    FieldName.MIDDLE_NAME: latin_name,
    FieldName.NAME_SUFFIX: latin_name,
    FieldName.HOLDER_NAME: latin_name,
    FieldName.SEX: sex,
    FieldName.ETHNICITY: ethnicity,
    FieldName.BIRTH_DATE: date,
    FieldName.VALID_FROM: date,
    FieldName.VALID_UNTIL: date,
    FieldName.ESTABLISHED_DATE: date,
    FieldName.REGISTRATION_DATE: date,
    FieldName.ID_NUMBER: number,
    FieldName.DOCUMENT_NUMBER: number,
    FieldName.PERSONAL_NUMBER: number,
    FieldName.CREDIT_CODE: number,
    FieldName.REGISTRATION_NUMBER: number,
    FieldName.CERTIFICATE_NUMBER: number,
    FieldName.CARD_NUMBER: digits,
    FieldName.CARD_TYPE: card_type,
    FieldName.MRZ: mrz,
}
