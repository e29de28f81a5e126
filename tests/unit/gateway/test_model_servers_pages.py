"""Answers of the servers of one's own and of Mistral, made into pages, and the requests that they get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import Feature, Page, ProviderCall, ProviderResult
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.kserve import KserveDialect, KserveSettings
from ocr_gateway.providers.mistral import MistralDialect, MistralSettings
from ocr_gateway.providers.openai_chat import OpenAiDialect, OpenAiSettings
from ocr_gateway.providers.paddlex import PaddlexDialect, PaddlexSettings
from ocr_gateway.providers.remote.dialect import Dialect
from ocr_gateway.providers.remote.meanings import Meaning, Refusal

ENDPOINT = "http://127.0.0.1:9"
GOLDEN = Path(__file__).parents[2] / "golden"


def call(feature: Feature = Feature.TEXT, **options: str) -> ProviderCall:
    return ProviderCall(b"image", "image/png", 400, 200, feature, options=options)


def openai(**settings: Any) -> OpenAiDialect:
    given = {"endpoint": ENDPOINT, "model": "PaddleOCR-VL", **settings}
    return OpenAiDialect("openai", OpenAiSettings.model_validate(given))


def kserve(**outputs: str) -> KserveDialect:
    given = {"endpoint": ENDPOINT, "model": "ocr/zh", "version": 3, "features": {"text": {"outputs": outputs}}}
    return KserveDialect("kserve", KserveSettings.model_validate(given))


@pytest.fixture
def mistral(monkeypatch: pytest.MonkeyPatch) -> MistralDialect:
    monkeypatch.setenv("MISTRAL_TEST_KEY", "madeUpMistralKey01")
    given = {"credentials": {"api_key": {"env": "MISTRAL_TEST_KEY"}}}
    return MistralDialect("mistral", MistralSettings.model_validate(given))


def page_of(dialect: Dialect, said: dict[str, Any], feature: Feature = Feature.TEXT) -> Page:
    (result,) = dialect.results(said, [call(feature)])
    assert isinstance(result, ProviderResult)
    return result.page


def texts_of(page: Page) -> list[str]:
    return [line.text for block in page.blocks for line in block.lines]


def completion(content: str | None, finish: str = "stop") -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": finish}]}


def test_a_truncated_completion_is_no_answer() -> None:
    """It is refused as a page with too much text, so that no half of it is kept and a route goes on."""
    dialect = openai()
    (refusal,) = dialect.results(completion("half of the te", "length"), [call()])
    assert isinstance(refusal, Refusal)
    assert dialect.errors.meaning(refusal.code) is Meaning.SHAPE
    assert "max_tokens, 4096" in str(refusal)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_completion_that_was_given_up_is_malformed(reason: str) -> None:
    """What was written so far is not the page."""
    with pytest.raises(ValueError, match=reason):
        openai().results(completion("half a page", reason), [call()])


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ({"error": {"message": "busy", "code": 429}}, Meaning.THROTTLED),
        ({"error": {"message": "no money", "code": "insufficient_quota"}}, Meaning.QUOTA_SPENT),
        ({"error": "something"}, Meaning.TRANSIENT),
    ],
)
def test_an_error_under_http_200_is_one(said: dict[str, Any], meaning: Meaning) -> None:
    """As relays tell that of the server behind them; an answer with choices is none, whatever stands beside them."""
    dialect, good = openai(), HttpAnswer(200, {}, b"")
    refusal = dialect.refusal(good, said)
    assert refusal is not None
    assert dialect.errors.meaning(refusal.code, refusal.status) is meaning
    assert dialect.refusal(good, completion("a page") | {"error": None}) is None
    assert dialect.refusal(good, completion("a page") | said) is None


@pytest.mark.parametrize("known", [("zh-Hans", "pt-BR"), ("ZH", "pt"), ("cmn", "pt-PT")])
def test_languages_are_told_by_their_first_subtag(known: tuple[str, ...]) -> None:
    """Those of the settings are BCP 47, as callers' are."""
    settings = {"endpoint": ENDPOINT, "model": "m", "languages": known}
    dialects: list[Dialect] = [
        openai(languages=known),
        PaddlexDialect("paddlex", PaddlexSettings.model_validate({"endpoint": ENDPOINT, "languages": known})),
        KserveDialect("kserve", KserveSettings.model_validate(settings)),
    ]
    for dialect in dialects:
        for language in (*known, "zh", "zh-CN", "pt"):
            dialect.check(ProviderCall(b"", "image/png", 1, 1, Feature.TEXT, languages=(language,)))
        for language in ("en", "", "zh-no-such-one"):
            with pytest.raises(FieldInvalid):
                dialect.check(ProviderCall(b"", "image/png", 1, 1, Feature.TEXT, languages=(language,)))


def test_a_completion_is_lines_without_places() -> None:
    """Null and empty content are an empty page."""
    page = page_of(openai(), completion("# 发票\n合计 5\n"))
    assert texts_of(page) == ["发票", "合计 5"]
    assert page.blocks[0].lines[0].polygon is None
    assert page_of(openai(), completion(None)) == page_of(openai(), completion("")) == Page(400, 200)


def test_a_completion_of_a_table_is_a_table() -> None:
    """In HTML or in pipes; the feature is there once it is declared."""
    dialect = openai(features={"table": {}})
    assert set(dialect.description.features) == {Feature.TEXT, Feature.TABLE}
    assert set(openai().description.features) == {Feature.TEXT}
    for written in ("<table><tr><td>a</td><td>b</td></tr></table>", "|a|b|\n|--|--|\n"):
        (table,) = page_of(dialect, completion(written), Feature.TABLE).tables
        assert [cell.text for cell in table.cells] == ["a", "b"]


def test_what_makes_a_completion_is_part_of_the_model() -> None:
    """Another prompt, limit or extra member is another key of the cache."""
    variants = [
        openai(),
        openai(max_tokens=100),
        openai(extra={"skip_special_tokens": False}),
        openai(features={"text": {"prompt": "Free OCR."}}),
        openai(features={"table": {}}),
        openai(model="other"),
    ]
    assert len({dialect.model for dialect in variants}) == len(variants)


def test_extra_members_are_sent_and_cannot_change_the_message() -> None:
    """As DeepSeek-OCR's vllm_xargs."""
    dialect = openai(extra={"vllm_xargs": {"ngram_size": 30}, "messages": [], "temperature": 1})
    said = json.loads(dialect.body([call()]))
    assert said["vllm_xargs"] == {"ngram_size": 30}
    assert said["temperature"] == 0
    picture, prompt = said["messages"][0]["content"]
    assert picture["image_url"]["url"] == "data:image/png;base64,aW1hZ2U="
    assert prompt["text"] == "OCR:"


def test_the_tensors_that_are_read_are_part_of_the_model() -> None:
    """Other outputs may be other texts."""
    assert len({kserve().model, kserve(texts="t").model, kserve(texts="t", boxes="b").model}) == 3


def test_a_table_is_read_only_where_it_is_declared() -> None:
    """Null is as if it did not stand there."""
    assert set(openai(features={"table": None}).description.features) == {Feature.TEXT}


def tensor(name: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": "BYTES", "data": data}


def test_parallel_tensors_are_lines() -> None:
    """With boxes of four numbers or of eight, in any order of the outputs; lines without text are left out."""
    dialect = kserve(texts="t", scores="s", boxes="b")
    for boxes in (
        tensor("b", [2, 4], [10, 20, 30, 40, 0, 0, 1, 1]),
        tensor("b", [2, 4, 2], [10, 20, 30, 20, 30, 40, 10, 40, 0, 0, 1, 0, 1, 1, 0, 1]),
    ):
        page = page_of(dialect, {"outputs": [boxes, tensor("s", [2], [0.5, 0.9]), tensor("t", [2, 1], ["a", ""])]})
        (line,) = page.blocks[0].lines
        assert (line.text, line.confidence) == ("a", 0.5)
        assert line.polygon == ((10, 20), (30, 20), (30, 40), (10, 40))


@pytest.mark.parametrize(
    "outputs",
    [
        [tensor("t", [3], ["a"])],
        [tensor("t", [1], ["a"]), tensor("s", [2], [1, 1])],
        [tensor("t", [1], [5]), tensor("s", [1], [1])],
        [tensor("t", [1], ["a"]), tensor("s", [1], [1]), tensor("b", [3], [1, 2, 3])],
        [],
    ],
)
def test_tensors_that_do_not_agree_are_malformed(outputs: list[dict[str, Any]]) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"t|s|b"):
        kserve(texts="t", scores="s", boxes="b").results({"outputs": outputs}, [call()])


def test_a_models_name_and_version_stand_in_the_path() -> None:
    """Encoded."""
    request = kserve().request([call()], "", "", 0.0)
    assert request.url == f"{ENDPOINT}/v2/models/ocr%2Fzh/versions/3/infer"


def paddlex_page(points: list[list[int]]) -> dict[str, Any]:
    pruned = {"rec_texts": ["x"], "rec_scores": [0.5], "rec_polys": [points]}
    return {"errorCode": 0, "result": {"ocrResults": [{"prunedResult": pruned}]}}


def test_a_curved_line_has_the_box_round_it() -> None:
    """Four points are a polygon, clockwise from the top left; more are boxed."""
    dialect = PaddlexDialect("paddlex", PaddlexSettings.model_validate({"endpoint": ENDPOINT}))
    corners = ((1, 2), (9, 2), (9, 5), (1, 5))
    for points in ([[9, 5], [1, 5], [1, 2], [9, 2]], [[1, 3], [5, 2], [9, 3], [9, 5], [1, 5]]):
        assert page_of(dialect, paddlex_page(points)).blocks[0].lines[0].polygon == corners


def test_the_server_does_not_change_the_page() -> None:
    """Its places are those of the image that was sent, and no picture comes back."""
    dialect = PaddlexDialect("paddlex", PaddlexSettings.model_validate({"endpoint": ENDPOINT}))
    said = json.loads(dialect.body([call(textRecScoreThresh="0.5")]))
    assert (said["useDocOrientationClassify"], said["useDocUnwarping"], said["visualize"]) == (False,) * 3
    assert said["textRecScoreThresh"] == 0.5
    with pytest.raises(FieldInvalid, match="0 to 1"):
        dialect.check(call(textRecScoreThresh="nan"))


def mistral_page(**about: Any) -> dict[str, Any]:
    page = {"index": 0, "markdown": "", "dimensions": {"dpi": 200, "width": 800, "height": 400}, **about}
    return {"pages": [page], "usage_info": {"pages_processed": 1}}


def block(kind: str, content: str) -> dict[str, Any]:
    place = {"top_left_x": 20, "top_left_y": 40, "bottom_right_x": 200, "bottom_right_y": 80}
    scores = {"average_content_confidence_score": 0.75}
    return {"type": kind, "content": content, "confidence_scores": scores, **place}


def test_blocks_are_scaled_to_the_image(mistral: MistralDialect) -> None:
    """A block of one line says where that line is; pictures are no text."""
    page = page_of(
        mistral, mistral_page(blocks=[block("title", "# A"), block("text", "b\nc"), block("image", "![](img-0)")])
    )
    place = ((10, 20), (100, 20), (100, 40), (10, 40))
    assert [each.polygon for each in page.blocks] == [place, place]
    assert [line.polygon for each in page.blocks for line in each.lines] == [place, None, None]
    assert texts_of(page) == ["A", "b", "c"]
    assert page.blocks[0].lines[0].confidence == 0.75


@pytest.mark.parametrize("width", [0, -1, 1e-308, float("nan"), None])
def test_a_page_without_an_extent_is_malformed(width: Any, mistral: MistralDialect) -> None:
    """Places cannot be scaled by it."""
    box = {"top_left_x": 1, "top_left_y": 1, "bottom_right_x": 9, "bottom_right_y": 9}
    page = {"dimensions": {"width": width, "height": 10}, "blocks": [{"type": "text", "content": "x", **box}]}
    with pytest.raises(ValueError, match="width"):
        mistral.results({"pages": [page]}, [call()])


def test_a_page_without_blocks_is_its_markdown(mistral: MistralDialect) -> None:
    """As older models answer."""
    assert texts_of(page_of(mistral, mistral_page(markdown="# A\n\nb"))) == ["A", "b"]


def test_tables_have_the_places_of_their_blocks(mistral: MistralDialect) -> None:
    """Where there is one for each."""
    tables = [{"id": "tbl-0", "format": "html", "content": "<table><tr><td>a</td></tr></table>"}]
    said = mistral_page(tables=tables, blocks=[block("table", "[tbl-0](tbl-0)")])
    (table,) = page_of(mistral, said, Feature.TABLE).tables
    assert (table.polygon, table.confidence) == (((10, 20), (100, 20), (100, 40), (10, 40)), 0.75)
    (table,) = page_of(mistral, mistral_page(tables=tables, blocks=[]), Feature.TABLE).tables
    assert table.polygon is None


def test_units_are_the_pages_processed(mistral: MistralDialect) -> None:
    """One where it is not told."""
    said = mistral_page()
    for pages, units in ((3, 3.0), (None, 1.0), (True, 1.0), (-1, 1.0)):
        said["usage_info"] = {"pages_processed": pages}
        (result,) = mistral.results(said, [call()])
        assert isinstance(result, ProviderResult)
        assert result.billed_units == units


def test_mistral_gets_what_its_sdk_sends(mistral: MistralDialect) -> None:
    """The members that the SDK's call has, with the same values, and the key."""
    golden = json.loads((GOLDEN / "mistral_ocr.json").read_text())
    theirs = json.loads(golden["body"])
    head, _, content = theirs["document"]["image_url"].partition(",")
    ours = json.loads(mistral.body([call()]))
    assert ours["document"] == {"type": "image_url", "image_url": f"{head},aW1hZ2U="}
    assert content
    assert {name: ours[name] for name in ("model", "include_image_base64", "include_blocks")} == {
        name: theirs[name] for name in ("model", "include_image_base64", "include_blocks")
    }
    request = mistral.request([call()], "", "", 0.0)
    assert request.headers["Authorization"] == golden["authorization"]
    assert request.url == "https://api.mistral.ai/v1/ocr"
