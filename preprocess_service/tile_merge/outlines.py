"""Outlines on a page, and where they stand to the edges of its tiles. Unit: pixels of the normalised page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ocrmux.ocr.v1 import geometry_pb2
from preprocess_service.model import PagePart, Size
from preprocess_service.polygons import Box, Outline, box_of, corners_of


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a tile lies on its page."""

    box: Box
    page_size: Size

    def inside_px(self, outline: Outline) -> float:
        """How far the outline stays away from those of the tile's edges that are not the page's; 0 at such an edge and
        beyond, infinite for a tile without one.
        """
        left, top, right, bottom = box_of(outline)
        away = [math.inf]
        if self.box[0] > 0.5:
            away.append(left - self.box[0])
        if self.box[1] > 0.5:
            away.append(top - self.box[1])
        if self.box[2] < self.page_size.width - 0.5:
            away.append(self.box[2] - right)
        if self.box[3] < self.page_size.height - 0.5:
            away.append(self.box[3] - bottom)
        return max(0.0, min(away))


def tile_of(part: PagePart, page_size: Size) -> Tile:
    """The place of a part."""
    width, height = part.size.width, part.size.height
    corners = part.to_page.apply([(0, 0), (width, 0), (width, height), (0, height)])
    return Tile(box_of(corners), page_size)


def outline_of(polygon: geometry_pb2.Polygon) -> Outline | None:
    """The polygon's corners; None where it gives no place."""
    return tuple((point.x, point.y) for point in polygon.points) if len(polygon.points) > 2 else None


def polygon_around(box: Box) -> geometry_pb2.Polygon:
    """The box as an outline, from its top left corner."""
    return geometry_pb2.Polygon(points=[geometry_pb2.Point(x=x, y=y) for x, y in corners_of(box)])
