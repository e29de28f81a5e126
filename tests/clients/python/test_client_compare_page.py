"""The HTML page of a comparison: one file that needs nothing else, and in which nothing that was read is markup."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from ocrmux.ocr.v1.document_pb2 import CHECK_DIGIT_INVALID, Block, Cell, Document, Field, Line, Page, Table
from ocrmux.ocr.v1.geometry_pb2 import Point, Polygon, Size
from ocrmux.ocr.v1.recognition_pb2 import PageAnswer
from ocrmux_client.comparison.compared_page import ComparedPage, compared
from ocrmux_client.comparison.html_page import html_pieces
from ocrmux_client.comparison.totals import Comparison
from ocrmux_client.items import Feature
from ocrmux_client.records import PageRecord

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> ]]>&amp;</title></style>"
VOID = {"meta", "img", "input", "br"}


class Markup(HTMLParser):
    """Every element with its attributes, the text in each kind of element, and whether all of them are closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text_in(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def line(text: str, top: float, confidence: float | None = 0.987) -> Line:
    corners = [(10, top), (110, top), (110, top + 20), (10, top + 20)]
    return Line(text=text, confidence=confidence, polygon=Polygon(points=[Point(x=x, y=y) for x, y in corners]))


def lines_page(*texts: str) -> Page:
    lines = [line(text, 30 * number) for number, text in enumerate(texts)]
    return Page(
        number=1, size=Size(width=2800, height=2000), text="\n".join(texts), confidence=0.9, blocks=[Block(lines=lines)]
    )


def record(page: Page, source: str = "a.png") -> PageRecord:
    return PageRecord.of(source, PageAnswer(page=1, page_count=1, document=Document(pages=[page])))


def page_of(
    feature: Feature,
    *pages: ComparedPage,
    picture: Image.Image | None = None,
    providers: tuple[str, ...] = ("one", "two"),
) -> str:
    comparison = Comparison(feature, providers, 100)
    for page in pages:
        comparison.add(page)
    return "".join(html_pieces(comparison, 100, lambda _: picture))


def both(first: Page, second: Page, feature: Feature = Feature.TEXT, truth: str | None = None) -> ComparedPage:
    return compared(feature, {"one": record(first), "two": record(second)}, truth)


def test_nothing_that_was_read_is_markup() -> None:
    """Hostile text, names, file names and errors stay text: the elements are those of a page with harmless ones."""

    def made(text: str) -> Markup:
        page = lines_page(f"{text} one", "same")
        page.tables.append(Table(row_count=1, column_count=1, cells=[Cell(text=text, row_span=1, column_span=1)]))
        page.fields.append(Field(name=text, raw_value=text, polygon=line("", 1).polygon))
        other = lines_page(f"{text} two", "same")
        parts = []
        for feature in Feature:
            truth = f"{text} truth" if feature is Feature.TEXT else None
            own, theirs = record(page, text), record(other, text)
            own.provenance.model = theirs.provenance.currency = text
            compared_page = compared(feature, {text: own, "two": theirs}, truth)
            picture = Image.new("RGB", (30, 20))
            parts.append(page_of(feature, compared_page, picture=picture, providers=(text, "two")))
        return Markup("".join(parts))

    hostile, harmless = made(HOSTILE), made("harmless")
    assert hostile.unbalanced == harmless.unbalanced == []
    shape = [(tag, sorted(attributes)) for tag, attributes in hostile.elements if tag not in {"mark", "del"}]
    assert shape == [(tag, sorted(attributes)) for tag, attributes in harmless.elements if tag not in {"mark", "del"}]
    assert len(hostile.of("script")) == len(Feature)
    assert any("<script>alert('x')</script>" in text for text in hostile.text_in("title"))


def test_the_page_needs_nothing_else_and_lets_no_other_script_run() -> None:
    """No address leads out of it; its policy names the digests of its own style and script, and nothing more."""
    html = page_of(Feature.TEXT, both(lines_page("a"), lines_page("b")), picture=Image.new("RGB", (30, 20)))
    markup = Markup(html)
    for _, attributes in markup.elements:
        assert not {"style", "onclick", "onload", "onerror"} & set(attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/jpeg;base64,"))
    assert not re.search(r"url\(|@import|https?://", html)
    policy = next(one["content"] for one in markup.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for kind, tag in (("style", "style"), ("script", "script")):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_boxes_are_drawn_in_the_pages_own_pixels() -> None:
    """The picture is brought down to 1400 px, the boxes' coordinates stay; each tells its text and confidence."""
    html = page_of(
        Feature.TEXT, both(lines_page("first", "second"), lines_page("first")), picture=Image.new("RGB", (2800, 2000))
    )
    markup = Markup(html)
    (image,) = markup.of("img")
    assert (image["width"], image["height"], image["alt"]) == ("1400", "1000", "a.png")
    with Image.open(io.BytesIO(base64.b64decode((image["src"] or "").partition(",")[2]))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1400, 1000))
    (svg,) = markup.of("svg")
    assert svg["viewbox"] == "0 0 2800 2000"
    polygons = markup.of("polygon")
    assert [polygon["points"] for polygon in polygons][1] == "10.0,30.0 110.0,30.0 110.0,50.0 10.0,50.0"
    assert markup.text_in("title")[1:] == ["one: first (98.7 %)", "one: second (98.7 %)", "two: first (98.7 %)"]
    assert [group["class"] for group in markup.of("g")] == ["p0", "p1"]
    assert [box["id"] for box in markup.of("input")][:2] == ["show0", "show1"]
    lines = [span["data-n"] for span in markup.of("span") if span.get("class") == "line"]
    assert lines == [polygon["data-n"] for polygon in polygons]


def test_texts_are_marked_against_the_truth_or_the_first_reading() -> None:
    """What is there instead is marked, what is missing struck out; the truth has a place of its own."""
    first, second = lines_page("the brown fox", "城东图书馆"), lines_page("the brovvn fox", "城东书馆")
    plain = Markup(page_of(Feature.TEXT, both(first, second)))
    assert plain.text_in("mark") == ["brown", "图", "brovvn"]
    assert plain.text_in("del") == ["brown", "图"]
    truth = Markup(page_of(Feature.TEXT, both(first, second, truth="the brown fox\n城东图书馆 today")))
    assert "truth" in truth.text_in("h3")
    assert truth.text_in("mark") == ["brown", "图", "today", "brovvn"]
    assert truth.text_in("del") == ["today", "brown", "图", "today"]


def test_tables_and_fields_are_shown_with_what_differs() -> None:
    """Cells that others read otherwise are marked; fields stand in a row each, with their check digits."""
    ours, theirs = lines_page("x"), lines_page("x")
    for page, amount in ((ours, "12.50"), (theirs, "12.5O")):
        cells = [Cell(row=0, column=column, row_span=1, column_span=1, text=text) for column, text in
                 enumerate(("Summe", amount))]  # fmt: skip
        page.tables.append(Table(row_count=1, column_count=2, cells=cells))
    tables = Markup(page_of(Feature.TABLE, both(ours, theirs, Feature.TABLE)))
    assert [cell.get("class") for cell in tables.of("td")][-4:] == [None, "differs", None, "differs"]
    ours.fields.append(Field(name="number", raw_value="1", check_digit=CHECK_DIGIT_INVALID))
    fields = Markup(page_of(Feature.ID_DOCUMENT, both(ours, theirs, Feature.ID_DOCUMENT)))
    assert fields.text_in("td")[-2:] == ["1 ✗ check digit", "–"]
    assert [row.get("class") for row in fields.of("tr")][-1] == "differs"


def test_a_page_that_cannot_be_drawn_or_was_not_read_says_so() -> None:
    """The error stands where the text would, and the other provider's text beside it."""
    answer = PageAnswer(page=0, last_page=True)
    answer.error.code, answer.error.message = 14, "it is <gone>"
    page = compared(Feature.TEXT, {"one": record(lines_page("read")), "two": PageRecord.of("a.png", answer)}, None)
    markup = Markup(page_of(Feature.TEXT, page))
    assert "This page cannot be drawn." in markup.text_in("p")
    assert "not read: UNAVAILABLE: it is <gone>" in markup.text_in("p")
    assert "not read by two" in markup.text_in("td")


@pytest.mark.parametrize("count", [2, 8])
def test_every_provider_has_a_colour_of_its_own(count: int) -> None:
    """As many as can be compared are told apart, and each has a switch that hides its boxes."""
    names = tuple(f"provider{number}" for number in range(count))
    page = compared(Feature.TEXT, {name: record(lines_page(name)) for name in names}, None)
    html = page_of(Feature.TEXT, page, picture=Image.new("RGB", (30, 20)), providers=names)
    colours = {re.search(rf"\.p{number} {{ --box: (#\w+);", html)[1] for number in range(count)}  # type: ignore[index]
    assert len(colours) == count
    assert all(f"body:has(#show{number}:not(:checked)) svg .p{number}" in html for number in range(count))
