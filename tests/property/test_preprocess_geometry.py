"""Whatever is done to a page, its coordinates lead back to the source."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from preprocess_service.model import IDENTITY, NormalizedPage, PageFit, Size, Source, SourceLimits
from preprocess_service.pipeline import Pipeline
from preprocess_service.profiles import resolve
from preprocess_service.steps.orient import orient
from preprocess_service.steps.scale import plan_size, scale
from preprocess_service.steps.step_result import size_of
from preprocess_service.worker_pool import WorkerPool
from tests.fakes.images import InkBox, ink_box_of, page_with_ink, stored_with_orientation

orientations = st.integers(1, 8)
sides = st.integers(1, 60)
limits = st.one_of(st.just(0), st.integers(1, 5000))


@settings(max_examples=100, deadline=None)
@given(
    size=st.builds(Size, sides, sides),
    chain=st.lists(st.tuples(orientations, st.builds(Size, sides, sides)), min_size=1, max_size=4),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_points_come_back_through_any_chain_of_turns_and_scalings(
    size: Size, chain: list[tuple[int, Size]], share: tuple[float, float]
) -> None:
    """Through any turns and scalings a page's corners lie on the source's corners, and a point taken to the source and
    back is where it was, within 0.01 px.
    """
    pixels = np.zeros((size.height, size.width), np.uint8)
    page_to_source = IDENTITY
    for orientation, target in chain:
        turned = orient(pixels, orientation)
        scaled = scale(turned.pixels, target)
        page_to_source = page_to_source.compose(turned.to_previous).compose(scaled.to_previous)
        pixels = scaled.pixels
    page = size_of(pixels)
    corners = [(0.0, 0.0), (float(page.width), 0.0), (0.0, float(page.height)), (float(page.width), float(page.height))]
    reached = {(round(x, 2) + 0.0, round(y, 2) + 0.0) for x, y in page_to_source.apply(corners)}
    assert reached == {(x, y) for x in (0.0, float(size.width)) for y in (0.0, float(size.height))}
    point = (share[0] * page.width, share[1] * page.height)
    (back,) = page_to_source.inverse().apply(page_to_source.apply([point]))
    assert back == pytest.approx(point, abs=0.01)


@settings(max_examples=200, deadline=None)
@given(
    size=st.builds(Size, st.integers(1, 70_000), st.integers(1, 70_000)),
    max_side_px=limits,
    max_pixels=st.one_of(st.just(0), st.integers(1, 5_000_000)),
    min_side_px=st.integers(0, 64),
)
def test_a_planned_size_is_within_the_limits_and_keeps_the_aspect(
    size: Size, max_side_px: int, max_pixels: int, min_side_px: int
) -> None:
    """No upper limit is passed, no side vanishes, and the aspect is kept to within a pixel where no side is 1 px."""
    target = plan_size(size, max_side_px=max_side_px, max_pixels=max_pixels, min_side_px=min_side_px)
    assert min(target.width, target.height) >= 1
    assert not max_side_px or target.longer_px <= max_side_px
    assert not max_pixels or target.pixels <= max_pixels
    if target.shorter_px > 1:
        factor = max(target.width / size.width, target.height / size.height)
        assert abs(size.width * factor - target.width) <= 1.001
        assert abs(size.height * factor - target.height) <= 1.001


@st.composite
def pages_with_a_box(draw: st.DrawFn) -> tuple[Size, InkBox]:
    """A page and a box on it that stays visible when the page is scaled down by four."""
    size = Size(draw(st.integers(120, 400)), draw(st.integers(120, 400)))
    width, height = draw(st.integers(16, 60)), draw(st.integers(16, 60))
    x, y = draw(st.integers(0, size.width - width)), draw(st.integers(0, size.height - height))
    return size, InkBox(x, y, width, height)


@settings(max_examples=40, deadline=None)
@given(
    drawn=pages_with_a_box(),
    orientation=orientations,
    file_format=st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP"]),
    factor=st.floats(0.25, 1.2),
    max_bytes=st.sampled_from([0, 2500]),
)
def test_ink_on_the_normalised_page_leads_back_to_where_it_was_drawn(
    drawn: tuple[Size, InkBox], orientation: int, file_format: str, factor: float, max_bytes: int
) -> None:
    """A box is found on the page by its ink and mapped back to within 2 px of the upright source, whatever the EXIF
    orientation, the format and the scaling that the fit forces.
    """
    size, box = drawn
    content = stored_with_orientation(page_with_ink(size.width, size.height, box), orientation, file_format)
    fit = PageFit(max_side_px=round(size.longer_px * factor), max_bytes=max_bytes)
    page = asyncio.run(_only_page(content, fit))
    assert page.source_size == size
    assert page.page_size.longer_px <= fit.max_side_px
    assert Image.open(io.BytesIO(page.content)).size == (page.page_size.width, page.page_size.height)
    found = page.page_to_source.apply(ink_box_of(page.content))
    for (found_x, found_y), (drawn_x, drawn_y) in zip(found, box.corners, strict=True):
        assert abs(found_x - drawn_x) <= 2
        assert abs(found_y - drawn_y) <= 2


async def _only_page(content: bytes, fit: PageFit) -> NormalizedPage:
    pool = WorkerPool(1)
    try:
        pages = [page async for page in Pipeline(pool, SourceLimits()).pages(Source(content), resolve("auto", {}), fit)]
    finally:
        await pool.close()
    (page,) = pages
    assert isinstance(page, NormalizedPage)
    return page
