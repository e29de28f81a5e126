"""The front of a bank card: nothing on it has a fixed place, so everything is known by its shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ocr_gateway.identity.check_digits import check_card_number
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.identity.normalise import date
from ocr_gateway.identity.reading.layout import Level, Piece, Spelt, mean, rows_of
from ocr_gateway.identity.reading.repairs import as_digits, compact
from ocr_gateway.model import CheckDigit, Field, IdDocument

_N = FieldName
_BANK = re.compile(r"[\u4e00-\u9fff]*(?:银行|信用社|信用联社|农信)|[A-Z .&]*\bBANK\b[A-Z .&]*", re.IGNORECASE)
_TYPES = re.compile(
    r"准贷记卡|借记卡|储蓄卡|信用卡|贷记卡|预付费?卡|\b(?:DEBIT|CREDIT|PREPAID)(?: CARD)?\b", re.IGNORECASE
)
_MONTH = re.compile(r"(?<![0-9/])(0[1-9]|1[0-2]) ?/ ?(20[0-9]{2}|[0-9]{2})(?![0-9/])")
_MARKS = re.compile(r"银联|UNIONPAY|VISA|MASTER ?CARD|VALID|THRU|MONTH ?/ ?YEAR|有效期", re.IGNORECASE)
_HOLDER = re.compile(r"(?:(?:MR|MRS|MS|DR)\.? ?)?[A-Z][A-Z'\-]*(?:[ ./][A-Z][A-Z'\-]*){1,4}")
_NO_NAMES = re.compile(
    r"\b(?:VALID|THRU|MONTH|YEAR|FROM|UNTIL|END|EXPIRES?|UNION ?PAY|VISA|MASTER ?CARD|BANK|CARD|DEBIT|CREDIT|GOLD|"
    r"PLATINUM|CLASSIC|STANDARD|WORLD|ELECTRONIC|USE|ONLY|MEMBER|SINCE|GOOD|QUICK ?PASS|CHINA)\b"
)
# Enough digits to be a card's (ISO/IEC 7812: at most 19); below 16 only where a card is asked for.
_MOST, _USUAL, _LEAST = 19, 16, 13


def read_bank_card(lines: Sequence[Spelt], level: Level, asked: bool) -> tuple[Field, ...]:
    """The fields; none where the lines are no card's. ``asked``: a bank card was asked for, so a number is enough."""
    rows = rows_of(line.whole for line in lines)
    number, row = _number(rows, _LEAST if asked else _USUAL)
    if not row:
        return ()
    texts = [line.whole for line in lines]
    bank, kind = _match(texts, _BANK), _match(texts, _TYPES)
    marks = _match(texts, _MARKS)
    if (
        not asked
        and not ((bank or kind or marks) and check_card_number(number) is CheckDigit.VALID)
        and not (marks and (bank or kind))
    ):
        return ()
    month = _month(rows)
    holder = _holder(texts, row[0])
    known = kind or bank or marks
    fields = [
        make_field(_N.DOCUMENT_TYPE, known[0], known[1].confidence, level.polygon([known[1]]),
                   IdDocument.BANK_CARD.value) if known else None,
        make_field(_N.CARD_NUMBER, " ".join(piece.text for piece in row), mean([p.confidence for p in row]),
                   level.polygon(row), number),
        *(_field(name, found, level) for name, found in (
            (_N.VALID_UNTIL, month), (_N.CARD_TYPE, kind), (_N.BANK_NAME, bank), (_N.HOLDER_NAME, holder),
        )),
    ]  # fmt: skip
    return tuple(field for field in fields if field is not None)


_Found = tuple[str, Piece]


def _field(name: FieldName, found: _Found | None, level: Level) -> Field | None:
    return make_field(name, found[0], found[1].confidence, level.polygon([found[1]])) if found else None


def _match(pieces: Iterable[Piece], pattern: re.Pattern[str]) -> _Found | None:
    """The first match from the top, with its piece."""
    for piece in pieces:
        if found := pattern.search(piece.text):
            return found[0].strip(), piece
    return None


def _number(rows: Iterable[Sequence[Piece]], least: int) -> tuple[str, list[Piece]]:
    """The digits and the pieces of the row that looks most like a number: with a check that holds, then the longest."""
    best: tuple[tuple[bool, int], str, list[Piece]] = ((False, 0), "", [])
    for row in rows:
        for run in _runs(row):
            digits = "".join(map(_digits, run))
            rank = (check_card_number(digits) is CheckDigit.VALID, len(digits))
            if least <= len(digits) <= _MOST and rank > best[0]:
                best = (rank, digits, run)
    return best[1], best[2]


def _runs(row: Sequence[Piece]) -> list[list[Piece]]:
    """Neighbours on a row that are digits and nothing else."""
    runs: list[list[Piece]] = [[]]
    for piece in row:
        if _digits(piece):
            runs[-1].append(piece)
        else:
            runs.append([])
    return [run for run in runs if run]


def _digits(piece: Piece) -> str:
    """The digits of a piece that has nothing else, letters put right among digits; else empty."""
    plain = re.sub(r"[\s\-.·*]", "", compact(piece.text))
    right = as_digits(plain)
    known = sum(character.isdigit() for character in plain)
    return right if re.fullmatch(r"[0-9]{2,19}", right) and known >= 0.7 * len(plain) else ""


def _month(rows: Iterable[Sequence[Piece]]) -> _Found | None:
    """The last month of validity: the later one where a first one is printed as well."""
    found = [
        (date(match[0]), match[0], piece)
        for row in rows for piece in row for match in _MONTH.finditer(piece.text)
    ]  # fmt: skip
    best = max(found, key=lambda each: each[0], default=None)
    return (best[1], best[2]) if best else None


def _holder(pieces: Iterable[Piece], number: Piece) -> _Found | None:
    """The name below the number: capitals, none of the words that are printed on cards."""
    names = [
        piece
        for piece in pieces
        if piece.top > number.top and _HOLDER.fullmatch(piece.text) and not _NO_NAMES.search(piece.text)
    ]
    lowest = max(names, key=lambda each: each.height, default=None)
    return (lowest.text, lowest) if lowest else None
