"""What was read on a mosaic, divided among the regions that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ocr_gateway.model import Block, Line, Page, Point, Polygon, Word
from ocr_gateway.mosaic import Tile
from ocr_gateway.providers.writing import join_words


def split_page(page: Page, tiles: Sequence[Tile]) -> list[Page]:
    """What was read on each tile, as if it had been read alone: places are those on the tile, cut to its extent.

    A word belongs to the tile that its centre lies on, or else to the nearest one, and a line goes with its words, in
    pieces where they lie on several. A line without words goes by its own centre; one without a place, with the line
    before it. What is read of TEXT has neither tables nor fields.
    """
    blocks: dict[int, list[Block]] = {number: [] for number in range(len(tiles))}
    last = 0
    for block in page.blocks:
        lines: dict[int, list[Line]] = {}
        for line in block.lines:
            for number, piece in _pieces(line, tiles, last):
                lines.setdefault(number, []).append(piece)
                last = number
        for number, inside in lines.items():
            polygon = block.polygon if len(lines) == 1 else _hull(inside)
            blocks[number].append(_block_on(tiles[number], Block(tuple(inside), polygon)))
    return [
        Page(tile.width, tile.height, tuple(blocks[number]), languages=page.languages)
        for number, tile in enumerate(tiles)
    ]


def _pieces(line: Line, tiles: Sequence[Tile], last: int) -> list[tuple[int, Line]]:
    """The line by tile, in its own order."""
    if not line.words:
        return [(last if line.polygon is None else _tile_at(line.polygon, tiles), line)]
    numbers = [_tile_at(word.polygon, tiles) for word in line.words]
    if len(set(numbers)) == 1:
        return [(numbers[0], line)]
    texts = _texts(line)
    pieces: list[tuple[int, Line]] = []
    for number in dict.fromkeys(numbers):
        of_it = [index for index, each in enumerate(numbers) if each == number]
        words = tuple(line.words[index] for index in of_it)
        is_run = texts is not None and of_it[-1] - of_it[0] + 1 == len(of_it)
        text = line.text[texts[of_it[0]][0] : texts[of_it[-1]][1]] if texts is not None and is_run else None
        pieces.append((number, _piece(line, words, text)))
    return pieces


def _piece(line: Line, words: tuple[Word, ...], text: str | None) -> Line:
    confidences = [word.confidence for word in words if word.confidence is not None]
    return Line(
        text=join_words(word.text for word in words) if text is None else text,
        confidence=sum(confidences) / len(confidences) if len(confidences) == len(words) else line.confidence,
        polygon=_along(words),
        words=words,
    )


def _texts(line: Line) -> list[tuple[int, int]] | None:
    """Where each word stands in the line's text; None where it is not made up of them."""
    places: list[tuple[int, int]] = []
    at = 0
    for word in line.words:
        begin = line.text.find(word.text, at)
        if begin < 0:
            return None
        at = begin + len(word.text)
        places.append((begin, at))
    return places


def _along(words: Sequence[Word]) -> Polygon:
    """From the first word's beginning to the last one's end."""
    first, last = words[0].polygon, words[-1].polygon
    if len(first) == len(last) == 4:
        return (first[0], last[1], last[2], first[3])
    return _box([point for word in words for point in word.polygon])


def _hull(lines: Sequence[Line]) -> Polygon | None:
    points = [point for line in lines for point in line.polygon or ()]
    return _box(points) if points else None


def _box(points: Sequence[Point]) -> Polygon:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return ((min(xs), min(ys)), (max(xs), min(ys)), (max(xs), max(ys)), (min(xs), max(ys)))


def _tile_at(polygon: Polygon, tiles: Sequence[Tile]) -> int:
    centre = (sum(x for x, _ in polygon) / len(polygon), sum(y for _, y in polygon) / len(polygon))
    return min(range(len(tiles)), key=lambda number: tiles[number].distance(centre))


def _block_on(tile: Tile, block: Block) -> Block:
    def cut(polygon: Polygon) -> Polygon:
        return tuple(
            (min(max(x - tile.left, 0.0), float(tile.width)), min(max(y - tile.top, 0.0), float(tile.height)))
            for x, y in polygon
        )

    def on_tile(line: Line) -> Line:
        words = tuple(replace(word, polygon=cut(word.polygon)) for word in line.words)
        return replace(line, polygon=None if line.polygon is None else cut(line.polygon), words=words)

    polygon = None if block.polygon is None else cut(block.polygon)
    return Block(tuple(on_tile(line) for line in block.lines), polygon)
