"""Tables and fields of overlapping tiles: a table that an edge cuts is joined, what was read twice is given once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ocrmux.ocr.v1 import document_pb2
from preprocess_service.polygons import Box, box_around, box_of, corners_of
from preprocess_service.tile_merge.outlines import Tile, outline_of, polygon_around

_SAME_SHARE = 0.5
_CHECKED = {document_pb2.CHECK_DIGIT_VALID: 2, document_pb2.CHECK_DIGIT_INVALID: 0}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A table with the tiles that it was read on, from the top to the bottom."""

    message: document_pb2.Table
    tile: Tile
    box: Box | None


def merged_tables(tiles: Sequence[Tile], pages: Sequence[document_pb2.Page]) -> list[document_pb2.Table]:
    """The tables of all tiles, in their order. Places are those of the page already.

    Two that overlap and have as many columns are one: their rows are matched by where they stand, and of two copies of
    a row the one farther from its tile's edge is taken. Of two that overlap by most of the smaller one and cannot be
    joined, the one with more cells is taken. Tables without places are given as they are.
    """
    made: list[_Placed] = []
    for tile, page in zip(tiles, pages, strict=True):
        for message in page.tables:
            outline = outline_of(message.polygon)
            placed = _Placed(message, tile, box_of(outline) if outline else None)
            at = next((index for index, other in enumerate(made) if _is_one(other, placed)), None)
            if at is None:
                made.append(placed)
            else:
                made[at] = _joined(made[at], placed)
    return [placed.message for placed in made]


def _is_one(upper: _Placed, lower: _Placed) -> bool:
    if upper.box is None or lower.box is None or upper.tile == lower.tile:
        return False
    wide = min(upper.box[2], lower.box[2]) - max(upper.box[0], lower.box[0])
    high = min(upper.box[3], lower.box[3]) - max(upper.box[1], lower.box[1])
    narrower = min(upper.box[2] - upper.box[0], lower.box[2] - lower.box[0])
    if high <= 0 or wide < _SAME_SHARE * narrower:
        return False
    as_wide = upper.message.column_count == lower.message.column_count
    smaller = min(_area_px(upper.box), _area_px(lower.box))
    return (as_wide and _has_places(upper.message) and _has_places(lower.message)) or (
        wide * high >= _SAME_SHARE * smaller
    )


def _joined(upper: _Placed, lower: _Placed) -> _Placed:
    if upper.message.column_count != lower.message.column_count or not (
        _has_places(upper.message) and _has_places(lower.message)
    ):
        return lower if len(lower.message.cells) > len(upper.message.cells) else upper
    rows_above, rows_below = _rows(upper.message), _rows(lower.message)
    places, count = _new_rows(rows_above, rows_below, upper.message.row_count)
    first = {
        row
        for row in rows_below
        if places[row] in rows_above
        and lower.tile.inside_px(corners_of(rows_below[row]))
        > upper.tile.inside_px(corners_of(rows_above[places[row]]))
    }
    below = [_renumbered(cell, places) for cell in lower.message.cells]
    better = [cell for cell, old in zip(below, lower.message.cells, strict=True) if old.row in first]
    others = [cell for cell, old in zip(below, lower.message.cells, strict=True) if old.row not in first]
    box = box_around([box for box in (upper.box, lower.box) if box])
    made = document_pb2.Table(
        polygon=polygon_around(box),
        row_count=count,
        column_count=upper.message.column_count,
        cells=_without_collisions([*better, *upper.message.cells, *others]),
    )
    confidences = [each.message.confidence for each in (upper, lower) if each.message.HasField("confidence")]
    if confidences:
        made.confidence = min(confidences)
    return _Placed(made, lower.tile, box)


def _rows(table: document_pb2.Table) -> dict[int, Box]:
    """Where each row stands, by the cells of that row alone."""
    boxes: dict[int, list[Box]] = {}
    for cell in table.cells:
        outline = outline_of(cell.polygon)
        if outline and cell.row_span <= 1:
            boxes.setdefault(cell.row, []).append(box_of(outline))
    return {row: box_around(each) for row, each in boxes.items()}


def _new_rows(above: dict[int, Box], below: dict[int, Box], count: int) -> tuple[dict[int, int], int]:
    """For each row of the lower table its number in the joined one, which has the second value's rows."""
    places: dict[int, int] = {}
    for row in sorted(below):
        same = [number for number, box in above.items() if _in_one_row(box, below[row])]
        if same:
            places[row] = same[0]
        else:
            places[row] = count
            count += 1
    return places, count


def _in_one_row(one: Box, other: Box) -> bool:
    common = min(one[3], other[3]) - max(one[1], other[1])
    return common > _SAME_SHARE * min(one[3] - one[1], other[3] - other[1])


def _renumbered(cell: document_pb2.Cell, places: dict[int, int]) -> document_pb2.Cell:
    covered = [places[row] for row in range(cell.row, cell.row + max(1, cell.row_span)) if row in places]
    made = document_pb2.Cell()
    made.CopyFrom(cell)
    if covered:
        made.row = min(covered)
        made.row_span = max(covered) - min(covered) + 1
    return made


def _without_collisions(cells: Sequence[document_pb2.Cell]) -> list[document_pb2.Cell]:
    """The cells by row and column; one that covers what an earlier one of these covers is left out."""
    taken: set[tuple[int, int]] = set()
    kept: list[document_pb2.Cell] = []
    for cell in cells:
        places = {
            (row, column)
            for row in range(cell.row, cell.row + max(1, cell.row_span))
            for column in range(cell.column, cell.column + max(1, cell.column_span))
        }
        if not places & taken:
            taken |= places
            kept.append(cell)
    return sorted(kept, key=lambda cell: (cell.row, cell.column))


def _has_places(table: document_pb2.Table) -> bool:
    """Whether each row has a place by which it can be matched."""
    return bool(table.cells) and len(_rows(table)) == table.row_count


def _area_px(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def merged_fields(pages: Sequence[document_pb2.Page]) -> list[document_pb2.Field]:
    """The fields of all tiles. A name that several of them have is given by the tile that is surest of it: whose check
    digits hold, then by confidence. What one tile gives twice at two places is two."""
    of_name: dict[str, list[list[document_pb2.Field]]] = {}
    for page in pages:
        for name in dict.fromkeys(each.name for each in page.fields):
            of_name.setdefault(name, []).append([each for each in page.fields if each.name == name])
    return [each for tiles in of_name.values() for each in max(tiles, key=_sureness)]


def _sureness(fields: Sequence[document_pb2.Field]) -> tuple[int, bool, float]:
    """What is compared; of equals the first is taken."""
    return max((_CHECKED.get(each.check_digit, 1), bool(each.normalized_value), each.confidence) for each in fields)
