"""Whatever is done to a page, its coordinates lead back to the source."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from preprocess_service.decoders.opening import open_document
from preprocess_service.model import (
    IDENTITY,
    Homography,
    PageFit,
    PageMeasures,
    PagePreference,
    Point,
    Reader,
    Size,
    Source,
    SourceLimits,
)
from preprocess_service.page_making import MadePage, make_page
from preprocess_service.page_order import PageOrder
from preprocess_service.profiles import profile_names, resolve
from preprocess_service.steps.binarize import fixed, otsu, sauvola
from preprocess_service.steps.crop import crop, pad
from preprocess_service.steps.deskew import deskew
from preprocess_service.steps.illumination import illumination
from preprocess_service.steps.orient import orient, turn
from preprocess_service.steps.perspective import perspective
from preprocess_service.steps.scale import scale
from preprocess_service.steps.step_result import Pixels, StepResult, size_of
from preprocess_service.steps.tones import contrast, denoise, grey, sharpen
from tests.fakes.images import InkBox, encoded, page_with_ink, stored_with_orientation

Points = npt.NDArray[np.float64]
Step = Callable[[Pixels], StepResult]
Box = tuple[float, float, float, float]

INK_BELOW = 128
TABLE_TOP = (170, 175, 168)
WITHIN_PX = 2.0
RIM_PX = 40
"""Ink that is farther from a box is not its own: a rim of the table top may be black where it meets the page."""

orientations = st.integers(1, 8)
shares = st.floats(0, 1)


@dataclass(frozen=True, slots=True)
class NamedStep:
    """A step with its parameters, shown by name where a test fails."""

    name: str
    do: Step

    def __repr__(self) -> str:
        return self.name


@st.composite
def moving_steps(draw: st.DrawFn) -> NamedStep:
    """A step that moves points; no page becomes less than half as large."""
    orientation, quarters = draw(orientations), draw(st.integers(0, 3))
    degrees, factor = draw(st.floats(-45, 45)), draw(st.floats(0.7, 2.0))
    inset = [draw(st.floats(0, 0.1)) for _ in range(8)]
    return draw(
        st.sampled_from(
            [
                NamedStep(f"orient {orientation}", lambda pixels: orient(pixels, orientation)),
                NamedStep(f"turn {quarters}", lambda pixels: turn(pixels, quarters)),
                NamedStep(f"deskew {degrees}", lambda pixels: deskew(pixels, degrees)),
                NamedStep(f"scale {factor}", lambda pixels: scale(pixels, _times(size_of(pixels), factor))),
                NamedStep(f"perspective {inset}", lambda pixels: perspective(pixels, _inset_corners(pixels, inset))),
                NamedStep(f"crop {inset[:2]}", lambda pixels: _cropped(pixels, inset[0], inset[1])),
                NamedStep("pad", lambda pixels: pad(pixels, Size(pixels.shape[1] + 9, pixels.shape[0] + 40))),
            ]
        )
    )


TONE_STEPS = [
    NamedStep("grey", grey),
    NamedStep("median", lambda pixels: denoise(pixels, "median", 10)),
    NamedStep("gaussian", lambda pixels: denoise(pixels, "gaussian", 10)),
    NamedStep("despeckle", lambda pixels: denoise(pixels, "despeckle", 10)),
    NamedStep("bilateral", lambda pixels: denoise(pixels, "bilateral", 10)),
    NamedStep("illumination", illumination),
    NamedStep("contrast", lambda pixels: contrast(pixels, "stretch", 200.0)),
    NamedStep("sharpen", lambda pixels: sharpen(pixels, 1.0, 0.8)),
    NamedStep("otsu", lambda pixels: otsu(grey(pixels).pixels)),
    NamedStep("fixed", lambda pixels: fixed(grey(pixels).pixels, 150)),
    NamedStep("sauvola", lambda pixels: sauvola(grey(pixels).pixels, 12, 0.2)),
]


def _times(size: Size, factor: float) -> Size:
    return Size(round(size.width * factor), round(size.height * factor))


def _inset_corners(pixels: Pixels, inset: list[float]) -> tuple[Point, Point, Point, Point]:
    height, width = pixels.shape[:2]
    left, top, right, up, east, down, west, low = inset
    return (
        (width * left, height * top),
        (width * (1 - right), height * up),
        (width * (1 - east), height * (1 - down)),
        (width * west, height * (1 - low)),
    )


def _cropped(pixels: Pixels, left: float, top: float) -> StepResult:
    x, y = int(pixels.shape[1] * left), int(pixels.shape[0] * top)
    return crop(pixels, x, y, Size(pixels.shape[1] - 2 * x, pixels.shape[0] - 2 * y))


@st.composite
def pages_with_a_box(draw: st.DrawFn) -> tuple[Size, InkBox]:
    """A page and a box near its middle, which no step of these tests cuts off."""
    size = Size(draw(st.integers(200, 400)), draw(st.integers(200, 400)))
    width, height = draw(st.integers(16, 48)), draw(st.integers(16, 48))
    x = draw(st.integers(int(size.width * 0.36), int(size.width * 0.64) - width))
    y = draw(st.integers(int(size.height * 0.36), int(size.height * 0.64) - height))
    return size, InkBox(x, y, width, height)


def ink_corners_of(pixels: Pixels) -> Points:
    """The outer corners of every pixel of ink."""
    rows, columns = np.nonzero(grey(pixels).pixels < INK_BELOW)
    assert rows.size, "the ink is gone"
    return np.concatenate([np.stack((columns + dx, rows + dy), axis=1) for dx in (0.0, 1.0) for dy in (0.0, 1.0)])


def taken(homography: Homography, points: Points) -> Points:
    """The points, taken to the other image."""
    matrix = np.array(homography.values).reshape(3, 3)
    moved = np.concatenate((points, np.ones((len(points), 1))), axis=1) @ matrix.T
    return np.asarray(moved[:, :2] / moved[:, 2:], np.float64)


def box_round(points: Points) -> Box:
    """The left, top, right and bottom of the points."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def box_of(box: InkBox) -> Box:
    """The left, top, right and bottom of a drawn box."""
    (left, top), (right, bottom) = box.corners
    return left, top, right, bottom


@settings(max_examples=200, deadline=None)
@given(
    size=st.builds(Size, st.integers(40, 300), st.integers(40, 300)),
    chain=st.lists(moving_steps(), min_size=1, max_size=5),
    share=st.tuples(shares, shares),
)
def test_points_come_back_through_any_chain(size: Size, chain: list[NamedStep], share: tuple[float, float]) -> None:
    """A point of the page taken to the source and back is where it was, within 0.01 px, through any steps."""
    pixels = np.zeros((size.height, size.width), np.uint8)
    page_to_source = IDENTITY
    for step in chain:
        result = step.do(pixels)
        pixels, page_to_source = result.pixels, page_to_source.compose(result.to_previous)
    point = (share[0] * pixels.shape[1], share[1] * pixels.shape[0])
    (back,) = page_to_source.inverse().apply(page_to_source.apply([point]))
    assert back == pytest.approx(point, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(
    size=st.builds(Size, st.integers(1, 60), st.integers(1, 60)),
    orientation=orientations,
    target=st.builds(Size, st.integers(1, 60), st.integers(1, 60)),
)
def test_turning_and_scaling_keep_the_corners(size: Size, orientation: int, target: Size) -> None:
    """The page's corners lie on the source's corners."""
    turned = orient(np.zeros((size.height, size.width), np.uint8), orientation)
    page_to_source = turned.to_previous.compose(scale(turned.pixels, target).to_previous)
    corners = [(x, y) for x in (0.0, float(target.width)) for y in (0.0, float(target.height))]
    reached = {(round(x, 2) + 0.0, round(y, 2) + 0.0) for x, y in page_to_source.apply(corners)}
    assert reached == {(x, y) for x in (0.0, float(size.width)) for y in (0.0, float(size.height))}


@settings(max_examples=150, deadline=None)
@given(drawn=pages_with_a_box(), step=moving_steps())
def test_ink_comes_back_through_every_step_that_moves_points(drawn: tuple[Size, InkBox], step: NamedStep) -> None:
    """A box is found by its ink after the step, and lies within 2 px of where it was drawn; forward as well."""
    size, box = drawn
    pixels = np.asarray(page_with_ink(size.width, size.height, box).convert("L"))
    result = step.do(pixels)
    found = ink_corners_of(result.pixels)
    assert box_round(taken(result.to_previous, found)) == pytest.approx(box_of(box), abs=WITHIN_PX)
    (left, top, right, bottom), forward = box_of(box), result.to_previous.inverse()
    corners = taken(forward, np.array(((left, top), (right, top), (right, bottom), (left, bottom))))
    assert box_round(found) == pytest.approx(box_round(corners), abs=WITHIN_PX)


@settings(max_examples=60, deadline=None)
@given(drawn=pages_with_a_box(), step=st.sampled_from(TONE_STEPS), is_colour=st.booleans())
def test_ink_stays_through_every_step_over_tones(drawn: tuple[Size, InkBox], step: NamedStep, is_colour: bool) -> None:
    """A step that changes tones alone moves nothing."""
    size, box = drawn
    pixels = np.asarray(page_with_ink(size.width, size.height, box).convert("RGB" if is_colour else "L"))
    result = step.do(pixels)
    assert result.to_previous == IDENTITY
    assert size_of(result.pixels) == size
    assert box_round(ink_corners_of(result.pixels)) == pytest.approx(box_of(box), abs=1)


@settings(max_examples=150, deadline=None)
@given(
    drawn=pages_with_a_box(),
    chain=st.lists(st.one_of(moving_steps(), st.sampled_from(TONE_STEPS)), min_size=2, max_size=4),
)
def test_ink_comes_back_through_any_chain(drawn: tuple[Size, InkBox], chain: list[NamedStep]) -> None:
    """Steps in any order and number add up to less than 2 px, where they do not make the page much smaller."""
    size, box = drawn
    pixels = np.asarray(page_with_ink(size.width, size.height, box).convert("L"))
    page_to_source = IDENTITY
    for step in chain:
        result = step.do(pixels)
        if size_of(result.pixels).longer_px < 0.7 * size.longer_px or size_of(result.pixels).pixels > 4_000_000:
            continue
        pixels, page_to_source = result.pixels, page_to_source.compose(result.to_previous)
    page = np.array(((0.0, 0.0), (pixels.shape[1], 0.0), (pixels.shape[1], pixels.shape[0]), (0.0, pixels.shape[0])))
    on_page = taken(page_to_source.inverse(), np.array(box.corners))
    assume(box_round(page)[0] < on_page.min() and (on_page.max(axis=0) < page.max(axis=0)).all())
    found = box_round(taken(page_to_source, ink_corners_of(pixels)))
    assert found == pytest.approx(box_of(box), abs=WITHIN_PX)


@dataclass(frozen=True, slots=True)
class Scene:
    """A page as it came: a file, what is to be measured on it, and where its ink is."""

    content: bytes = field(repr=False)
    measures: PageMeasures
    size: Size
    box: Box


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A page that is skewed, turned, surrounded by a table top, or photographed from the side."""
    size, box = draw(pages_with_a_box())
    size, box = Size(size.width * 2, size.height * 2), InkBox(box.x * 2, box.y * 2, box.width * 2, box.height * 2)
    page = np.asarray(page_with_ink(size.width, size.height, box))
    kind = draw(st.sampled_from(["straight", "skewed", "turned", "surrounded", "photographed"]))
    measures = PageMeasures(0, 0.0, 0.9, 2.0, 0.02, draw(st.sampled_from([10.0, 16.0, 30.0])), 0.2)
    picture: Pixels = page
    if kind == "skewed":
        degrees = draw(st.floats(-20, 20))
        picture = deskew(page, -degrees).pixels
        measures = _with(measures, skew_deg=degrees)
    elif kind == "turned":
        quarters = draw(st.integers(1, 3))
        picture = turn(page, quarters).pixels
        measures = _with(measures, quarter_turns=(4 - quarters) % 4)
    elif kind != "straight":
        inset = [draw(st.floats(0.05, 0.12 if kind == "photographed" else 0.0500001)) for _ in range(8)]
        corners = _inset_corners(np.empty((size.height * 3 // 2, size.width * 3 // 2), np.uint8), inset)
        picture = _photographed(page, corners)
        measures = _with(measures, outline=corners)
    elif draw(st.booleans()):
        orientation = draw(orientations)
        content = stored_with_orientation(Image.fromarray(page), orientation, "PNG")
        return Scene(content, measures, size, box_of(box))
    file_format = draw(st.sampled_from(["PNG", "JPEG", "TIFF"]))
    ink = box_round(ink_corners_of(picture))
    return Scene(encoded(Image.fromarray(picture), file_format), measures, size_of(picture), ink)


def _with(measures: PageMeasures, **changes: object) -> PageMeasures:
    values = {name: getattr(measures, name) for name in PageMeasures.__slots__} | changes
    return PageMeasures(**values)


def _photographed(page: Pixels, corners: tuple[Point, Point, Point, Point]) -> Pixels:
    height, width = page.shape[0] * 3 // 2, page.shape[1] * 3 // 2
    flat = np.array(((0, 0), (page.shape[1], 0), (page.shape[1], page.shape[0]), (0, page.shape[0])), np.float32)
    matrix = cv2.getPerspectiveTransform(flat - 0.5, np.array(corners, np.float32) - 0.5)
    picture = cv2.warpPerspective(page, matrix, (width, height), borderValue=TABLE_TOP)
    return np.asarray(picture, np.uint8)


class Gauge:
    """Measures a page by what is known of it, and the page that is cut out of it as one that needs nothing."""

    def __init__(self, measures: PageMeasures) -> None:
        self._next = [measures, PageMeasures(0, 0.0, 0.9, 2.0, 0.02, measures.text_height_px, 0.2)]

    def __call__(self, grey_picture: Pixels, factor: float) -> PageMeasures:
        assert grey_picture.ndim == 2
        assert factor >= 1
        return self._next.pop(0)


FITS = [
    PageFit(),
    PageFit(max_side_px=500),
    PageFit(max_aspect=1.2, max_pixels=400_000),
    PageFit(media_types=("image/png",), min_side_px=600),
    PageFit(max_bytes=12_000),
]


@settings(max_examples=100, deadline=None)
@given(
    scene=scenes(),
    profile=st.sampled_from(profile_names()),
    preference=st.sampled_from(PagePreference),
    fit=st.sampled_from(FITS),
    may_tile=st.booleans(),
)
def test_ink_on_the_made_page_leads_back_to_the_source(
    scene: Scene, profile: str, preference: PagePreference, fit: PageFit, may_tile: bool
) -> None:
    """On straight, skewed, turned, surrounded and photographed pages, for every profile, reader and fit, a box that is
    found by its ink on the parts lies within 2 px of where it is in the source.
    """
    order = PageOrder(resolve(profile, {}), Reader(preference, fit), may_tile)
    page = make_page(open_document(Source(scene.content), SourceLimits()), 1, order, measuring=Gauge(scene.measures))
    assert page.source_size == scene.size
    found = taken(page.page_to_source, ink_on(page))
    left, top, right, bottom = scene.box
    is_near = (found > (left - RIM_PX, top - RIM_PX)) & (found < (right + RIM_PX, bottom + RIM_PX))
    assert box_round(found[is_near.all(axis=1)]) == pytest.approx(scene.box, abs=WITHIN_PX)


def ink_on(page: MadePage) -> Points:
    """The corners of all pixels of ink on a page's parts, in the page's coordinates."""
    found = []
    for part in page.parts:
        pixels = np.asarray(cv2.imdecode(np.frombuffer(part.content, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
        assert size_of(pixels) == part.size
        if (pixels < INK_BELOW).any():
            found.append(taken(part.to_page, ink_corners_of(pixels)))
    points = np.concatenate(found)
    assert points.min() >= -1e-6
    assert box_round(points)[2] <= math.ceil(page.page_size.width)
    assert box_round(points)[3] <= math.ceil(page.page_size.height)
    return points
