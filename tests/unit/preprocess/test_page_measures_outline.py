"""The corners of a page before another background, and what must not be taken for one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from preprocess_service.measures.page_measuring import measure
from tests.fakes.measured_pages import (
    Pixels,
    Quad,
    Writing,
    noisy,
    photographed,
    shaded,
    smeared,
    table_of,
    written_page,
)

_WIDTH, _HEIGHT = 1000, 1300


def _page(seed: int = 1, paper: int = 235) -> Pixels:
    return written_page(Writing(lines=22, size=24, width=900, height=1200, paper=paper), seed)


def _corners(seed: int, strength: float) -> Quad:
    rng = np.random.default_rng(seed)
    frame = np.array([[80, 90], [920, 90], [920, 1210], [80, 1210]], np.float64)
    middle = frame.mean(axis=0)
    return np.asarray(middle + (frame - middle) * (1 - rng.uniform(0, strength, (4, 2))))


@pytest.mark.parametrize("seed", range(12))
def test_a_photographed_page_is_found_to_three_thousandths(seed: int) -> None:
    """Perspective, uneven light, softness and noise included, on plain and on grained tables."""
    corners = _corners(seed, (0.0, 0.08, 0.15)[seed % 3])
    table = table_of(_WIDTH, _HEIGHT, (20, 70, 120, 150)[seed % 4], (0, 4, 8)[seed % 3])
    picture = photographed(_page(seed), corners, _WIDTH, _HEIGHT, table)
    picture = noisy(smeared(shaded(picture, 0.3, seed), 1.0), 4, seed)
    outline = measure(picture, 2.0).outline
    assert outline is not None
    apart = np.hypot(*(np.array(outline) / 2.0 - corners).T)
    assert apart.max() <= 0.003 * _HEIGHT


@pytest.mark.parametrize("turn_deg", [-41, -30, 30, 44])
def test_a_page_seen_from_far_off_its_middle_and_half_in_shadow_is_found(turn_deg: float) -> None:
    """Corners as sharp as 45 degrees, sides that are neither level nor plumb, and a third of the light."""
    radians = np.radians(turn_deg)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    around = np.array([[-300, -430], [300, -330], [300, 330], [-300, 430]], np.float64) * (1.0, 0.9)
    corners = np.array([_WIDTH / 2, _HEIGHT / 2]) + around @ turn
    picture = photographed(_page(3), corners, _WIDTH, _HEIGHT, table_of(_WIDTH, _HEIGHT, 110, 6)).astype(np.float64)
    picture *= 1 - 0.65 / (1 + np.exp((np.arange(_WIDTH) - 0.55 * _WIDTH) / 25))
    outline = measure(noisy(smeared(picture.astype(np.uint8), 1.2), 5, 3), 1.0).outline
    assert outline is not None
    nearest = np.hypot(*(np.array(outline)[:, None] - corners[None]).transpose(2, 0, 1)).min(axis=1)
    assert nearest.max() <= 0.004 * _HEIGHT


def test_a_scan_with_black_borders_beside_it_is_found() -> None:
    """The page may run over two borders of the picture."""
    picture = np.full((1200, 1100), 12, np.uint8)
    picture[:, 80:980] = _page()
    outline = measure(noisy(picture, 3, 1), 1.0).outline
    assert outline is not None
    expected = np.array([[80, 0], [980, 0], [980, 1200], [80, 1200]])
    assert np.abs(np.array(outline) - expected).max() <= 2


def _framed(page: Pixels) -> Pixels:
    return cv2.rectangle(page, (40, 40), (860, 1160), (20.0,), 6).astype(np.uint8)


def _table(page: Pixels) -> Pixels:
    for place in range(100, 1101, 100):
        cv2.line(page, (60, place), (840, place), (30.0,), 2)
    for place in range(60, 841, 195):
        cv2.line(page, (place, 100), (place, 1100), (30.0,), 2)
    return page


def _with_photo(page: Pixels) -> Pixels:
    page[100:700, 80:820] = np.random.default_rng(1).integers(20, 120, (600, 740), dtype=np.uint8)
    return page


def _with_card(page: Pixels) -> Pixels:
    page[400:800, 100:800] = (page[400:800, 100:800] * 0.8).astype(np.uint8)
    return page


def _half_in_shadow(page: Pixels) -> Pixels:
    page[:, 400:] = (page[:, 400:] * 0.6).astype(np.uint8)
    return page


def _with_banner(page: Pixels) -> Pixels:
    page[:150] = 30
    cv2.putText(page, "ANNUAL REPORT", (80, 100), cv2.FONT_HERSHEY_SIMPLEX, 2, (240.0,), 4)
    page[1080:] = 30
    cv2.putText(page, "www.example.org", (80, 1160), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (240.0,), 3)
    return page


def _plain(page: Pixels) -> Pixels:
    return page


@pytest.mark.parametrize("drawn", [_plain, _framed, _table, _with_photo, _with_card, _half_in_shadow, _with_banner])
@pytest.mark.parametrize("seed", range(2))
def test_what_stands_on_a_page_is_not_its_outline(drawn: object, seed: int) -> None:
    """Frames, tables, photos, cards, a shadow's edge and banners are part of the page."""
    assert callable(drawn)
    page = drawn(_page(seed).copy())
    assert measure(noisy(page, 3, seed), 1.0).outline is None


def test_text_outside_keeps_the_whole_picture() -> None:
    """A bright box with text beside it is not all that there is to read."""
    picture = np.full((1200, 900), 150, np.uint8)
    picture[320:1150, 60:840] = _page()[100:930, 60:840]
    for number in range(5):
        words = "application for residents of the city"
        cv2.putText(picture, words, (60, 70 + 45 * number), cv2.FONT_HERSHEY_SIMPLEX, 1, (10.0,), 2)
    outline = measure(picture, 1.0).outline
    assert outline is None or min(y for _, y in outline) < 40


def test_lettering_over_a_bright_panel_is_no_edge_of_a_page() -> None:
    """A poster's panel whose sides are full of drawings has no margin."""
    rng = np.random.default_rng(9)
    picture = rng.integers(40, 110, (60, 45), dtype=np.uint8).repeat(20, axis=0).repeat(20, axis=1)
    picture[100:1100, 90:810] = _page()[100:1100, 90:810]
    picture[85:150, 90:810] = rng.integers(150, 255, (1, 36), dtype=np.uint8).repeat(20, axis=1)
    for left in (90, 750):
        picture[85:1100, left : left + 60] = rng.integers(150, 255, (35, 1), dtype=np.uint8).repeat(29, axis=0)
    assert measure(noisy(picture, 3, 9), 1.0).outline is None
