"""Boxes go to the ink where ink is clear, never through it, and stay where nothing is clear."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr_gateway.providers.ink_fit import fit_lines
from ocr_gateway.providers.rapid_engine import WordSpan

Corners = npt.NDArray[np.float64]


def paper(width: int = 300, height: int = 120) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), 255, np.uint8)


def box(left: float, top: float, right: float, bottom: float) -> Corners:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def extent(corners: Corners) -> tuple[float, float, float, float]:
    return (
        float(corners[:, 0].min()),
        float(corners[:, 1].min()),
        float(corners[:, 0].max()),
        float(corners[:, 1].max()),
    )


@given(
    left=st.integers(40, 60), top=st.integers(45, 52), width=st.integers(60, 180), height=st.integers(12, 24),
    slack=st.integers(1, 6), ink=st.integers(0, 110), ground=st.integers(190, 255), swapped=st.booleans(),
)  # fmt: skip
def test_a_box_ends_at_its_ink(
    left: int, top: int, width: int, height: int, slack: int, ink: int, ground: int, swapped: bool
) -> None:
    """Whatever the slack and the colours, the fitted box is the ink's."""
    if swapped:
        ink, ground = ground, ink
    page = np.full((120, 300, 3), ground, np.uint8)
    page[top : top + height, left : left + width : 3] = ink
    last = left + (width - 1) // 3 * 3 + 1
    given_box = box(left - slack, top - slack, last + slack, top + height + slack)
    fitted = fit_lines(page, [given_box], [()])[0]
    assert extent(fitted.corners) == (left, top, last, top + height)


def test_words_part_at_the_gap() -> None:
    """A boundary that the recogniser saw some pixels off goes to the gap, and each word to its own ink."""
    page = paper()
    page[40:60, 50:110:2] = 0
    page[46:60, 122:200:2] = 0
    spans = (WordSpan("ab", 0.9, 0.0, 0.44), WordSpan("cd", 0.9, 0.45, 1.0))
    fitted = fit_lines(page, [box(44, 34, 206, 66)], [spans])[0]
    assert [extent(word) for word in fitted.words] == [(50, 40, 109, 60), (122, 46, 199, 60)]


def test_a_neighbours_ink_is_not_taken() -> None:
    """Where the boxes of two lines overlap, each keeps to its own rows."""
    page = paper()
    page[30:50, 40:240:2] = 0
    page[54:74, 40:240:2] = 0
    upper, lower = fit_lines(page, [box(34, 24, 246, 57), box(34, 47, 246, 80)], [(), ()])
    assert extent(upper.corners) == (40, 30, 239, 50)
    assert extent(lower.corners) == (40, 54, 239, 74)


def test_a_frame_is_not_ink() -> None:
    """A table's rules inside the box do not hold it open."""
    page = paper()
    page[40:60, 60:200:2] = 0
    page[33:35] = 0
    page[66:68] = 0
    assert extent(fit_lines(page, [box(54, 32, 206, 69)], [()])[0].corners) == (60, 40, 199, 60)


def test_ink_that_runs_out_of_the_box_is_never_cut_by_the_fit() -> None:
    """Where ink goes on beyond the box, that side stays as the engine put it."""
    page = paper()
    page[40:60, 20:280:2] = 0
    left, top, right, bottom = extent(fit_lines(page, [box(60, 34, 199, 66)], [()])[0].corners)
    assert (left, right) == (60, 199)
    assert (top, bottom) == (40, 60)


def test_a_photograph_keeps_the_engines_box() -> None:
    """Where ground and ink do not part, nothing moves."""
    page = np.random.default_rng(5).integers(0, 256, (120, 300, 3), dtype=np.uint8)
    given_box = box(44, 34, 206, 66)
    spans = (WordSpan("ab", 0.9, 0.0, 0.5), WordSpan("cd", 0.9, 0.4, 1.0))
    fitted = fit_lines(page, [given_box], [spans])[0]
    assert np.array_equal(fitted.corners, given_box)
    assert extent(fitted.words[0])[2] == pytest.approx(extent(fitted.words[1])[0])


def test_a_skewed_box_is_left_alone() -> None:
    """Beyond a slope of 0.03 nothing is fitted."""
    page = paper()
    page[40:60, 50:200:2] = 0
    skewed = np.array([(44, 30), (206, 45), (206, 75), (44, 60)], float)
    assert np.array_equal(fit_lines(page, [skewed], [()])[0].corners, skewed)


def test_a_tilted_line_is_fitted_along_its_tilt() -> None:
    """The box follows the line's slope, to a pixel."""
    page = paper(900, 120)
    for x in range(50, 850, 2):
        drop = round(0.02 * x)
        page[40 + drop : 60 + drop, x] = 0
    tilted = np.array([(44, 34.9), (856, 51.1), (856, 83.1), (44, 66.9)], float)
    corners = fit_lines(page, [tilted], [()])[0].corners
    expected = [(50, 41), (849, 57), (849, 77), (50, 61)]
    assert np.abs(corners - np.array(expected)).max() <= 1.1
