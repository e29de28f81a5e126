"""Contrast, noise, light, the text's height and its blur, on pages drawn with known ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from preprocess_service.measures.page_measuring import measure
from tests.fakes.measured_pages import (
    Pixels,
    Writing,
    chinese_font,
    moved,
    noisy,
    shaded,
    smeared,
    written_page,
)


def _page(size: int = 24, ink: int = 20, paper: int = 235, lines: int = 25, seed: int = 1) -> Pixels:
    return written_page(Writing(lines=lines, size=size, ink=ink, paper=paper, width=900, height=1200), seed)


@pytest.mark.parametrize("ink", [20, 120, 190, 215])
@pytest.mark.parametrize("lines", [2, 25])
def test_contrast_is_that_of_strokes_however_few_there_are(ink: int, lines: int) -> None:
    """Two lines on a white page have the contrast of their ink, not that of the page's spread."""
    contrast = measure(_page(ink=ink, lines=lines), 1.0).contrast
    assert contrast == pytest.approx((235 - ink) / 255, rel=0.12)


def test_contrast_is_local() -> None:
    """Light that falls to half does not add to the contrast."""
    contrast = measure(shaded(_page(ink=150), 0.5, 2), 1.0).contrast
    assert contrast is not None
    assert 0.15 <= contrast <= 0.36


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0, 18.0])
@pytest.mark.parametrize("lines", [0, 25])
def test_noise_is_told_to_a_sixth(sigma: float, lines: int) -> None:
    """On text and on an empty page alike, at the picture's own scale."""
    noise = measure(noisy(_page(paper=190, lines=lines), sigma, 3), 1.0).noise
    assert noise == pytest.approx(sigma, rel=1 / 6)


def test_text_is_no_noise() -> None:
    """A dense page without noise shows next to none."""
    noise = measure(_page(size=16, lines=45), 1.0).noise
    assert noise is not None
    assert noise < 0.5


@pytest.mark.parametrize("depth", [0.2, 0.4, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_unevenness_is_how_far_the_light_falls_off(depth: float, seed: int) -> None:
    """The corners that are told of least count little: most of the fall is told."""
    unevenness = measure(shaded(_page(seed=seed), depth, seed), 1.0).unevenness
    assert unevenness is not None
    assert 0.7 * depth * 235 / 255 <= unevenness <= 1.05 * depth * 235 / 255


def test_a_photo_and_a_bar_on_the_page_are_no_uneven_light() -> None:
    """Only the paper's own light counts."""
    page = _page().copy()
    page[300:600, 100:500] = np.random.default_rng(5).integers(20, 160, (300, 400), dtype=np.uint8)
    page[40:90, 100:800] = 60
    unevenness = measure(page, 1.0).unevenness
    assert unevenness is not None
    assert unevenness < 0.08


@pytest.mark.parametrize("size", [14, 20, 28, 44])
def test_latin_characters_are_as_high_as_capitals(size: int) -> None:
    """0.73 of the font's size, to a tenth."""
    height = measure(_page(size=size, lines=15), 1.0).text_height_px
    assert height is not None
    assert height / size == pytest.approx(0.76, abs=0.09)


@pytest.mark.skipif(chinese_font() is None, reason="no Chinese font on this machine")
@pytest.mark.parametrize("size", [14, 20, 28, 44])
def test_chinese_characters_count_whole(size: int) -> None:
    """0.92 of the font's size, to a tenth."""
    writing = Writing(lines=15, size=size, width=900, height=1200, chinese=True, font=chinese_font())
    height = measure(written_page(writing, 2), 1.0).text_height_px
    assert height is not None
    assert height / size == pytest.approx(0.92, abs=0.09)


def test_heights_are_told_in_pixels_of_the_source() -> None:
    """A reduced picture's factor is applied."""
    page = _page()
    once, thrice = measure(page, 1.0).text_height_px, measure(page, 3.0).text_height_px
    assert once is not None
    assert thrice == pytest.approx(3 * once)


def test_blur_grows_with_defocus() -> None:
    """Sharp text stays below a fifth, and each step of defocus shows."""
    blurs = [measure(smeared(_page(), sigma) if sigma else _page(), 1.0).blur for sigma in (0.0, 1.5, 3.0)]
    told = [blur for blur in blurs if blur is not None]
    assert len(told) == 3
    assert told[0] < 0.2
    assert told[0] * 1.5 < told[1]
    assert told[1] * 1.4 < told[2]
    assert told[2] > 0.35


@pytest.mark.parametrize("angle_deg", [0.0, 90.0])
def test_blur_shows_a_motion_in_one_direction(angle_deg: float) -> None:
    """Edges across the motion are soft, though those along it stay sharp."""
    sharp, soft = measure(_page(), 1.0).blur, measure(moved(_page(), 9, angle_deg), 1.0).blur
    assert sharp is not None
    assert soft is not None
    assert soft > 1.8 * sharp


def test_noise_is_not_taken_for_sharpness() -> None:
    """What noise adds to slopes is taken from them."""
    blurred = smeared(_page(), 3.0)
    clean, noised = measure(blurred, 1.0).blur, measure(noisy(blurred, 10, 6), 1.0).blur
    assert clean is not None
    assert noised is not None
    assert noised > 0.6 * clean


def test_light_text_on_a_dark_screen_is_measured_as_its_negative() -> None:
    """Contrast and height are those of the strokes."""
    page = _page()
    dark, light = measure(255 - page, 1.0), measure(page, 1.0)
    assert dark.text_height_px == pytest.approx(light.text_height_px, rel=0.05)
    assert dark.contrast == pytest.approx(light.contrast, rel=0.1)


def _uniform(rng: np.random.Generator, shape: tuple[int, int]) -> Pixels:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def _gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> Pixels:
    return np.clip(128 + rng.normal(0, 60, shape), 0, 255).astype(np.uint8)


def _on_white(rng: np.random.Generator, shape: tuple[int, int]) -> Pixels:
    return np.clip(250 + rng.normal(0, 30, shape), 0, 255).astype(np.uint8)


def _two_tone(rng: np.random.Generator, shape: tuple[int, int]) -> Pixels:
    return rng.integers(0, 2, shape, dtype=np.uint8) * np.uint8(255)


def _specks(rng: np.random.Generator, shape: tuple[int, int]) -> Pixels:
    return np.where(rng.random(shape) < 0.02, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("drawn", [_uniform, _gaussian, _on_white, _two_tone, _specks])
@pytest.mark.parametrize("shape", [(500, 400), (1754, 1240), (800, 1700)])
def test_noise_has_neither_characters_nor_lines(
    drawn: Callable[[np.random.Generator, tuple[int, int]], Pixels], shape: tuple[int, int]
) -> None:
    """Crumbs of noise are no text: no height, no contrast, no blur, no angle, no turn."""
    measures = measure(drawn(np.random.default_rng(7), shape), 1.0)
    assert (measures.text_height_px, measures.contrast, measures.blur, measures.skew_deg) == (None, None, None, None)
    assert measures.quarter_turns in (0, None)


@pytest.mark.parametrize("grain_px", [0.7, 1.5, 5.0])
@pytest.mark.parametrize("levels", [3.0, 20.0, 45.0])
def test_grain_has_no_characters(grain_px: float, levels: float) -> None:
    """A coarse grain falls into many pieces, but they form no lines; a faint one has no contrast to be raised."""
    clouds = cv2.GaussianBlur(np.random.default_rng(8).normal(0, 1, (1754, 1240)), (0, 0), grain_px)
    measures = measure(np.clip(190 + clouds / clouds.std() * levels, 0, 255).astype(np.uint8), 1.0)
    assert measures.text_height_px is None
    assert measures.skew_deg is None
    assert measures.contrast is None or levels > 10


@pytest.mark.parametrize("size", [14, 20, 28, 44])
@pytest.mark.parametrize(("ink", "sigma"), [(170, 4.0), (170, 8.0), (170, 14.0), (185, 4.0), (185, 8.0), (20, 25.0)])
def test_the_height_of_faint_text_in_noise_is_told_to_three_tenths_or_not_at_all(
    size: int, ink: int, sigma: float
) -> None:
    """What noise leaves of characters is not taken for small ones."""
    page = noisy(_page(size=size, ink=ink, paper=200, lines=15), sigma, 4)
    height = measure(page, 1.0).text_height_px
    assert height is None or height / size == pytest.approx(0.76, rel=0.3)


@pytest.mark.parametrize("sigma", [4.0, 8.0])
def test_the_height_of_faint_text_is_told_while_noise_lets_it(sigma: float) -> None:
    """Strokes of 30 levels stand out from a noise of up to 8."""
    height = measure(noisy(_page(size=28, ink=170, paper=200, lines=15), sigma, 4), 1.0).text_height_px
    assert height is not None
    assert height / 28 == pytest.approx(0.76, rel=0.15)


def test_a_photo_of_a_dark_wall_has_no_uneven_paper() -> None:
    """Where no smooth surface fits, nothing is told of light."""
    sign = cv2.imread(str(Path(__file__).parents[3] / "samples" / "door_sign.jpg"), cv2.IMREAD_GRAYSCALE)
    assert measure(np.asarray(sign, np.uint8), 1.0).unevenness is None
