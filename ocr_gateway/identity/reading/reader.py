"""Fields of whichever identity document the lines of a page are."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable

from ocr_gateway.identity.reading.bank_card import read_bank_card
from ocr_gateway.identity.reading.business_licence import read_business_licence
from ocr_gateway.identity.reading.identity_card import read_identity_card
from ocr_gateway.identity.reading.layout import Level
from ocr_gateway.identity.reading.machine_zone import read_machine_zone
from ocr_gateway.model import Field, IdDocument, Line

DOCUMENTS = frozenset(IdDocument)
"""What ``read_fields`` reads."""

# More lines than this, and longer ones, are of something else; the time goes with their squares.
_MAX_LINES = 600
_MAX_CHARACTERS = 300


def read_fields(
    lines: Iterable[Line],
    document: IdDocument | None,
    today: datetime.date,
    check: Callable[[], None] = lambda: None,
) -> tuple[Field, ...]:
    """The fields that the lines have; none where they are no such document.

    With ``document`` None the first of these that fits is taken: a machine-readable zone, a business licence, a
    Chinese identity card, a bank card. ``today`` decides the century of a zone's dates. Lines may lie at any angle;
    those without a polygon, and those of more than 300 characters, are left out. A page of more than 600 lines is no
    such document. ``check`` is called between the steps, and may raise to end the work.
    """
    given = [line for line in lines if line.polygon is not None and len(line.text) <= _MAX_CHARACTERS]
    if len(given) > _MAX_LINES:
        return ()
    level = Level(given)
    spelt = [line for line in map(level.spell, given) if line is not None]
    readers: tuple[tuple[frozenset[IdDocument], Callable[[], tuple[Field, ...]]], ...] = (
        (
            frozenset({IdDocument.PASSPORT, IdDocument.IDENTITY_CARD}),
            lambda: read_machine_zone(spelt, level, today, document),
        ),
        (frozenset({IdDocument.BUSINESS_LICENCE}), lambda: read_business_licence(spelt, level)),
        (frozenset({IdDocument.IDENTITY_CARD}), lambda: read_identity_card(spelt, level)),
        (
            frozenset({IdDocument.BANK_CARD}),
            lambda: read_bank_card(spelt, level, document is IdDocument.BANK_CARD),
        ),
    )
    for documents, read in readers:
        check()
        if (document is None or document in documents) and (fields := read()):
            return fields
    return ()
