"""Huawei's answers made into pages, and calls made into requests."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.errors import FieldInvalid, ImageTooLargeBytes
from ocr_gateway.model import CheckDigit, Feature, IdDocument, Page, Polygon, ProviderCall, ProviderResult
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.huawei.dialect import HuaweiDialect
from ocr_gateway.providers.huawei.settings import HuaweiSettings, build_huawei
from ocr_gateway.providers.remote.provider import RemoteProvider
from tests.fakes.document_fields import fields_of_document
from tests.fakes.mangled_json import mangled
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import BANK_CARD, BUSINESS_LICENCE, ID_CARD_BACK, ID_CARD_FRONT
from tests.fakes.standin.vendor import Asked
from tests.fakes.standin.vendors.huawei import Huawei

DIGEST = "0123456789abcdef" * 4
BOX = ((10, 20), (110, 20), (110, 50), (10, 50))
CORNERS = [list(corner) for corner in BOX]
# BOX clockwise from the text's top left, by the quarters that the image stands turned counter-clockwise.
BOX_FROM: dict[int, Polygon] = {turn: (*BOX[-turn:], *BOX[:-turn]) if turn else BOX for turn in range(4)}
ASKED_FOR = {"return_text_location": True, "return_confidence": True, "character_mode": True, "detect_direction": True}


def dialect() -> HuaweiDialect:
    keys = {key: {"env": "NO_SUCH"} for key in ("project_id", "access_key", "secret_key")}
    provider = build_huawei("huawei", HuaweiSettings.model_validate({"credentials": keys, "features": {}}))
    assert isinstance(provider, RemoteProvider)
    assert isinstance(provider.dialect, HuaweiDialect)
    return provider.dialect


DIALECT = dialect()


def call(feature: Feature = Feature.TEXT, document: IdDocument | None = None, **options: str) -> ProviderCall:
    return ProviderCall(b"image", "image/png", 200, 100, feature, options=options, document=document)


def with_languages(*languages: str, **options: str) -> ProviderCall:
    return ProviderCall(b"image", "image/png", 200, 100, Feature.TEXT, languages=languages, options=options)


def page_of(result: Any, feature: Feature = Feature.TEXT, document: IdDocument | None = None) -> Page:
    (made,) = DIALECT.results({"result": result}, [call(feature, document)])
    assert isinstance(made, ProviderResult)
    assert made.billed_units == 1.0
    return made.page


def documented(action: str, **options: Any) -> dict[str, Any]:
    """An answer as the stand-in gives it."""
    said: dict[str, Any] = Huawei().answer(Asked(action, (b"",), options), [DIGEST], StandInSettings()).said
    return said


def sent(asked: ProviderCall) -> dict[str, Any]:
    """The body of a request, without the image."""
    said: dict[str, Any] = json.loads(DIALECT.body([asked]))
    assert base64.b64decode(said.pop("image")) == b"image"
    return said


# Text


@pytest.mark.parametrize(
    ("direction", "turn"), [(-1, 0), (None, 0), (0.0, 0), (359.5, 0), (90.0, 1), (180.25, 2), (270.0, 3)]
)
def test_polygons_begin_where_the_text_begins(direction: float | None, turn: int) -> None:
    """Whatever corner Huawei begins with; the direction counts counter-clockwise, -1 is unknown."""
    for first in range(4):
        said = {"words": "hi", "confidence": 0.9, "location": [*CORNERS[first:], *CORNERS[:first]]}
        page = page_of({"direction": direction, "words_block_count": 1, "words_block_list": [said]})
        assert page.blocks[0].lines[0].polygon == BOX_FROM[turn]
        assert page.blocks[0].lines[0].confidence == 0.9


def test_characters_become_words() -> None:
    """Letters between blanks are one word; Chinese characters each."""
    characters = [
        {"char": char, "char_location": [[10 * x, 0], [10 * x + 10, 0], [10 * x + 10, 9], [10 * x, 9]]}
        for x, char in enumerate("ab中文")
    ]
    said = {"words": "ab中文", "char_list": characters}
    (block,) = page_of({"words_block_list": [said]}).blocks
    assert [(word.text, word.polygon[2]) for word in block.lines[0].words] == [
        ("ab", (20, 9)), ("中", (30, 9)), ("文", (40, 9)),
    ]  # fmt: skip


def test_a_page_without_text_is_empty() -> None:
    """An empty list is what Huawei says of it."""
    assert page_of({"direction": -1, "words_block_count": 0, "words_block_list": []}) == Page(200, 100)


# Tables


def test_lists_of_rows_and_columns_become_spans() -> None:
    """In any order; a cell's own place goes before its text's, and text beside tables is none."""
    cells = [
        {"words": "right", "rows": [1, 2], "columns": [1], "confidence": 0.5, "cell_location": CORNERS, "location": []},
        {"words": "both", "rows": [0], "columns": [1, 0], "location": CORNERS},
    ]
    regions = [
        {"type": "text", "words_block_list": [{"words": "title", "rows": [], "columns": []}]},
        {"type": "table", "words_block_list": cells},
    ]
    (table,) = page_of({"words_region_list": regions}, Feature.TABLE).tables
    assert [(each.row, each.column, each.row_span, each.column_span, each.text) for each in table.cells] == [
        (0, 0, 1, 2, "both"), (1, 1, 2, 1, "right"),
    ]  # fmt: skip
    assert [(each.confidence, each.polygon) for each in table.cells] == [(None, BOX), (0.5, BOX)]
    assert (table.row_count, table.column_count) == (3, 2)


@pytest.mark.parametrize("rows", [[], [-1], [1.0], None, [10**9]])
def test_a_cell_without_a_place_in_its_table_is_malformed(rows: Any) -> None:
    """Whatever else it has."""
    said = [{"type": "table", "words_block_list": [{"words": "x", "rows": rows, "columns": [0]}]}]
    with pytest.raises(ValueError, match="rows"):
        page_of({"words_region_list": said}, Feature.TABLE)


# Documents


@pytest.mark.parametrize(
    ("action", "document", "options", "wanted"),
    [
        ("id-card", IdDocument.IDENTITY_CARD, {}, ID_CARD_FRONT),
        ("id-card", None, {"side": "back"}, ID_CARD_BACK),
        ("id-card", None, {"side": "double_side"}, {**ID_CARD_FRONT, **ID_CARD_BACK}),
        ("business-license", IdDocument.BUSINESS_LICENCE, {}, BUSINESS_LICENCE),
        ("bankcard", IdDocument.BANK_CARD, {}, BANK_CARD),
    ],
)
def test_documents_have_canonical_fields(
    action: str, document: IdDocument | None, options: dict[str, str], wanted: dict[str, str]
) -> None:
    """Names and normalised values, with the places and confidences that the service states of each."""
    said = documented(action, return_text_location=True, **options)
    fields = fields_of_document(page_of(said["result"], Feature.ID_DOCUMENT, document))
    assert {field.name: field.normalized_value for field in fields} == wanted
    assert all((field.polygon is None) == (action == "business-license") for field in fields)
    assert all((field.confidence is None) == (action == "id-card") for field in fields)
    checked = {field.name for field in fields if field.check_digit is CheckDigit.VALID}
    assert checked == {"id_number", "credit_code", "card_number"} & wanted.keys()


def test_a_bank_card_may_state_when_it_was_issued() -> None:
    """Then it is valid from that month."""
    fields = fields_of_document(
        page_of({"issue_date": "05/22", "expiry_date": "05/32"}, Feature.ID_DOCUMENT, IdDocument.BANK_CARD)
    )
    assert {field.name: field.normalized_value for field in fields} == {
        "valid_from": "2022-05", "valid_until": "2032-05",
    }  # fmt: skip


# Broken answers


@given(st.data())
@pytest.mark.parametrize(
    ("action", "feature", "document"),
    [
        ("general-text", Feature.TEXT, None),
        ("general-table", Feature.TABLE, None),
        ("id-card", Feature.ID_DOCUMENT, IdDocument.IDENTITY_CARD),
        ("business-license", Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE),
        ("bankcard", Feature.ID_DOCUMENT, IdDocument.BANK_CARD),
    ],
)
def test_whatever_is_not_as_documented_is_told(
    action: str, feature: Feature, document: IdDocument | None, data: st.DataObject
) -> None:
    """Any one part of an answer may be anything: there is a page, or a ValueError."""
    said = data.draw(mangled(documented(action, **ASKED_FOR)))
    if isinstance(said, dict):
        DIALECT.refusal(HttpAnswer(200, {}, b""), said)
        with contextlib.suppress(ValueError):
            assert len(DIALECT.results(said, [call(feature, document)])) == 1


def test_an_error_of_keys_is_told_without_words() -> None:
    """They may quote what was signed."""
    keys = {"project_id": "made-up-project", "access_key": "made-up-ak", "secret_key": "made-up-sk"}
    speaker = HuaweiDialect(DIALECT.description, endpoint="https://ocr.example.com", **keys)
    words = "made-up-project, made-up-ak, made-up-sk"
    for code, wanted in (("APIG.0308", words), ("APIG.0301", "")):
        refusal = speaker.refusal(HttpAnswer(400, {}, b""), {"error_code": code, "error_msg": words})
        assert refusal is not None
        assert (refusal.code, refusal.words, refusal.status) == (code, wanted, 400)


# Requests


@pytest.mark.parametrize(
    ("languages", "wanted"),
    [
        ((), None), (("en",), "zh"), (("zh-Hant", "en"), "zh"), (("ja", "en"), "ja"), (("nn",), "no"),
        (("zh", "ja"), "auto"),
    ],
)  # fmt: skip
def test_languages_become_a_language(languages: tuple[str, ...], wanted: str | None) -> None:
    """English goes with any; several are found out by the service."""
    assert sent(with_languages(*languages)).get("language") == wanted


def test_options_are_sent_as_huawei_wants_them() -> None:
    """Switches as booleans, over what is asked for anyway."""
    assert sent(call()) == {"detect_direction": True}
    assert sent(call(detect_direction="false", language="auto")) == {"detect_direction": False, "language": "auto"}
    assert sent(call(Feature.TABLE)) == {"return_text_location": True, "return_confidence": True}
    assert sent(call(Feature.ID_DOCUMENT, None, side="back")) == {"return_text_location": True, "side": "back"}
    assert sent(call(Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE)) == {}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (call(no_such="1"), "recognition.provider_options"),
        (call(quick_mode="yes"), "recognition.provider_options"),
        (with_languages("zh", language="ja"), "recognition.provider_options"),
        (with_languages("no-such-language"), "recognition.languages"),
        (call(Feature.ID_DOCUMENT, IdDocument.PASSPORT), "recognition.id_document"),
    ],
)
def test_what_there_is_not_is_refused(asked: ProviderCall, field: str) -> None:
    """Before anything is spent, with the field."""
    with pytest.raises(FieldInvalid) as refusal:
        DIALECT.check(asked)
    assert refusal.value.field == field


@pytest.mark.parametrize("feature", Feature)
def test_images_at_the_limit_fit_and_larger_ones_are_not_sent(feature: Feature) -> None:
    """The request stays within what Huawei takes; a turned image that has grown over it is refused."""
    most = DIALECT.description.features[feature].limits.max_bytes
    assert 10_000_000 - 6000 < len(DIALECT.body([ProviderCall(bytes(most), "image/png", 9, 9, feature)])) <= 10_000_000
    with pytest.raises(ImageTooLargeBytes):
        DIALECT.body([ProviderCall(bytes(most + 1), "image/png", 9, 9, feature)])
