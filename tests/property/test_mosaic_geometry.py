"""Regions in one image, over random ones: they lie apart and inside, and what is read comes back to where it was."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from ocr_gateway.image_header import read_header
from ocr_gateway.image_pixels import crop_pngs, encode_png
from ocr_gateway.model import ImageLimits, Page, Polygon, Rect
from ocr_gateway.mosaic import Layout, Tile, make_mosaics, pack
from ocr_gateway.mosaic_reading import split_page
from tests.fakes.colour_reader import Box, colour_page, read_colours

CELL_PX = (60, 30)
COLUMNS, ROWS = 16, 24
WIDTH, HEIGHT = COLUMNS * CELL_PX[0], ROWS * CELL_PX[1]
Found = Counter[tuple[str, Polygon]]

SIZES = st.lists(st.tuples(st.integers(1, 1500), st.integers(1, 1500)), min_size=1, max_size=30)
SOME_LIMITS = st.builds(
    ImageLimits,
    max_pixels=st.sampled_from([0, 0, 250_000, 1_000_000]),
    max_side_px=st.sampled_from([0, 0, 600, 1024, 8192]),
    min_side_px=st.sampled_from([0, 15, 100]),
    max_aspect=st.sampled_from([0.0, 0.0, 1.5, 50.0]),
)


@st.composite
def words_on_a_page(draw: st.DrawFn) -> list[Box]:
    """At most one in each cell, and never more than two fifths of its width, so that most of any edge is paper."""
    boxes: list[Box] = []
    for cell in draw(st.sets(st.integers(0, COLUMNS * ROWS - 1), max_size=60)):
        left, top = cell % COLUMNS * CELL_PX[0], cell // COLUMNS * CELL_PX[1]
        x, y = left + draw(st.integers(0, 30)), top + draw(st.integers(0, 17))
        boxes.append((x, y, x + draw(st.integers(1, 24)), y + draw(st.integers(1, 12))))
    return boxes


@st.composite
def regions_of_a_page(draw: st.DrawFn) -> list[Rect]:
    """At least two cells wide and high; they may overlap, cut words and repeat each other."""
    regions: list[Rect] = []
    for _ in range(draw(st.integers(2, 9))):
        x, y = draw(st.integers(0, WIDTH - 120)), draw(st.integers(0, HEIGHT - 60))
        width, height = draw(st.integers(120, WIDTH - x)), draw(st.integers(60, HEIGHT - y))
        regions.append(Rect(x, y, width, height))
    return regions


def words_of(page: Page) -> Found:
    return Counter((word.text, word.polygon) for block in page.blocks for line in block.lines for word in line.words)


def rows_between(one: Tile, other: Tile) -> float:
    return max(other.top - one.top - one.height, one.top - other.top - other.height)


def check_layout(layout: Layout, limits: ImageLimits) -> None:
    for tile in layout.tiles:
        assert tile.left >= 0 <= tile.top
        assert tile.left + tile.width <= layout.width
        assert tile.top + tile.height <= layout.height
    for number, tile in enumerate(layout.tiles):
        assert all(rows_between(tile, other) >= 32 for other in layout.tiles[:number])
    if len(layout.tiles) > 1:
        longer, shorter = max(layout.width, layout.height), min(layout.width, layout.height)
        assert longer <= min(limits.max_side_px or 2000, 2000)
        assert layout.width * layout.height <= (limits.max_pixels or math.inf)
        assert shorter >= limits.min_side_px
        assert longer <= shorter * min(limits.max_aspect or 3.0, 3.0)


@given(SIZES, SOME_LIMITS)
@settings(deadline=None, max_examples=200)
def test_each_region_lies_apart_from_the_others_on_one_mosaic(
    sizes: list[tuple[int, int]], limits: ImageLimits
) -> None:
    """Every region once, in its own size, no two on one row; and every mosaic within the limits."""
    by_region = dict(enumerate(sizes))
    layouts = pack(by_region, limits)
    placed = [tile for layout in layouts for tile in layout.tiles]
    assert sorted(tile.region for tile in placed) == list(by_region)
    assert all((tile.width, tile.height) == sizes[tile.region] for tile in placed)
    for layout in layouts:
        check_layout(layout, limits)
        if len(layout.tiles) == 1:
            assert (layout.width, layout.height) == sizes[layout.tiles[0].region]


@given(words_on_a_page(), regions_of_a_page())
@settings(deadline=None, max_examples=60)
def test_what_is_read_comes_back_to_its_region(words: list[Box], regions: list[Rect]) -> None:
    """The words of each region, whole or cut, and their places, are those that are read of the region alone."""
    content = encode_png(colour_page(WIDTH, HEIGHT, words))
    alone = [words_of(read_colours(crop)) for crop in crop_pngs(content, regions)]
    found: dict[int, Found] = {}
    for mosaic in make_mosaics(content, regions, ImageLimits(max_side_px=1200)):
        header = read_header(mosaic.image)
        assert max(header.width, header.height) <= 1200
        read = read_colours(mosaic.image)
        pages = split_page(read, mosaic.tiles)
        assert sum((words_of(page) for page in pages), Counter()).total() == words_of(read).total()
        for tile, page in zip(mosaic.tiles, pages, strict=True):
            assert (page.width, page.height) == (tile.width, tile.height)
            found[tile.region] = words_of(page)
    assert [found[number] for number in range(len(regions))] == alone
