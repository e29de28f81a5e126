"""A line that runs over the edge of a tile into the next one and is whole on neither: its two pieces made into one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ocrmux.ocr.v1 import document_pb2, geometry_pb2
from preprocess_service.model import Point
from preprocess_service.polygons import Outline, shared_share
from preprocess_service.tile_merge.outlines import outline_of
from preprocess_service.tile_merge.page_text import word_ends

_BEYOND_HEIGHTS = 0.5
_MOST_CUT_LETTERS = 2
_SAME_WORD_SHARE = 0.5


def continues(first: Outline, second: Outline) -> bool:
    """Whether the second outline goes on where the first one ends: one row, one direction, overlapping, each reaching
    beyond the other on its own side. Outlines are in reading order, of four points.
    """
    if len(first) != 4 or len(second) != 4:
        return False
    along, height_px = _direction(first), min(_height_px(first), _height_px(second))
    other = _direction(second)
    if along[0] * other[0] + along[1] * other[1] < math.cos(math.radians(20)):
        return False
    begin, end = _span(first, along)
    other_begin, other_end = _span(second, along)
    beyond_px = _BEYOND_HEIGHTS * height_px
    if not (begin + beyond_px < other_begin <= end and end + beyond_px < other_end):
        return False
    ending, beginning = _middle(first[1], first[2]), _middle(second[0], second[3])
    aside_px = abs((beginning[0] - ending[0]) * along[1] - (beginning[1] - ending[1]) * along[0])
    return aside_px < height_px / 2


def joined(first: document_pb2.Line, second: document_pb2.Line) -> document_pb2.Line:
    """One line of two that ``continues`` holds for. Their common part is told by their words' places, else by their
    letters, else by how long it is."""
    one, other = tuple(first.polygon.points), tuple(second.polygon.points)
    made = document_pb2.Line(polygon=geometry_pb2.Polygon(points=[one[0], other[1], other[2], one[3]]))
    common = _joined_words(first, second)
    if common is not None:
        made.text, words = common
        made.words.extend(words)
    else:
        made.text = _joined_text(first, second)
    if first.HasField("confidence") and second.HasField("confidence"):
        made.confidence = min(first.confidence, second.confidence)
    return made


def _joined_words(
    first: document_pb2.Line, second: document_pb2.Line
) -> tuple[str, Sequence[document_pb2.Word]] | None:
    """The text and the words; None where words have no places. Of a word that both have the wider copy is taken; words
    that the edge cuts, the first line's last and the second one's first, give way to a copy."""
    ending, beginning = _places(first.words), _places(second.words)
    if not ending or not beginning:
        return None
    twins = [
        (here, there)
        for here, one in enumerate(ending)
        for there, other in enumerate(beginning)
        if shared_share(one, other) >= _SAME_WORD_SHARE
    ]
    if not twins:
        return _text_of(first, len(ending), second, 0), [*first.words, *second.words]
    here, there = twins[len(twins) // 2]
    is_wider = _length_px(ending[here]) >= _length_px(beginning[there])
    last, begin = (here + 1, there + 1) if is_wider else (here, there)
    return _text_of(first, last, second, begin), [*first.words[:last], *second.words[begin:]]


def _places(words: Iterable[document_pb2.Word]) -> list[Outline] | None:
    places = [outline_of(word.polygon) for word in words]
    found: list[Outline] = [place for place in places if place is not None and len(place) == 4]
    return found if len(found) == len(places) else None


def _text_of(first: document_pb2.Line, last: int, second: document_pb2.Line, begin: int) -> str:
    """The first line's text up to its ``last`` words, and the second one's from its word ``begin``, with the blank that
    stands there in either."""
    head_end = word_ends(first)[last - 1] if last else 0
    ends = word_ends(second)
    tail_begin = len(second.text)
    if begin < len(ends):
        tail_begin = ends[begin] - len(second.words[begin].text)
    head, tail = first.text[:head_end], second.text[tail_begin:]
    parted = first.text[head_end : head_end + 1].isspace() or second.text[max(0, tail_begin - 1) : tail_begin].isspace()
    return head + (" " if parted and head and tail else "") + tail


def _joined_text(first: document_pb2.Line, second: document_pb2.Line) -> str:
    """The texts with what is the end of one and the beginning of the other once; at most two letters that the edge cut
    are left out on either side. Where they have nothing in common, each gives way in the middle of the overlap."""
    one, other = first.text, second.text
    best = (0, 0, 0)
    for end_cut in range(_MOST_CUT_LETTERS + 1):
        for begin_cut in range(_MOST_CUT_LETTERS + 1):
            ending, beginning = one[: len(one) - end_cut], other[begin_cut:]
            for length in range(min(len(ending), len(beginning)), max(best[0], 1), -1):
                if ending[-length:] == beginning[:length]:
                    best = (length, end_cut, begin_cut)
                    break
    length, end_cut, begin_cut = best
    if length:
        return one[: len(one) - end_cut] + other[begin_cut + length :]
    place, next_place = outline_of(first.polygon) or (), outline_of(second.polygon) or ()
    along = _direction(place)
    common_px = _span(place, along)[1] - _span(next_place, along)[0]
    shares = [common_px / 2 / max(1.0, _length_px(each)) for each in (place, next_place)]
    return one[: len(one) - round(len(one) * shares[0])] + other[round(len(other) * shares[1]) :]


def _direction(outline: Outline) -> Point:
    length_px = _length_px(outline) or 1.0
    return (outline[1][0] - outline[0][0]) / length_px, (outline[1][1] - outline[0][1]) / length_px


def _span(outline: Outline, along: Point) -> tuple[float, float]:
    places = [x * along[0] + y * along[1] for x, y in outline]
    return min(places), max(places)


def _length_px(outline: Outline) -> float:
    return math.dist(outline[0], outline[1])


def _height_px(outline: Outline) -> float:
    return math.dist(outline[0], outline[3])


def _middle(one: Point, other: Point) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
