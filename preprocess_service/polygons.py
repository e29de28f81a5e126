"""Outlines and upright boxes of one image: where they meet and what they share. Pure; in pixels."""

from __future__ import annotations

from collections.abc import Sequence

from preprocess_service.model import Point

Outline = tuple[Point, ...]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def box_of(points: Sequence[Point]) -> Box:
    """The upright box around points, at least one."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def box_around(boxes: Sequence[Box]) -> Box:
    """The upright box around boxes, at least one."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def meet(one: Box, other: Box) -> bool:
    """Whether the boxes share more than an edge."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def corners_of(box: Box) -> Outline:
    """The box as an outline, clockwise from its top left corner."""
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def area_px(outline: Outline) -> float:
    """The area of a simple polygon."""
    return abs(_signed_area_px(outline))


def shared_share(one: Outline, other: Outline) -> float:
    """What two convex outlines have in common, as a share of the smaller one: 0..1."""
    smaller_px = min(area_px(one), area_px(other))
    if smaller_px <= 0 or not meet(box_of(one), box_of(other)):
        return 0.0
    return min(1.0, area_px(clipped(one, other)) / smaller_px)


def clipped(outline: Outline, by: Outline) -> Outline:
    """The part of ``outline`` inside the convex ``by``, empty where there is none (Sutherland and Hodgman, 1974)."""
    edges_of = by if _signed_area_px(by) > 0 else by[::-1]
    kept = list(outline)
    for (x0, y0), (x1, y1) in zip(edges_of, (*edges_of[1:], edges_of[0]), strict=True):
        given, kept = kept, []
        sides = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for x, y in given]
        for index, (point, side) in enumerate(zip(given, sides, strict=True)):
            before, side_before = given[index - 1], sides[index - 1]
            if (side >= 0) != (side_before >= 0):
                share = side_before / (side_before - side)
                kept.append((before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])))
            if side >= 0:
                kept.append(point)
    return tuple(kept)


def _signed_area_px(outline: Outline) -> float:
    following = (*outline[1:], *outline[:1])
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(outline, following, strict=True)) / 2
