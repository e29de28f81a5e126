"""Tiles cover a page with overlap, within the limits."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess_service.model import Size
from preprocess_service.tiles import Tile, TileLimits, overlap_px, plan_tiles


def test_a_page_that_fits_is_one_tile() -> None:
    """No limit, or none that is passed, cuts nothing."""
    whole = (Tile(0, 0, 500, 2000),)
    assert plan_tiles(Size(500, 2000), TileLimits(), 20) == whole
    assert plan_tiles(Size(500, 2000), TileLimits(4.0, 2000, 1_000_000), 20) == whole


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        (Size(500, 2000), TileLimits(max_aspect=3.0), [(0, 0, 500, 1500), (0, 500, 500, 1500)]),
        (Size(2000, 500), TileLimits(max_side_px=1040), [(0, 0, 1040, 500), (960, 0, 1040, 500)]),
        (
            Size(100, 1000),
            TileLimits(max_pixels=40_000),
            [(0, 0, 100, 400), (0, 300, 100, 400), (0, 600, 100, 400)],
        ),
    ],
)
def test_a_page_is_cut_along_its_longer_side(
    size: Size, limits: TileLimits, expected: list[tuple[int, int, int, int]]
) -> None:
    """By whichever limit is passed first, into tiles of one size."""
    assert plan_tiles(size, limits, 20) == tuple(Tile(*values) for values in expected)


def test_the_overlap_holds_a_line_of_text() -> None:
    """Three heights of the text, and no less than 48 px."""
    assert overlap_px(40.0) == 120
    assert overlap_px(5.0) == 48


@given(
    size=st.builds(Size, st.integers(1, 3000), st.integers(1, 70_000)),
    is_wide=st.booleans(),
    max_aspect=st.one_of(st.just(0.0), st.floats(1.0, 50.0)),
    max_side_px=st.one_of(st.just(0), st.integers(1, 20_000)),
    max_pixels=st.one_of(st.just(0), st.integers(1, 10_000_000)),
    text_height_px=st.floats(0, 200),
)
def test_tiles_cover_the_page_with_overlap(
    size: Size, is_wide: bool, max_aspect: float, max_side_px: int, max_pixels: int, text_height_px: float
) -> None:
    """Every row is in a tile, neighbours share the overlap, none lies outside, and limits that the shorter side keeps
    are kept by every tile.
    """
    if is_wide:
        size = Size(size.height, size.width)
    tiles = plan_tiles(size, TileLimits(max_aspect, max_side_px, max_pixels), text_height_px)
    lies = size.width > size.height
    spans = [(tile.x, tile.x + tile.width) if lies else (tile.y, tile.y + tile.height) for tile in tiles]
    assert all((tile.height if lies else tile.width) == size.shorter_px for tile in tiles)
    assert (spans[0][0], spans[-1][1]) == (0, size.longer_px)
    assert len({end - start for start, end in spans}) == 1
    length = spans[0][1] - spans[0][0]
    for (start, end), (next_start, next_end) in itertools.pairwise(spans):
        assert start < next_start
        assert end < next_end
        assert end - next_start >= min(overlap_px(text_height_px), length // 2)
    square_fits = (not max_side_px or size.shorter_px <= max_side_px) and (
        not max_pixels or size.shorter_px**2 <= max_pixels
    )
    if square_fits:
        assert not max_side_px or length <= max_side_px
        assert not max_pixels or length * size.shorter_px <= max_pixels
        assert not max_aspect or length <= size.shorter_px * max_aspect + 1e-5
