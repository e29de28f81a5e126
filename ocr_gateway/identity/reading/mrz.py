"""Machine-readable zones of ICAO 9303: TD1 (three lines of 30), TD2 (two of 36), TD3 (two of 44)."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ocr_gateway.identity.check_digits import check_icao
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.normalise import mrz_date
from ocr_gateway.identity.reading.repairs import as_digits, as_letters
from ocr_gateway.model import CheckDigit


class ZoneFormat(enum.Enum):
    """Lines, and characters of each."""

    TD1 = (3, 30)
    TD2 = (2, 36)
    TD3 = (2, 44)

    @property
    def line_count(self) -> int:
        """How many lines it has."""
        return self.value[0]

    @property
    def length(self) -> int:
        """How many characters each line has."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of one line of a zone: from ``first`` to before ``last``."""

    line: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ZoneField:
    """A field of a zone: as it was read, in its normal form, where it stands, and whether its check digit holds."""

    name: FieldName
    raw: str
    normalized: str
    span: Span
    check_digit: CheckDigit


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone that was read: its lines with repaired characters, its fields, and whether the check over all holds."""

    form: ZoneFormat
    lines: tuple[str, ...]
    fields: tuple[ZoneField, ...]
    check_digit: CheckDigit

    @property
    def checks_held(self) -> int:
        """How many of its check digits hold."""
        return [*(field.check_digit for field in self.fields), self.check_digit].count(CheckDigit.VALID)


# What each character of a line may be: d a digit, a letter or filler (a), anything (x), M, F or filler (s).
_SHAPES = {
    ZoneFormat.TD1: ("aaaaa" + "x" * 9 + "c" + "x" * 15, "dddddd" + "d" + "s" + "dddddd" + "d" + "aaa" + "x" * 11 + "d",
                     "a" * 30),
    ZoneFormat.TD2: ("a" * 36, "x" * 9 + "d" + "aaa" + "dddddd" + "d" + "s" + "dddddd" + "d" + "x" * 7 + "d"),
    ZoneFormat.TD3: ("a" * 44, "x" * 9 + "d" + "aaa" + "dddddd" + "d" + "s" + "dddddd" + "d" + "x" * 14 + "c" + "d"),
}  # fmt: skip
_FIRST = {ZoneFormat.TD1: "IAC", ZoneFormat.TD2: "IACP", ZoneFormat.TD3: "P"}
# Engines read fewer fillers than stand in a row, or more: so many are put back, or taken out, at most.
_MOST_MISSING, _MOST_EXCESS = 15, 4
_FILLER_TWINS = str.maketrans({"«": "<<", "《": "<<", "‹": "<", "〈": "<", "＜": "<", "く": "<", "≤": "<"})


def tidy_line(text: str) -> str:
    """A line as an engine read it, in the zone's own characters; empty where it cannot be one of a zone's."""
    plain = "".join(text.upper().translate(_FILLER_TWINS).split())
    # A K, C, L, or the like amid fillers is one; after two alone it may be a name.
    plain = re.sub(r"(?<=<<<)[KCLES(\[{]{1,3}(?=<<)", lambda found: "<" * len(found[0]), plain)
    plain = re.sub(r"(?<=<<<)[KCL(\[{]+$", lambda found: "<" * len(found[0]), plain)
    return plain if re.fullmatch(r"[0-9A-Z<]{15,60}", plain) else ""


def parse_zone(texts: Sequence[str], form: ZoneFormat, today: datetime.date, witness: str = "") -> Zone | None:
    """The zone of this format that these lines, tidied, are; None where they have not its shape.

    A digit where only letters stand becomes the letter that looks like it, and the other way round. The document
    number may have both: where its check digit fails, and one with O for 0 (or I for 1, and so on) holds, that is
    taken if ``witness``, the other text on the page, has it too. Without one it stays as it was read, INVALID: in one
    case of ten a wrong digit would be hidden by a wrong repair.
    """
    if len(texts) != form.line_count or texts[0][:1] not in _FIRST[form]:
        return None
    read = [line for text, shape in zip(texts, _SHAPES[form], strict=True) if (line := _stretched(text, shape))]
    if len(read) != form.line_count:
        return None
    lines = [_repaired(line, shape) for line, shape in zip(read, _SHAPES[form], strict=True)]
    if not _plausible(lines[1], form):
        return None
    parse = _td1 if form is ZoneFormat.TD1 else _td2_or_td3
    return parse(read, lines, form, today, witness)


def _stretched(text: str, shape: str) -> str | None:
    """The line with as many fillers as make it fit, at its end or in its longest run; None where that cannot be."""
    missing = len(shape) - len(text)
    if missing >= 0 and set(shape) == {"a"}:
        return text + "<" * missing
    runs = [(run.end() - run.start(), run.start()) for run in re.finditer("<+", text)]
    if missing == 0 or not runs or not -_MOST_EXCESS <= missing <= _MOST_MISSING:
        return text if missing == 0 else None
    length, start = max(runs)
    return text[:start] + "<" * (length + missing) + text[start + length :] if length + missing > 0 else None


def _repaired(text: str, shape: str) -> str:
    """Each character made what can stand in its place."""
    return "".join(
        as_digits(character) if kind == "d" or (kind == "c" and character != "<")
        else as_letters(character) if kind in "as"
        else character
        for character, kind in zip(text, shape, strict=True)
    )  # fmt: skip


def _plausible(line: str, form: ZoneFormat) -> bool:
    """Whether the second line has dates, a sex and a nationality in their places."""
    dates, sex, nation = ((0, 8), 7, (15, 18)) if form is ZoneFormat.TD1 else ((13, 21), 20, (10, 13))
    born, until = line[dates[0] : dates[0] + 7], line[dates[1] : dates[1] + 7]
    fit = bool(re.fullmatch(r"[0-9<]{6}[0-9]", born)) + bool(re.fullmatch(r"[0-9]{7}", until))
    return fit == 2 and line[sex] in "MFX<" and bool(re.fullmatch(r"[A-Z]{1,3}<*", line[slice(*nation)]))


def _td1(read: Sequence[str], lines: list[str], form: ZoneFormat, today: datetime.date, witness: str) -> Zone:
    first, second = lines[0], lines[1]
    number, number_end, digit, optional = first[5:14], 14, first[14], Span(0, 15, 30)
    if digit == "<" and (rest := re.match(r"([0-9A-Z]+)([0-9])<", first[15:] + "<")):
        # A number of more than nine characters goes on in the optional data (ICAO 9303-5, 4.2.4).
        number, digit, number_end = number + rest[1], rest[2], 15 + len(rest[1])
        optional = Span(0, 15 + rest.end() - 1, 30)
        fixed = number
    else:
        fixed = _witnessed(number, digit, witness)
        lines[0] = first = first[:5] + fixed + first[14:]
    everything = first[5:] + second[0:7] + second[8:15] + second[18:29]
    fields = [
        *_heading(read, first),
        *_names(read, lines, Span(2, 0, 30)),
        _checked(read, FieldName.DOCUMENT_NUMBER, fixed, digit, Span(0, 5, number_end)),
        *_middle(read, second, today, nation=Span(1, 15, 18), born=Span(1, 0, 6), sex=7, until=Span(1, 8, 14)),
        _plain(read, FieldName.PERSONAL_NUMBER, first[optional.first : optional.last].strip("<"), optional),
    ]
    return _zone(form, lines, fields, check_icao(everything, second[29]))


def _td2_or_td3(read: Sequence[str], lines: list[str], form: ZoneFormat, today: datetime.date, witness: str) -> Zone:
    second = lines[1]
    number = _witnessed(second[:9], second[9], witness)
    lines[1] = second = number + second[9:]
    end = 42 if form is ZoneFormat.TD3 else 35
    optional = second[28:end]
    place = Span(1, 28, end)
    if form is ZoneFormat.TD3:
        personal = _checked(read, FieldName.PERSONAL_NUMBER, optional, second[42], place)
    else:
        personal = _plain(read, FieldName.PERSONAL_NUMBER, optional.strip("<"), place)
    everything = second[0:10] + second[13:20] + second[21 : form.length - 1]
    fields = [
        *_heading(read, lines[0]),
        *_names(read, lines, Span(0, 5, form.length)),
        _checked(read, FieldName.DOCUMENT_NUMBER, number, second[9], Span(1, 0, 9)),
        *_middle(read, second, today, nation=Span(1, 10, 13), born=Span(1, 13, 19), sex=20, until=Span(1, 21, 27)),
        personal,
    ]
    return _zone(form, lines, fields, check_icao(everything, second[form.length - 1]))


def _zone(form: ZoneFormat, lines: Sequence[str], fields: Sequence[ZoneField], check: CheckDigit) -> Zone:
    """A zone of the fields that have a value."""
    return Zone(form, tuple(lines), tuple(field for field in fields if field.raw.strip("<")), check)


def _heading(read: Sequence[str], first: str) -> list[ZoneField]:
    code = first[:2].strip("<")
    kind = "passport" if code.startswith("P") else "identity_card"
    return [
        ZoneField(FieldName.DOCUMENT_TYPE, code, kind, Span(0, 0, 2), CheckDigit.NOT_APPLICABLE),
        _plain(read, FieldName.ISSUING_COUNTRY, first[2:5].strip("<"), Span(0, 2, 5)),
    ]


def _names(read: Sequence[str], lines: Sequence[str], span: Span) -> list[ZoneField]:
    """Surname and given names: parted by two fillers, their parts by one."""
    text = lines[span.line][span.first : span.last]
    surname, _, given = text.rstrip("<").partition("<<")
    given = re.sub(r"<{3,}.*$", "", given)
    begin = span.first + len(surname) + 2
    return [
        _plain(read, FieldName.SURNAME, surname.replace("<", " ").strip(),
               Span(span.line, span.first, span.first + len(surname))),
        _plain(read, FieldName.GIVEN_NAMES, " ".join(given.replace("<", " ").split()),
               Span(span.line, begin, min(begin + len(given), span.last))),
    ]  # fmt: skip


def _middle(
    read: Sequence[str], second: str, today: datetime.date, *, nation: Span, born: Span, sex: int, until: Span
) -> list[ZoneField]:
    """What all formats have on their second line."""

    def dated(name: FieldName, span: Span, past: bool) -> ZoneField:
        text = second[span.first : span.last]
        held = check_icao(text, second[span.last])
        return ZoneField(name, _raw(read, span), mrz_date(text, today, past=past), span, held)

    stated = second[sex] if second[sex] in "MF" else "X"
    return [
        _plain(read, FieldName.NATIONALITY, second[nation.first : nation.last].strip("<"), nation),
        dated(FieldName.BIRTH_DATE, born, past=True),
        ZoneField(FieldName.SEX, second[sex] if stated != "X" else "X", stated, Span(1, sex, sex + 1),
                  CheckDigit.NOT_APPLICABLE),
        dated(FieldName.VALID_UNTIL, until, past=False),
    ]  # fmt: skip


def _plain(read: Sequence[str], name: FieldName, value: str, span: Span) -> ZoneField:
    return ZoneField(name, _raw(read, span) if value else "", value, span, CheckDigit.NOT_APPLICABLE)


def _checked(read: Sequence[str], name: FieldName, value: str, digit: str, span: Span) -> ZoneField:
    return ZoneField(name, _raw(read, span), value.rstrip("<"), span, check_icao(value, digit))


def _raw(read: Sequence[str], span: Span) -> str:
    return read[span.line][span.first : span.last].strip("<")


_TWINS = {"0": "O", "O": "0", "1": "I", "I": "1", "8": "B", "B": "8", "5": "S", "S": "5", "2": "Z", "Z": "2"}


def _witnessed(number: str, digit: str, witness: str) -> str:
    """The number, or the one with some characters exchanged for their twins that holds and that the witness has."""
    if check_icao(number, digit) is CheckDigit.VALID:
        return number
    bare = number.rstrip("<")
    pattern = "".join(f"[{each}{_TWINS[each]}]" if each in _TWINS else each for each in bare)
    for found in re.finditer(f"(?={pattern})", witness):
        other = witness[found.start() : found.start() + len(bare)]
        if other != bare and check_icao(other.ljust(len(number), "<"), digit) is CheckDigit.VALID:
            return other.ljust(len(number), "<")
    return number
