"""Measuring never fails and always gives the same."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess_service.measures.page_measuring import measure
from preprocess_service.model import PageMeasures
from tests.fakes.measured_pages import Pixels, Writing, noisy, written_page

_SHAPES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (3, 3),
    (15, 17),
    (33, 64),
    (17, 1750),
    (1750, 1),
    (1, 1750),
    (65, 30),
    (300, 200),
    (100, 1750),
]


def _pictures(shape: tuple[int, int]) -> list[Pixels]:
    rng = np.random.default_rng(1)
    stripes = (np.indices(shape)[0] // 5 % 2 * 255).astype(np.uint8)
    checks = (np.indices(shape).sum(axis=0) % 2 * 255).astype(np.uint8)
    return [
        np.full(shape, 255, np.uint8),
        np.zeros(shape, np.uint8),
        rng.integers(0, 256, shape, dtype=np.uint8),
        (rng.random(shape) < 0.01).astype(np.uint8) * np.uint8(255),
        stripes,
        checks,
    ]


@pytest.mark.parametrize("shape", _SHAPES)
def test_any_picture_is_measured(shape: tuple[int, int]) -> None:
    """Whatever the size and the content, there is an answer, and its shares are shares."""
    for picture in _pictures(shape):
        measures = measure(picture, 1.5)
        for share in (measures.contrast, measures.unevenness):
            assert share is None or 0 <= share <= 1
        assert measures.skew_deg is None or abs(measures.skew_deg) <= 45


@pytest.mark.parametrize("seed", range(40))
def test_pictures_of_random_sides_and_content_are_measured(seed: int) -> None:
    """Blocks of random levels and sizes, in pictures of any aspect."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in np.exp(rng.uniform(0, np.log(700), 2)))
    picture = rng.integers(0, 256, (height, width), dtype=np.uint8) // np.uint8(rng.integers(1, 9))
    for _ in range(int(rng.integers(0, 60))):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        picture[top : top + int(rng.integers(1, 60)), left : left + int(rng.integers(1, 60))] = rng.integers(256)
    assert isinstance(measure(picture, 1.0), PageMeasures)


def test_a_large_picture_of_noise_is_measured() -> None:
    """More pieces of ink than any page has are no text."""
    noise = (np.random.default_rng(2).integers(0, 2, (1754, 1240)) * 255).astype(np.uint8)
    assert measure(noise, 1.0).quarter_turns in (0, None)


def test_an_empty_page_has_paper_and_no_text() -> None:
    """What belongs to text is not told."""
    measures = measure(np.full((1000, 700), 230, np.uint8), 1.0)
    assert measures == PageMeasures(noise=0.0, unevenness=0.0)


def test_the_same_picture_gives_the_same_measures_and_is_left_alone() -> None:
    """Measuring is a pure function, of a view too."""
    page = noisy(written_page(Writing(lines=10, width=700, height=700), 3), 3, 3)
    wide = np.zeros((700, 1400), np.uint8)
    wide[:, ::2] = page
    before = page.copy()
    assert measure(page, 2.0) == measure(wide[:, ::2], 2.0) == measure(page, 2.0)
    assert np.array_equal(page, before)
