"""Textract's answers made into pages, and calls made into requests."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.errors import FieldInvalid, ImageTooLargeBytes
from ocr_gateway.model import CellKind, Feature, Field, IdDocument, Page, Polygon, ProviderCall, ProviderResult
from ocr_gateway.providers.aws.dialect import MAX_IMAGE_BYTES, AwsDialect
from ocr_gateway.providers.aws.id_fields import NAMES, fields_of
from ocr_gateway.providers.aws.pages import table_page, text_page
from ocr_gateway.providers.aws.settings import AwsSettings
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import PASSPORT
from tests.fakes.standin.vendor import Asked
from tests.fakes.standin.vendors.aws import Aws

DIGESTS = ("0123456789abcdef", "fedcba9876543210")
SQUARE = ((0.1, 0.2), (0.5, 0.2), (0.5, 0.4), (0.1, 0.4))
SQUARE_PX = ((20, 20), (100, 20), (100, 40), (20, 40))


def geometry(*points: tuple[float, float]) -> dict[str, Any]:
    return {"Polygon": [{"X": x, "Y": y} for x, y in points or SQUARE]}


def block(kind: str, name: str, *children: str, **more: Any) -> dict[str, Any]:
    related = {"Relationships": [{"Type": "CHILD", "Ids": list(children)}]} if children else {}
    return {"BlockType": kind, "Id": name, "Geometry": geometry(), **related, **more}


def cell(name: str, row: int, column: int, *words: str, **more: Any) -> dict[str, Any]:
    return block(
        "CELL", name, *words, **{"RowIndex": row, "ColumnIndex": column, "RowSpan": 1, "ColumnSpan": 1, **more}
    )


def word(name: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    return block("WORD", name, Text=name if text is None else text, Confidence=80.0, **more)


def page(*blocks: dict[str, Any]) -> Page:
    return text_page({"Blocks": list(blocks)}, 200, 100)


def test_lines_have_their_words_and_places_in_pixels() -> None:
    """Shares of the page become pixels, confidences of 100 those of 1; other blocks are passed over."""
    (only,) = page(
        block("PAGE", "p", "l"),
        block("LINE", "l", "a", "b", Text="a b", Confidence=90.0),
        word("a"), word("b"), block("LAYOUT_TEXT", "x", "l"),
    ).blocks  # fmt: skip
    (line,) = only.lines
    assert (line.text, line.confidence, line.polygon) == ("a b", 0.9, SQUARE_PX)
    assert [(each.text, each.confidence, each.polygon) for each in line.words] == [
        ("a", 0.8, SQUARE_PX), ("b", 0.8, SQUARE_PX),
    ]  # fmt: skip


def test_a_page_without_lines_is_empty() -> None:
    """It has itself alone, or nothing."""
    assert page(block("PAGE", "p")) == Page(200, 100) == page()


@pytest.mark.parametrize(
    ("points", "polygon"),
    [
        (SQUARE[2:] + SQUARE[:2], SQUARE_PX[2:] + SQUARE_PX[:2]),  # upside down: the text's own top left is first
        (SQUARE[::-1], SQUARE_PX),  # the other way round
        (SQUARE[:3], None),
        ((*SQUARE, (0.1, 0.3)), None),
    ],
)
def test_polygons_run_clockwise_from_the_texts_top_left(
    points: tuple[tuple[float, float], ...], polygon: Polygon | None
) -> None:
    """As Textract gives them; what is no quadrangle is no place."""
    (only,) = page(block("LINE", "l", Text="a") | {"Geometry": geometry(*points)}).blocks
    assert only.lines[0].polygon == polygon


def table(*blocks: dict[str, Any]) -> Page:
    return table_page({"Blocks": list(blocks)}, 200, 100)


def test_tables_count_from_0_and_hold_their_words() -> None:
    """Rows and columns, kinds of cell and tick boxes."""
    (found,) = table(
        block("TABLE", "t", "c4", "c1", "c2", "c3", Confidence=95.0, EntityTypes=["STRUCTURED_TABLE"]),
        cell("c1", 1, 1, "a", "b", EntityTypes=["COLUMN_HEADER"], Confidence=70.0),
        cell("c2", 1, 2, EntityTypes=["COLUMN_HEADER"]),
        cell("c3", 2, 1, "yes"),
        cell("c4", 2, 2, "no", EntityTypes=["TABLE_FOOTER"]),
        word("a"), word("b"),
        block("SELECTION_ELEMENT", "yes", SelectionStatus="SELECTED"),
        block("SELECTION_ELEMENT", "no", SelectionStatus="NOT_SELECTED"),
    ).tables  # fmt: skip
    assert (found.row_count, found.column_count, found.confidence, found.polygon) == (2, 2, 0.95, SQUARE_PX)
    assert [(each.row, each.column, each.text, each.kind, each.confidence) for each in found.cells] == [
        (0, 0, "a b", CellKind.COLUMN_HEADER, 0.7),
        (0, 1, "", CellKind.COLUMN_HEADER, None),
        (1, 0, "☒", CellKind.CONTENT, None),
        (1, 1, "☐", CellKind.FOOTER, None),
    ]


def merged_table(*merged: dict[str, Any]) -> Page:
    names = [each["Id"] for each in merged]
    relations = [{"Type": "CHILD", "Ids": ["c1", "c2", "c3", "c4"]}, {"Type": "MERGED_CELL", "Ids": names}]
    return table(
        block("TABLE", "t") | {"Relationships": relations},
        cell("c1", 1, 1, "a"), cell("c2", 1, 2, "b", EntityTypes=["COLUMN_HEADER"]), cell("c3", 2, 1, "c"),
        cell("c4", 2, 2, "d"), *map(word, "abcd"), *merged,
    )  # fmt: skip


def test_a_merged_cell_stands_in_the_place_of_its_parts() -> None:
    """Once, with their words in reading order, however they are listed."""
    merged = cell("m", 1, 1, "c2", "c1", ColumnSpan=2) | {"BlockType": "MERGED_CELL"}
    (found,) = merged_table(merged).tables
    assert [(each.row, each.column, each.row_span, each.column_span, each.text) for each in found.cells] == [
        (0, 0, 1, 2, "a b"), (1, 0, 1, 1, "c"), (1, 1, 1, 1, "d"),
    ]  # fmt: skip
    assert found.cells[0].kind is CellKind.COLUMN_HEADER
    assert (found.row_count, found.column_count) == (2, 2)


def test_no_cell_is_merged_twice() -> None:
    """A second claim to the same cells finds nothing left of them."""
    first = cell("m", 1, 1, "c1", "c2", ColumnSpan=2) | {"BlockType": "MERGED_CELL"}
    (found,) = merged_table(first, first | {"Id": "n", "RowIndex": 5}).tables
    assert [each.text for each in found.cells].count("a b") == 1


@pytest.mark.parametrize("wrong", [{"RowIndex": 0}, {"ColumnIndex": -1}, {"RowIndex": "1"}, {"RowSpan": 10**9}])
def test_places_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """Rows are counted from 1, and a page has not that many."""
    with pytest.raises(ValueError, match=r"counted from 1|no index"):
        table(block("TABLE", "t", "c"), cell("c", 1, 1) | wrong)


def test_blocks_that_refer_to_each_other_too_often_are_refused() -> None:
    """A small answer does not become a large page."""
    ids = ["w"] * 1200
    lines = [block("LINE", f"l{number}", *ids, Text="x") for number in range(1000)]
    with pytest.raises(ValueError, match="too often"):
        page(*lines, word("w"))
    long = word("w", "x" * 100_000)
    with pytest.raises(ValueError, match="too much text"):
        page(*(block("LINE", f"l{number}", "w", Text="x") for number in range(300)), long)


# Identity documents


def fields(**texts: Any) -> dict[str, Field]:
    said = [
        {"Type": {"Text": name}, "ValueDetection": value if isinstance(value, dict) else {"Text": value}}
        for name, value in texts.items()
    ]
    found = fields_of({"DocumentIndex": 1, "IdentityDocumentFields": said})
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


def test_every_field_has_a_name_of_ours() -> None:
    """All that Textract documents, none of them twice."""
    documented = (
        "FIRST_NAME", "LAST_NAME", "MIDDLE_NAME", "SUFFIX", "CITY_IN_ADDRESS", "ZIP_CODE_IN_ADDRESS",
        "STATE_IN_ADDRESS", "COUNTY", "DOCUMENT_NUMBER", "EXPIRATION_DATE", "DATE_OF_BIRTH", "STATE_NAME",
        "DATE_OF_ISSUE", "CLASS", "RESTRICTIONS", "ENDORSEMENTS", "ID_TYPE", "VETERAN", "ADDRESS", "PLACE_OF_BIRTH",
        "MRZ_CODE",
    )  # fmt: skip
    assert sorted(NAMES) == sorted(documented)
    assert len(set(NAMES.values())) == len(NAMES)


def test_a_passport_is_read() -> None:
    """With the dates that Textract made out, and what is empty left out."""
    reply = Aws().answer(Asked("AnalyzeID", ()), DIGESTS[:1], StandInSettings())
    (document,) = reply.said["IdentityDocuments"]
    found = {each.name: each for each in fields_of(document)}
    known = {"surname", "given_names", "document_number", "birth_date", "valid_until", "document_type", "mrz"}
    assert {name: found[name].normalized_value for name in known} == {name: PASSPORT[name] for name in known}
    assert set(found) == known | {"place_of_birth"}
    assert found["birth_date"].raw_value == "15 JUN 1985"
    assert all(each.confidence == 0.99 and each.polygon is None for each in found.values())


def test_a_driving_licence_is_read() -> None:
    """Names of fields are taken in any spelling; others, and what was not recognised, are left out."""
    found = fields(
        FIRST_NAME={"Text": "MARIA", "Confidence": 98.5}, DATE_OF_ISSUE="03/18/2018", ID_TYPE="DRIVER LICENSE FRONT",
        STATE_NAME="MASSACHUSETTS", ZIP_CODE_IN_ADDRESS="02127", CLASS="D", VETERAN="", SUFFIX=None, other="x",
        **{"last name": "GARCIA"},
    )  # fmt: skip
    assert {name: each.normalized_value for name, each in found.items()} == {
        "document_type": "driver_license_front", "issuing_region": "MASSACHUSETTS", "surname": "GARCIA",
        "given_names": "MARIA", "valid_from": "2018-03-18", "postal_code": "02127", "vehicle_class": "D",
    }  # fmt: skip
    assert found["given_names"].confidence == 0.985
    assert found["surname"].confidence is None


def test_a_date_of_another_form_is_made_out_here() -> None:
    """Where Textract's normalised value is none."""
    odd = {"Text": "03/18/2018", "NormalizedValue": {"Value": "yesterday", "ValueType": "DATE"}}
    assert fields(DATE_OF_BIRTH=odd)["birth_date"].normalized_value == "2018-03-18"


def dialect_of(**given: Any) -> AwsDialect:
    nowhere = {"env": "OCRMUX_TEST_NOWHERE"}
    credentials = {"access_key_id": nowhere, "secret_access_key": nowhere}
    settings = AwsSettings.model_validate({"kind": "aws", "credentials": credentials, **given})
    return AwsDialect("aws", settings, None)


def call(feature: Feature = Feature.TEXT, **about: Any) -> ProviderCall:
    return ProviderCall(**{"image": b"abc", "media_type": "image/png", "width": 200, "height": 100,
                           "feature": feature, **about})  # fmt: skip


def identities(*indices: int, images: int) -> list[Any]:
    documents = [
        {
            "DocumentIndex": at,
            "IdentityDocumentFields": [{"Type": {"Text": "LAST_NAME"}, "ValueDetection": {"Text": f"N{at}"}}],
        }
        for at in indices
    ]
    calls = [call(Feature.ID_DOCUMENT, include_raw_response=True) for _ in range(images)]
    return list(dialect_of().results({"IdentityDocuments": documents}, calls))


def test_documents_go_to_their_images() -> None:
    """By their index, with each one's own part of the answer."""
    first, second = identities(2, 1, images=2)
    assert [each.page.fields[0].raw_value for each in (first, second)] == ["N1", "N2"]
    assert json.loads(second.raw_response)["DocumentIndex"] == 2
    assert (first.billed_units, second.billed_units) == (1.0, 1.0)


@pytest.mark.parametrize("indices", [(1,), (1, 1), (0, 1), (1, 2, 3), (2, 3)])
def test_documents_that_were_put_together_are_nobodys(indices: tuple[int, ...]) -> None:
    """Two strangers' cards never become one page."""
    with pytest.raises(ValueError, match="documents"):
        identities(*indices, images=2)


def test_no_document_at_all_is_an_empty_page() -> None:
    """For one image and for two."""
    assert identities(images=1) == [ProviderResult(Page(200, 100), 1.0)]
    assert identities(images=2) == [ProviderResult(Page(200, 100), 1.0)] * 2


# Requests


def test_each_feature_is_an_operation() -> None:
    """With the members that it has."""
    dialect = dialect_of()
    said = {feature: json.loads(dialect.body([call(feature)])) for feature in Feature}
    assert said == {
        Feature.TEXT: {"Document": {"Bytes": "YWJj"}},
        Feature.TABLE: {"Document": {"Bytes": "YWJj"}, "FeatureTypes": ["TABLES"]},
        Feature.ID_DOCUMENT: {"DocumentPages": [{"Bytes": "YWJj"}]},
    }
    two = json.loads(dialect.body([call(Feature.ID_DOCUMENT), call(Feature.ID_DOCUMENT, image=b"abd")]))
    assert two == {"DocumentPages": [{"Bytes": "YWJj"}, {"Bytes": "YWJk"}]}
    assert [dialect.action(call(feature)) for feature in Feature] == [
        "DetectDocumentText", "AnalyzeDocument", "AnalyzeID",
    ]  # fmt: skip


def test_two_images_go_in_one_call_only_where_the_settings_say_so() -> None:
    """One call is one document to Textract, as far as its service model tells."""
    for pages in (1, 2):
        support = dialect_of(features={"id": {"pages_per_call": pages}}).description.features
        assert support[Feature.ID_DOCUMENT].batch.max_images == pages
        assert support[Feature.TEXT].batch.max_images == 1


def test_images_over_the_limit_are_refused() -> None:
    """5 MB, of each image."""
    dialect = dialect_of()
    dialect.body([call(image=bytes(MAX_IMAGE_BYTES))])
    with pytest.raises(ImageTooLargeBytes):
        dialect.body([call(Feature.ID_DOCUMENT), call(Feature.ID_DOCUMENT, image=bytes(MAX_IMAGE_BYTES + 1))])


@pytest.mark.parametrize("language", ["zh", "zh-Hans", "ja", "ru", "ar", "nl"])
def test_languages_of_other_scripts_are_refused(language: str) -> None:
    """Chinese above all: Textract would answer with rubbish."""
    with pytest.raises(FieldInvalid) as refusal:
        dialect_of().check(call(languages=("en", language)))
    assert refusal.value.field == "recognition.languages"


@pytest.mark.parametrize("document", IdDocument)
def test_documents_of_the_us_alone_are_read(document: IdDocument) -> None:
    """Cards and passports; others are refused before a turn is taken."""
    asked = call(Feature.ID_DOCUMENT, document=document)
    if document in (IdDocument.IDENTITY_CARD, IdDocument.PASSPORT):
        dialect_of().check(asked)
        return
    with pytest.raises(FieldInvalid) as refusal:
        dialect_of().check(asked)
    assert refusal.value.field == "recognition.id_document"


# Anything

ANSWERS = [
    (feature, Aws().answer(Asked(operation, ()), DIGESTS[:1], StandInSettings(lines=2)).said)
    for feature, operation in (
        (Feature.TEXT, "DetectDocumentText"), (Feature.TABLE, "AnalyzeDocument"), (Feature.ID_DOCUMENT, "AnalyzeID"),
    )
]  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths_of(said: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    if isinstance(said, dict | list):
        for name, inner in said.items() if isinstance(said, dict) else enumerate(said):
            found += paths_of(inner, (*at, name))
    return found


PLACES = [(feature, said, path) for feature, said in ANSWERS for path in paths_of(said)[1:]]


@given(place=st.sampled_from(PLACES), value=ANY_JSON)
def test_no_answer_raises_anything_but_value_error(
    place: tuple[Feature, dict[str, Any], tuple[Any, ...]], value: Any
) -> None:
    """Whatever stands in any place of a documented answer."""
    feature, whole, path = place
    said = json.loads(json.dumps(whole))
    holder = said
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    with contextlib.suppress(ValueError):
        dialect_of().results(said, [call(feature)])
