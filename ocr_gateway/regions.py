"""Recognition confined to rectangles: each is cut out and read by itself, and its places are moved back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from ocr_gateway.errors import RegionOutOfImage
from ocr_gateway.model import Block, Cell, Field, Line, Page, Polygon, Rect, Table, Word


def check_regions(regions: Iterable[Rect], width: int, height: int) -> None:
    """Raises RegionOutOfImage for a region that has no area or reaches outside of ``width`` x ``height`` pixels."""
    for region in regions:
        inside = region.x >= 0 and region.y >= 0 and region.x + region.width <= width + 0.5
        inside = inside and region.y + region.height <= height + 0.5
        if not (inside and region.width > 0 and region.height > 0):
            raise RegionOutOfImage((region.x, region.y, region.width, region.height), width, height)


def whole_pixels(region: Rect) -> Rect:
    """The smallest rectangle of whole pixels that holds the region."""
    x, y = math.floor(region.x), math.floor(region.y)
    right, bottom = math.ceil(region.x + region.width), math.ceil(region.y + region.height)
    return Rect(x, y, right - x, bottom - y)


def merge_regions(parts: Iterable[tuple[Page, float, float]], width: int, height: int) -> Page:
    """One page of ``width`` x ``height`` pixels from those of its regions, each with the place of its corner (x, y)."""
    moved = [_moved(page, dx, dy) for page, dx, dy in parts]
    return Page(
        width=width,
        height=height,
        blocks=tuple(block for page in moved for block in page.blocks),
        tables=tuple(table for page in moved for table in page.tables),
        fields=tuple(field for page in moved for field in page.fields),
        languages=tuple(dict.fromkeys(language for page in moved for language in page.languages)),
    )


def _moved(page: Page, dx: float, dy: float) -> Page:
    def at(polygon: Polygon | None) -> Polygon | None:
        return None if polygon is None else tuple((x + dx, y + dy) for x, y in polygon)

    def word(word: Word) -> Word:
        return replace(word, polygon=tuple((x + dx, y + dy) for x, y in word.polygon))

    def line(line: Line) -> Line:
        return replace(line, polygon=at(line.polygon), words=tuple(word(each) for each in line.words))

    def block(block: Block) -> Block:
        return replace(block, polygon=at(block.polygon), lines=tuple(line(each) for each in block.lines))

    def cell(cell: Cell) -> Cell:
        return replace(cell, polygon=at(cell.polygon))

    def table(table: Table) -> Table:
        return replace(table, polygon=at(table.polygon), cells=tuple(cell(each) for each in table.cells))

    def field(field: Field) -> Field:
        return replace(field, polygon=at(field.polygon))

    return replace(
        page,
        blocks=tuple(block(each) for each in page.blocks),
        tables=tuple(table(each) for each in page.tables),
        fields=tuple(field(each) for each in page.fields),
    )
