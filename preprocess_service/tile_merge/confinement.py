"""A page's answer kept to the regions that were asked for, where more had to be read."""

from __future__ import annotations

from collections.abc import Sequence

from ocrmux.ocr.v1 import document_pb2, geometry_pb2
from preprocess_service.polygons import Box, box_around, box_of
from preprocess_service.tile_merge.outlines import outline_of, polygon_around
from preprocess_service.tile_merge.page_text import confidence_of, text_of, word_ends


def confined(page: document_pb2.Page, regions: Sequence[Box]) -> document_pb2.Page:
    """The page with those words, tables and fields whose middle lies in a region; regions are in the page's pixels.

    A line whose words have no places is kept or left out as a whole, by its own middle; what has no place at all is
    kept, as nothing tells where it stood.
    """
    blocks = [kept for block in page.blocks if (kept := _confined_block(block, regions)) is not None]
    lines = [line for block in blocks for line in block.lines]
    made = document_pb2.Page()
    made.CopyFrom(page)
    made.ClearField("blocks")
    made.ClearField("tables")
    made.ClearField("fields")
    made.ClearField("confidence")
    made.blocks.extend(blocks)
    made.tables.extend(table for table in page.tables if _lies_in(table.polygon, regions))
    made.fields.extend(field for field in page.fields if _lies_in(field.polygon, regions))
    made.text = text_of(lines)
    confidence = confidence_of(lines)
    if confidence is not None:
        made.confidence = confidence
    return made


def _confined_block(block: document_pb2.Block, regions: Sequence[Box]) -> document_pb2.Block | None:
    """The block with what is kept of its lines and an outline around them; None where that is nothing."""
    lines = [kept for line in block.lines if (kept := _confined_line(line, regions)) is not None]
    if lines == list(block.lines):
        return block if lines or _lies_in(block.polygon, regions) else None
    if not lines:
        return None
    made = document_pb2.Block()
    made.CopyFrom(block)
    made.ClearField("lines")
    made.lines.extend(lines)
    places = [outline for line in lines if (outline := outline_of(line.polygon))]
    if places and outline_of(block.polygon):
        made.polygon.CopyFrom(polygon_around(box_around([box_of(place) for place in places])))
    return made


def _confined_line(line: document_pb2.Line, regions: Sequence[Box]) -> document_pb2.Line | None:
    """What is kept of the line; None where that is nothing."""
    if not line.words or not all(outline_of(word.polygon) for word in line.words):
        return line if _lies_in(line.polygon, regions) else None
    kept = [number for number, word in enumerate(line.words) if _lies_in(word.polygon, regions)]
    if len(kept) == len(line.words):
        return line
    if not kept:
        return None
    words = [line.words[number] for number in kept]
    made = document_pb2.Line(text=_text_of_words(line, kept), words=words)
    if line.HasField("confidence"):
        made.confidence = line.confidence
    made.polygon.CopyFrom(_around_words(words))
    return made


def _text_of_words(line: document_pb2.Line, kept: Sequence[int]) -> str:
    """The text of these words, with what stands between neighbours and a blank where others stood."""
    ends = word_ends(line)
    made, before = "", None
    for number in kept:
        if before is not None:
            between = line.text[ends[before] : ends[number] - len(line.words[number].text)]
            made += between if number == before + 1 else " "
        made += line.words[number].text
        before = number
    return made


def _around_words(words: Sequence[document_pb2.Word]) -> geometry_pb2.Polygon:
    """An outline in reading order from the first word to the last."""
    first, last = words[0].polygon.points, words[-1].polygon.points
    if len(first) == len(last) == 4:
        return geometry_pb2.Polygon(points=[first[0], last[1], last[2], first[3]])
    return polygon_around(box_of([(point.x, point.y) for word in words for point in word.polygon.points]))


def _lies_in(polygon: geometry_pb2.Polygon, regions: Sequence[Box]) -> bool:
    outline = outline_of(polygon)
    if outline is None:
        return True
    left, top, right, bottom = box_of(outline)
    x, y = (left + right) / 2, (top + bottom) / 2
    return any(region[0] <= x <= region[2] and region[1] <= y <= region[3] for region in regions)
