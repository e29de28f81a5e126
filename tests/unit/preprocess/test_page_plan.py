"""What is planned for a page, by its measures alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess_service.model import PageFit, PageMeasures, PagePreference, Size
from preprocess_service.page_plan import (
    MAX_TILES,
    MIN_READABLE_TEXT_PX,
    Binarize,
    Crop,
    Denoise,
    Deskew,
    Grey,
    Illuminate,
    Perspective,
    Plan,
    Scale,
    Sharpen,
    Stretch,
    Turn,
    in_pixels,
    plan,
    plan_fit,
)
from preprocess_service.profiles import resolve

A4 = Size(2480, 3508)
GOOD = PageMeasures(
    quarter_turns=0, skew_deg=0.1, contrast=0.85, noise=2.0, unevenness=0.04, text_height_px=17.0, blur=0.08
)
UNTOUCHED = PagePreference.UNTOUCHED
CLEANED_GREY = PagePreference.CLEANED_GREY
BILEVEL = PagePreference.BILEVEL


def planned(
    measures: PageMeasures,
    preference: PagePreference = UNTOUCHED,
    *,
    profile: str = "auto",
    size: Size = A4,
    fit: PageFit | None = None,
    may_tile: bool = False,
    **overrides: str,
) -> Plan:
    """The plan; an override's step and parameter are parted by two underscores."""
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    return plan(measures, resolve(profile, changes).parameters(preference), size, fit or PageFit(), may_tile=may_tile)


@pytest.mark.parametrize("preference", [UNTOUCHED, CLEANED_GREY])
def test_a_good_page_is_left_as_it_is(preference: PagePreference) -> None:
    """Auto does nothing to a page that measures well, nor to one of which nothing could be measured."""
    assert planned(GOOD, preference).is_empty
    assert planned(PageMeasures(), preference).is_empty


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"quarter_turns": 3}, [Grey(), Turn(3)]),
        ({"skew_deg": -2.0}, [Grey(), Deskew(-2.0)]),
        ({"noise": 30.0}, [Grey(), Denoise("despeckle", 30.0)]),
        ({"unevenness": 0.3}, [Grey(), Illuminate(17.0)]),
        ({"contrast": 0.2}, [Grey(), Stretch("stretch", 0.8 * 255 * 0.2)]),
        ({"text_height_px": 8.0}, [Grey(), Scale(2.0)]),
        ({"text_height_px": 32.0}, [Grey(), Scale(0.5)]),
        ({"text_height_px": 32.0, "blur": 0.2}, []),
    ],
)
def test_a_page_for_tesseract_gets_what_its_measures_ask_for(change: dict[str, Any], expected: list[object]) -> None:
    """One measure that is out of its range brings one step, in grey."""
    assert list(planned(replace(GOOD, **change), CLEANED_GREY).steps) == expected


@pytest.mark.parametrize(
    "change", [{"skew_deg": 4.0}, {"noise": 15.0}, {"unevenness": 0.3}, {"contrast": 0.4}, {"text_height_px": 10.0}]
)
def test_a_neural_engine_gets_a_poor_page_untouched(change: dict[str, Any]) -> None:
    """What such an engine reads without a mistake is not touched."""
    assert planned(replace(GOOD, **change)).is_empty


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"quarter_turns": 2}, Turn(2)),
        ({"skew_deg": 12.0}, Deskew(12.0)),
        ({"contrast": 0.1}, Stretch("stretch", 0.8 * 255 * 0.1)),
    ],
)
def test_a_neural_engine_gets_a_broken_page_mended_in_colour(change: dict[str, Any], expected: object) -> None:
    """What it cannot read is mended, and the page keeps its colour."""
    assert planned(replace(GOOD, **change)).steps == (expected,)


def test_noise_is_weighed_against_the_contrast() -> None:
    """Noise that is faint by itself drowns text that is fainter: it is averaged away before the stretch."""
    faint = replace(GOOD, contrast=0.05, noise=5.0)
    assert planned(faint).steps == (Denoise("gaussian", 5.0), Stretch("stretch", 0.8 * 255 * 0.05))
    assert [type(step) for step in planned(replace(faint, noise=1.0)).steps] == [Stretch]
    assert planned(faint, denoise__method="median").steps[0] == Denoise("median", 5.0)


def test_a_faint_page_is_not_scaled_by_what_noise_left_of_its_text() -> None:
    """Crumbs of characters are small: their height would make a large page several times as large."""
    faint = replace(GOOD, contrast=0.04, noise=2.0, text_height_px=5.0)
    made = planned(faint, CLEANED_GREY)
    assert [type(step) for step in made.steps] == [Grey, Denoise, Stretch]
    assert made.text_height_px is None


def test_steps_come_in_their_order() -> None:
    """Turned, then level, then even, then larger, and black and white last of all."""
    measures = replace(
        GOOD, quarter_turns=1, skew_deg=3.0, noise=40.0, unevenness=0.5, contrast=0.2, text_height_px=10.0, blur=0.6
    )
    steps = planned(measures, BILEVEL, sharpen__when="needed").steps
    assert [type(step) for step in steps] == [
        Grey,
        Turn,
        Deskew,
        Denoise,
        Illuminate,
        Stretch,
        Scale,
        Sharpen,
        Binarize,
    ]


def test_a_page_is_made_smaller_before_the_other_steps() -> None:
    """Steps cost by the pixel; the noise is averaged away with them, and the text's height is that of what is left."""
    made = planned(
        replace(GOOD, text_height_px=120.0, noise=50.0), CLEANED_GREY, scale__above_px="60", deskew__when="always"
    )
    assert [type(step) for step in made.steps] == [Grey, Scale, Deskew]
    assert made.factor == pytest.approx(16 / 120)
    assert made.text_height_px == pytest.approx(16)


def test_enlarging_is_bounded() -> None:
    """By its factor, by the reader's limits, and by a page's pixels."""
    tiny = replace(GOOD, text_height_px=4.0)
    assert planned(tiny, CLEANED_GREY, size=Size(400, 600)).factor == pytest.approx(4.0)
    assert planned(tiny, CLEANED_GREY, size=Size(400, 600), fit=PageFit(max_side_px=1200)).factor == pytest.approx(2.0)
    assert planned(tiny, CLEANED_GREY, size=Size(6000, 6000)).factor == 1.0


def test_a_tiny_page_is_enlarged_to_the_least_side() -> None:
    """By its shorter side where no text is found, as far as the reader takes it."""
    assert planned(PageMeasures(), size=Size(20, 10)).steps == (Scale(3.2),)
    assert planned(PageMeasures(), size=Size(100, 8), fit=PageFit(max_side_px=200)).steps == (Scale(2.0),)
    assert planned(PageMeasures(), size=Size(20, 10), profile="none").is_empty


def test_an_override_turns_a_step_off_or_always_on() -> None:
    """``when`` decides before any measure."""
    oblique = replace(GOOD, skew_deg=12.0)
    assert planned(oblique, deskew__when="never").is_empty
    assert planned(GOOD, deskew__when="always").steps == (Deskew(0.1),)
    assert planned(replace(GOOD, skew_deg=None), deskew__when="always").is_empty


def test_classic_heeds_no_measure() -> None:
    """The textbook recipe is the same for every page."""
    steps = planned(PageMeasures(), profile="classic").steps
    assert [type(step) for step in steps] == [Grey, Denoise, Binarize]
    other = replace(GOOD, quarter_turns=1, skew_deg=9.0, noise=0.0, contrast=0.1, text_height_px=None)
    assert planned(other, profile="classic").steps == steps


SQUARE = ((480.0, 508.0), (1980.0, 508.0), (1980.0, 2808.0), (480.0, 2808.0))
OBLIQUE = ((600.0, 508.0), (1880.0, 600.0), (2080.0, 2908.0), (380.0, 2808.0))


def test_a_photographed_page_is_taken_out_of_its_picture() -> None:
    """Seen obliquely it is unwarped, seen straight it is cropped with a rim, and otherwise it stays."""
    assert planned(replace(GOOD, outline=OBLIQUE)).cut == Perspective(OBLIQUE)
    assert planned(replace(GOOD, outline=SQUARE)).cut == Crop(468, 496, Size(1524, 2324))
    whole = ((0.0, 0.0), (2480.0, 0.0), (2480.0, 3500.0), (0.0, 3508.0))
    assert planned(replace(GOOD, outline=whole)).cut is None
    assert planned(replace(GOOD, outline=SQUARE), crop__when="never").cut is None
    assert planned(replace(GOOD, outline=OBLIQUE), perspective__when="never", crop__when="never").is_empty
    assert isinstance(planned(replace(GOOD, outline=OBLIQUE), perspective__when="never").cut, Crop)


def test_a_page_that_is_too_long_to_be_warped_is_not_levelled() -> None:
    """OpenCV warps no side of more than 32 766 px; such a page is still read as it lies."""
    assert planned(replace(GOOD, skew_deg=20.0), size=Size(1000, 32_000)).steps == (Deskew(20.0),)
    assert planned(replace(GOOD, skew_deg=20.0), size=Size(1000, 33_000)).is_empty
    assert planned(replace(GOOD, skew_deg=44.0), size=Size(30_000, 30_000)).is_empty
    assert not isinstance(planned(replace(GOOD, outline=OBLIQUE), size=Size(2480, 40_000)).cut, Perspective)


def test_measures_follow_the_pixels() -> None:
    """In a page reduced by two, text is half as high, noise half as strong, and the outline half as far."""
    reduced = in_pixels(replace(GOOD, outline=SQUARE), 2)
    assert (reduced.text_height_px, reduced.noise) == (8.5, 1.0)
    assert reduced.outline == ((240.0, 254.0), (990.0, 254.0), (990.0, 1404.0), (240.0, 1404.0))
    assert reduced.skew_deg == GOOD.skew_deg
    assert in_pixels(GOOD, 1) is GOOD


def test_a_page_that_fits_is_left_alone() -> None:
    """Within every limit, nothing is scaled, padded or cut."""
    fit = PageFit(max_pixels=10_000_000, max_side_px=4000, min_side_px=15, max_aspect=4.0)
    assert plan_fit(A4, fit, 30.0, may_tile=True).leaves(A4)


def test_a_large_page_with_readable_text_is_scaled() -> None:
    """Tiles are for text that scaling would make unreadable only."""
    fit = PageFit(max_side_px=2000)
    scaled = plan_fit(A4, fit, 32.0, may_tile=True)
    assert (scaled.scaled, len(scaled.tiles)) == (Size(1413, 2000), 1)
    assert len(plan_fit(A4, fit, 14.0, may_tile=True).tiles) > 1
    assert len(plan_fit(A4, fit, 14.0, may_tile=False).tiles) == 1


def test_an_over_tall_page_is_tiled_or_padded() -> None:
    """A screenshot of many screens is given in tiles, or, where that may not be, with paper beside it."""
    size, fit = Size(1000, 9000), PageFit(max_aspect=3.0)
    tiled = plan_fit(size, fit, 20.0, may_tile=True)
    assert (tiled.scaled, tiled.padded, len(tiled.tiles)) == (size, size, 4)
    assert plan_fit(size, fit, 20.0, may_tile=False).padded == Size(3000, 9000)


def test_a_narrow_strip_is_padded_rather_than_cut_into_crumbs() -> None:
    """More tiles than MAX_TILES are never made."""
    strip = plan_fit(Size(10, 9000), PageFit(max_aspect=3.0), 8.0, may_tile=True)
    assert (len(strip.tiles), strip.padded) == (1, Size(3000, 9000))


def test_a_page_below_the_least_side_gets_paper() -> None:
    """The text keeps its size."""
    small = plan_fit(Size(30, 10), PageFit(min_side_px=50), 8.0, may_tile=True)
    assert (small.scaled, small.padded) == (Size(30, 10), Size(50, 50))


@given(
    size=st.builds(Size, st.integers(1, 5000), st.integers(1, 70_000)),
    max_side_px=st.one_of(st.just(0), st.integers(200, 8000)),
    max_pixels=st.one_of(st.just(0), st.integers(40_000, 20_000_000)),
    max_aspect=st.one_of(st.just(0.0), st.floats(1.5, 50.0)),
    min_side_px=st.integers(0, 60),
    text_height_px=st.one_of(st.none(), st.floats(2, 100)),
    may_tile=st.booleans(),
)
def test_every_part_is_within_the_limits(
    size: Size,
    max_side_px: int,
    max_pixels: int,
    max_aspect: float,
    min_side_px: int,
    text_height_px: float | None,
    may_tile: bool,
) -> None:
    """Whatever the page and the limits, each part that is made is taken, the aspect of what is on it is kept to within
    a pixel, and no page is cut to save text that is lost anyway.
    """
    fit = PageFit(max_pixels=max_pixels, max_side_px=max_side_px, min_side_px=min_side_px, max_aspect=max_aspect)
    made = plan_fit(size, fit, text_height_px, may_tile=may_tile)
    assert len(made.tiles) <= (MAX_TILES if may_tile else 1)
    assert made.padded.width >= made.scaled.width
    assert made.padded.height >= made.scaled.height
    assert made.scaled.longer_px <= size.longer_px
    if made.scaled.shorter_px > 1:
        factor = made.scaled.longer_px / size.longer_px
        assert abs(size.shorter_px * factor - made.scaled.shorter_px) <= 1.001
    for tile in made.tiles:
        part = Size(tile.width, tile.height)
        assert part.shorter_px >= min_side_px or len(made.tiles) > 1
        assert not max_side_px or part.longer_px <= max_side_px
        assert not max_pixels or part.pixels <= max(max_pixels, min_side_px**2, min_side_px * max_side_px)
        if max_aspect:
            assert part.longer_px <= part.shorter_px * max_aspect + max_aspect + 1
    if len(made.tiles) > 1 and not max_aspect and text_height_px is not None:
        whole = plan_fit(size, fit, text_height_px, may_tile=False)
        assert text_height_px * whole.scaled.width / size.width < MIN_READABLE_TEXT_PX
