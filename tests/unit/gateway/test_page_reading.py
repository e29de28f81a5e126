"""Which way up a page stands, and in which order its lines are read: decided from figures alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.providers import page_turn
from ocr_gateway.providers.rapid_engine import join_large_text
from ocr_gateway.providers.reading_order import reading_order
from ocr_gateway.providers.writing import is_cjk, join_words


def line(left: float, top: float, width: float, height: float = 20.0) -> npt.NDArray[np.float64]:
    right, bottom = left + width, top + height
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


@given(st.integers(0, 7), st.integers(1, 50), st.integers(1, 50), st.data())
def test_points_come_back_from_a_turned_page(turn: int, width: int, height: int, data: st.DataObject) -> None:
    """A pixel is found again on the turned page, and the way back is exact."""
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    page = np.zeros((height, width), np.uint8)
    page[y, x] = 1
    rows, columns = np.nonzero(np.rot90(page, turn))
    centre = np.array([(columns[0] + 0.5, rows[0] + 0.5)])
    assert page_turn.to_given(centre, turn, width, height).tolist() == [[x + 0.5, y + 0.5]]
    assert page_turn.to_turned(np.array([(x + 0.5, y + 0.5)]), turn, width, height).tolist() == centre.tolist()


def boxes(*lines: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.array(lines, np.float32).reshape(-1, 4, 2)


def test_pieces_of_large_text_give_way_to_the_line() -> None:
    """What the reduced image shows as one line replaces its pieces, and no other box."""
    pieces = [line(100, 100, 500, 400), line(620, 180, 300, 320), line(400, 90, 60, 60)]
    caption = line(100, 600, 300, 30)
    whole_line = line(90, 95, 900, 410)
    joined = join_large_text(boxes(*pieces, caption), boxes(whole_line))
    assert joined.tolist() == boxes(caption, whole_line).tolist()


def test_small_lines_are_not_joined_to_a_large_one() -> None:
    """A paragraph that is one box on the reduced image stays a paragraph."""
    paragraph = [line(100, 100 + 40 * n, 600, 30) for n in range(6)]
    found = boxes(line(100, 400, 800, 300), *paragraph)
    assert join_large_text(found, boxes(line(95, 95, 610, 240))).tolist() == found.tolist()


def test_a_line_below_a_tilted_title_is_kept() -> None:
    """It lies in the title's upright extent, and not in the title."""
    title = np.array([(277, 315), (863, 240), (880, 372), (294, 447)], np.float64)
    below = np.array([(330, 460), (830, 396), (833, 424), (333, 488)], np.float64)
    piece = np.array([(300, 330), (560, 297), (575, 414), (315, 447)], np.float64)
    assert join_large_text(boxes(piece, below), boxes(title)).tolist() == boxes(below, title).tolist()


def test_large_text_that_was_missed_is_added() -> None:
    """A speck inside the line does not keep it out."""
    speck, missed = line(700, 500, 220, 147), line(40, 480, 1500, 520)
    assert join_large_text(boxes(speck), boxes(missed)).tolist() == boxes(missed).tolist()


def test_large_text_is_found_where_nothing_else_was() -> None:
    """An image on which the first look found nothing gets what the second one found."""
    nothing = np.zeros((0, 4, 2), np.float32)
    large = np.array([[[0, 0], [900, 0], [900, 300], [0, 300]]], np.float32)
    assert join_large_text(nothing, large).tolist() == large.tolist()
    assert join_large_text(nothing, nothing).tolist() == []


def test_what_the_reduced_image_does_not_show_is_kept() -> None:
    """No box is lost where the second look finds nothing."""
    found = boxes(line(100, 100, 500, 400), line(20, 20, 60, 20))
    assert join_large_text(found, boxes()).tolist() == found.tolist()


def test_a_line_that_gives_few_characters_is_little_evidence() -> None:
    """One sure character in a long line is what an upside-down line gives."""
    assert page_turn.evidence("a proper line of text", 0.98, 10.0) == 0.98
    assert page_turn.evidence("x", 0.98, 20.0) < 0.2
    assert page_turn.evidence("", 0.0, 20.0) == 0.0


def test_a_page_is_sideways_when_most_of_its_text_runs_down() -> None:
    """One spine label does not turn a page."""
    assert page_turn.is_sideways([True, True, False], [500, 400, 100])
    assert not page_turn.is_sideways([True, False, False], [300, 400, 400])
    assert not page_turn.is_sideways([], [])


def test_rows_are_read_from_left_to_right() -> None:
    """Lines on one row need not start at the same height."""
    lines = [line(300, 12, 100), line(20, 10, 100), line(20, 50, 400), line(160, 7, 100)]
    assert reading_order(lines) == [[1, 3, 0, 2]]


def test_a_stair_of_small_lines_is_not_one_row() -> None:
    """Rows are told by overlap, not by a number of pixels: lines 8 px apart stay apart."""
    lines = [line(200 - 40 * n, 8 * n, 100, 7) for n in range(5)]
    assert reading_order(lines) == [[0, 1, 2, 3, 4]]


def test_two_columns_under_a_title_are_read_one_after_the_other() -> None:
    """The title first, then the left column, then the right one, then what stands across the page below."""
    left = [line(20, 100 + 30 * n, 300) for n in range(6)]
    right = [line(360, 103 + 30 * n, 300) for n in range(6)]
    pairs = [corner for pair in zip(left, right, strict=True) for corner in pair]
    order = reading_order([line(20, 20, 640), *pairs, line(20, 400, 640)])
    assert order == [[0], [1, 3, 5, 7, 9, 11], [2, 4, 6, 8, 10, 12], [13]]


def test_a_table_is_read_row_by_row() -> None:
    """Short cells in columns are no running text."""
    cells = [line(20 + 220 * column, 30 * row, 60 + 10 * row) for row in range(8) for column in range(3)]
    assert reading_order(cells) == [list(range(24))]


def test_no_lines_have_no_order() -> None:
    """An empty page has no block."""
    assert reading_order([]) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["Total", "amount"], "Total amount"),
        (["价", "格"], "价格"),
        (["价格", "12", "元"], "价格 12 元"),
        (["カタ", "ひら"], "カタひら"),
        ([], ""),
    ],
)
def test_words_are_joined_as_their_script_does(words: list[str], text: str) -> None:
    """A blank between words, none between two CJK characters."""
    assert join_words(words) == text


def test_scripts_with_blanks_are_not_cjk() -> None:
    """Latin, Hangul and digits part their words."""
    assert [is_cjk(character) for character in "a한1é中の、"] == [False, False, False, False, True, True, True]
