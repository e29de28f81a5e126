"""Vision's answers made into pages, and calls made into requests."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ocr_gateway.errors import FieldInvalid, ImageTooLargeBytes
from ocr_gateway.model import Feature, Page, ProviderCall
from ocr_gateway.providers.google.dialect import MAX_JSON_BYTES, GoogleDialect
from ocr_gateway.providers.google.languages import LANGUAGES, hints_of
from ocr_gateway.providers.google.pages import page_of
from ocr_gateway.providers.google.settings import GoogleSettings
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendors.google import annotation


def box(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    return {"vertices": [{"x": x, "y": y} for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]}


def symbol(text: str, ends: Any = None, place: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"text": text, **more}
    if ends is not None:
        said["property"] = {"detectedBreak": {"type": ends}}
    return said | ({"boundingBox": place} if place else {})


def word(text: str, ends: Any = None, place: dict[str, Any] | None = None, sure: float | None = 0.9) -> dict[str, Any]:
    symbols = [symbol(each) for each in text[:-1]] + [symbol(text[-1], ends)]
    said: dict[str, Any] = {"symbols": symbols, "boundingBox": place or box(10, 20, 60, 40)}
    return said | ({"confidence": sure} if sure is not None else {})


def page_with(*words: dict[str, Any], width: int = 200, height: int = 100, **page: Any) -> Page:
    paragraph = {"words": list(words)}
    said = {"width": 200, "height": 100, "blocks": [{"paragraphs": [paragraph]}], **page}
    return page_of({"fullTextAnnotation": {"pages": [said]}}, width, height)


def texts(page: Page) -> list[str]:
    return [line.text for block in page.blocks for line in block.lines]


@pytest.mark.parametrize(
    "said",
    [{}, None, {"textAnnotations": []}, {"fullTextAnnotation": {}}, {"fullTextAnnotation": {"pages": []}},
     {"fullTextAnnotation": {"pages": [{"width": 9, "height": 9}]}}],
)  # fmt: skip
def test_an_answer_without_text_is_an_empty_page(said: Any) -> None:
    """``{}`` is what Vision says of a blank image."""
    assert page_of(said, 200, 100) == Page(200, 100)


@pytest.mark.parametrize(
    ("ends", "lines"),
    [
        ("SPACE", ["one two"]), ("SURE_SPACE", ["one two"]), (1, ["one two"]), (2, ["one two"]),
        ("EOL_SURE_SPACE", ["one", "two"]), ("LINE_BREAK", ["one", "two"]), (3, ["one", "two"]), (5, ["one", "two"]),
        ("HYPHEN", ["one-", "two"]), (4, ["one-", "two"]), ("UNKNOWN", ["onetwo"]), (None, ["onetwo"]),
        ("SOMETHING_NEW", ["onetwo"]),
    ],
)  # fmt: skip
def test_breaks_make_blanks_and_lines(ends: Any, lines: list[str]) -> None:
    """By their names and by their numbers; a hyphen at a line's end is not among the symbols, and is put there."""
    page = page_with(word("one", ends), word("two", "LINE_BREAK"))
    assert texts(page) == lines
    read = [each.text for block in page.blocks for line in block.lines for each in line.words]
    assert read == (["one-", "two"] if "one-" in lines else ["one", "two"])


def test_a_break_may_stand_before_its_symbol() -> None:
    """``isPrefix``; the last line needs no break."""
    first = {"text": "b", "property": {"detectedBreak": {"type": "SPACE", "isPrefix": True}}}
    assert texts(page_with(word("a"), {"symbols": [first], "boundingBox": box(70, 20, 80, 40)})) == ["a b"]


def test_chinese_characters_are_words_of_their_own() -> None:
    """With their own places and confidences; a word of Latin letters stays one."""
    symbols = [symbol("中", None, box(10, 20, 30, 40), confidence=0.7), symbol("文", "SPACE", box(30, 20, 50, 40))]
    page = page_with({"symbols": symbols, "boundingBox": box(10, 20, 50, 40), "confidence": 0.9}, word("ok", "SPACE"))
    (line,) = page.blocks[0].lines
    assert line.text == "中文 ok"
    assert [(each.text, each.confidence) for each in line.words] == [("中", 0.7), ("文", 0.9), ("ok", 0.9)]
    assert line.words[1].polygon == ((30, 20), (50, 20), (50, 40), (30, 40))


def test_coordinates_that_are_left_out_are_zero() -> None:
    """As JSON of protocol buffers has it."""
    place = {"vertices": [{}, {"x": 60}, {"x": 60, "y": 40}, {"y": 40}]}
    (line,) = page_with(word("one", "SPACE", place)).blocks[0].lines
    assert line.words[0].polygon == ((0, 0), (60, 0), (60, 40), (0, 40))


def test_a_word_without_a_place_stands_in_the_line_alone() -> None:
    """A line whose words have none has none either."""
    (line,) = page_with({"symbols": [symbol("x", "SPACE")], "boundingBox": {}}).blocks[0].lines
    assert (line.text, line.polygon, line.words, line.confidence) == ("x", None, (), None)


def test_an_answer_of_another_extent_is_scaled_back() -> None:
    """As when the service has shrunk a large image."""
    (line,) = page_with(word("one", "SPACE"), width=400, height=300).blocks[0].lines
    assert line.words[0].polygon == ((20, 60), (120, 60), (120, 120), (20, 120))


@pytest.mark.parametrize("quarters", range(4))
def test_polygons_begin_where_the_text_does(quarters: int) -> None:
    """However the page lies: a line goes round its words as they do, from the text's own top left."""

    def turned(x: float, y: float) -> dict[str, float]:
        for _ in range(quarters):
            x, y = 100 - y, x
        return {"x": x, "y": y}

    def place(left: float, right: float) -> dict[str, Any]:
        return {"vertices": [turned(x, y) for x, y in ((left, 20), (right, 20), (right, 40), (left, 40))]}

    (line,) = page_with(word("one", "SPACE", place(10, 40)), word("two", "LINE_BREAK", place(45, 90))).blocks[0].lines
    assert line.polygon is not None
    expected = [turned(x, y) for x, y in ((10, 20), (90, 20), (90, 40), (10, 40))]
    for (x, y), corner in zip(line.polygon, expected, strict=True):
        assert math.isclose(x, corner["x"], abs_tol=1e-9)
        assert math.isclose(y, corner["y"], abs_tol=1e-9)


def test_a_line_that_rises_keeps_its_slope() -> None:
    """Its polygon is no upright box."""
    place = {"vertices": [{"x": 10, "y": 40}, {"x": 50, "y": 10}, {"x": 62, "y": 26}, {"x": 22, "y": 56}]}
    (line,) = page_with(word("one", "LINE_BREAK", place)).blocks[0].lines
    assert line.polygon is not None
    for (x, y), vertex in zip(line.polygon, place["vertices"], strict=True):
        assert math.isclose(x, vertex["x"], abs_tol=1e-9)
        assert math.isclose(y, vertex["y"], abs_tol=1e-9)


def test_confidences_are_the_words_and_the_lines_their_mean() -> None:
    """None where Vision states none, as TEXT_DETECTION does unless it is asked."""
    (line,) = page_with(word("one", "SPACE", sure=0.5), word("two", "LINE_BREAK", sure=0.7)).blocks[0].lines
    assert [each.confidence for each in line.words] == [0.5, 0.7]
    assert line.confidence == pytest.approx(0.6)
    (line,) = page_with(word("one", "SPACE", sure=None)).blocks[0].lines
    assert (line.confidence, line.words[0].confidence) == (None, None)


def test_languages_come_with_the_surest_first() -> None:
    """Each once; what has no code is left out."""
    said = [{"languageCode": "en", "confidence": 0.2}, {"languageCode": "zh", "confidence": 0.7}, {"confidence": 1}]
    page = page_with(word("a", "SPACE"), property={"detectedLanguages": [*said, {"languageCode": "und"}, said[0]]})
    assert page.languages == ("zh", "en")


def test_blocks_keep_their_paragraphs_lines_together() -> None:
    """With the block's own place; one without lines is left out."""
    paragraphs = [{"words": [word("one", "LINE_BREAK")]}, {"words": [word("two", "LINE_BREAK")]}]
    blocks = [{"paragraphs": paragraphs, "boundingBox": box(1, 2, 3, 4)}, {"blockType": "PICTURE"}]
    page = page_of({"fullTextAnnotation": {"pages": [{"blocks": blocks}]}}, 200, 100)
    (block,) = page.blocks
    assert [line.text for line in block.lines] == ["one", "two"]
    assert block.polygon == ((1, 2), (3, 2), (3, 4), (1, 4))


WHOLE = annotation("0123456789abcdef", StandInSettings(lines=2), sure=True, extent=(200, 100))
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


@given(path=st.sampled_from(paths_of(WHOLE)[1:]), value=ANY_JSON)
def test_no_answer_raises_anything_but_value_error(path: tuple[Any, ...], value: Any) -> None:
    """Whatever stands in any place of a documented answer."""
    said = json.loads(json.dumps(WHOLE))
    holder = said
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    dialect = dialect_of()
    for answer in (said, value):
        with contextlib.suppress(ValueError):
            dialect.results({"responses": [answer]}, [ProviderCall(b"", "image/png", 200, 100, Feature.TEXT)])


def test_two_pages_of_one_image_make_no_sense() -> None:
    """An image has one."""
    with pytest.raises(ValueError, match="2 pages"):
        page_of({"fullTextAnnotation": {"pages": [{}, {}]}}, 200, 100)


# Requests


def dialect_of(**given: Any) -> GoogleDialect:
    return GoogleDialect("google", settings_of(**given), "key")


def settings_of(**given: Any) -> GoogleSettings:
    credentials = {"api_key": {"env": "OCRMUX_TEST_NOWHERE"}}
    return GoogleSettings.model_validate({"kind": "google", "credentials": credentials, **given})


def asked(dialect: GoogleDialect | None = None, **about: Any) -> dict[str, Any]:
    call = ProviderCall(**{"image": b"abc", "media_type": "image/png", "width": 9, "height": 9,
                           "feature": Feature.TEXT, **about})  # fmt: skip
    dialect = dialect or dialect_of()
    dialect.check(call)
    said: dict[str, Any] = json.loads(dialect.body([call]))
    return said


def test_a_plain_call_asks_for_document_text() -> None:
    """And for nothing that Vision has by default."""
    assert asked() == {"requests": [{"image": {"content": "YWJj"}, "features": [{"type": "DOCUMENT_TEXT_DETECTION"}]}]}


def test_text_detection_is_asked_for_its_confidences() -> None:
    """By the settings or by the option, which goes before."""
    by_settings = asked(dialect_of(features={"text": {"action": "TEXT_DETECTION"}}))
    assert by_settings == asked(options={"action": "TEXT_DETECTION"})
    context = by_settings["requests"][0]["imageContext"]
    assert context == {"textDetectionParams": {"enableTextDetectionConfidenceScore": True}}


def test_options_go_where_vision_has_them() -> None:
    """Model, layout and hints; the location is the settings'."""
    dialect = dialect_of(parent="projects/made-up/locations/eu", features={"text": {"model": "builtin/latest"}})
    said = asked(dialect, options={"advancedOcrOptions": "legacy_layout", "languageHints": "zh, en"})
    (request,) = said["requests"]
    assert said["parent"] == "projects/made-up/locations/eu"
    assert request["features"] == [{"type": "DOCUMENT_TEXT_DETECTION", "model": "builtin/latest"}]
    assert request["imageContext"] == {
        "languageHints": ["zh", "en"], "textDetectionParams": {"advancedOcrOptions": ["legacy_layout"]},
    }  # fmt: skip
    assert dialect.model == "v1/DOCUMENT_TEXT_DETECTION/builtin/latest/projects/made-up/locations/eu"
    assert dialect_of().model != dialect_of(features={"text": {"action": "TEXT_DETECTION"}}).model


@pytest.mark.parametrize(
    "options",
    [{"action": "LABEL_DETECTION"}, {"model": "builtin/old"}, {"advancedOcrOptions": "x"}, {"languageHints": "tlh"},
     {"languageHints": ""}],
)  # fmt: skip
def test_values_that_there_are_not_are_refused(options: dict[str, str]) -> None:
    """The field is named."""
    with pytest.raises(FieldInvalid) as refusal:
        asked(options=options)
    assert refusal.value.field == "recognition.provider_options"


def test_hints_and_languages_exclude_each_other() -> None:
    """Two sayings of the same thing."""
    with pytest.raises(FieldInvalid, match="exclude"):
        asked(languages=("en",), options={"languageHints": "en"})


@pytest.mark.parametrize(
    ("language", "hint"),
    [("zh", "zh"), ("zh-CN", "zh-Hans"), ("zh-Hant", "zh-Hant"), ("zh-TW", "zh-Hant"), ("cmn", "zh"), ("he", "iw"),
     ("iw", "iw"), ("nb", "no"), ("en-GB", "en"), ("sr-Latn", "sr-Latn"), ("uz-Cyrl", "uz-Cyrl"), ("tl", "fil")],
)  # fmt: skip
def test_languages_become_hints(language: str, hint: str) -> None:
    """As Vision's list has them."""
    assert hints_of((language, language)) == (hint,)


def test_as_many_languages_as_there_are_fit_beside_16_images() -> None:
    """The limit of bytes leaves room for all of the rest of the JSON."""
    dialect = dialect_of()
    support = dialect.description.features[Feature.TEXT]
    size = support.batch.max_bytes // 16
    calls = [
        ProviderCall(bytes(size), "image/png", 9, 9, Feature.TEXT, LANGUAGES, {"action": "TEXT_DETECTION"})
        for _ in range(16)
    ]
    assert len(dialect.body(calls)) <= MAX_JSON_BYTES
    whole = ProviderCall(bytes(support.limits.max_bytes), "image/png", 9, 9, Feature.TEXT, LANGUAGES)
    assert len(dialect.body([whole])) <= MAX_JSON_BYTES
    with pytest.raises(ImageTooLargeBytes):
        dialect.body([ProviderCall(bytes(MAX_JSON_BYTES * 3 // 4), "image/png", 9, 9, Feature.TEXT)])


@pytest.mark.parametrize(
    "wrong",
    [{"parent": "projects/p/locations/moon"}, {"auth": "password"}, {"features": {"text": {"images_per_call": 17}}}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """When they are read."""
    with pytest.raises(ValidationError):
        settings_of(**wrong)
