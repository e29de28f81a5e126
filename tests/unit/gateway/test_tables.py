"""Tables from pixels and lines, without an engine: what is found, and that nothing found costs more than its bounds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ocr_gateway.model import Line, Table, Word
from ocr_gateway.tables.finder import find_tables
from tests.fakes.table_lines import Box, box_polygon, lines_as_drawn
from tests.fakes.table_score import Score, cell_score, structure_score
from tests.fakes.tables import DrawnText, DrawnWord, TablePage, missing_fonts, table_page

needs_fonts = pytest.mark.skipif(bool(missing_fonts()), reason=f"not installed: {' '.join(missing_fonts())}")
PATIENCE_S = 20.0


def said(text: str, left: float, top: float, height: float = 20.0) -> DrawnText:
    """A line whose characters are each half as wide as high, one word for each run."""
    words, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        box: Box = (left + at * height / 2, top, left + (at + len(word)) * height / 2, top + height)
        words.append(DrawnWord(word, box))
        at += len(word)
    return DrawnText(text, tuple(words))


def white(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((height, width, 3), 255, np.uint8)


def grid_of(table: Table) -> list[tuple[int, int, int, int, str]]:
    return [(c.row, c.column, c.row_span, c.column_span, c.text) for c in table.cells]


def frame(page: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], xs: Sequence[int], ys: Sequence[int]) -> None:
    for y in ys:
        page[y : y + 2, xs[0] : xs[-1] + 2] = 0
    for x in xs:
        page[ys[0] : ys[-1] + 2, x : x + 2] = 0


@needs_fonts
@pytest.mark.parametrize(("ruled", "least"), [(True, 0.99), (False, 0.97)])
def test_tables_that_no_rule_was_fitted_to(ruled: bool, least: float) -> None:
    """On thirty further pages, read without a fault, nearly all cells are right."""
    score = Score()
    for seed in range(3000, 3030):
        drawn = table_page(seed, ruled=ruled)
        score += cell_score(drawn, find_tables(drawn.pixels, lines_as_drawn(drawn.lines)))
    assert score.f1 >= least


@needs_fonts
@pytest.mark.parametrize("degrees", [-7.0, 2.5, 90.0, 181.0])
@pytest.mark.parametrize("ruled", [True, False])
def test_a_tilted_table_is_found(degrees: float, ruled: bool) -> None:
    """Whatever the text's direction, cells are the same and their polygons lie on the image as it is."""
    drawn = table_page(3 if ruled else 5, ruled=ruled)
    pixels, lines = tilted(drawn, degrees)
    tables = find_tables(pixels, lines)
    assert cell_score(drawn, tables).f1 == 1
    words = {line.text: line.words[0].polygon for line in lines}
    seen = Counter(line.text for line in lines)
    for cell in (cell for table in tables for cell in table.cells if seen[cell.text] == 1):
        assert cell.polygon is not None
        (x0, y0), (x1, y1), (x2, y2), _ = cell.polygon
        for x, y in words[cell.text]:
            across, down = (x1 - x0, y1 - y0), (x2 - x1, y2 - y1)
            for (u, v), (a, b) in ((across, (x - x0, y - y0)), (down, (x - x1, y - y1))):
                assert -0.05 <= (u * a + v * b) / (u * u + v * v) <= 1.05


def tilted(drawn: TablePage, degrees: float) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], list[Line]]:
    """The page turned counter-clockwise about its middle, with its lines."""
    image = Image.fromarray(drawn.pixels)
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255))
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))

    def moved(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
        offsets = [(x - image.width / 2, y - image.height / 2) for x, y in points]
        return tuple((c * u + s * v + turned.width / 2, -s * u + c * v + turned.height / 2) for u, v in offsets)

    lines = [
        Line(
            line.text,
            line.confidence,
            moved(line.polygon or ()),
            tuple(Word(word.text, word.confidence, moved(word.polygon)) for word in line.words),
        )
        for line in lines_as_drawn(drawn.lines)
    ]
    return np.asarray(turned), lines


def test_a_line_across_a_rule_is_cut_at_the_rule() -> None:
    """What the engine read as one line, and even as one word, goes to the cells that it stands in."""
    page = white(420, 160)
    frame(page, (20, 134, 400), (20, 80, 140))
    lines = lines_as_drawn([said("left side right one", 40, 40), said("12345678|12345678", 50, 100)])
    (table,) = find_tables(page, lines)
    assert grid_of(table) == [
        (0, 0, 1, 1, "left side"),
        (0, 1, 1, 1, "right one"),
        (1, 0, 1, 1, "12345678"),
        (1, 1, 1, 1, "12345678"),
    ]


def test_two_tables_and_the_text_between_stay_apart() -> None:
    """Each table has its own cells; text outside is in none of them; tables come from the top to the bottom."""
    page = white(500, 600)
    frame(page, (20, 200, 400), (20, 80, 140))
    frame(page, (20, 200, 400), (420, 480, 540))
    texts = [said("one", 40, 40), said("two", 220, 40), said("between the tables", 40, 260), said("three", 40, 440)]
    first, second = find_tables(page, lines_as_drawn(texts))
    assert [cell.text for cell in first.cells] == ["one", "two", "", ""]
    assert [cell.text for cell in second.cells] == ["three", "", "", ""]
    assert first.cells[2].confidence is None
    assert first.confidence == pytest.approx(0.9)


def test_sides_that_are_not_drawn_are_where_the_rules_end() -> None:
    """A table without rules at its left and right has its outer columns all the same."""
    page = white(620, 200)
    for y in (20, 80, 140):
        page[y : y + 2, 20:600] = 0
    for x in (200, 400):
        page[20:142, x : x + 2] = 0
    texts = [
        said(text, x, y) for y, row in ((40, "abc"), (100, "def")) for x, text in zip((60, 260, 460), row, strict=True)
    ]
    (table,) = find_tables(page, lines_as_drawn(texts))
    assert [(cell.column, cell.text) for cell in table.cells] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
        (0, "d"),
        (1, "e"),
        (2, "f"),
    ]


def test_columns_inside_a_frame_come_from_the_blanks() -> None:
    """A box with rules between its rows only still has columns."""
    page = white(620, 260)
    frame(page, (20, 600), (20, 80, 140, 200))
    texts = [said(word, x, y) for y in (40, 100, 160) for x, word in ((40, "name"), (250, "12.50"), (450, "remark"))]
    (table,) = find_tables(page, lines_as_drawn(texts))
    assert (table.row_count, table.column_count) == (3, 3)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [said("alone", 40, 40)],
        [said(f"line {number} of a paragraph that runs on", 40, 40 + 30 * number) for number in range(12)],
        [said("a column of running text that goes", x, 40 + 28 * n) for n in range(15) for x in (20, 420)],
    ],
    ids=["nothing", "one line", "a paragraph", "two columns"],
)
def test_text_is_no_table(texts: list[DrawnText]) -> None:
    """No table is made of running text."""
    assert find_tables(white(800, 600), lines_as_drawn(texts)) == ()


def test_a_frame_is_no_table() -> None:
    """One cell does not make a table."""
    page = white(400, 200)
    frame(page, (20, 380), (20, 180))
    assert find_tables(page, lines_as_drawn([said("in a frame", 60, 60), said("of its own", 60, 110)])) == ()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 3), (30_000, 4)])
def test_tiny_images(size: tuple[int, int]) -> None:
    """Images too small for a table have none."""
    width, height = size
    assert find_tables(white(width, height), lines_as_drawn([said("x", 0, 0, min(height, 20))])) == ()


def test_squared_paper_with_a_note_is_no_table() -> None:
    """Of hundreds of squares next to none hold text; with text in more of them they are cells."""
    page = white(700, 700)
    edges = range(20, 681, 30)
    frame(page, edges, edges)
    note = [said("ab", 202, 205, 16)]
    assert find_tables(page, lines_as_drawn(note)) == ()
    rows = [said("ab", 22 + 30 * n, 25 + 30 * n, 16) for n in range(22)]
    assert find_tables(page, lines_as_drawn(rows))


def test_lines_through_large_text_are_no_rules() -> None:
    """Lined paper on which is written across the lines has no rows."""
    page = white(700, 460)
    frame(page, (20, 340, 660), range(20, 440, 40))
    written = [said("large", 40, top, 70) for top in (65, 225)]
    assert find_tables(page, lines_as_drawn(written)) == ()


def test_a_caller_that_has_left_ends_the_search() -> None:
    """The worker asks between the steps: before the rules are looked for, and after."""
    page, lines = white(400, 300), lines_as_drawn([said("one word", 40, 100, 14)])
    looks = []
    find_tables(page, lines, lambda: looks.append(1))
    assert len(looks) >= 2

    def gone() -> None:
        raise RuntimeError("nobody waits")

    with pytest.raises(RuntimeError, match="nobody waits"):
        find_tables(page, lines, gone)


def test_rules_without_text_make_no_table() -> None:
    """An empty form is not read: there is no text that says how large rows are."""
    page = white(400, 300)
    frame(page, (20, 200, 380), (20, 100, 200, 280))
    assert find_tables(page, []) == ()
    assert find_tables(page, lines_as_drawn([said("below", 40, 285, 14)])) == ()


def test_a_mesh_of_thousands_of_rules_takes_bounded_time() -> None:
    """Neither a mesh as fine as can be, nor stripes, nor noise, nor a large sheet costs more than seconds."""
    rng = np.random.default_rng(7)
    mesh, stripes = white(2400, 2400), white(2400, 2400)
    mesh[::8] = 0
    mesh[:, ::8] = 0
    stripes[::4] = 0
    sheet = white(3000, 2400)
    sheet[::30] = 0
    sheet[:, ::30] = 0
    noise = rng.integers(0, 256, (2400, 2400, 3), np.uint8)
    pieces = (rng.random((400, 240)) < 0.5).repeat(10, 0).repeat(10, 1)[:2400, :2400, None]
    bars = np.where(pieces & (np.arange(2400) % 10 < 2)[None, :, None], 0, 255).astype(np.uint8).repeat(3, 2)
    lines = lines_as_drawn([said("text", 12 + 90 * (n % 20), 12 + 90 * (n // 20), 12) for n in range(400)])
    for page in (mesh, stripes, sheet, noise, bars):
        before = time.process_time()
        find_tables(page, lines)
        assert time.process_time() - before < PATIENCE_S


def test_a_page_as_large_as_may_be_takes_bounded_memory() -> None:
    """64 megapixels are looked at as a smaller copy."""
    page = np.broadcast_to(np.uint8(255), (8000, 8000, 3))
    before = time.process_time()
    lines = lines_as_drawn([said("a b", 100 * n, 4000, 60) for n in range(20)])
    assert find_tables(page, lines) == ()
    assert time.process_time() - before < PATIENCE_S


@pytest.mark.parametrize("count", [1_900, 20_000])
def test_thousands_of_scattered_words_take_bounded_time(count: int) -> None:
    """Words strewn over a page cost no more than seconds, whether or not they look like a table."""
    rng = np.random.default_rng(3)
    places = zip(rng.uniform(0, 2300, count), rng.uniform(0, 2380, count), strict=True)
    lines = lines_as_drawn([said("word", float(x), float(y), 12) for x, y in places])
    before = time.process_time()
    find_tables(white(2400, 2400), lines)
    assert time.process_time() - before < PATIENCE_S / 4


def test_lines_without_places_are_left_out() -> None:
    """Lines that have no polygon, or one without extent, do no harm."""
    nowhere, point = Line("lost", 0.5, None), box_polygon((5, 5, 5, 5))
    assert (
        find_tables(white(300, 300), [nowhere, Line("dot", None, point), Line("", 0.1, box_polygon((1, 1, 9, 9)))])
        == ()
    )


@needs_fonts
def test_the_score_counts_what_is_wrong() -> None:
    """A missed table, a wrong text or span, and a table too many each cost what they should; empty cells nothing."""
    drawn = table_page(1, ruled=True)
    (right,) = find_tables(drawn.pixels, lines_as_drawn(drawn.lines))
    texts = sum(bool(cell.text) for cell in drawn.cells)
    assert len(right.cells) > texts  # some cells are empty
    assert cell_score(drawn, [right]) == Score(texts, texts, texts)
    assert cell_score(drawn, []) == Score(texts, 0, 0)
    assert cell_score(drawn, [right, replace(right, cells=right.cells[:1])]) == Score(texts, texts + 1, texts)
    first, *others = right.cells
    other_text = replace(right, cells=(replace(first, text="?"), *others))
    assert cell_score(drawn, [other_text]).agreed == texts - 1
    assert structure_score(drawn, [other_text]).agreed == texts
    wider = replace(right, cells=(replace(first, column_span=first.column_span + 1), *others))
    assert structure_score(drawn, [wider]).agreed == texts - 1
