"""The machine-readable zone on a page: which of its lines are one, and its fields with their places."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence

from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.identity.reading.layout import Level, Piece, Spelt, mean, rows_of
from ocr_gateway.identity.reading.mrz import Span, Zone, ZoneFormat, parse_zone, tidy_line
from ocr_gateway.identity.reading.repairs import compact
from ocr_gateway.model import Field, IdDocument

_MOST_GAP = 3.0
"""Between the lines of a zone, heights of a line."""


def read_machine_zone(
    lines: Sequence[Spelt], level: Level, today: datetime.date, document: IdDocument | None
) -> tuple[Field, ...]:
    """The fields of the zone whose checks hold best; none where there is no zone, or one of another document.

    A passport is any document with a zone, an identity card one with another than a passport's.
    """
    rows = rows_of(line.whole for line in lines)
    plain = [compact(line.characters) for line in lines]
    found: tuple[tuple[int, int], Zone, list[Piece]] | None = None
    for start in range(len(rows)):
        for form in ZoneFormat:
            part = rows[start : start + form.line_count]
            texts = ["".join(piece.text for piece in row) for row in part]
            tidy = [tidy_line(text) for text in texts]
            if len(part) < form.line_count or not all(tidy) or not _together(part):
                continue
            own = {id(piece) for row in part for piece in row}
            others = (text for text, line in zip(plain, lines, strict=True) if id(line.whole) not in own)
            zone = parse_zone(tidy, form, today, witness=" ".join(others))
            if zone is None or (document is IdDocument.IDENTITY_CARD and zone.lines[0].startswith("P")):
                continue
            # Of two formats with equal checks, as they are where fillers were put in, the one that needed fewer. Those
            # at the end of a name tell nothing.
            rank = zone.checks_held, -abs(len(tidy[1]) - form.length)
            if found is None or rank > found[0]:
                found = rank, zone, [_whole(row) for row in part]
    return () if found is None else _fields(found[1], found[2], level)


def _together(rows: Sequence[Sequence[Piece]]) -> bool:
    """Whether the rows follow each other closely."""
    return all(
        under[0].top - above[0].bottom < _MOST_GAP * above[0].height for above, under in itertools.pairwise(rows)
    )


def _whole(row: Sequence[Piece]) -> Piece:
    """A row in one piece."""
    return Piece(
        "".join(piece.text for piece in row), mean([piece.confidence for piece in row]), row[0].left,
        min(piece.top for piece in row), row[-1].right, max(piece.bottom for piece in row),
    )  # fmt: skip


def _fields(zone: Zone, rows: Sequence[Piece], level: Level) -> tuple[Field, ...]:
    made = [
        make_field(
            each.name, each.raw, rows[each.span.line].confidence, level.polygon([_part(rows, each.span, zone.form)]),
            each.normalized, each.check_digit,
        )
        for each in zone.fields
    ]  # fmt: skip
    made.append(
        make_field(
            FieldName.MRZ, "\n".join(row.text for row in rows), mean([row.confidence for row in rows]),
            level.polygon(rows), "\n".join(zone.lines), zone.check_digit,
        )
    )  # fmt: skip
    return tuple(field for field in made if field is not None)


def _part(rows: Sequence[Piece], span: Span, form: ZoneFormat) -> Piece:
    """Where some characters of a line stand: all are of one width."""
    row = rows[span.line]
    unit = (row.right - row.left) / form.length
    return Piece("", None, row.left + span.first * unit, row.top, row.left + span.last * unit, row.bottom)
