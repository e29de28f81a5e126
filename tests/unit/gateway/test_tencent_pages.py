"""Tencent's answers made into pages, and calls made into requests."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.errors import FieldInvalid, ImageTooLargeBytes
from ocr_gateway.model import CellKind, CheckDigit, Feature, IdDocument, Page, Polygon, ProviderCall, ProviderResult
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.meanings import Meaning
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.tencent.dialect import TencentDialect
from ocr_gateway.providers.tencent.errors import ERRORS
from ocr_gateway.providers.tencent.settings import TencentSettings, build_tencent
from tests.fakes.document_fields import fields_of_document
from tests.fakes.mangled_json import mangled
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import BANK_CARD, BUSINESS_LICENCE, ID_CARD_BACK, ID_CARD_FRONT
from tests.fakes.standin.vendor import Asked
from tests.fakes.standin.vendors.tencent import Tencent

DIGEST = "0123456789abcdef" * 4
BOX = ((10, 20), (110, 20), (110, 50), (10, 50))
# BOX clockwise from the text's top left, by the quarters that the image stands turned counter-clockwise.
BOX_FROM: dict[int, Polygon] = {turn: (*BOX[-turn:], *BOX[:-turn]) if turn else BOX for turn in range(4)}


def dialect(**settings: Any) -> TencentDialect:
    keys = {"secret_id": {"env": "NO_SUCH"}, "secret_key": {"env": "NO_SUCH"}}
    parsed = TencentSettings.model_validate({"credentials": keys, "features": {}, **settings})
    provider = build_tencent("tencent", parsed)
    assert isinstance(provider, RemoteProvider)
    assert isinstance(provider.dialect, TencentDialect)
    return provider.dialect


DIALECT = dialect()


def call(feature: Feature = Feature.TEXT, document: IdDocument | None = None, **options: str) -> ProviderCall:
    return ProviderCall(b"image", "image/png", 200, 100, feature, options=options, document=document)


def with_languages(*languages: str, **options: str) -> ProviderCall:
    return ProviderCall(b"image", "image/png", 200, 100, Feature.TEXT, languages=languages, options=options)


def page_of(response: Any, feature: Feature = Feature.TEXT, document: IdDocument | None = None) -> Page:
    said = {"Response": {"RequestId": "id", **response}} if isinstance(response, dict) else response
    (result,) = DIALECT.results(said, [call(feature, document)])
    assert isinstance(result, ProviderResult)
    assert result.billed_units == 1.0
    return result.page


def corners(points: Polygon) -> list[dict[str, float]]:
    return [{"X": x, "Y": y} for x, y in points]


def line(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"DetectedText": text, "Confidence": 99, "Polygon": corners(BOX), "AdvancedInfo": "", **more}


def cell(row: int, row_end: int, column: int, column_end: int, **more: Any) -> dict[str, Any]:
    ends = {"RowTl": row, "RowBr": row_end, "ColTl": column, "ColBr": column_end}
    return {**ends, "Text": "x", "Type": "body", "Confidence": 90.5, "Polygon": corners(BOX), **more}


def documented(action: str, **options: Any) -> dict[str, Any]:
    """An answer as the stand-in gives it."""
    reply = Tencent().answer(Asked(action, (b"",), options), [DIGEST], StandInSettings())
    said: dict[str, Any] = reply.said
    return said


def sent(asked: ProviderCall, speaker: TencentDialect = DIALECT) -> dict[str, Any]:
    """The body of a request, without the image."""
    said: dict[str, Any] = json.loads(speaker.body([asked]))
    assert base64.b64decode(said.pop("ImageBase64")) == b"image"
    return said


# Text


@pytest.mark.parametrize(
    ("angle", "turn"), [(0, 0), (359.6, 0), (-0.4, 0), (270, 1), (-90, 1), (180, 2), (90, 3), (88.5, 3)]
)
@pytest.mark.parametrize("name", ["Angle", "Angel"])
def test_polygons_begin_where_the_text_begins(name: str, angle: float, turn: int) -> None:
    """Whatever corner Tencent begins with; the angle counts clockwise, under either of its spellings."""
    for first in range(4):
        turned = (*BOX[first:], *BOX[:first])
        page = page_of({"TextDetections": [line(Polygon=corners(turned))], name: angle})
        assert page.blocks[0].lines[0].polygon == BOX_FROM[turn]


def test_confidences_are_shares_and_null_places_are_none() -> None:
    """99 becomes 0.99; ItemPolygon, which lies in another image, is not taken for a place."""
    item = {"X": 1, "Y": 2, "Width": 3, "Height": 4}
    (block,) = page_of({"TextDetections": [line(Polygon=None, ItemPolygon=item)], "Angle": None}).blocks
    assert (block.lines[0].confidence, block.lines[0].polygon) == (0.99, None)


def test_paragraphs_are_blocks() -> None:
    """By the number in a JSON text; lines without one stand together."""
    numbers: list[Any] = [1, 2, 1, None, "no JSON", [], {"Parag": 7}]
    lines = [
        line(str(place), AdvancedInfo=number if isinstance(number, str) else json.dumps({"Parag": {"ParagNo": number}}))
        for place, number in enumerate(numbers)
    ]
    page = page_of({"TextDetections": lines})
    assert [[each.text for each in block.lines] for block in page.blocks] == [["0", "2"], ["1"], ["3", "4", "5", "6"]]


def test_characters_become_words() -> None:
    """Letters between blanks are one word; Chinese characters each; the least sure character tells for the word."""
    characters = [("a", 90), ("b", 80), ("中", 70), ("文", 60), ("c", 50)]
    words = [{"Character": text, "Confidence": sure} for text, sure in characters]
    places = [
        {"WordCoordinate": corners(((10 * x, 0), (10 * x + 10, 1), (10 * x + 10, 11), (10 * x, 10)))} for x in range(5)
    ]
    (block,) = page_of({"TextDetections": [line("ab 中文 c", Words=words, WordCoordPoint=places)]}).blocks
    found = block.lines[0].words
    assert [(word.text, word.confidence) for word in found] == [("ab", 0.8), ("中", 0.7), ("文", 0.6), ("c", 0.5)]
    assert found[0].polygon == ((0, 0), (20, 1), (20, 11), (0, 10))


def test_characters_without_as_many_places_are_no_words() -> None:
    """Nothing is guessed."""
    (block,) = page_of(
        {"TextDetections": [line("a", Words=[{"Character": "a", "Confidence": 9}], WordCoordPoint=None)]}
    ).blocks
    assert block.lines[0].words == ()


def test_the_language_comes_as_a_tag() -> None:
    """Tencent's jap is ja; what is no language of its list is none."""
    assert page_of({"TextDetections": [], "Language": "jap"}) == Page(200, 100, languages=("ja",))
    assert page_of({"TextDetections": None, "Language": "mix"}) == Page(200, 100)


# Tables


def test_ends_of_cells_are_exclusive() -> None:
    """0 to 1 is one row; cells come by row and column, and 90.5 is 0.905."""
    cells = [cell(1, 2, 0, 1), cell(0, 1, 0, 2, Text="both\nlines", Type="header"), cell(1, 1, 1, 2, Text=None)]
    (table,) = page_of(
        {"TableDetections": [{"Type": 1, "Cells": cells, "TableCoordPoint": corners(BOX)}]}, Feature.TABLE
    ).tables
    assert [(each.row, each.column, each.row_span, each.column_span, each.text) for each in table.cells] == [
        (0, 0, 1, 2, "both\nlines"), (1, 0, 1, 1, "x"), (1, 1, 1, 1, ""),
    ]  # fmt: skip
    assert (table.row_count, table.column_count, table.polygon) == (2, 2, BOX)
    assert [each.kind for each in table.cells] == [CellKind.COLUMN_HEADER, CellKind.CONTENT, CellKind.CONTENT]
    assert table.cells[0].confidence == 0.905


def test_text_beside_tables_is_none() -> None:
    """Its indices are -1; nulls where Tencent sends them are nothing."""
    said = [
        {"Type": 0, "Cells": [cell(-1, -1, -1, -1)], "TableCoordPoint": None},
        {"Type": 2, "Cells": None, "TableCoordPoint": None},
    ]
    assert page_of({"TableDetections": said, "Angle": None}, Feature.TABLE) == Page(200, 100)
    assert page_of({"TableDetections": None}, Feature.TABLE) == Page(200, 100)


@pytest.mark.parametrize("wrong", [{"RowTl": -1}, {"ColBr": 1.5}, {"RowBr": 10**9}, {"ColTl": None}])
def test_a_tables_cell_without_a_place_in_it_is_malformed(wrong: dict[str, Any]) -> None:
    """Of a real table."""
    with pytest.raises(ValueError, match="no index"):
        page_of({"TableDetections": [{"Type": 1, "Cells": [{**cell(0, 1, 0, 1), **wrong}]}]}, Feature.TABLE)


# Documents


@pytest.mark.parametrize(
    ("action", "document", "options", "wanted"),
    [
        ("IDCardOCR", IdDocument.IDENTITY_CARD, {}, ID_CARD_FRONT),
        ("IDCardOCR", None, {"CardSide": "BACK"}, ID_CARD_BACK),
        ("BizLicenseOCR", IdDocument.BUSINESS_LICENCE, {}, BUSINESS_LICENCE),
        ("BankCardOCR", IdDocument.BANK_CARD, {}, BANK_CARD),
    ],
)
def test_documents_have_canonical_fields(
    action: str, document: IdDocument | None, options: dict[str, str], wanted: dict[str, str]
) -> None:
    """Names and normalised values, without places and confidences, which Tencent does not state."""
    (result,) = DIALECT.results(documented(action, **options), [call(Feature.ID_DOCUMENT, document)])
    assert isinstance(result, ProviderResult)
    fields = fields_of_document(result.page)
    assert {field.name: field.normalized_value for field in fields} == wanted
    assert all(field.polygon is None and field.confidence is None for field in fields)
    checked = {field.name for field in fields if field.check_digit is CheckDigit.VALID}
    assert checked == {"id_number", "credit_code", "card_number"} & wanted.keys()


def test_an_old_licence_has_a_registration_number() -> None:
    """RegNum is either; every other member of Tencent's has its field too."""
    said = {
        "RegNum": "110108000000016", "Name": "甲", "Capital": "1", "Person": "乙", "Address": "丙", "Business": "丁",
        "Type": "戊", "Period": "2016年5月3日至长期", "ComposingForm": "个人经营", "SetDate": "2016年05月03日",
        "RegistrationDate": "2018年3月5日", "SerialNumber": "1234", "RegistrationAuthority": "己", "Title": "营业执照",
    }  # fmt: skip
    fields = fields_of_document(page_of(said, Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE))
    found = {field.name: field.normalized_value for field in fields}
    assert found == {
        "registration_number": "110108000000016", "certificate_number": "1234", "company_name": "甲",
        "company_type": "戊", "business_form": "个人经营", "legal_representative": "乙", "registered_capital": "1",
        "established_date": "2016-05-03", "valid_from": "2016-05-03", "valid_until": "", "address": "丙",
        "business_scope": "丁", "issuing_authority": "己", "registration_date": "2018-03-05",
    }  # fmt: skip


def test_the_banks_code_is_not_in_its_name() -> None:
    """It stays in the raw value."""
    fields = fields_of_document(page_of({"BankInfo": "招商银行(03080000)"}, Feature.ID_DOCUMENT, IdDocument.BANK_CARD))
    assert [(field.raw_value, field.normalized_value) for field in fields] == [("招商银行(03080000)", "招商银行")]


# Broken answers


@given(st.data())
@pytest.mark.parametrize(
    ("action", "feature", "document"),
    [
        ("GeneralBasicOCR", Feature.TEXT, None),
        ("RecognizeTableAccurateOCR", Feature.TABLE, None),
        ("IDCardOCR", Feature.ID_DOCUMENT, IdDocument.IDENTITY_CARD),
        ("BizLicenseOCR", Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE),
        ("BankCardOCR", Feature.ID_DOCUMENT, IdDocument.BANK_CARD),
    ],
)
def test_whatever_is_not_as_documented_is_told(
    action: str, feature: Feature, document: IdDocument | None, data: st.DataObject
) -> None:
    """Any one part of an answer may be anything: there is a page, or a ValueError."""
    said = data.draw(mangled(documented(action, IsWords=True)))
    if isinstance(said, dict):
        DIALECT.refusal(HttpAnswer(200, {}, b""), said)
        with contextlib.suppress(ValueError):
            DIALECT.results(said, [call(feature, document)])


def test_an_error_of_keys_is_told_without_words() -> None:
    """They may quote what was signed. Its code counts under any status."""
    keys = {"secret_id": "made-up-id", "secret_key": "made-up/key", "token": "made-up-token"}
    speaker = TencentDialect(
        DIALECT.description, endpoint="https://ocr.example.com", text_action="GeneralBasicOCR", **keys
    )
    words = "made-up-id, made-up%2Fkey, made-up-token"
    for code, status, wanted in (("InternalError", 200, words), ("AuthFailure.SignatureFailure", 400, "")):
        said = {"Response": {"Error": {"Code": code, "Message": words}, "RequestId": "id"}}
        refusal = speaker.refusal(HttpAnswer(status, {}, b""), said)
        assert refusal is not None
        assert (refusal.code, refusal.words, refusal.status) == (code, wanted, status)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("RequestLimitExceeded.UinLimitExceeded", Meaning.THROTTLED),
        ("AuthFailure.SignatureExpire", Meaning.CREDENTIALS),
        ("AuthFailure.UnauthorizedOperation", Meaning.NOT_OPEN),
        ("InvalidParameter.EngineImageDecodeFailed", Meaning.UNDECODABLE),
        ("InvalidParameterValue.Anything", Meaning.OPTION),
        ("FailedOperation.SomethingNew", Meaning.TRANSIENT),
    ],
)
def test_codes_of_a_group_may_mean_something_else(code: str, meaning: Meaning) -> None:
    """The whole code goes before its beginning, and one that nobody knows is tried again."""
    assert ERRORS.meaning(code) is meaning


# Requests


@pytest.mark.parametrize(
    ("languages", "wanted"),
    [
        ((), {}),
        (("en",), {"LanguageType": "zh"}),
        (("zh-Hans", "en"), {"LanguageType": "zh"}),
        (("ja", "en"), {"LanguageType": "jap"}),
        (("nb-NO",), {"LanguageType": "nor"}),
        (("zh", "ja"), {"LanguageType": "mix"}),
    ],
)
def test_languages_become_a_language_type(languages: tuple[str, ...], wanted: dict[str, str]) -> None:
    """Each is read with English; several are a mixture."""
    assert sent(with_languages(*languages)) == wanted


@pytest.mark.parametrize(
    ("languages", "wanted"), [((), {}), (("zh", "en"), {"ConfigID": "OCR"}), (("de", "en"), {"ConfigID": "MulOCR"})]
)
def test_the_accurate_action_has_a_model_for_other_languages(
    languages: tuple[str, ...], wanted: dict[str, str]
) -> None:
    """Configured, or asked for by a stream."""
    assert sent(with_languages(*languages), dialect(features={"text": {"action": "GeneralAccurateOCR"}})) == wanted
    assert sent(with_languages(*languages, action="GeneralAccurateOCR")) == wanted


def test_options_are_sent_as_tencent_wants_them() -> None:
    """Switches as booleans; those of an identity card's Config as JSON in a text."""
    assert sent(call(IsWords="true", LanguageType="auto")) == {"IsWords": True, "LanguageType": "auto"}
    options = {"CardSide": "BACK", "CopyWarn": "true", "Quality": "false", "EnableDateVerify": "false"}
    assert sent(call(Feature.ID_DOCUMENT, None, **options)) == {
        "CardSide": "BACK",
        "EnableDateVerify": False,
        "Config": '{"CopyWarn":true,"Quality":false}',
    }


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (call(no_such="1"), "recognition.provider_options"),
        (call(IsWords="yes"), "recognition.provider_options"),
        (call(action="IDCardOCR"), "recognition.provider_options"),
        (call(Feature.TABLE, action="GeneralBasicOCR"), "recognition.provider_options"),
        (with_languages("zh", LanguageType="jap"), "recognition.provider_options"),
        (with_languages("tlh"), "recognition.languages"),
        (call(Feature.ID_DOCUMENT, IdDocument.PASSPORT), "recognition.id_document"),
    ],
)
def test_what_there_is_not_is_refused(asked: ProviderCall, field: str) -> None:
    """Before anything is spent, with the field."""
    with pytest.raises(FieldInvalid) as refusal:
        DIALECT.check(asked)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("feature", "limit"), [(Feature.TEXT, 10_000_000), (Feature.TABLE, 10_000_000), (Feature.ID_DOCUMENT, 7_000_000)]
)
def test_images_at_the_limit_fit_and_larger_ones_are_not_sent(feature: Feature, limit: int) -> None:
    """The request stays within what Tencent takes; a turned image that has grown over it is refused."""
    most = DIALECT.description.features[feature].limits.max_bytes
    document = IdDocument.BUSINESS_LICENCE if feature is Feature.ID_DOCUMENT else None
    asked = ProviderCall(bytes(most), "image/png", 9, 9, feature, document=document)
    body = DIALECT.body([asked])
    assert limit - 6000 < len(body) <= limit + (100 if feature is Feature.ID_DOCUMENT else 0)
    assert len(json.loads(body)["ImageBase64"]) <= limit
    with pytest.raises(ImageTooLargeBytes):
        DIALECT.body([ProviderCall(bytes(most + 1), "image/png", 9, 9, feature, document=document)])


def test_the_model_tells_what_was_chosen() -> None:
    """It is a part of the cache's key."""
    assert (DIALECT.model, dialect(features={"text": {"action": "GeneralAccurateOCR"}}).model) == (
        "GeneralBasicOCR,RecognizeTableAccurateOCR/2018-11-19",
        "GeneralAccurateOCR,RecognizeTableAccurateOCR/2018-11-19",
    )
