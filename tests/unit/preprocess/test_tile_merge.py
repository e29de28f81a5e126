"""Answers for overlapping tiles of a page, made into one: nothing twice, nothing cut, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from google.rpc import status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrmux.ocr.v1 import document_pb2 as document
from ocrmux.ocr.v1 import geometry_pb2 as geometry
from ocrmux.ocr.v1 import recognition_pb2 as ocr
from preprocess_service.model import IDENTITY, Homography, NormalizedPage, PagePart, Size
from preprocess_service.polygons import shared_share
from preprocess_service.tile_merge.answers import merged_answer

Box = tuple[float, float, float, float]
WIDTH, HEIGHT = 400, 1000
TILES: tuple[Box, ...] = ((0, 0, 400, 400), (0, 300, 400, 700), (0, 600, 400, 1000))


def polygon(*corners: tuple[float, float]) -> geometry.Polygon:
    """An outline."""
    return geometry.Polygon(points=[geometry.Point(x=x, y=y) for x, y in corners])


def box(left: float, top: float, right: float, bottom: float) -> geometry.Polygon:
    """A box of four corners in reading order."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def line(text: str, *place: float, confidence: float | None = 0.9, words: bool = False) -> document.Line:
    """A line at left, top, right, bottom, or nowhere; its words share its place by their letters."""
    made = document.Line(text=text, confidence=confidence, polygon=box(*place) if place else None)
    if words and place:
        letter_px = (place[2] - place[0]) / len(text)
        at = 0
        for word in text.split():
            at = text.index(word, at)
            left = place[0] + at * letter_px
            right = left + len(word) * letter_px
            made.words.add(text=word, polygon=box(left, place[1], right, place[3]))
            at += len(word)
    return made


def page_of(*lines: document.Line, **fields: object) -> document.Page:
    """What was read on one tile, in one block where there are lines."""
    blocks = [document.Block(lines=lines)] if lines else []
    return document.Page(number=1, blocks=blocks, **fields)  # type: ignore[arg-type]


def merged(*pages: document.Page, tiles: Sequence[Box] = TILES, size: Size | None = None) -> ocr.PageAnswer:
    """The page's answer, of pages whose places are those of the whole page."""
    parts, answers = [], []
    for (left, top, right, bottom), page in zip(tiles, pages, strict=False):
        to_page = Homography((1, 0, left, 0, 1, top, 0, 0, 1))
        parts.append(PagePart(b"", "image/png", Size(round(right - left), round(bottom - top)), to_page))
        on_tile = document.Page()
        on_tile.CopyFrom(page)
        for each in all_polygons(on_tile):
            for point in each.points:
                point.x -= left
                point.y -= top
        answers.append(ocr.PageAnswer(document=document.Document(pages=[on_tile])))
    size = size or Size(WIDTH, HEIGHT)
    whole = NormalizedPage(1, 1, tuple(parts), size, size, IDENTITY, (), None, 1.0)
    return merged_answer(whole, list(zip(parts, answers, strict=True)))


def all_polygons(page: document.Page) -> list[geometry.Polygon]:
    """Every place on it."""
    lines = [line for block in page.blocks for line in block.lines]
    cells = [cell for table in page.tables for cell in table.cells]
    words = [word for line in lines for word in line.words]
    placed: list[Any] = [*page.blocks, *lines, *words, *page.tables, *cells, *page.fields]
    return [each.polygon for each in placed]


def texts(answer: ocr.PageAnswer) -> list[str]:
    """The lines of the merged page."""
    return [line.text for block in answer.document.pages[0].blocks for line in block.lines]


def test_a_line_in_the_overlap_is_given_once() -> None:
    """Of two whole copies that of the tile whose edge is farther is taken, at its place on the page."""
    answer = merged(
        page_of(line("top", 10, 10, 90, 30), line("twice above", 10, 310, 200, 330)),
        page_of(line("twice below", 10, 311, 200, 331), line("once", 10, 500, 90, 520)),
        page_of(line("end", 10, 900, 90, 920)),
    )
    assert texts(answer) == ["top", "twice above", "once", "end"]
    page = answer.document.pages[0]
    assert page.text == "top\ntwice above\nonce\nend"
    assert (page.size.width, page.size.height, len(page.blocks)) == (WIDTH, HEIGHT, 1)
    last = page.blocks[0].lines[-1].polygon.points
    assert [(point.x, point.y) for point in last] == [(10, 900), (90, 900), (90, 920), (10, 920)]


def test_a_cut_copy_gives_way_to_a_whole_one() -> None:
    """What an edge leaves of a line is dropped, also where it was read as something else."""
    answer = merged(
        page_of(line("above", 10, 285, 200, 306), line("^v^", 11, 388, 190, 400)),
        page_of(line("_._", 10, 300, 180, 306), line("whole", 10, 385, 200, 410)),
        tiles=TILES[:2],
        size=Size(400, 700),
    )
    assert texts(answer) == ["above", "whole"]


def test_a_copy_in_two_pieces_wins_or_loses_as_a_whole() -> None:
    """Where one tile reads a row as one line and the other as two, the words are neither doubled nor lost."""
    one = line("Total 12.00", 10, 340, 390, 360)
    two = [line("Total", 10, 340, 190, 360), line("12.00", 210, 340, 390, 360)]
    assert texts(merged(page_of(one), page_of(*two))) == ["Total 12.00"]
    late = [line("Total", 10, 360, 190, 380), line("12.00", 210, 360, 390, 380)]
    assert texts(merged(page_of(line("Total 12.00", 10, 360, 390, 380)), page_of(*late))) == ["Total", "12.00"]


def test_a_row_keeps_its_order_across_the_border() -> None:
    """Lines of one row that different tiles give, or that one tile missed, stand in the order of reading."""
    answer = merged(
        page_of(line("right", 210, 345, 390, 365), line("below", 10, 380, 90, 395)),
        page_of(line("missed above", 10, 320, 90, 340), line("left", 10, 346, 190, 366)),
    )
    assert texts(answer) == ["missed above", "left", "right", "below"]


def test_close_lines_are_not_taken_for_copies() -> None:
    """Neighbouring lines whose boxes overlap a little all stay."""
    above = [line("a", 10, 310, 200, 332), line("b", 10, 326, 200, 348)]
    below = [line("b", 10, 326, 200, 348), line("c", 10, 342, 200, 364)]
    assert texts(merged(page_of(*above), page_of(*below))) == ["a", "b", "c"]


def slanted(text: str, left: float, top: float, right: float, fall: float, height: float = 20) -> document.Line:
    """A line that falls to the right by ``fall`` a pixel."""
    down = (right - left) * fall
    corners = ((left, top), (right, top + down), (right, top + down + height), (left, top + height))
    return document.Line(text=text, polygon=polygon(*corners))


def test_aslant_lines_are_told_apart_by_their_outlines() -> None:
    """On a skewed page, where upright boxes of neighbouring lines cover each other, each line is given once."""
    rows = [slanted(str(number), 10, 310 + 25 * number, 390, -0.1) for number in range(4)]
    above, below = [slanted("0", 10, 310, 390, -0.1), *rows[1:3]], rows[2:]
    assert texts(merged(page_of(*above), page_of(*below))) == ["0", "1", "2", "3"]


WIDE = ((0.0, 0.0, 400.0, 100.0), (300.0, 0.0, 700.0, 100.0), (600.0, 0.0, 1000.0, 100.0))


@pytest.mark.parametrize("words", [True, False])
def test_a_line_that_runs_over_the_edges_is_joined(words: bool) -> None:
    """A line whole on no tile is made of its pieces, its common part once, with all of its words and one outline."""
    answer = merged(
        page_of(line("the quick brown fo", 10, 40, 400, 60, words=words)),
        page_of(line("n fox jumps over t", 300, 40, 700, 60, words=words)),
        page_of(line("r the lazy dog", 600, 40, 950, 60, words=words)),
        tiles=WIDE,
        size=Size(1000, 100),
    )
    (made,) = answer.document.pages[0].blocks[0].lines
    assert made.text.replace(" ", "") == "thequickbrownfoxjumpsoverthelazydog"
    assert [(point.x, point.y) for point in made.polygon.points] == [(10, 40), (950, 40), (950, 60), (10, 60)]
    if words:
        assert made.text == "the quick brown fox jumps over the lazy dog"
        assert [word.text for word in made.words] == made.text.split()


def test_a_line_that_leaves_the_overlap_aslant_is_joined() -> None:
    """On a tall skewed page a line whose ends lie on two tiles is one line from end to end."""
    answer = merged(
        page_of(slanted("one two three", 0, 280, 312, 0.32)),
        page_of(slanted("e two three four", 62, 300, 400, 0.32)),
    )
    assert texts(answer) == ["one two three four"]


def test_lines_without_places_are_matched_by_text() -> None:
    """What ends one tile's text and begins the next one's is given once, cut lines beside it not at all."""
    answer = merged(
        page_of(line("a"), line("b"), line("c  1"), line("c|_1t")),
        page_of(line("^^"), line("c 1"), line("cut"), line("d")),
        page_of(line("e")),
    )
    assert texts(answer) == ["a", "b", "c  1", "cut", "d", "e"]


def test_blocks_that_share_a_line_are_one() -> None:
    """A paragraph over a border is one block with an outline around it; the others stay by themselves."""
    shared = line("shared", 10, 340, 200, 360)
    upper = document.Page(
        blocks=[
            document.Block(lines=[line("head", 10, 10, 90, 30)], polygon=box(5, 5, 95, 35)),
            document.Block(lines=[line("begin", 10, 310, 200, 330), shared], polygon=box(10, 310, 200, 360)),
        ]
    )
    lower = document.Page(
        blocks=[
            document.Block(lines=[shared, line("end", 10, 410, 210, 430)], polygon=box(10, 340, 210, 430)),
            document.Block(lines=[line("foot", 10, 650, 90, 670)]),
        ]
    )
    blocks = merged(upper, lower, tiles=TILES[:2], size=Size(400, 700)).document.pages[0].blocks
    assert [[line.text for line in block.lines] for block in blocks] == [["head"], ["begin", "shared", "end"], ["foot"]]
    assert blocks[0].polygon == box(5, 5, 95, 35)
    assert blocks[1].polygon == box(10, 310, 210, 430)


def test_the_pages_confidence_weighs_its_lines_by_length() -> None:
    """It is made anew of the lines that are left, and absent where none states one."""
    answer = merged(
        page_of(line("ab", 0, 0, 9, 9, confidence=0.5), languages=["de", "en"]),
        page_of(line("abcdef", 0, 500, 9, 509, confidence=0.9), line("x", 0, 520, 9, 529, confidence=None)),
        page_of(languages=["en", "zh"]),
    )
    assert answer.document.pages[0].confidence == pytest.approx(0.8)
    assert list(answer.document.pages[0].languages) == ["de", "en", "zh"]
    assert not merged(page_of(), page_of()).document.pages[0].HasField("confidence")


def table(top: float, rows: Sequence[str], *, columns: int = 2) -> document.Table:
    """A table whose rows are 40 px high; each cell has its row's word and its column."""
    cells = [
        document.Cell(
            row=row,
            column=column,
            row_span=1,
            column_span=1,
            text=f"{word}{column}",
            polygon=box(column * 100, top + 40 * row, column * 100 + 100, top + 40 * row + 40),
        )
        for row, word in enumerate(rows)
        for column in range(columns)
    ]
    return document.Table(
        polygon=box(0, top, 100 * columns, top + 40 * len(rows)),
        row_count=len(rows),
        column_count=columns,
        cells=cells,
        confidence=0.8,
    )


def test_a_table_over_a_border_is_joined() -> None:
    """Its rows come once, of a row that an edge cuts the whole copy, numbered through over three tiles."""
    answer = merged(
        page_of(tables=[table(200, ["a", "b", "c", "d", "cut"])]),
        page_of(tables=[table(320, ["d*", "e", "f", "g", "h", "i", "j", "k", "l"])]),
        page_of(tables=[table(600, ["k*", "l", "m"])]),
    )
    (made,) = answer.document.pages[0].tables
    assert (made.row_count, made.column_count) == (13, 2)
    assert made.confidence == pytest.approx(0.8)
    firsts = [cell.text for cell in made.cells if cell.column == 0]
    assert firsts == ["a0", "b0", "c0", "d0", "e0", "f0", "g0", "h0", "i0", "j0", "k0", "l0", "m0"]
    assert [cell.row for cell in made.cells if cell.column == 1] == list(range(13))
    assert made.polygon == box(0, 200, 200, 720)


def test_tables_that_cannot_be_joined_are_not_doubled() -> None:
    """Of two readings of one table with other columns the fuller one stays; tables apart both stay."""
    answer = merged(
        page_of(tables=[table(20, ["x"]), table(310, ["a", "b"], columns=1)]),
        page_of(tables=[table(310, ["a", "b"], columns=2)]),
    )
    assert [(made.row_count, made.column_count) for made in answer.document.pages[0].tables] == [(1, 2), (2, 2)]


def field(name: str, value: str, confidence: float, check: int = document.CHECK_DIGIT_UNSPECIFIED) -> document.Field:
    """A named field."""
    return document.Field(
        name=name,
        raw_value=value,
        normalized_value=value,
        confidence=confidence,
        check_digit=check,  # type: ignore[arg-type]
    )


def test_of_a_field_read_twice_the_surer_one_is_given() -> None:
    """A check digit that holds says more than confidence; what one tile gives twice is two."""
    answer = merged(
        page_of(fields=[field("name", "LI", 0.7), field("number", "1", 0.9, document.CHECK_DIGIT_INVALID)]),
        page_of(fields=[field("name", "LI MING", 0.8), field("number", "7", 0.6, document.CHECK_DIGIT_VALID)]),
        page_of(fields=[field("stamp", "A", 0.8), field("stamp", "B", 0.8)]),
    )
    given = [(each.name, each.raw_value) for each in answer.document.pages[0].fields]
    assert given == [("name", "LI MING"), ("number", "7"), ("stamp", "A"), ("stamp", "B")]


def answer_of(cache: str, *, total_ms: float, **fields: object) -> ocr.PageAnswer:
    """An answer for a tile."""
    return ocr.PageAnswer(
        document=document.Document(pages=[document.Page()]),
        raw_response=b"{}",
        provenance=ocr.Provenance(
            cache=ocr.CacheOutcome.Value(f"CACHE_OUTCOME_{cache}"),
            timings=ocr.Timings(total_ms=total_ms, provider_ms=total_ms / 2, queue_ms=1 / total_ms),
            **fields,  # type: ignore[arg-type]
        ),
    )


def parts_of(count: int) -> tuple[NormalizedPage, tuple[PagePart, ...]]:
    """A page of so many tiles."""
    parts = tuple(
        PagePart(b"", "image/png", Size(400, 400), Homography((1, 0, 0, 0, 1, 300.0 * number, 0, 0, 1)))
        for number in range(count)
    )
    size = Size(400, 1000)
    return NormalizedPage(1, 1, parts, size, size, IDENTITY, (), None, 1.0), parts


def test_what_was_spent_is_summed_and_the_times_are_the_slowest_tiles() -> None:
    """Calls and units add up; tiles are read side by side; the outcome is the dearest."""
    page, parts = parts_of(3)
    passed = ocr.Fallback(provider="x", reason="PROVIDER_QUOTA")
    answers = [
        answer_of("MEMORY", total_ms=1),
        answer_of("MISS", total_ms=80, provider="y", model="2", attempts=2, billed_units=1.5, fallbacks=[passed]),
        answer_of("STORE", total_ms=5, provider="y", model="2", attempts=1, billed_units=1.0, fallbacks=[passed]),
    ]
    for number, cost in ((1, 0.75), (2, 0.5)):
        answers[number].provenance.cost, answers[number].provenance.currency = cost, "CNY"
    answer = merged_answer(page, list(zip(parts, answers, strict=True)))
    told = answer.provenance
    assert (told.provider, told.model, told.attempts, told.billed_units) == ("y", "2", 3, 2.5)
    assert (told.cost, told.currency) == (1.25, "CNY")
    assert (told.cache, list(told.fallbacks)) == (ocr.CACHE_OUTCOME_MISS, [passed])
    assert (told.timings.total_ms, told.timings.provider_ms, told.timings.queue_ms) == (80, 40, 1 / 80)
    assert answer.raw_response == b"{}\n{}\n{}"


def test_a_tiles_error_is_the_pages() -> None:
    """Nothing half is given, and what the others cost is told."""
    page, parts = parts_of(2)
    bad = ocr.PageAnswer(error=status_pb2.Status(code=14, message="gone"), provenance=ocr.Provenance(attempts=3))
    good = answer_of("MISS", total_ms=2, attempts=1, billed_units=1.0)
    answer = merged_answer(page, list(zip(parts, (good, bad), strict=True)))
    assert (answer.WhichOneof("outcome"), answer.error.message) == ("error", "gone")
    assert (answer.provenance.attempts, answer.provenance.billed_units) == (4, 1.0)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(8, 30), st.integers(2, 25), st.integers(1, 3)), min_size=1, max_size=25),
    overlap=st.integers(60, 140),
    tile_height=st.integers(290, 400),
    jitter=st.floats(-1.5, 1.5),
)
def test_every_line_comes_once_and_whole_whatever_the_cuts(
    rows: list[tuple[int, int, int]], overlap: int, tile_height: int, jitter: float
) -> None:
    """Lines of any height below half the overlap, cut wherever the tiles end: each comes once, whole and in order."""
    whole: list[tuple[str, Box]] = []
    y = 3.0
    for height, gap, columns in rows:
        wide = 380 / columns
        for column in range(columns):
            left = 10 + column * wide
            whole.append((f"{len(whole)}", (left, y, left + wide - 8, y + height)))
        y += height + gap
    bottom = max(y, float(tile_height))
    tiles: list[Box] = []
    top = 0.0
    while True:
        tiles.append((0.0, top, 400.0, min(bottom, top + tile_height)))
        if top + tile_height >= bottom:
            break
        top += tile_height - overlap
    pages = []
    for index, (_, top, _, end) in enumerate(tiles):
        lines = []
        for text, (left, line_top, right, line_bottom) in whole:
            if line_bottom > top + 1 and line_top < end - 1:
                cut_top, cut_bottom = max(line_top, top), min(line_bottom, end)
                is_whole = (cut_top, cut_bottom) == (line_top, line_bottom)
                moved = jitter if is_whole and index % 2 and top + 2 < line_top and line_bottom < end - 2 else 0.0
                lines.append(line(text if is_whole else "?", left, cut_top + moved, right, cut_bottom + moved))
        pages.append(page_of(*lines))
    answer = merged(*pages, tiles=tiles, size=Size(400, round(bottom)))
    assert texts(answer) == [text for text, _ in whole]


def test_outlines_share_what_they_have_in_common() -> None:
    """As a share of the smaller one, whichever way round their corners run."""
    square = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))
    inner = ((1.0, 1.0), (1.0, 2.0), (2.0, 2.0), (2.0, 1.0))
    diamond = ((2.0, 0.0), (4.0, 2.0), (2.0, 4.0), (0.0, 2.0))
    assert shared_share(square, inner) == pytest.approx(1.0)
    assert shared_share(square, diamond) == pytest.approx(0.5)
    assert shared_share(square, ((5.0, 5.0), (6.0, 5.0), (6.0, 6.0))) == 0.0
    assert shared_share(square, ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0))) == 0.0
