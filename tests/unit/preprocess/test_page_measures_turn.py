"""Which way up a page's text stands."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from preprocess_service.measures.page_measuring import measure
from tests.fakes.measured_pages import Pixels, Writing, chinese_font, latin_fonts, noisy, skewed, smeared, written_page

_SAMPLES = Path(__file__).parents[3] / "samples"


def _turns(page: Pixels, turned: int) -> int | None:
    """What is measured on a page that has been turned clockwise so often."""
    return measure(np.ascontiguousarray(np.rot90(page, -turned)), 1.0).quarter_turns


@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("font", latin_fonts())
def test_latin_text_is_turned_upright(turned: int, font: Path | None) -> None:
    """A page of twelve lines tells its direction, in each font."""
    page = written_page(Writing(lines=12, size=22, width=900, height=1000, font=font), 1)
    assert _turns(page, turned) == turned


@pytest.mark.skipif(chinese_font() is None, reason="no Chinese font on this machine")
@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("size", [14, 40])
def test_chinese_text_is_turned_upright(turned: int, size: int) -> None:
    """Characters of any size tell their direction, noisy and soft ones too."""
    page = written_page(Writing(lines=12, size=size, width=900, height=1000, chinese=True, font=chinese_font()), 2)
    assert _turns(page, turned) == turned
    assert _turns(noisy(smeared(page, size / 25), 6, 3), turned) == turned


@pytest.mark.skipif(chinese_font() is None, reason="no Chinese font on this machine")
@pytest.mark.parametrize("seed", range(4))
def test_a_page_of_chinese_columns_is_not_turned(seed: int) -> None:
    """Lines that run down the page are no reason to turn it when its characters stand upright."""
    writing = Writing(lines=18, size=26, width=900, height=900, chinese=True, font=chinese_font(), down=True)
    assert _turns(written_page(writing, seed), 0) == 0


@pytest.mark.parametrize("name", ["letter.png", "invoice_zh.png", "parcel_label.png", "receipt.jpg"])
@pytest.mark.parametrize("turned", range(4))
def test_forms_and_receipts_are_turned_upright(name: str, turned: int) -> None:
    """Tables, bar codes and a photographed receipt do not mislead."""
    page = cv2.imread(str(_SAMPLES / name), cv2.IMREAD_GRAYSCALE)
    assert _turns(np.asarray(page, np.uint8), turned) == turned


def test_a_skewed_page_is_turned_all_the_same() -> None:
    """Characters are levelled before they are looked at."""
    page = skewed(written_page(Writing(lines=15, width=900, height=900), 4), 12)
    assert _turns(page, 2) == 2


@pytest.mark.parametrize("seed", range(6))
def test_what_is_no_text_is_never_turned(seed: int) -> None:
    """Ellipses, strokes and clouds give 0 or nothing."""
    rng = np.random.default_rng(seed)
    page = np.full((800, 1000), 240, np.uint8)
    if seed % 2:
        for _ in range(150):
            centre, axes = rng.integers(0, 800, 2).tolist(), rng.integers(3, 25, 2).tolist()
            cv2.ellipse(page, centre, axes, 0, 0, 360, (40.0,), int(rng.choice([-1, 2])))
    else:
        clouds = cv2.GaussianBlur(rng.normal(0, 1, page.shape), (0, 0), 3.0 + seed)
        page = np.clip(128 + 50 * clouds / clouds.std(), 0, 255).astype(np.uint8)
    assert measure(page, 1.0).quarter_turns in (0, None)


def test_an_empty_page_has_no_direction() -> None:
    """Without text nothing is told."""
    assert measure(np.full((700, 500), 240, np.uint8), 1.0).quarter_turns is None
