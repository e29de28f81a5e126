"""Answers of which more was read than was asked for, kept to the regions."""

from __future__ import annotations

import pytest

from ocrmux.ocr.v1 import document_pb2 as document
from preprocess_service.tile_merge.confinement import confined
from preprocess_service.tile_merge.outlines import polygon_around

REGIONS = [(0.0, 100.0, 300.0, 120.0), (0.0, 500.0, 300.0, 520.0)]


def line(text: str, top: float | None, confidence: float | None = 0.9) -> document.Line:
    """A line 20 px high, or one without a place."""
    place = None if top is None else polygon_around((10, top, 200, top + 20))
    return document.Line(text=text, polygon=place, confidence=confidence)


def test_only_what_lies_in_a_region_stays() -> None:
    """By its middle: lines, tables and fields; text, confidence and outlines follow; an empty block goes."""
    page = document.Page(
        number=1,
        text="all of it",
        confidence=0.1,
        languages=["en"],
        blocks=[
            document.Block(
                lines=[line("above", 80), line("in", 104, 0.8), line("grazed", 111)],
                polygon=polygon_around((10, 80, 200, 131)),
            ),
            document.Block(lines=[line("far", 300)], polygon=polygon_around((10, 300, 200, 320))),
            document.Block(lines=[line("there", 500, 0.7)], polygon=polygon_around((5, 495, 205, 525))),
        ],
        tables=[document.Table(polygon=polygon_around((0, top, 100, top + 10))) for top in (105, 300)],
        fields=[document.Field(name="in", polygon=polygon_around((0, 505, 9, 509))), document.Field(name="nowhere")],
    )
    kept = confined(page, REGIONS)
    assert [[each.text for each in block.lines] for block in kept.blocks] == [["in"], ["there"]]
    assert kept.text == "in\nthere"
    assert kept.confidence == pytest.approx((0.8 * 2 + 0.7 * 5) / 7)
    assert kept.blocks[0].polygon == polygon_around((10, 104, 200, 124))
    assert kept.blocks[1].polygon == page.blocks[2].polygon
    assert ([table.polygon.points[0].y for table in kept.tables], list(kept.languages)) == ([105], ["en"])
    assert [field.name for field in kept.fields] == ["in", "nowhere"]
    assert page.text == "all of it"


def test_lines_without_a_place_stay() -> None:
    """A provider that gives none cannot be held to the regions; nothing is lost by it."""
    page = document.Page(blocks=[document.Block(lines=[line("somewhere", None, None), line("out", 300)])])
    kept = confined(page, REGIONS)
    assert (kept.text, kept.HasField("confidence")) == ("somewhere", False)


def test_of_a_line_that_runs_out_of_the_region_its_words_there_stay() -> None:
    """A column keeps its words with what stands between them, whatever else the row held, and an outline of its own."""
    words = [("Milk", 10, 60), ("1", 100, 110), ("x", 115, 125), ("2.50", 200, 240), ("EUR", 250, 290)]
    row = document.Line(text="Milk 1x 2.50  EUR", polygon=polygon_around((10, 100, 290, 120)), confidence=0.9)
    for text, left, right in words:
        row.words.add(text=text, polygon=polygon_around((left, 100, right, 120)))
    page = document.Page(blocks=[document.Block(lines=[row])])

    def texts(*columns: tuple[float, float]) -> list[str]:
        kept = confined(page, [(left, 0, right, 500) for left, right in columns])
        return [line.text for block in kept.blocks for line in block.lines]

    assert texts((0, 300)) == ["Milk 1x 2.50  EUR"]
    assert texts((190, 300)) == ["2.50  EUR"]
    assert texts((90, 130)) == ["1x"]
    assert texts((0, 70), (190, 245)) == ["Milk 2.50"]
    assert texts((130, 190)) == []
    (line,) = confined(page, [(190, 0, 300, 500)]).blocks[0].lines
    assert (line.polygon, [word.text for word in line.words]) == (polygon_around((200, 100, 290, 120)), ["2.50", "EUR"])
    assert line.confidence == pytest.approx(0.9)


def test_where_nothing_lies_in_a_region_nothing_is_left() -> None:
    """The page is empty then, without a confidence."""
    kept = confined(document.Page(blocks=[document.Block(lines=[line("out", 300)])], confidence=0.9), REGIONS)
    assert (len(kept.blocks), kept.text, kept.HasField("confidence")) == (0, "", False)
