"""The quality corpus and its measure."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.quality import wear
from tests.quality.corpus import CLASSES, PAGES_A_CLASS, make_page, moved
from tests.quality.document import with_figures
from tests.quality.error_rate import character_error_rate, edit_distance
from tests.quality.figures import means, verdicts
from tests.quality.textbook import textbook_page
from tests.quality.trial import Score
from tests.quality.typesetting import Points, Typography, missing_packages, wrapped

needs_fonts = pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {' '.join(missing_packages())}")


def _slow_distance(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


@settings(deadline=None)
@given(st.text("ab中", max_size=12), st.text("ab中", max_size=12))
def test_edit_distance_is_levenshteins(first: str, second: str) -> None:
    """The fast distance is the textbook's."""
    assert edit_distance(first, second) == _slow_distance(first, second)


def test_error_rate_folds_widths_and_blanks() -> None:
    """Blanks and full-width forms are no errors; a wrong, a missing and an added character are one each."""
    assert character_error_rate("电话：010 12", "电话: 01012") == 0
    assert character_error_rate("abcd", "abxd") == 0.25
    assert character_error_rate("abcd", "abd") == 0.25
    assert character_error_rate("abcd", "abccd") == 0.25
    assert character_error_rate("ab", "xyzxy") == 2.5
    with pytest.raises(ValueError, match="no text"):
        character_error_rate(" \n", "a")


def test_corpus_is_large_enough() -> None:
    """At least 60 pages, mild and hard."""
    assert len(CLASSES) * PAGES_A_CLASS >= 60
    assert {page_class.hard for page_class in CLASSES.values()} == {False, True}


@needs_fonts
@pytest.mark.parametrize("kind", ["clean150", "dpi72"])
def test_corpus_is_the_same_again(kind: str) -> None:
    """A page depends on its seed, class and number alone."""
    first, again = make_page(kind, 1), make_page(kind, 1)
    assert first.content == again.content
    assert first.text == again.text
    assert make_page(kind, 2).content != first.content
    assert make_page(kind, 1, seed=5).content != first.content


@needs_fonts
@pytest.mark.parametrize("kind", ["skew", "turns", "dpi50", "phone_hard"])
def test_lines_lie_in_the_image(kind: str) -> None:
    """Each page has 8 to 12 lines, and their corners lie in the image that is given."""
    page = make_page(kind, 0)
    with Image.open(io.BytesIO(page.content)) as image:
        size = image.size
    assert 8 <= len(page.lines) <= 12
    corners = np.concatenate([line.corners for line in page.lines])
    assert (corners >= 0).all()
    assert (corners <= size).all()


@needs_fonts
def test_lines_lie_where_the_ink_is() -> None:
    """On a turned page, the ink within 2 px round a line's corners is the line's, and there is some."""
    page = make_page("skew12", 0)
    with Image.open(io.BytesIO(page.content)) as image:
        dark = np.argwhere(np.asarray(image.convert("L")) < 128)[:, ::-1] + 0.5
    to_page: Points = np.linalg.inv(page.to_given).astype(np.float64)
    back = moved(dark.astype(np.float64), to_page)
    boxes = [moved(line.corners, to_page) for line in page.lines]
    inside = [((back >= box.min(axis=0) - 2) & (back <= box.max(axis=0) + 2)).all(axis=1) for box in boxes]
    assert np.any(inside, axis=0).all()
    assert all(of_line.sum() > 50 for of_line in inside)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_move_points_with_pixels(quarters: int) -> None:
    """A marked pixel's centre is where the matrix says."""
    pixels = np.zeros((5, 9, 3), np.uint8)
    pixels[1, 6] = 255
    turned, matrix = wear.quarter_turned(pixels, quarters)
    row, column = np.argwhere(turned[:, :, 0] == 255)[0]
    assert moved(np.array([[6.5, 1.5]]), matrix)[0] == pytest.approx([column + 0.5, row + 0.5])


@needs_fonts
def test_paragraphs_keep_their_text() -> None:
    """Wrapping loses no character and begins no line with closing punctuation."""
    look = Typography("mixed", 200, 10, 200, 9, serif=False)
    text = "请将本品存放在 cool dry place 的地方，避免阳光直接照射；开封后请尽快食用。"
    lines = wrapped(text, look, 300.0)
    assert len(lines) > 3
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(line[0] not in "，。；" for line in lines)


def test_textbook_page_is_squeezed_and_two_tone() -> None:
    """The textbook recipe gives 1200 x 800 pixels of black and white."""
    out = io.BytesIO()
    Image.fromarray(np.linspace(0, 255, 300, dtype=np.uint8).reshape(10, 30)).save(out, "PNG")
    with Image.open(io.BytesIO(textbook_page(out.getvalue()))) as image:
        assert image.size == (1200, 800)
        assert set(np.unique(np.asarray(image.convert("L")))) == {0, 255}


def _score(kind: str, subject: str, rate: float, engine: str = "rapidocr") -> Score:
    return Score(kind, "0", engine, subject, rate, 0.0, "", "", "")


def test_verdicts_take_the_worst_mild_class_and_the_hard_mean() -> None:
    """A mild class worse by more than 0.1 points misses the goal, and so does a hard mean above half of none's."""
    scores = [
        *(_score("clean150", "none", 0.0), _score("clean150", "auto", 0.002)),
        *(_score("skew", "none", 0.0), _score("skew", "auto", 0.0005)),
        *(_score("phone", "none", 0.4), _score("phone", "auto", 0.2)),
    ]
    table = means(scores, "rapidocr")
    assert table["mild", "auto"] == pytest.approx(0.125)
    mild, hard, each = verdicts(table, "rapidocr", "auto")
    assert not mild.reached
    assert "clean150" in mild.figure
    assert hard.reached
    assert each.reached
    assert verdicts(table, "rapidocr", "none") == []


def test_tesseracts_goal_is_a_quarter() -> None:
    """Tesseract's goal is over all classes."""
    scores = [_score("clean150", "none", 0.4, "tesseract"), _score("clean150", "auto", 0.11, "tesseract")]
    (verdict,) = verdicts(means(scores, "tesseract"), "tesseract", "auto")
    assert not verdict.reached


def test_figures_take_the_place_of_the_old_ones() -> None:
    """Only what stands between the marks changes, so that writing twice is the same as once."""
    text = "# Title\n\n<!-- figures: begin -->\nold\n<!-- figures: end -->\n\nThe rest.\n"
    new = with_figures(text, ["| a |", "|---|"])
    assert new == "# Title\n\n<!-- figures: begin -->\n\n| a |\n|---|\n\n<!-- figures: end -->\n\nThe rest.\n"
    assert with_figures(new, ["| a |", "|---|"]) == new
    with pytest.raises(ValueError, match="no place"):
        with_figures("# Title", [])
