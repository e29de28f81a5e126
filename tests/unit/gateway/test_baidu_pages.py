"""Baidu's answers made into pages, and calls made into forms."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.errors import FieldInvalid, ImageTooLargeBytes
from ocr_gateway.identity.check_digits import check_id_number
from ocr_gateway.model import CellKind, CheckDigit, Page, Polygon
from ocr_gateway.providers.baidu.endpoints import ENDPOINTS
from ocr_gateway.providers.baidu.errors import ERRORS
from ocr_gateway.providers.baidu.form import encode_form
from ocr_gateway.providers.baidu.pages import page_of
from ocr_gateway.providers.remote.meanings import Meaning
from ocr_gateway.providers.remote.values import parse_object
from tests.fakes.document_fields import fields_of_document

BOX = {"left": 10, "top": 20, "width": 100, "height": 30}
# The corners of BOX clockwise from the text's top left, by the quarters that the image stands turned counter-clockwise.
BOX_CORNERS: dict[int, Polygon] = {
    0: ((10, 20), (110, 20), (110, 50), (10, 50)),
    1: ((10, 50), (10, 20), (110, 20), (110, 50)),
    2: ((110, 50), (10, 50), (10, 20), (110, 20)),
    3: ((110, 20), (110, 50), (10, 50), (10, 20)),
}
# The body that the vendor's own SDK 4.16.13 sends for general_basic with the options below.
SDK_IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAABG0lEQVR4AQEQAe/+AP////////////////////8A/////////////////////wD/"
    "////////////////////AP////////////////////8A/////////////////////wD/////////////////////AP////////////////////8A/"
    "////////////////////wD/////////////////////AP////////////////////8A/////////////////////wD/////////////////////AP/"
    "///////////////////8A/////////////////////wD/////////////////////AP////////////////////+A+f8BF7J+MAAAAABJRU5ErkJgg"
    "g=="
)
SDK_OPTIONS = {"probability": "true", "detect_direction": "true", "language_type": "CHN_ENG"}
SDK_BODY_SHA256 = "b0715c5b479a3afd6de88fc05d928d70d581087bd33b886e6b3095cd69786114"


def text_page(*lines: dict[str, Any], **more: Any) -> Page:
    return page_of({"words_result": list(lines), **more}, "general", 200, 100)


def test_the_body_is_the_one_that_the_vendors_sdk_sends() -> None:
    """Byte for byte."""
    body = encode_form(SDK_IMAGE, SDK_OPTIONS, 8_000_000)
    assert hashlib.sha256(body).hexdigest() == SDK_BODY_SHA256


@given(image=st.binary(min_size=1, max_size=300))
def test_the_form_is_percent_encoded_base64(image: bytes) -> None:
    """Whatever the bytes, and in a form that any reader of forms reads."""
    body = encode_form(image, {"a": "1"}, 8_000_000)
    assert body == f"image={quote_plus(base64.b64encode(image))}&a=1".encode()
    assert base64.b64decode(parse_qs(body.decode())["image"][0]) == image


def test_the_limit_is_of_the_encoded_image() -> None:
    """Exactly; and the error speaks of the image's own bytes."""
    worst = b"\xfb\xef\xbe" * 1000  # every character of its base64 is a plus, three bytes each
    assert len(encode_form(worst, {}, 12_000)) == len(b"image=") + 12_000
    with pytest.raises(ImageTooLargeBytes) as failure:
        encode_form(worst, {}, 11_999)
    assert (failure.value.value, failure.value.limit) == (3000, 2999)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("rotation", [0, 1, 2, 3])
def test_polygons_begin_where_the_text_begins(turn: int, rotation: int) -> None:
    """From a box and from corners alike, in whatever order Baidu gives these."""
    corners = BOX_CORNERS[0][rotation:] + BOX_CORNERS[0][:rotation]
    line = {"words": "a", "vertexes_location": [{"x": x, "y": y} for x, y in corners]}
    page = text_page({"words": "a", "location": BOX}, line, direction=turn)
    assert [each.polygon for each in page.blocks[0].lines] == [BOX_CORNERS[turn]] * 2


@pytest.mark.parametrize("corners", [((0, 10), (100, 0), (102, 20), (2, 30)), ((2, 0), (102, 10), (100, 30), (0, 20))])
def test_slanted_lines_keep_their_corners(corners: Polygon) -> None:
    """A line that rises or falls a little starts at its own top left."""
    given_corners = [{"x": x, "y": y} for x, y in reversed(corners)]
    page = text_page({"words": "a", "vertexes_location": given_corners, "location": BOX}, direction=0)
    assert page.blocks[0].lines[0].polygon == corners


def test_an_unknown_direction_is_taken_as_level() -> None:
    """-1 is what Baidu says when it cannot tell."""
    page = text_page({"words": "a", "location": BOX}, direction=-1)
    assert page.blocks[0].lines[0].polygon == BOX_CORNERS[0]


def test_confidences_are_averages() -> None:
    """Cut to 0..1; None where there is none."""
    probabilities: list[Any] = [{"average": 0.5}, {"average": 1.5}, {}, None, "high"]
    lines = [{"words": "a", "probability": each} for each in probabilities]
    page = text_page(*lines, {"words": "b"})
    assert [line.confidence for line in page.blocks[0].lines] == [0.5, 1.0, None, None, None, None]


def test_chars_make_words() -> None:
    """Letters and digits between blanks are one word; Chinese characters one each, Hangul by blanks."""
    text = "Total 12.5 合计 한국 x"
    chars = [
        {"char": char, "location": {"left": 10 * place, "top": 0, "width": 10, "height": 20}}
        for place, char in enumerate(text)
        if char != " "
    ]
    words = text_page({"words": text, "chars": chars}).blocks[0].lines[0].words
    assert [word.text for word in words] == ["Total", "12.5", "合", "计", "한국", "x"]
    assert words[0].polygon == ((0, 0), (50, 0), (50, 20), (0, 20))


def test_paragraphs_make_blocks() -> None:
    """Where they are asked for; a line of none is in a block of its own, and none is there twice."""
    lines = [{"words": word} for word in "abcd"]
    paragraphs = [{"words_result_idx": [0, 2]}, {"words_result_idx": [2, 3]}]
    page = text_page(*lines, paragraphs_result=paragraphs)
    assert [[line.text for line in block.lines] for block in page.blocks] == [["a", "c"], ["d"], ["b"]]


def test_nothing_found_is_an_empty_page() -> None:
    """Of each feature."""
    assert text_page() == Page(200, 100)
    assert page_of({"table_num": 0}, "table", 200, 100) == Page(200, 100)
    assert page_of({"words_result": [], "image_status": "non_idcard"}, "idcard", 200, 100) == Page(200, 100)


def test_halves_of_characters_are_replaced() -> None:
    """What no message can carry does not get into one; whole characters beyond the 16 bits stay."""
    page = page_of(parse_object(rb'{"words_result":[{"words":"a\ud83d\ude00\ud800"}]}'), "general", 200, 100)
    assert page.blocks[0].lines[0].text == "a😀\ufffd"


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [
        ("general", {}),
        ("general", {"words_result": {"a": 1}}),
        ("general", {"words_result": ["a"]}),
        ("general", {"words_result": [{"words": "a", "location": BOX | {"left": True}}]}),
        ("general", {"words_result": [{"words": "a", "location": BOX | {"left": 1e30}}]}),
        ("general", {"words_result": [{"words": "a", "chars": [{"char": "a"}]}]}),
        ("general", {"words_result": [{"words": "a"}], "paragraphs_result": [{"words_result_idx": [-1]}]}),
        ("table", {}),
        ("table", {"tables_result": [{}]}),
        ("table", {"tables_result": [{"body": [{"row_start": "0"}]}]}),
        ("table", {"tables_result": [{"body": [], "header": [7]}]}),
        ("idcard", {"words_result": [1]}),
        ("idcard", {"words_result": {"姓名": "张三"}}),
        ("idcard", {"image_status": "normal"}),
        ("business_license", {"words_result": {"单位名称": {"words": 7}}}),
        ("bankcard", {}),
        ("bankcard", {"result": []}),
        ("bankcard", {"result": {"bank_card_number": 6225}}),
    ],
)
def test_another_shape_is_refused(endpoint: str, answer: dict[str, Any]) -> None:
    """With a ValueError that says what is missing."""
    with pytest.raises(ValueError, match=r"no |has"):
        page_of(answer, endpoint, 200, 100)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["words_result", "words", "location", "chars", "char", "left", "top", "width", "height", "tables_result",
             "body", "header", "vertexes_location", "x", "y", "probability", "average", "direction",
             "paragraphs_result", "words_result_idx", "row_start", "row_end", "col_start", "col_end",
             "姓名", "公民身份号码", "table_num", "result", "bank_card_number", "bank_card_type", "单位名称",
             "有效期"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip


@given(
    answer=st.dictionaries(st.sampled_from(["words_result", "tables_result", "direction", "result"]), JSON, max_size=4)
)
def test_no_answer_breaks_the_reading(answer: dict[str, Any]) -> None:
    """Every JSON gives a page or a ValueError, nothing else."""
    for endpoint in ENDPOINTS:
        try:
            assert isinstance(page_of(answer, endpoint, 200, 100), Page)
        except ValueError:
            continue


def test_tables_have_spans_and_kinds() -> None:
    """Ends are exclusive; what stands above and below the body has rows of its own."""
    corner = [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}, {"x": 0, "y": 9}]
    body = [
        {"row_start": 1, "row_end": 2, "col_start": 0, "col_end": 1, "words": "c", "cell_location": corner},
        {"row_start": 0, "row_end": 2, "col_start": 1, "col_end": 3, "words": "b", "cell_location": corner},
        {"row_start": 0, "row_end": 1, "col_start": 0, "col_end": 1, "words": "a", "cell_location": corner},
    ]
    answer = {
        "table_num": 1,
        "tables_result": [
            {"table_location": corner, "header": [{"words": "h"}], "body": body, "footer": [{"words": "f"}]}
        ],
    }
    (table,) = page_of(answer, "table", 200, 100).tables
    assert (table.row_count, table.column_count) == (4, 3)
    assert [(c.text, c.row, c.column, c.row_span, c.column_span, c.kind) for c in table.cells] == [
        ("h", 0, 0, 1, 3, CellKind.COLUMN_HEADER),
        ("a", 1, 0, 1, 1, CellKind.CONTENT),
        ("b", 1, 1, 2, 2, CellKind.CONTENT),
        ("c", 2, 0, 1, 1, CellKind.CONTENT),
        ("f", 3, 0, 1, 3, CellKind.FOOTER),
    ]


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("11010519491231002X", CheckDigit.VALID),
        ("440524188001010014", CheckDigit.VALID),
        ("110105194912310021", CheckDigit.INVALID),
        ("110105491231002", CheckDigit.NOT_APPLICABLE),
        ("1101051949123100", CheckDigit.INVALID),
        ("", CheckDigit.INVALID),
    ],
)
def test_check_digits_of_citizens_numbers(number: str, verdict: CheckDigit) -> None:
    """The examples of GB 11643 hold, and a changed digit does not."""
    assert check_id_number(number) is verdict


def test_fields_of_an_identity_card_are_normalised() -> None:
    """Dates, sex and number; absent fields are left out, and what is no date has no value."""
    stated = {"姓名": " 张 三", "性别": "男", "出生": "19990230", "公民身份号码": "11010519491231002x", "民族": ""}
    words = {key: {"words": value, "location": BOX} for key, value in stated.items()}
    words |= {"签发日期": {"words": "2020年1月31日"}, "失效日期": {"words": "长期"}}
    fields = fields_of_document(page_of({"words_result": words}, "idcard", 200, 100))
    assert [(field.name, field.normalized_value, field.check_digit) for field in fields] == [
        ("name", "张三", CheckDigit.NOT_APPLICABLE),
        ("sex", "M", CheckDigit.NOT_APPLICABLE),
        ("birth_date", "", CheckDigit.NOT_APPLICABLE),
        ("id_number", "11010519491231002X", CheckDigit.VALID),
        ("valid_from", "2020-01-31", CheckDigit.NOT_APPLICABLE),
        ("valid_until", "", CheckDigit.NOT_APPLICABLE),
    ]
    assert fields[0].polygon == BOX_CORNERS[0]
    assert fields[4].polygon is None


@pytest.mark.parametrize(
    ("status", "names"),
    [
        ("normal", ["name"]),
        ("blurred", ["name"]),
        ("reversed_side", ["name"]),
        ("non_idcard", []),
        ("other_type_card", []),
    ],
)
def test_what_is_no_identity_card_has_no_fields(status: str, names: list[str]) -> None:
    """It is no error of Baidu's: image_status says it. What was read on a poor picture of one stays."""
    answer = {"words_result": {"姓名": {"words": "张三"}}, "image_status": status}
    assert [field.name for field in fields_of_document(page_of(answer, "idcard", 200, 100))] == names


@pytest.mark.parametrize(
    ("stated", "period"),
    [
        (
            {"有效期": "2035年05月31日", "有效期起始日期": "2015年06月01日"},
            {"from": "2015-06-01", "until": "2035-05-31"},
        ),
        ({"有效期": "2015年06月01日至2035年05月31日"}, {"from": "2015-06-01", "until": "2035-05-31"}),
        ({"有效期": "长期", "有效期起始日期": "无"}, {"until": ""}),
        ({"有效期": "2015年06月01日至长期", "有效期起始日期": "2015年06月01日"}, {"from": "2015-06-01", "until": ""}),
    ],
)
def test_a_business_licences_period_has_two_ends(stated: dict[str, str], period: dict[str, str]) -> None:
    """In whichever of its ways Baidu tells it, and each end once."""
    fields = page_of(
        {"words_result": {key: {"words": value} for key, value in stated.items()}}, "business_license", 9, 9
    )
    assert {field.name.removeprefix("valid_"): field.normalized_value for field in fields_of_document(fields)} == period
    assert len(fields_of_document(fields)) == len(period)


def test_what_a_business_licence_does_not_state_is_left_out() -> None:
    """Baidu says 无, at -1, where nothing is printed."""
    nothing = {"words": "无", "location": {"left": -1, "top": -1, "width": 0, "height": 0}}
    stated = {"单位名称": {"words": "北京样例科技有限公司", "location": BOX}, "证件编号": nothing, "组成形式": nothing}
    (field,) = fields_of_document(page_of({"words_result": stated}, "business_license", 200, 100))
    assert (field.name, field.polygon) == ("company_name", BOX_CORNERS[0])


@pytest.mark.parametrize(("kind", "word"), [(1, "debit"), (2, "credit"), (3, "semi_credit"), (4, "prepaid")])
def test_fields_of_a_bank_card(kind: int, word: str) -> None:
    """Its type is a number."""
    said = {"bank_card_number": "6225 8801 2345 6783", "valid_date": "07/29", "bank_card_type": kind, "bank_name": ""}
    fields = fields_of_document(page_of({"result": said}, "bankcard", 200, 100))
    assert {field.name: field.normalized_value for field in fields} == {
        "card_number": "6225880123456783", "valid_until": "2029-07", "card_type": word,
    }  # fmt: skip
    assert fields[0].check_digit is CheckDigit.VALID


def test_a_bank_card_that_was_not_made_out_is_empty() -> None:
    """Type 0, nulls and empty texts."""
    said = {"bank_card_number": "", "valid_date": None, "bank_card_type": 0, "bank_name": ""}
    assert page_of({"result": said}, "bankcard", 200, 100) == Page(200, 100)


@pytest.mark.parametrize(
    ("endpoint", "languages", "code"),
    [
        ("general", (), None),
        ("general", ("zh-Hans",), "CHN_ENG"),
        ("general", ("zh", "en-US"), "CHN_ENG"),
        ("general", ("en",), "ENG"),
        ("general", ("pt_BR",), "POR"),
        ("accurate", ("vi",), "VIE"),
        ("accurate", ("ja", "en"), "auto_detect"),
        ("table", ("zh",), None),
    ],
)
def test_languages_become_one_type(endpoint: str, languages: tuple[str, ...], code: str | None) -> None:
    """Regions and scripts play no part."""
    assert ENDPOINTS[endpoint].form_of(languages, {}).get("language_type") == code


@pytest.mark.parametrize(
    ("endpoint", "languages", "field"),
    [
        ("general", ("vi",), "recognition.languages"),
        ("general", ("",), "recognition.languages"),
        ("general", ("ja", "en"), "recognition.languages"),
        ("idcard", ("ja",), "recognition.languages"),
    ],
)
def test_languages_that_are_not_read_are_refused(endpoint: str, languages: tuple[str, ...], field: str) -> None:
    """None is ignored."""
    with pytest.raises(FieldInvalid) as failure:
        ENDPOINTS[endpoint].form_of(languages, {})
    assert failure.value.field == field


def test_options_replace_what_is_asked_for_by_default() -> None:
    """And the product's own option is not sent."""
    form = ENDPOINTS["general"].form_of(
        (), {"endpoint": "general", "detect_direction": "false", "language_type": "ENG"}
    )
    assert form == {
        "detect_direction": "false",
        "probability": "true",
        "vertexes_location": "true",
        "language_type": "ENG",
    }
    with pytest.raises(FieldInvalid, match="exclude"):
        ENDPOINTS["general"].form_of(("en",), {"language_type": "ENG"})


def test_unknown_codes_are_transient() -> None:
    """So that a code that Baidu adds loses no image."""
    assert ERRORS.meaning("424242") is Meaning.TRANSIENT
