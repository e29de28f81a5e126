"""The Chinese resident identity card, front and back, or both on one page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ocr_gateway.identity.check_digits import check_id_number
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.identity.normalise import date, ethnicity
from ocr_gateway.identity.reading.labels import Sorted, Vocabulary, sort_pieces
from ocr_gateway.identity.reading.layout import Level, Piece, Spelt, rows_of
from ocr_gateway.identity.reading.repairs import as_digits, compact, simplified
from ocr_gateway.model import CheckDigit, Field, IdDocument

_N = FieldName
_VOCABULARY = Vocabulary(
    labels={
        "姓名": _N.NAME, "性别": _N.SEX, "性別": _N.SEX, "民族": _N.ETHNICITY, "出生": _N.BIRTH_DATE,
        "出生日期": _N.BIRTH_DATE, "住址": _N.ADDRESS, "公民身份号码": _N.ID_NUMBER, "公民身份证号码": _N.ID_NUMBER,
        "身份号码": _N.ID_NUMBER, "签发机关": _N.ISSUING_AUTHORITY, "有效期限": _N.VALID_UNTIL,
    },
    many_lines={_N.ADDRESS, _N.ISSUING_AUTHORITY},
    inside=True,
)  # fmt: skip
_TITLE = "居民身份证"
_FRONT = (_N.NAME, _N.SEX, _N.ETHNICITY, _N.BIRTH_DATE, _N.ADDRESS, _N.ID_NUMBER)
_NUMBER = re.compile(r"(?<![0-9])[0-9]{17}[0-9X](?![0-9])")
_PERIOD = re.compile(r"([0-9]{4})\D?([0-9]{2})\D?([0-9]{2})\D{1,2}(?:([0-9]{4})\D?([0-9]{2})\D?([0-9]{2})|(长期))")


def read_identity_card(lines: Sequence[Spelt], level: Level) -> tuple[Field, ...]:
    """The fields, those of the front first; none where the lines are no card's."""
    sorted_ = sort_pieces(lines, _VOCABULARY)
    _find_number(sorted_)
    title = next((line for line in lines if _TITLE in line.characters), None)
    front = sum(name in sorted_.labels for name in _FRONT) >= 2 or _holds(sorted_)
    back = _N.ISSUING_AUTHORITY in sorted_.labels and (_N.VALID_UNTIL in sorted_.labels or title is not None)
    if not front and not back and title is None:
        return ()
    _find_name(sorted_)
    known = title.whole if title else next((pieces[0] for pieces in sorted_.labels.values()), None)
    fields = [
        _document_type(known, level) if known else None,
        sorted_.field(_N.NAME, level),
        sorted_.field(_N.SEX, level, raw=_first(sorted_.text(_N.SEX), "[男女]")),
        sorted_.field(_N.ETHNICITY, level, normalized=_ethnicity(sorted_.text(_N.ETHNICITY))),
        sorted_.field(_N.BIRTH_DATE, level, normalized=_birth_date(sorted_.text(_N.BIRTH_DATE))),
        sorted_.field(_N.ADDRESS, level),
        sorted_.field(_N.ID_NUMBER, level, normalized=_number(sorted_.text(_N.ID_NUMBER))),
        sorted_.field(_N.ISSUING_AUTHORITY, level),
        *_period(sorted_, level),
    ]
    return tuple(field for field in fields if field is not None)


def _document_type(known: Piece, level: Level) -> Field | None:
    return make_field(
        _N.DOCUMENT_TYPE, known.text, known.confidence, level.polygon([known]), IdDocument.IDENTITY_CARD.value
    )


def _first(text: str, pattern: str) -> str:
    """The first match in the text, or the text."""
    found = re.search(pattern, text)
    return found[0] if found else text


def _ethnicity(text: str) -> str:
    return ethnicity(simplified(text))


def _birth_date(text: str) -> str:
    """The date, its separators misread or not: the digits stand in three groups, or in one of eight."""
    found = date(text)
    groups = re.findall(r"[0-9]+", as_digits("".join(text.split())))
    return found or date("-".join(groups))


def _number(text: str) -> str:
    """The number, with digits for letters wherever only digits stand."""
    plain = re.sub(r"[^0-9A-Z]", "", compact(text))
    return as_digits(plain[:17]) + (plain[17:] if plain[17:] == "X" else as_digits(plain[17:]))


def _find_number(sorted_: Sorted) -> None:
    """A number whose label was not read is the one piece of its shape."""
    if sorted_.text(_N.ID_NUMBER):
        return
    for piece in sorted_.loose:
        if _NUMBER.search(as_digits(compact(piece.text)[:17]) + compact(piece.text)[17:]):
            sorted_.values[_N.ID_NUMBER] = [piece]
            sorted_.loose.remove(piece)
            return


def _holds(sorted_: Sorted) -> bool:
    return check_id_number(_number(sorted_.text(_N.ID_NUMBER))) is CheckDigit.VALID


def _find_name(sorted_: Sorted) -> None:
    """A name whose label was not read is what stands on the row above 性别, 姓 or 名 misread or missing."""
    below = sorted_.labels.get(_N.SEX)
    if not below or sorted_.values.get(_N.NAME):
        return
    above = [
        piece for piece in sorted_.loose
        if 0 < below[0].top - piece.bottom < 3 * below[0].height and re.search("[\u3400-\u9fff]{2}", piece.text)
    ]  # fmt: skip
    if above:
        row = rows_of(above)[-1]
        text = re.sub(r"^(姓.|.名)", "", "".join("".join(piece.text.split()) for piece in row))
        if text:
            first, last = row[0], row[-1]
            sorted_.values[_N.NAME] = [
                Piece(text, first.confidence, first.left, first.top, last.right, max(last.bottom, first.bottom))
            ]


def _period(sorted_: Sorted, level: Level) -> list[Field | None]:
    """Both ends of the validity; from a piece of its shape where the label was not read."""
    pieces = sorted_.values.get(_N.VALID_UNTIL) or [p for p in sorted_.loose if _PERIOD.search(_straight(p.text))]
    text = "".join(piece.text for piece in sorted(pieces, key=lambda each: each.left))
    if not pieces or not (found := _PERIOD.search(_straight(text))):
        return [sorted_.field(_N.VALID_UNTIL, level)]
    confidence, polygon = pieces[0].confidence, level.polygon(pieces)
    last = "-".join(found.group(4, 5, 6)) if found[4] else found[7]
    return [
        make_field(_N.VALID_FROM, found[0][: found.end(3) - found.start()], confidence, polygon,
                   date("-".join(found.group(1, 2, 3)))),
        make_field(_N.VALID_UNTIL, found[0][-(found.end() - found.start(4 if found[4] else 7)) :], confidence, polygon,
                   date(last)),
    ]  # fmt: skip


def _straight(text: str) -> str:
    return "".join(text.split())
