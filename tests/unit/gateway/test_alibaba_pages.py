"""Alibaba's answers made into pages, and calls made into requests."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.errors import FieldInvalid, ImageTooLargeBytes
from ocr_gateway.model import CheckDigit, Feature, IdDocument, Page, Point, Polygon, ProviderCall, ProviderResult
from ocr_gateway.providers.alibaba.dialect import AlibabaDialect
from ocr_gateway.providers.alibaba.settings import AlibabaSettings, build_alibaba
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.provider import RemoteProvider
from tests.fakes.document_fields import fields_of_document
from tests.fakes.mangled_json import mangled
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import BANK_CARD, BUSINESS_LICENCE, ID_CARD_FRONT
from tests.fakes.standin.vendor import Asked
from tests.fakes.standin.vendors.alibaba import Alibaba

DIGEST = "0123456789abcdef" * 4
BOX = ((10, 20), (110, 20), (110, 50), (10, 50))
WIDTH, HEIGHT = 200, 100


def dialect(**settings: Any) -> AlibabaDialect:
    keys = {key: {"env": "NO_SUCH"} for key in ("access_key_id", "access_key_secret")}
    parsed = AlibabaSettings.model_validate({"credentials": keys, "features": {}, **settings})
    provider = build_alibaba("alibaba", parsed)
    assert isinstance(provider, RemoteProvider)
    assert isinstance(provider.dialect, AlibabaDialect)
    return provider.dialect


DIALECT = dialect()


def call(feature: Feature = Feature.TEXT, document: IdDocument | None = None, **options: str) -> ProviderCall:
    return ProviderCall(b"image", "image/png", WIDTH, HEIGHT, feature, options=options, document=document)


def page_of(data: Any, feature: Feature = Feature.TEXT, document: IdDocument | None = None) -> Page:
    (made,) = DIALECT.results({"RequestId": "id", "Data": json.dumps(data)}, [call(feature, document)])
    assert isinstance(made, ProviderResult)
    assert made.billed_units == 1.0
    return made.page


def pos(points: Polygon) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in points]


def word(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"word": text, "prob": 99, "pos": pos(BOX), **more}


def only_polygon(page: Page) -> Polygon | None:
    (block,) = page.blocks
    (line,) = block.lines
    return line.polygon


def documented(action: str, **options: Any) -> dict[str, Any]:
    """The answer's inner object as the stand-in gives it."""
    said = Alibaba().answer(Asked(action, (b"",), options), [DIGEST], StandInSettings()).said
    inner: dict[str, Any] = json.loads(said["Data"])
    return inner


# Places


def turned_clockwise(point: Point, degrees: float, corrected: Point) -> Point:
    """A point of a corrected image, in one of WIDTH x HEIGHT that was turned clockwise about the same middle."""
    x, y = point[0] - corrected[0] / 2, point[1] - corrected[1] / 2
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return x * cosine - y * sine + WIDTH / 2, x * sine + y * cosine + HEIGHT / 2


def corrected_extent(degrees: float) -> Point:
    """The extent of the box round an image of WIDTH x HEIGHT turned by so much."""
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    return WIDTH * cosine + HEIGHT * sine, WIDTH * sine + HEIGHT * cosine


@pytest.mark.parametrize("degrees", [0, 1, 3.5, 90, 180, 270, 359])
def test_places_of_the_corrected_image_are_taken_back(degrees: float) -> None:
    """To the image that was sent; they begin at the text's own top left, whatever corner Alibaba begins with."""
    extent = corrected_extent(degrees)
    wanted = [turned_clockwise(corner, degrees, extent) for corner in BOX]
    for first in range(4):
        said = word(pos=pos((*BOX[first:], *BOX[:first])))
        page = page_of(
            {
                "angle": degrees, "orgWidth": WIDTH, "orgHeight": HEIGHT, "width": math.floor(extent[0]),
                "height": math.floor(extent[1]), "prism_wordsInfo": [said],
            }
        )  # fmt: skip
        found = only_polygon(page)
        assert found is not None
        assert [coordinate for corner in found for coordinate in corner] == pytest.approx(
            [coordinate for corner in wanted for coordinate in corner], abs=1.0
        )


def test_an_image_that_faces_right_was_turned_clockwise() -> None:
    """By hand: the corrected image is 100 x 200, its top left corner the sent one's top right."""
    said = word(pos=pos(((0, 0), (60, 0), (60, 20), (0, 20))))
    data = {"angle": 90, "width": 100, "height": 200, "orgWidth": 200, "orgHeight": 100, "prism_wordsInfo": [said]}
    found = only_polygon(page_of(data))
    assert found is not None
    assert [(round(x, 6), round(y, 6)) for x, y in found] == [(200, 0), (200, 60), (180, 60), (180, 0)]


def test_places_of_a_scaled_image_are_scaled_back() -> None:
    """Of one that was made larger, and where what was read is smaller than what was sent."""
    larger = {"width": 400, "height": 200, "orgWidth": 200, "orgHeight": 100, "prism_wordsInfo": [word()]}
    assert only_polygon(page_of(larger)) == ((5, 10), (55, 10), (55, 25), (5, 25))
    smaller = {"width": 100, "height": 50, "orgWidth": 100, "orgHeight": 50, "prism_wordsInfo": [word()]}
    assert only_polygon(page_of(smaller)) == ((20, 40), (220, 40), (220, 100), (20, 100))
    assert only_polygon(page_of({"prism_wordsInfo": [word()]})) == BOX


@pytest.mark.parametrize("angle", [None, 0, 45])
def test_there_are_no_places_where_the_correction_is_unknown(angle: float | None) -> None:
    """An image with its sides exchanged and no angle may have been turned to either side."""
    data = {"angle": angle, "width": 100, "height": 200, "orgWidth": 200, "orgHeight": 100, "prism_wordsInfo": [word()]}
    assert only_polygon(page_of(data)) is None


@pytest.mark.parametrize("extent", [0, -5, "200", math.nan, math.inf])
def test_extents_that_make_no_sense_are_malformed(extent: Any) -> None:
    """They are divided by."""
    with pytest.raises(ValueError, match="orgWidth"):
        page_of({"orgWidth": extent, "prism_wordsInfo": []})


# Text


def test_confidences_are_shares_and_pos_is_the_place() -> None:
    """99 becomes 0.99; x, y, width, height and a text's own angle are not used."""
    (block,) = page_of({"prism_wordsInfo": [word(x=1, y=2, width=3, height=4, angle=-88, direction=0)]}).blocks
    assert (block.lines[0].confidence, block.lines[0].polygon) == (0.99, BOX)


def test_characters_become_words() -> None:
    """Of their boxes."""
    characters = [
        {"word": char, "prob": 90 - x, "x": 10 * x, "y": 5, "w": 10, "h": 20} for x, char in enumerate("ab中")
    ]
    (block,) = page_of({"prism_wordsInfo": [word("ab 中", charInfo=characters)]}).blocks
    assert [(each.text, each.confidence, each.polygon) for each in block.lines[0].words] == [
        ("ab", 0.89, ((0, 5), (20, 5), (20, 25), (0, 25))),
        ("中", 0.88, ((20, 5), (30, 5), (30, 25), (20, 25))),
    ]


def test_paragraphs_are_blocks() -> None:
    """Where they were asked for."""
    words = [word("a", paragraphId=0), word("b", paragraphId=1), word("c", paragraphId=0)]
    page = page_of({"prism_wordsInfo": words, "prism_paragraphsInfo": []})
    assert [[line.text for line in block.lines] for block in page.blocks] == [["a", "c"], ["b"]]


def test_a_page_without_text_is_empty() -> None:
    """An empty list is what Alibaba says of it."""
    assert page_of({"content": "", "prism_wnum": 0, "prism_wordsInfo": []}) == Page(WIDTH, HEIGHT)


# Tables


def test_ends_of_cells_are_inclusive() -> None:
    """0 to 0 is one row; a cell is as sure as the least sure text in it; text beside tables is none."""
    infos = [
        {"tableCellId": 1, "word": "right", "ysc": 1, "yec": 2, "xsc": 1, "xec": 1, "pos": pos(BOX)},
        {"tableCellId": 0, "word": "both", "ysc": 0, "yec": 0, "xsc": 0, "xec": 1, "pos": None},
    ]
    words = [
        word("title"),
        word("bo", tableId=7, tableCellId=0, prob=60),
        word("th", tableId=7, tableCellId=0),
        word("right", tableId=8, tableCellId=1),
    ]
    tables = [{"tableId": 7, "xCellSize": 2, "yCellSize": 4, "cellInfos": infos}]
    (table,) = page_of({"prism_wordsInfo": words, "prism_tablesInfo": tables}, Feature.TABLE).tables
    assert [(each.row, each.column, each.row_span, each.column_span, each.text) for each in table.cells] == [
        (0, 0, 1, 2, "both"), (1, 1, 2, 1, "right"),
    ]  # fmt: skip
    assert [(each.confidence, each.polygon) for each in table.cells] == [(0.6, None), (None, BOX)]
    assert (table.row_count, table.column_count) == (4, 2)


def test_no_table_is_none() -> None:
    """Left out, or empty."""
    answers: list[dict[str, Any]] = [{}, {"prism_tablesInfo": []}, {"prism_tablesInfo": None}]
    for data in answers:
        assert page_of(data, Feature.TABLE) == Page(WIDTH, HEIGHT)


# Documents


@pytest.mark.parametrize(
    ("action", "document", "wanted"),
    [
        ("RecognizeIdcard", IdDocument.IDENTITY_CARD, ID_CARD_FRONT),
        ("RecognizeIdcard", None, ID_CARD_FRONT),
        ("RecognizeBusinessLicense", IdDocument.BUSINESS_LICENCE, BUSINESS_LICENCE),
        ("RecognizeBankCard", IdDocument.BANK_CARD, BANK_CARD),
    ],
)
def test_documents_have_canonical_fields(action: str, document: IdDocument | None, wanted: dict[str, str]) -> None:
    """Names and normalised values, with places and confidences."""
    fields = fields_of_document(page_of(documented(action), Feature.ID_DOCUMENT, document))
    found = {field.name: field.normalized_value for field in fields}
    assert found == {name: value for name, value in wanted.items() if name != "registration_date"}
    assert all(field.polygon is not None and field.confidence == 0.99 for field in fields)
    checked = {field.name for field in fields if field.check_digit is CheckDigit.VALID}
    assert checked == {"id_number", "credit_code", "card_number"} & wanted.keys()


def test_both_sides_of_an_identity_card_are_one_document() -> None:
    """Each side has its own image; neither need be there."""
    face = {"data": {"name": "张三"}, "prism_keyValueInfo": [{"key": "name", "valueProb": 88, "valuePos": pos(BOX)}]}
    back = {"data": {"issueAuthority": "甲", "validPeriod": "2020.01.31-长期"}, "orgWidth": 400, "orgHeight": 200}
    fields = fields_of_document(page_of({"data": {"face": face, "back": back}}, Feature.ID_DOCUMENT))
    assert [(field.name, field.normalized_value) for field in fields] == [
        ("name", "张三"), ("issuing_authority", "甲"), ("valid_from", "2020-01-31"), ("valid_until", ""),
    ]  # fmt: skip
    assert (fields[0].confidence, fields[0].polygon) == (0.88, BOX)
    assert page_of({"data": {}}, Feature.ID_DOCUMENT) == Page(WIDTH, HEIGHT)


def test_a_licence_without_an_end_has_none() -> None:
    """29991231 is Alibaba's word for it, where there is no period in one piece."""
    data = {"data": {"validFromDate": "20170104", "validToDate": "29991231", "creditCode": "110108000000016"}}
    fields = fields_of_document(page_of(data, Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE))
    assert {field.name: field.normalized_value for field in fields} == {
        "registration_number": "110108000000016", "valid_from": "2017-01-04", "valid_until": "",
    }  # fmt: skip


def test_a_bank_cards_names_may_be_chinese() -> None:
    """As in a sample of the vendor's."""
    data = {"data": {"银行": "交通银行", "银行卡号": "6225880123456783", "有效期至": "2024/12", "卡种": "CC"}}
    fields = fields_of_document(page_of(data, Feature.ID_DOCUMENT, IdDocument.BANK_CARD))
    assert {field.name: field.normalized_value for field in fields} == {
        "bank_name": "交通银行", "card_number": "6225880123456783", "valid_until": "2024-12", "card_type": "credit",
    }  # fmt: skip


# Broken answers


@given(st.data())
@pytest.mark.parametrize(
    ("action", "feature", "document"),
    [
        ("RecognizeAdvanced", Feature.TEXT, None),
        ("RecognizeTableOcr", Feature.TABLE, None),
        ("RecognizeIdcard", Feature.ID_DOCUMENT, IdDocument.IDENTITY_CARD),
        ("RecognizeBusinessLicense", Feature.ID_DOCUMENT, IdDocument.BUSINESS_LICENCE),
        ("RecognizeBankCard", Feature.ID_DOCUMENT, IdDocument.BANK_CARD),
    ],
)
def test_whatever_is_not_as_documented_is_told(
    action: str, feature: Feature, document: IdDocument | None, data: st.DataObject
) -> None:
    """Any one part of an answer may be anything: there is a page, or a ValueError."""
    inner = {"angle": 1, "orgWidth": 1000, **documented(action, OutputCharInfo=True, Paragraph=True)}
    said = {"RequestId": "id", "Data": data.draw(mangled(inner))}
    if data.draw(st.booleans()):
        said["Data"] = json.dumps(said["Data"])
    DIALECT.refusal(HttpAnswer(200, {}, b""), said)
    with contextlib.suppress(ValueError):
        assert len(DIALECT.results(said, [call(feature, document)])) == 1


@pytest.mark.parametrize("data", [None, 7, "", "null", "[]", '{"a":' * 50_000, "{"])
def test_data_that_is_no_object_is_malformed(data: Any) -> None:
    """It is decoded twice, and may be broken twice."""
    with pytest.raises(ValueError):
        DIALECT.results({"Data": data}, [call()])


def test_an_error_of_keys_is_told_without_words() -> None:
    """They may quote what was signed; Code 200 is no error."""
    speaker = AlibabaDialect(
        DIALECT.description,
        endpoint="https://ocr.example.com",
        text_action="RecognizeGeneral",
        access_key_id="made-up-id",
        access_key_secret="made-up-secret",
        security_token="made-up/token",
    )
    words = "made-up-id, made-up-secret, made-up%2Ftoken"
    for code, wanted in (("Throttling.User", words), ("signaturedoesnotmatch", "")):
        refusal = speaker.refusal(HttpAnswer(400, {}, b""), {"Code": code, "Message": words})
        assert refusal is not None
        assert (refusal.code, refusal.words, refusal.status) == (code, wanted, 400)
    assert speaker.refusal(HttpAnswer(200, {}, b""), {"Code": "200", "Data": "{}"}) is None


# Requests


def test_the_body_is_the_image_and_options_are_the_query() -> None:
    """As text, in the vendor's words."""
    assert DIALECT.body([call()]) == b"image"
    asked = call(Feature.TABLE, None, LineLess="true", IsHandWriting="false")
    assert DIALECT.request([asked], "0" * 64, "", 0.0).url.endswith("/?IsHandWriting=false&LineLess=true")
    advanced = call(action="RecognizeAdvanced", Row="true")
    assert DIALECT.request([advanced], "0" * 64, "", 0.0).url.endswith("/?Row=true")
    with pytest.raises(ImageTooLargeBytes):
        DIALECT.body([ProviderCall(bytes(10_000_001), "image/png", 9, 9, Feature.TEXT)])


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (call(no_such="1"), "recognition.provider_options"),
        (call(Row="true"), "recognition.provider_options"),
        (call(action="RecognizeAdvanced", Row="True"), "recognition.provider_options"),
        (call(action="RecognizeIdcard"), "recognition.provider_options"),
        (call(Feature.TABLE, None, action="RecognizeGeneral"), "recognition.provider_options"),
        (
            ProviderCall(b"image", "image/png", 9, 9, Feature.TEXT, languages=("zh", "ja")),
            "recognition.languages",
        ),
        (call(Feature.ID_DOCUMENT, IdDocument.PASSPORT), "recognition.id_document"),
    ],
)
def test_what_there_is_not_is_refused(asked: ProviderCall, field: str) -> None:
    """Before anything is spent, with the field."""
    with pytest.raises(FieldInvalid) as refusal:
        DIALECT.check(asked)
    assert refusal.value.field == field


def test_the_model_tells_what_was_chosen() -> None:
    """It is a part of the cache's key."""
    assert (DIALECT.model, dialect(features={"text": {"action": "RecognizeAdvanced"}}).model) == (
        "RecognizeGeneral,RecognizeTableOcr/2021-07-07",
        "RecognizeAdvanced,RecognizeTableOcr/2021-07-07",
    )
