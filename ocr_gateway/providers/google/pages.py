"""Vision's answers, made into pages. Whatever is not as documented raises ValueError, which says what.

Vertices are pixels of the image; one without an ``x`` or a ``y`` has 0 there, as JSON made of protocol buffers leaves
zeros out. The order of the four is documented: from the top left of the text as it is read, clockwise, wherever the
text stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ocr_gateway.model import Block, Line, Page, Point, Polygon, Word
from ocr_gateway.providers.remote.values import array, confidence, number, optional_text
from ocr_gateway.providers.writing import is_cjk

# TextAnnotation.DetectedBreak.BreakType: what follows a symbol. A line's end is None.
_BREAKS: dict[object, str | None] = {
    "UNKNOWN": "", "SPACE": " ", "SURE_SPACE": " ", "EOL_SURE_SPACE": None, "HYPHEN": None, "LINE_BREAK": None,
    0: "", 1: " ", 2: " ", 3: None, 4: None, 5: None,
}  # fmt: skip
_HYPHENS = ("HYPHEN", 4)


def page_of(said: Any, width: int, height: int) -> Page:
    """The page that one image's answer describes. An answer without an annotation is an empty page."""
    annotation = _object(_object(said, "response").get("fullTextAnnotation"), "fullTextAnnotation")
    pages = _list(annotation, "pages")
    if len(pages) > 1:
        raise ValueError(f"{len(pages)} pages for one image")
    if not pages:
        return Page(width, height)
    page = _object(pages[0], "page")
    scale = _Scale(_ratio(width, page.get("width")), _ratio(height, page.get("height")))
    blocks = tuple(_block(each, scale) for each in _list(page, "blocks"))
    return Page(width, height, blocks=tuple(each for each in blocks if each.lines), languages=_languages(page))


@dataclass(frozen=True, slots=True)
class _Scale:
    """From the answer's extent to that of the image that was sent; they are the same unless the service shrank it."""

    x: float
    y: float

    def polygon(self, holder: dict[str, Any]) -> Polygon | None:
        """Of ``boundingBox``; None where there are not four vertices."""
        box = _object(holder.get("boundingBox"), "boundingBox")
        corners = tuple(self._point(each) for each in _list(box, "vertices"))
        return corners if len(corners) == 4 else None

    def _point(self, said: Any) -> Point:
        vertex = _object(said, "vertex")
        return number(vertex.get("x", 0), "x") * self.x, number(vertex.get("y", 0), "y") * self.y


@dataclass(slots=True)
class _OpenLine:
    """A line that is being read."""

    text: str = ""
    words: list[Word] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)

    def closed(self) -> Line:
        """The line; its confidence is the mean of its words'."""
        sure = sum(self.confidences) / len(self.confidences) if self.confidences else None
        polygons = [word.polygon for word in self.words]
        return Line(self.text.strip(), sure, _round(polygons) if polygons else None, tuple(self.words))


def _block(said: Any, scale: _Scale) -> Block:
    block = _object(said, "block")
    lines = [
        line for paragraph in _list(block, "paragraphs") for line in _lines(_object(paragraph, "paragraph"), scale)
    ]
    return Block(tuple(lines), scale.polygon(block))


def _lines(paragraph: dict[str, Any], scale: _Scale) -> Iterator[Line]:
    """The paragraph's lines, which end where a break says so."""
    line = _OpenLine()
    for each in _list(paragraph, "words"):
        word = _object(each, "word")
        if _read_word(word, line, scale):
            yield line.closed()
            line = _OpenLine()
    if line.text.strip():
        yield line.closed()


def _read_word(said: dict[str, Any], line: _OpenLine, scale: _Scale) -> bool:
    """Adds a word to the line; gives whether the line ends with it."""
    symbols = [_object(each, "symbol") for each in _list(said, "symbols")]
    ends, hyphen, spelt = False, "", ""
    for symbol in symbols:
        kind, is_prefix = _break_of(symbol)
        gap = _BREAKS.get(kind, "")
        character = optional_text(symbol.get("text"), "text")
        spelt += character
        line.text += f"{gap or ''}{character}" if is_prefix else f"{character}{gap or ''}"
        if not is_prefix and gap is None:
            ends, hyphen = True, "-" if kind in _HYPHENS else ""
    line.text += hyphen
    sure = confidence(said.get("confidence"))
    if sure is not None and spelt.strip():
        line.confidences.append(sure)
    line.words.extend(_words(spelt + hyphen, sure, said, symbols, scale))
    return ends and bool(line.text.strip())


def _words(
    spelt: str, sure: float | None, said: dict[str, Any], symbols: Sequence[dict[str, Any]], scale: _Scale
) -> Iterator[Word]:
    """The word; or its symbols, where it is of a script without blanks and their places are told."""
    polygon = scale.polygon(said)
    places = [scale.polygon(symbol) for symbol in symbols]
    if len(symbols) > 1 and any(map(is_cjk, spelt)) and all(places):
        for symbol, place in zip(symbols, places, strict=True):
            character = optional_text(symbol.get("text"), "text").strip()
            if character and place is not None:
                own = confidence(symbol.get("confidence"))
                yield Word(character, sure if own is None else own, place)
    elif spelt.strip() and polygon is not None:
        yield Word(spelt.strip(), sure, polygon)


def _break_of(symbol: dict[str, Any]) -> tuple[object, bool]:
    said = _object(_object(symbol.get("property"), "property").get("detectedBreak"), "detectedBreak")
    kind = said.get("type", 0)
    return kind if isinstance(kind, str | int) else 0, said.get("isPrefix") is True


def _round(polygons: Sequence[Polygon]) -> Polygon:
    """The corners of the least box round all of these that lies as they do: level along their upper edges."""
    along_x = sum(polygon[1][0] - polygon[0][0] for polygon in polygons)
    along_y = sum(polygon[1][1] - polygon[0][1] for polygon in polygons)
    length = math.hypot(along_x, along_y)
    cos, sin = (along_x / length, along_y / length) if length else (1.0, 0.0)
    points = [point for polygon in polygons for point in polygon]
    along = [x * cos + y * sin for x, y in points]
    across = [y * cos - x * sin for x, y in points]
    left, top, right, bottom = min(along), min(across), max(along), max(across)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return tuple((each * cos - down * sin, each * sin + down * cos) for each, down in corners)


def _languages(page: dict[str, Any]) -> tuple[str, ...]:
    """The page's languages, the surest first; those without a code are left out."""
    said = [_object(each, "language") for each in _list(_object(page.get("property"), "property"), "detectedLanguages")]
    said.sort(key=lambda each: -(confidence(each.get("confidence")) or 0.0))
    codes = (optional_text(each.get("languageCode"), "languageCode") for each in said)
    return tuple(dict.fromkeys(code for code in codes if code not in ("", "und")))


def _ratio(sent: int, said: Any) -> float:
    extent = number(said, "extent") if said is not None else 0.0
    return sent / extent if extent >= 1 else 1.0


def _object(said: Any, what: str) -> dict[str, Any]:
    """An object; empty where there is none."""
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise ValueError(f"{what} is no object")
    return said


def _list(holder: dict[str, Any], name: str) -> list[Any]:
    """A list; empty where there is none, as empty ones are left out."""
    said = holder.get(name)
    return [] if said is None else array(said, name)
