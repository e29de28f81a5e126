"""Lines of text that stand on two overlapping tiles, given once.

Copies of one line are known by their places: outlines that share most of the smaller one. Of a line's copies those of
one tile are taken, the others dropped: a whole copy before a cut one, then the one farther from its tile's edge. A line
that runs over the edge, aslant or because its text does, is whole on no tile: its pieces are joined. Where a provider
gives no places, lines are matched by their text. A line that is higher than the tiles overlap is given as the larger
piece of it was read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from ocrmux.ocr.v1 import document_pb2, geometry_pb2
from preprocess_service.polygons import Box, Outline, area_px, box_around, box_of, meet, shared_share
from preprocess_service.tile_merge.continued_lines import continues, joined
from preprocess_service.tile_merge.outlines import Tile, outline_of, polygon_around

_SAME_SHARE = 0.5
_SAME_SHARE_CUT = 0.25
"""What is left of a cut line may lie a little off."""
_CUT_SHARE = 0.1
_CUT_PX = 2.0
"""A line whose outline comes as near to its tile's edge, of its own height or in pixels, is taken for cut."""
_AS_LARGE_SHARE = 0.8


@dataclass(slots=True, eq=False)
class _Line:
    """One line of a tile; ``block`` counts over all tiles. ``box`` is around the outline, at the origin where there is
    none. ``is_cut`` tells whether the tile's edge runs through it, as far as can be told.
    """

    message: document_pb2.Line
    tile: int
    block: int
    outline: Outline | None
    inside_px: float
    kept: bool = True
    box: Box = field(init=False)
    is_cut: bool = field(init=False)

    def __post_init__(self) -> None:
        self.box = box_of(self.outline) if self.outline else (0.0, 0.0, 0.0, 0.0)
        height_px = self.box[3] - self.box[1]
        self.is_cut = self.outline is not None and self.inside_px <= max(_CUT_PX, _CUT_SHARE * height_px)


@dataclass(slots=True)
class _Groups:
    """Things that belong together, by number: a forest of them (union-find)."""

    parents: dict[int, int] = field(default_factory=dict)

    def of(self, number: int) -> int:
        """The least number of its group."""
        while (parent := self.parents.get(number, number)) != number:
            number = parent
        return number

    def join(self, one: int, other: int) -> None:
        """Makes one group of two."""
        least, most = sorted((self.of(one), self.of(other)))
        self.parents[most] = least


def merged_blocks(tiles: Sequence[Tile], pages: Sequence[document_pb2.Page]) -> list[document_pb2.Block]:
    """The blocks of all tiles in reading order, with each line once. Places are those of the page already.

    Blocks that share a line are one, and so are those of a provider that gives one block for each image.
    """
    lines = _lines_of(tiles, pages)
    pieces = _join_pieces(lines)
    copies = [*pieces, *_copies_by_place(lines, tiles), *_copies_by_text(lines, len(tiles))]
    blocks = _Groups()
    for group in copies:
        for one, other in pairwise(group):
            blocks.join(one.block, other.block)
    if all(len(page.blocks) <= 1 for page in pages):
        for number in range(1, sum(len(page.blocks) for page in pages)):
            blocks.join(0, number)
    outlines = [block.polygon for page in pages for block in page.blocks]
    members: dict[int, list[int]] = defaultdict(list)
    for number in range(len(outlines)):
        members[blocks.of(number)].append(number)
    made = []
    for numbers in members.values():
        own = [line for line in lines if line.block in numbers]
        kept = _in_reading_order(line for line in own if line.kept)
        if kept or not own:
            is_whole = len(numbers) == 1 and len(kept) == len(own)
            places = [outline_of(outlines[number]) for number in numbers]
            made.append(_block(kept, None if is_whole else places, outlines[numbers[0]]))
    return made


def _lines_of(tiles: Sequence[Tile], pages: Sequence[document_pb2.Page]) -> list[_Line]:
    lines: list[_Line] = []
    number = 0
    for index, (tile, page) in enumerate(zip(tiles, pages, strict=True)):
        for block in page.blocks:
            for message in block.lines:
                outline = outline_of(message.polygon)
                inside_px = tile.inside_px(outline) if outline else 0.0
                lines.append(_Line(message, index, number, outline, inside_px))
            number += 1
    return lines


def _join_pieces(lines: list[_Line]) -> list[list[_Line]]:
    """Puts one line in the place of those that the edges of their tiles part; gives the pairs that were joined."""
    pairs: list[list[_Line]] = []
    left = [line for line in lines if line.is_cut]
    while left:
        line = left.pop(0)
        while (pair := next((pair for each in left if (pair := _in_order(line, each))), None)) is not None:
            left.remove(pair[0] if pair[1] is line else pair[1])
            upper, lower = sorted(pair, key=lambda piece: piece.tile)
            message = joined(pair[0].message, pair[1].message)
            inside_px = min(upper.inside_px, lower.inside_px)  # a third piece may follow
            line = _Line(message, upper.tile, upper.block, outline_of(message.polygon), inside_px)
            lines[lines.index(upper)] = line
            lines.remove(lower)
            pairs.append([upper, lower])
    return pairs


def _in_order(one: _Line, other: _Line) -> tuple[_Line, _Line] | None:
    """The two as pieces of one line, its beginning first; None where they are no such pieces."""
    if one.tile == other.tile or one.outline is None or other.outline is None or not meet(one.box, other.box):
        return None
    if continues(one.outline, other.outline):
        return one, other
    return (other, one) if continues(other.outline, one.outline) else None


def _copies_by_place(lines: Sequence[_Line], tiles: Sequence[Tile]) -> list[list[_Line]]:
    """Lines that are one, tile by tile; all but those of one tile are dropped."""
    near: dict[int, list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        others = (number for number in range(len(tiles)) if number != line.tile)
        if line.outline and any(meet(line.box, tiles[number].box) for number in others):
            near[line.tile].append(index)
    same = _Groups()
    found: set[int] = set()
    for one_tile, other_tile in combinations(sorted(near), 2):
        for one in near[one_tile]:
            for other in near[other_tile]:
                if _are_one(lines[one], lines[other]):
                    same.join(one, other)
                    found |= {one, other}
    groups: dict[int, list[_Line]] = defaultdict(list)
    for index in sorted(found):
        groups[same.of(index)].append(lines[index])
    for group in groups.values():
        best = _best_tile(group)
        for line in group:
            line.kept = line.tile == best
    return list(groups.values())


def _are_one(one: _Line, other: _Line) -> bool:
    if one.outline is None or other.outline is None or not meet(one.box, other.box):
        return False
    least = _SAME_SHARE_CUT if one.is_cut or other.is_cut else _SAME_SHARE
    return shared_share(one.outline, other.outline) >= least


def _best_tile(copies: Sequence[_Line]) -> int:
    """Whose copies are whole, then about as large as any, then farthest from the tile's edge."""
    by_tile: dict[int, list[_Line]] = defaultdict(list)
    for line in copies:
        by_tile[line.tile].append(line)
    whole = [tile for tile, own in by_tile.items() if not any(line.is_cut for line in own)] or list(by_tile)
    area = {tile: sum(area_px(line.outline or ()) for line in by_tile[tile]) for tile in whole}
    large = [tile for tile in whole if area[tile] >= _AS_LARGE_SHARE * max(area.values())]
    return max(large, key=lambda tile: min(line.inside_px for line in by_tile[tile]))


def _copies_by_text(lines: Sequence[_Line], tile_count: int) -> list[list[_Line]]:
    """The same where no line has a place: the end of a tile's text that is the beginning of the next one's. A cut line
    beyond it, the last of the upper tile or the first of the lower one, is dropped."""
    if any(line.outline for line in lines):
        return []
    groups: list[list[_Line]] = []
    of_tile = [[line for line in lines if line.tile == number] for number in range(tile_count)]
    for upper, lower in pairwise(of_tile):
        last_cut, first_cut, length = _overlap(
            [" ".join(line.message.text.split()) for line in upper],
            [" ".join(line.message.text.split()) for line in lower],
        )
        if length == 0:
            continue
        for line in (*upper[len(upper) - last_cut :], *lower[: first_cut + length]):
            line.kept = False
        ends = upper[len(upper) - last_cut - length : len(upper) - last_cut]
        groups += [list(pair) for pair in zip(ends, lower[first_cut : first_cut + length], strict=True)]
    return groups


def _overlap(upper: Sequence[str], lower: Sequence[str]) -> tuple[int, int, int]:
    """Lines to leave out at the end of the upper, at the beginning of the lower, and how many are common between."""
    best = (0, 0, 0)
    for last_cut, first_cut in ((0, 0), (1, 0), (0, 1), (1, 1)):
        ending, beginning = upper[: len(upper) - last_cut], lower[first_cut:]
        for length in range(min(len(ending), len(beginning)), best[2], -1):
            if ending[-length:] == beginning[:length]:
                best = (last_cut, first_cut, length)
                break
    return best


def _in_reading_order(lines: Iterable[_Line]) -> list[_Line]:
    """By tile; at a border a line of the lower tile goes before those of the upper one that it stands before."""
    ordered: list[_Line] = []
    for line in lines:
        at = len(ordered)
        while at and ordered[at - 1].tile < line.tile and _stands_before(line, ordered[at - 1]):
            at -= 1
        ordered.insert(at, line)
    return ordered


def _stands_before(line: _Line, other: _Line) -> bool:
    if line.outline is None or other.outline is None:
        return False
    left, top, _, bottom = line.box
    other_left, other_top, _, other_bottom = other.box
    lower_px = (top + bottom - other_top - other_bottom) / 2
    in_one_row = abs(lower_px) < min(bottom - top, other_bottom - other_top) / 2
    return left < other_left if in_one_row else lower_px < 0


def _block(
    lines: Sequence[_Line], places: Sequence[Outline | None] | None, own: geometry_pb2.Polygon
) -> document_pb2.Block:
    """The block; with its ``own`` outline, or where ``places`` of what it was made from are given, one around all."""
    made = document_pb2.Block(lines=[line.message for line in lines])
    if places is None:
        made.polygon.CopyFrom(own)
        return made
    around = [line.box for line in lines if line.outline] or [box_of(place) for place in places if place]
    if around and any(places):
        made.polygon.CopyFrom(polygon_around(box_around(around)))
    return made
