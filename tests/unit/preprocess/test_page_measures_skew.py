"""The angle of lines, on drawn pages whose angle is known."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess_service.measures.ink import find_ink
from preprocess_service.measures.page_measuring import measure, skew_inside
from preprocess_service.measures.skew import line_angle, rough_angles
from tests.fakes.measured_pages import (
    Pixels,
    Writing,
    chinese_font,
    noisy,
    photographed,
    shaded,
    skewed,
    table_of,
    written_page,
)


def _angle(page: Pixels) -> float | None:
    text = find_ink(page).text
    rough = rough_angles(text).across
    return None if rough is None else line_angle(text, rough.skew_deg, down=False)


@pytest.mark.parametrize("seed", range(18))
def test_a_page_of_text_is_exact_to_a_tenth_of_a_degree(seed: int) -> None:
    """Sizes, line counts, noise and uneven light do not move the angle by more than 0.1 degrees."""
    rng = np.random.default_rng(seed)
    chinese = chinese_font() if seed % 2 else None
    writing = Writing(
        lines=(4, 10, 40)[seed % 3],
        size=int(rng.choice([14, 20, 30])),
        chinese=chinese is not None,
        font=chinese,
        height=1200,
    )
    falls_deg = float(rng.uniform(-15, 15))
    page = skewed(written_page(writing, seed), falls_deg)
    if seed % 4 == 1:
        page = noisy(page, 12, seed)
    if seed % 4 == 2:
        page = shaded(page, 0.5, seed)
    assert _angle(page) == pytest.approx(falls_deg, abs=0.1)


@pytest.mark.parametrize("falls_deg", [-43.0, -30.0, 25.0, 40.0])
def test_large_angles_are_told(falls_deg: float) -> None:
    """Lines may fall by up to 45 degrees."""
    page = skewed(written_page(Writing(lines=20, width=800, height=900), 1), falls_deg)
    assert _angle(page) == pytest.approx(falls_deg, abs=0.1)


def test_the_sign_is_that_of_lines_which_run_downwards_to_the_right() -> None:
    """A page turned clockwise has a positive skew."""
    skew_deg = measure(skewed(written_page(Writing(lines=12, height=900), 2), 4.0), 1.0).skew_deg
    assert skew_deg == pytest.approx(4.0, abs=0.1)


def test_a_page_on_its_side_has_the_skew_that_is_left_after_the_turn() -> None:
    """The skew is told for the page as it is after its quarter turns."""
    page = skewed(written_page(Writing(lines=25), 3), 2.5)
    measures = measure(np.ascontiguousarray(np.rot90(page, -1)), 1.0)
    assert measures.quarter_turns == 1
    assert measures.skew_deg == pytest.approx(2.5, abs=0.1)


def test_a_picture_without_lines_has_no_angle() -> None:
    """White noise and an empty page tell nothing."""
    noise = np.random.default_rng(4).integers(0, 256, (700, 500), dtype=np.uint8)
    assert measure(noise, 1.0).skew_deg is None
    assert measure(np.full((700, 500), 240, np.uint8), 1.0).skew_deg is None


def test_what_is_left_inside_of_the_outline_is_told() -> None:
    """Level lines on a sheet that lies askew are level once the sheet has been made a rectangle."""
    page = written_page(Writing(lines=25, width=900, height=1200, size=22), 5)
    corners = np.array([[160, 90], [1010, 140], [950, 1290], [100, 1240]], np.float64)
    measures = measure(photographed(page, corners, 1100, 1400, table_of(1100, 1400, 60, 5)), 1.0)
    left = skew_inside(measures)
    assert measures.skew_deg is not None
    assert measures.skew_deg == pytest.approx(3.2, abs=0.5)
    assert left == pytest.approx(0.0, abs=0.15)
