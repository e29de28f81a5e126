"""Regions of a source on its normalised page and on the page's parts: what is asked for there. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ocrmux.ocr.v1 import geometry_pb2
from preprocess_service.errors import RegionOutOfImage
from preprocess_service.model import Homography, NormalizedPage, PageFit, Size
from preprocess_service.polygons import Box, Outline, box_around, box_of, clipped, corners_of, meet

Rect = geometry_pb2.Rect
_Pixels = tuple[int, int, int, int]
"""A box of whole pixels: left, top, right and bottom."""

_SLACK_PX = 0.5
"""A region may reach this far over the source's edge, for callers that round."""
_LEAST_PX = 0.5
"""A region of which less than this lies on the page, in pixels of the source, has nothing there."""
_ROUNDING_PX = 1e-6


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """What is asked for where regions confine the reading.

    ``on_page`` are the regions in pixels of the normalised page. ``on_parts`` has for each part the rectangles to read
    there, whole pixels of the part: none where it is read whole, None where it need not be read. ``exceeds`` tells
    whether they hold more than the regions, because the reader takes nothing so thin.
    """

    on_page: tuple[Box, ...]
    on_parts: tuple[tuple[Rect, ...] | None, ...]
    exceeds: bool


def plan_regions(regions: Sequence[Rect], page: NormalizedPage, fit: PageFit) -> RegionPlan | None:
    """Where the regions are read for a reader of this ``fit``; None where there are none, and the page is read whole.

    What a neighbouring part holds too is read once. Each rectangle is as large as the reader needs it, in sides and in
    aspect, as far as its part reaches; those that come to overlap by this are one.
    Raises RegionOutOfImage for a region that has no area or does not lie inside the source image.
    """
    if not regions:
        return None
    on_page = regions_on_page(regions, page)
    pieces = _pieces(on_page, page)
    on_parts: list[tuple[Rect, ...] | None] = []
    exceeds = False
    for part, boxes in zip(page.parts, pieces, strict=True):
        to_part = part.to_page.inverse()
        exact = [_on_part(box, to_part, part.size) for box in boxes]
        asked = _large_enough(exact, part.size, fit)
        exceeds = exceeds or asked != exact
        on_parts.append(_rects(asked, part.size) if asked else None)
    return RegionPlan(on_page, tuple(on_parts), exceeds)


def regions_on_page(regions: Sequence[Rect], page: NormalizedPage) -> tuple[Box, ...]:
    """Of each region that shows on the page the upright box around its part of it, in the page's pixels, a pixel wide
    and high at least. One that lies in what was cut away gives none.

    A region is cut to the page in the source: on a photographed page what lies outside may lie behind the horizon of
    the way to the page, where places turn over. Raises RegionOutOfImage.
    """
    to_page, size = page.page_to_source.inverse(), page.page_size
    seen = page.page_to_source.apply(corners_of((0.0, 0.0, size.width, size.height)))
    boxes: list[Box] = []
    for region in regions:
        outline = clipped(_outline(region, page.source_size), seen)
        if not _shows(outline, region):
            continue
        left, top, right, bottom = box_of(to_page.apply(outline))
        left, right = _span(left, right, size.width)
        top, bottom = _span(top, bottom, size.height)
        boxes.append((left, top, right, bottom))
    return tuple(boxes)


def _outline(region: Rect, source: Size) -> Outline:
    x, y, right, bottom = region.x, region.y, region.x + region.width, region.y + region.height
    inside = x >= 0 and y >= 0 and right <= source.width + _SLACK_PX and bottom <= source.height + _SLACK_PX
    if not (inside and region.width > 0 and region.height > 0):
        raise RegionOutOfImage(
            (region.x, region.y, region.width, region.height), width=source.width, height=source.height
        )
    return corners_of((x, y, right, bottom))


def _shows(outline: Outline, region: Rect) -> bool:
    """Whether what is left of the region is more than rounding."""
    if not outline:
        return False
    left, top, right, bottom = box_of(outline)
    least_width, least_height = (min(_LEAST_PX, extent / 2) for extent in (region.width, region.height))
    return right - left >= least_width and bottom - top >= least_height


def _span(begin: float, end: float, extent_px: int) -> tuple[float, float]:
    """The same inside of the page, and at least a pixel."""
    begin = min(max(0.0, begin), extent_px - 1.0)
    return begin, max(min(float(extent_px), end), begin + 1.0)


def _pieces(regions: Sequence[Box], page: NormalizedPage) -> list[list[Box]]:
    """For each part what it shall read of the regions, in the page's pixels.

    The parts stand in a row and overlap; what one of them holds of a region and its neighbour holds as well is left to
    the neighbour. So a region that a part holds whole is read there alone.
    """
    places = [box_of(part.to_page.apply(corners_of((0.0, 0.0, *_extent(part.size))))) for part in page.parts]
    pieces: list[list[Box]] = [[] for _ in places]
    for region in regions:
        held: list[tuple[int, Box]] = []
        for number, place in enumerate(places):
            if not meet(region, place):
                continue
            piece = _common(region, place)
            if held and _holds(held[-1][1], piece):
                continue
            while held and _holds(piece, held[-1][1]):
                held.pop()
            held.append((number, piece))
        for number, piece in held:
            pieces[number].append(piece)
    return pieces


def _extent(size: Size) -> tuple[float, float]:
    return float(size.width), float(size.height)


def _common(one: Box, other: Box) -> Box:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _holds(one: Box, other: Box) -> bool:
    slack = _ROUNDING_PX
    return (
        one[0] <= other[0] + slack
        and one[1] <= other[1] + slack
        and one[2] >= other[2] - slack
        and one[3] >= other[3] - slack
    )


def _on_part(box: Box, to_part: Homography, size: Size) -> _Pixels:
    """The smallest box of the part's whole pixels that holds the box of the page."""
    left, top, right, bottom = box_of(to_part.apply(corners_of(box)))
    x, right_px = _whole(left, right, size.width)
    y, bottom_px = _whole(top, bottom, size.height)
    return x, y, right_px, bottom_px


def _whole(begin: float, end: float, extent_px: int) -> tuple[int, int]:
    first = min(max(0, math.floor(begin + _ROUNDING_PX)), extent_px - 1)
    return first, max(min(extent_px, math.ceil(end - _ROUNDING_PX)), first + 1)


def _large_enough(boxes: Sequence[_Pixels], size: Size, fit: PageFit) -> list[_Pixels]:
    """The boxes as the reader takes them; one that had to grow and lies over another is one with it."""
    made: list[tuple[_Pixels, bool]] = []
    for exact in boxes:
        box = _grown(exact, size, fit)
        has_grown = box != exact
        while (
            other := next((each for each in made if (each[1] or has_grown) and meet(each[0], box)), None)
        ) is not None:
            made.remove(other)
            left, top, right, bottom = box_around([other[0], box])
            box, has_grown = _grown((int(left), int(top), int(right), int(bottom)), size, fit), True
        made.append((box, has_grown))
    return [box for box, _ in made]


def _grown(box: _Pixels, size: Size, fit: PageFit) -> _Pixels:
    """The box with the reader's shortest side and at most its aspect, about its middle as far as the image allows."""
    left, top, right, bottom = box
    width, height = max(right - left, fit.min_side_px), max(bottom - top, fit.min_side_px)
    if fit.max_aspect:
        width = max(width, math.ceil(height / fit.max_aspect))
        height = max(height, math.ceil(width / fit.max_aspect))
    left, right = _widened(left, right, width, size.width)
    top, bottom = _widened(top, bottom, height, size.height)
    return left, top, right, bottom


def _widened(begin: int, end: int, wanted_px: int, extent_px: int) -> tuple[int, int]:
    length = min(wanted_px, extent_px)
    first = min(max(0, begin - (length - (end - begin)) // 2), extent_px - length)
    return first, first + length


def _rects(boxes: Sequence[_Pixels], size: Size) -> tuple[Rect, ...]:
    """The boxes as they are asked for; none for one that is the whole part, which needs no cutting."""
    if list(boxes) == [(0, 0, size.width, size.height)]:
        return ()
    return tuple(Rect(x=left, y=top, width=right - left, height=bottom - top) for left, top, right, bottom in boxes)
