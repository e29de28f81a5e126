"""RapidOCR reads identity documents: drawn cards come back field by field, and wrong check digits are flagged."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from ocr_gateway.identity.fields import DOUBTED_CONFIDENCE
from ocr_gateway.model import CheckDigit, Feature, Field, IdDocument, ProviderCall
from ocr_gateway.providers.rapid_ocr import RapidOcrProvider
from tests.fakes.card_sheet import Pixels, dimmed, jpeg_of, missing_packages, tilted
from tests.fakes.id_cards import CHECKED, Kind, draw_card

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {' '.join(missing_packages())}"),
]

LEAST_EXACT = 0.95
DECK = [
    *((Kind.ID_FRONT, seed) for seed in range(5)),
    *((Kind.ID_BACK, seed) for seed in range(4)),
    *((Kind.LICENCE_PORTRAIT, seed) for seed in range(1)),
    *((Kind.LICENCE_LANDSCAPE, seed) for seed in range(1)),
    *((Kind.BANK_CARD, seed) for seed in range(4)),
    *((Kind.PASSPORT, seed) for seed in range(2)),
    *((Kind.TD1, seed) for seed in range(3)),
]
CONDITIONS: dict[str, Callable[[Pixels, int], Pixels]] = {
    "clean": lambda pixels, seed: pixels,
    "tilted": tilted,
    "dim": dimmed,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[RapidOcrProvider]:
    provider = RapidOcrProvider(1, today=lambda: datetime.date(2026, 11, 22))
    await provider.start()
    yield provider
    await provider.close()


async def read(provider: RapidOcrProvider, pixels: Pixels, document: IdDocument | None = None) -> dict[str, Field]:
    height, width = pixels.shape[:2]
    call = ProviderCall(jpeg_of(pixels), "image/jpeg", width, height, Feature.ID_DOCUMENT, document=document)
    fields = (await provider.recognize(call)).page.fields
    assert len({field.name for field in fields}) == len(fields)
    return {field.name: field for field in fields}


@pytest.mark.parametrize("condition", CONDITIONS)
async def test_fields_of_twenty_cards_are_exactly_right(provider: RapidOcrProvider, condition: str) -> None:
    """In each condition 95 % of the fields at least; and a check digit holds wherever its field is right."""
    assert len(DECK) == 20
    wrong, count = [], 0
    for kind, seed in DECK:
        card = draw_card(kind, seed)
        fields = await read(provider, CONDITIONS[condition](card.pixels, seed))
        for name, value in card.fields.items():
            count += 1
            found = fields.get(name)
            if found is None or found.normalized_value != value:
                wrong.append((kind.value, seed, name, value, found and found.normalized_value))
            elif name in CHECKED[kind]:
                assert found.check_digit is CheckDigit.VALID
    assert 1 - len(wrong) / count >= LEAST_EXACT, wrong


@pytest.mark.parametrize(
    ("kind", "name", "condition"),
    [
        (Kind.ID_FRONT, "id_number", "clean"),
        (Kind.ID_FRONT, "id_number", "tilted"),
        (Kind.LICENCE_LANDSCAPE, "credit_code", "dim"),
        (Kind.BANK_CARD, "card_number", "clean"),
        (Kind.BANK_CARD, "card_number", "dim"),
        (Kind.PASSPORT, "document_number", "tilted"),
        (Kind.PASSPORT, "personal_number", "clean"),
        (Kind.TD1, "document_number", "clean"),
        (Kind.TD1, "birth_date", "tilted"),
        (Kind.TD1, "valid_until", "dim"),
    ],
)
async def test_a_wrong_check_digit_is_flagged(
    provider: RapidOcrProvider, kind: Kind, name: str, condition: str
) -> None:
    """A card printed with one digit changed says that the check fails, and is doubted; a zone's last check as well."""
    card = draw_card(kind, 50, wrong=name)
    fields = await read(provider, CONDITIONS[condition](card.pixels, 50))
    flagged = {field.name for field in fields.values() if field.check_digit is CheckDigit.INVALID}
    assert flagged == ({name, "mrz"} if "mrz" in card.fields else {name})
    assert all((fields[each].confidence or 0) <= DOUBTED_CONFIDENCE for each in flagged)


async def test_only_the_document_that_is_asked_for_is_read(provider: RapidOcrProvider) -> None:
    """A bank card asked to be a passport or a licence has no fields; asked for by its name it has all."""
    card = draw_card(Kind.BANK_CARD, 7)
    for document in (IdDocument.PASSPORT, IdDocument.BUSINESS_LICENCE, IdDocument.IDENTITY_CARD):
        assert await read(provider, card.pixels, document) == {}
    fields = await read(provider, card.pixels, IdDocument.BANK_CARD)
    assert {name: fields[name].normalized_value for name in card.fields} == card.fields


async def test_a_fields_polygon_lies_round_its_ink(provider: RapidOcrProvider) -> None:
    """The number of an identity card is where it was drawn, within a few pixels."""
    fields = await read(provider, draw_card(Kind.ID_FRONT, 3).pixels, IdDocument.IDENTITY_CARD)
    corners = fields["id_number"].polygon
    assert corners is not None
    drawn = [331, 534, 898, 534, 898, 568, 331, 568]
    assert [figure for corner in corners for figure in corner] == pytest.approx(drawn, abs=8)
