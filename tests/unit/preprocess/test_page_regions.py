"""Where regions of a source are read: on its page, on the page's parts, and by readers that take nothing thin."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrmux.ocr.v1.geometry_pb2 import Rect
from preprocess_service.errors import RegionOutOfImage
from preprocess_service.model import IDENTITY, Homography, NormalizedPage, PageFit, PagePart, Size
from preprocess_service.page_regions import RegionPlan, plan_regions, regions_on_page
from preprocess_service.polygons import Box

ANY = PageFit()
PAGE_SIZE = Size(400, 1000)
SEEN_ASLANT = Homography((0.5, -0.24, 300.0, 0.0, -0.1, 1000.0, 0.0, -0.0004, 1.0))
"""A photographed page's way to its source, where its top stands at 1000 px and its horizon at 250 px."""


def rect(x: float, y: float, width: float, height: float) -> Rect:
    """A region."""
    return Rect(x=x, y=y, width=width, height=height)


def page(
    size: Size = PAGE_SIZE,
    to_source: Homography = IDENTITY,
    source: Size | None = None,
    tiles: Sequence[tuple[int, int]] = (),
) -> NormalizedPage:
    """A page; with tiles from here to there along its height."""
    parts = [
        PagePart(b"", "image/png", Size(size.width, end - begin), Homography((1, 0, 0, 0, 1, begin, 0, 0, 1)))
        for begin, end in tiles
    ]
    whole = PagePart(b"", "image/png", size)
    return NormalizedPage(1, 1, tuple(parts) or (whole,), size, source or size, to_source, (), None, 1.0)


TILED = page(tiles=((0, 400), (300, 700), (600, 1000)))


def planned(made: NormalizedPage, *regions: Rect, fit: PageFit = ANY) -> RegionPlan:
    """The plan for at least one region."""
    plan = plan_regions(regions, made, fit)
    assert plan is not None
    return plan


def asked(plan: RegionPlan) -> list[list[tuple[float, float, float, float]] | None]:
    """What each part is asked for: x, y, width and height."""
    return [
        None if rects is None else [(each.x, each.y, each.width, each.height) for each in rects]
        for rects in plan.on_parts
    ]


@pytest.mark.parametrize("top", [0.0, 240.0, 250.0, 260.0, 1000.0])
def test_a_region_that_reaches_behind_the_horizon_is_cut_to_the_page(top: float) -> None:
    """Whatever it holds above the page, to the horizon or beyond, it is the whole page; above the page is nothing."""
    seen = page(Size(800, 900), SEEN_ASLANT, Size(1200, 1500))
    (whole,) = regions_on_page([rect(0, top, 1200, 1500 - top)], seen)
    assert whole == pytest.approx((0, 0, 800, 900), abs=1e-6)
    assert regions_on_page([rect(0, top / 2, 1200, 990 - top / 2)], seen) == ()


@settings(deadline=None, max_examples=200)
@given(
    aslant=st.tuples(st.floats(-0.0004, 0.0009), st.floats(-0.0004, 0.0009)),
    angle_deg=st.floats(-180, 180),
    reach=st.tuples(*[st.floats(1, 3000)] * 4),
    place=st.tuples(st.floats(0, 500), st.floats(0, 700)),
)
def test_what_of_a_region_is_on_the_page_is_in_its_box(
    aslant: tuple[float, float], angle_deg: float, reach: tuple[float, float, float, float], place: tuple[float, float]
) -> None:
    """A place of the page whose place in the source is in the region is in the region's box, however it is seen."""
    turn = math.radians(angle_deg)
    to_source = Homography((1.0, 0.0, 2000.0, 0.0, 1.0, 2000.0, 0.0, 0.0, 1.0)).compose(
        Homography((math.cos(turn), -math.sin(turn), 0.0, math.sin(turn), math.cos(turn), 0.0, *aslant, 1.0))
    )
    ((x, y),) = to_source.apply([place])
    left, top = max(0.0, x - reach[0]), max(0.0, y - reach[1])
    region = rect(left, top, min(4000.0, x + reach[2]) - left, min(4000.0, y + reach[3]) - top)
    (found,) = regions_on_page([region], page(Size(500, 700), to_source, Size(4000, 4000)))
    assert found[0] - 1e-6 <= place[0] <= found[2] + 1e-6
    assert found[1] - 1e-6 <= place[1] <= found[3] + 1e-6


def test_a_region_in_what_was_cut_away_is_left_out() -> None:
    """Also one that touches the page by less than a pixel; one that lies on it in part is cut to it."""
    cropped = page(Size(900, 1300), Homography((1, 0, 150, 0, 1, 200, 0, 0, 1)), Size(1200, 1600))
    regions = [rect(5, 5, 60, 60), rect(100, 100, 50.2, 400), rect(100, 100, 100, 400), rect(200, 250, 400, 200)]
    assert regions_on_page(regions, cropped) == ((0, 0, 50, 300), (50, 50, 450, 250))
    plan = planned(cropped, *regions[:2])
    assert (plan.on_page, plan.on_parts, plan.exceeds) == ((), (None,), False)
    assert plan_regions([], cropped, ANY) is None


@pytest.mark.parametrize("region", [rect(10.2, 5, 0.3, 0.2), rect(399, 0, 1, 1000), rect(399.5, 0, 1, 5)])
def test_a_thin_region_is_a_pixel_at_least(region: Rect) -> None:
    """On a page that was scaled down too, and at its edge; rounding over the edge is forgiven."""
    half = Homography((2, 0, 0, 0, 2, 0, 0, 0, 1))
    for made in (page(), page(Size(200, 500), half, Size(400, 1000))):
        ((left, top, right, bottom),) = regions_on_page([region], made)
        assert min(right - left, bottom - top) >= 1
        assert (left >= 0, top >= 0) == (True, True)
        assert (right <= made.page_size.width, bottom <= made.page_size.height) == (True, True)


@pytest.mark.parametrize(
    "region", [rect(-1, 0, 9, 9), rect(0, 0, 401, 9), rect(0, 999, 9, 9), rect(5, 5, 0, 9), rect(5, 5, 9, -1)]
)
def test_a_region_outside_of_the_source_is_refused(region: Rect) -> None:
    """Whatever lies beside it."""
    with pytest.raises(RegionOutOfImage):
        regions_on_page([rect(0, 0, 9, 9), region], page())


def test_a_region_is_read_on_the_tile_that_holds_it_whole() -> None:
    """Not once more on a neighbour that holds a piece or all of it; a tile without a region is not read."""
    assert asked(planned(TILED, rect(10, 350, 80, 300))) == [None, [(10, 50, 80, 300)], None]
    assert asked(planned(TILED, rect(10, 310, 80, 50))) == [[(10, 310, 80, 50)], None, None]
    assert asked(planned(TILED, rect(10, 350, 80, 355))) == [None, [(10, 50, 80, 350)], [(10, 0, 80, 105)]]
    assert asked(planned(TILED, rect(0, 0.4, 400, 9))) == [[(0, 0, 400, 10)], None, None]


def test_a_part_that_is_asked_for_whole_is_not_cut() -> None:
    """The whole page as a region costs what the page costs."""
    assert asked(planned(page(), rect(0, 0, 400, 1000))) == [[]]
    assert asked(planned(TILED, rect(0, 0, 400, 1000))) == [[], [], []]


def test_a_thin_region_grows_to_what_its_reader_takes() -> None:
    """About its middle, inside of the part; the plan says so. One that is large enough stays as it is."""
    fit = PageFit(min_side_px=15, max_aspect=4.0)
    plan = planned(page(), rect(100, 300, 200, 10), fit=fit)
    assert (asked(plan), plan.exceeds) == ([[(100, 280, 200, 50)]], True)
    assert list(plan.on_page) == [(100, 300, 300, 310)]
    assert asked(planned(page(), rect(0, 0, 3, 3), fit=fit)) == [[(0, 0, 15, 15)]]
    assert asked(planned(page(), rect(397, 900, 3, 100), fit=fit)) == [[(375, 900, 25, 100)]]
    enough = planned(page(), rect(100, 300, 200, 50), fit=fit)
    assert (asked(enough), enough.exceeds) == ([[(100, 300, 200, 50)]], False)


def test_regions_that_grow_into_each_other_are_read_as_one() -> None:
    """So that no line is answered twice; regions that were given overlapping stay two."""
    fit = PageFit(min_side_px=40)
    plan = planned(page(), rect(100, 300, 200, 10), rect(100, 320, 200, 10), rect(0, 900, 50, 50), fit=fit)
    assert asked(plan) == [[(100, 285, 200, 60), (0, 900, 50, 50)]]
    given = planned(page(), rect(100, 300, 200, 50), rect(100, 320, 200, 50), fit=fit)
    assert asked(given) == [[(100, 300, 200, 50), (100, 320, 200, 50)]]


@settings(deadline=None, max_examples=200)
@given(
    boxes=st.lists(
        st.tuples(st.floats(0, 0.99), st.floats(0, 0.99), st.floats(0.001, 1), st.floats(0.001, 1)), min_size=1
    ),
    min_side_px=st.integers(0, 90),
    max_aspect=st.sampled_from([0.0, 1.3, 3.0, 7.5]),
)
def test_whatever_is_asked_for_is_taken_and_covers_the_regions(
    boxes: list[tuple[float, float, float, float]], min_side_px: int, max_aspect: float
) -> None:
    """Every rectangle lies in its tile and has the reader's shape; together they hold every place of every region."""
    fit = PageFit(min_side_px=min_side_px, max_aspect=max_aspect)
    regions = [rect(x * 400, y * 1000, w * (400 - x * 400), h * (1000 - y * 1000)) for x, y, w, h in boxes]
    plan = planned(TILED, *regions, fit=fit)
    read: list[Box] = []
    for part, rects in zip(TILED.parts, plan.on_parts, strict=True):
        whole = rect(0, 0, part.size.width, part.size.height)
        for each in () if rects is None else rects or (whole,):
            assert min(each.x, each.y) >= 0
            assert each.x + each.width <= part.size.width
            assert each.y + each.height <= part.size.height
            shorter, longer = sorted((each.width, each.height))
            assert shorter >= min_side_px
            assert not max_aspect or longer / shorter <= max_aspect
            top = part.to_page.values[5] + each.y
            read.append((each.x, top, each.x + each.width, top + each.height))
    for left, top, right, bottom in plan.on_page:
        for x in (left, (left + right) / 2, right):
            for y in (top, top + (bottom - top) * 0.37, bottom):
                assert any(b[0] - 1e-6 <= x <= b[2] + 1e-6 and b[1] - 1e-6 <= y <= b[3] + 1e-6 for b in read)
