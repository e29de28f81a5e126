"""Pictures of pages with what was read drawn where it stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image, ImageDraw, ImageFont

from ocrmux.ocr.v1.document_pb2 import CHECK_DIGIT_INVALID, Field, Page
from ocrmux.ocr.v1.geometry_pb2 import Polygon
from ocrmux_client.page_pictures import page_picture
from ocrmux_client.picture_names import PictureNames

BIG_PIXELS = 4_000_000
_FINE_PIXELS = 2_000_000  # up to here outlines are smoothed by drawing them at twice the size
_LOW, _HIGH = 0.6, 0.97
_THIN_MIN_PX = 12  # outlines of smaller words would hide them
_WASH_ALPHA, _THIN_ALPHA, _EDGE_ALPHA = 34, 170, 235
_TAG_GAP = 0.1875  # before the text, of a sign's height
_RED, _AMBER, _GREEN = (214, 48, 49), (232, 160, 20), (22, 150, 84)
_UNSURE, _TABLE, _FIELD = (58, 110, 220), (124, 77, 220), (0, 140, 160)

Colour = tuple[int, int, int]
Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class _Box:
    """One outline: its corners, colour, label, whether it is a thin one without a wash, and whether the label is a
    name, which is longer than a number and must not hide others.
    """

    corners: Sequence[Point]
    colour: Colour
    label: str = ""
    thin: bool = False
    named: bool = False


class Annotator:
    """Draws pages into ``folder``, which is made if it does not stand yet; the pictures are named after sources below
    ``root``. ``password`` opens encrypted documents.
    """

    def __init__(self, folder: Path, root: Path, password: str = "") -> None:
        self._folder = folder
        self._names = PictureNames(root)
        self._password = password

    def draw(self, source: Path, page: Page, page_count: int | None) -> Path:
        """Draws one page and gives the picture's path. Blocks, and holds the decoded page; one call at a
        time. Raises NotDrawable, OSError.
        """
        picture = annotated(page_picture(source, page.number, page.size, self._password), page)
        big = picture.width * picture.height > BIG_PIXELS
        target = self._folder / self._names.name(source, page.number, page_count, ".jpg" if big else ".png")
        self._folder.mkdir(parents=True, exist_ok=True)
        if big:
            picture.save(target, quality=90)
        else:
            picture.save(target, compress_level=4)
        return target


def annotated(image: Image.Image, page: Page) -> Image.Image:
    """A copy of the upright page image, in colour and of the same size, with the page's boxes drawn.

    Lines are washed and outlined by confidence, from red over amber to green (blue where none is stated), and numbered;
    words of 12 px and more are thin outlines; table cells are violet, fields teal with their names, red where a check
    digit does not hold.
    """
    boxes = list(_boxes(page, _scale(image, page)))
    height_px = median([_height_px(box) for box in boxes if not box.thin] or [20.0])
    stroke_px = max(1, round(min(math.sqrt(image.width * image.height) / 500, height_px / 14)))
    picture = Image.alpha_composite(_washed(image, boxes).convert("RGBA"), _outlines(image.size, boxes, stroke_px))
    font = ImageFont.load_default(max(8.0, min(height_px * 0.5, max(image.size) / 60, 40.0)))
    labels = Image.new("RGBA", image.size, (255, 255, 255, 0))
    pen = ImageDraw.Draw(labels)
    fields = [_extent(box.corners) for box in boxes if box.named]
    for box in boxes:
        if box.label:
            tag = _tag(pen, box, font, image.size, fields if box.named else ())
            if box.named:
                fields.append(tag)
    return Image.alpha_composite(picture, labels).convert("RGB")


def confidence_colour(confidence: float | None) -> Colour:
    """Red at 0.6 and below, over amber, to green at 0.97 and above; blue where none is stated."""
    if confidence is None:
        return _UNSURE
    share = min(1.0, max(0.0, (confidence - _LOW) / (_HIGH - _LOW)))
    start, end, part = (_RED, _AMBER, share * 2) if share < 0.5 else (_AMBER, _GREEN, share * 2 - 1)
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(start, end, strict=True))
    return red, green, blue


def _scale(image: Image.Image, page: Page) -> Point:
    if not page.size.width or not page.size.height:
        return 1.0, 1.0
    return image.width / page.size.width, image.height / page.size.height


def _boxes(page: Page, scale: Point) -> Iterator[_Box]:
    number = 0
    for block in page.blocks:
        for line in block.lines:
            number += 1
            colour = confidence_colour(line.confidence if line.HasField("confidence") else None)
            if corners := _corners(line.polygon, scale):
                yield _Box(corners, colour, str(number))
            for word in line.words:
                if corners := _corners(word.polygon, scale):
                    known = word.confidence if word.HasField("confidence") else None
                    yield _Box(corners, confidence_colour(known), thin=True)
    for table in page.tables:
        for cell in table.cells:
            if corners := _corners(cell.polygon, scale):
                yield _Box(corners, _TABLE)
    yield from _field_boxes(page.fields, scale)


def _field_boxes(fields: Iterable[Field], scale: Point) -> Iterator[_Box]:
    """One for each place: what is read from one place has one box with all names."""
    places: dict[tuple[Point, ...], list[Field]] = {}
    for field in fields:
        if corners := _corners(field.polygon, scale):
            places.setdefault(tuple(corners), []).append(field)
    for place, there in places.items():
        doubted = any(field.check_digit == CHECK_DIGIT_INVALID for field in there)
        yield _Box(place, _RED if doubted else _FIELD, ", ".join(field.name for field in there), named=True)


def _corners(polygon: Polygon, scale: Point) -> list[Point]:
    return [(point.x * scale[0], point.y * scale[1]) for point in polygon.points] if len(polygon.points) > 2 else []


def _washed(image: Image.Image, boxes: Sequence[_Box]) -> Image.Image:
    """A copy of the image with the insides of all boxes but the thin ones tinted."""
    picture = image.copy() if image.mode == "RGB" else image.convert("RGB")
    pen = ImageDraw.Draw(picture, "RGBA")  # blends, where a pen on a transparent layer would replace
    for box in boxes:
        if not box.thin:
            pen.polygon(_pillow_corners(box, 1), fill=(*box.colour, _WASH_ALPHA))
    return picture


def _outlines(size: tuple[int, int], boxes: Sequence[_Box], stroke_px: int) -> Image.Image:
    """A transparent layer with the outlines, thin ones below the others."""
    fine = 2 if size[0] * size[1] <= _FINE_PIXELS else 1
    layer = Image.new("RGBA", (size[0] * fine, size[1] * fine), (255, 255, 255, 0))
    pen = ImageDraw.Draw(layer)
    legible = (box for box in boxes if not box.thin or _height_px(box) >= _THIN_MIN_PX)
    for box in sorted(legible, key=lambda box: not box.thin):
        corners = _pillow_corners(box, fine)
        if box.thin:
            width_px = max(fine * 3 // 2, stroke_px * fine // 2)
            pen.line([*corners, corners[0]], fill=(*box.colour, _THIN_ALPHA), width=width_px)
        else:
            edge = (*box.colour, _EDGE_ALPHA)
            pen.line([*corners, corners[0], corners[1]], fill=edge, width=stroke_px * fine, joint="curve")
    return layer.resize(size, Image.Resampling.BOX) if fine > 1 else layer


def _pillow_corners(box: _Box, fine: int) -> list[Point]:
    """An image point stands at the outer corner of its pixel, Pillow's at its middle."""
    return [(x * fine - 0.5, y * fine - 0.5) for x, y in box.corners]


def _tag(
    pen: ImageDraw.ImageDraw, box: _Box, font: Font, size: tuple[int, int], taken: Sequence[Rectangle]
) -> Rectangle:
    """A small sign before the text's beginning, whichever way it runs; above or below it where there is no room for
    that, or where it would hide what is ``taken``. Gives its place.
    """
    left, top, right, bottom = pen.textbbox((0, 0), box.label, font=font)
    pad = max(1.0, (bottom - top) * 0.3)
    wide, high = right - left + 2 * pad, bottom - top + 2 * pad
    x, y = _tag_corner(box, (wide, high), size, taken)
    pen.rounded_rectangle((x, y, x + wide, y + high), radius=high / 4, fill=(*box.colour, 225))
    pen.text((x + pad - left, y + pad - top), box.label, font=font, fill=(255, 255, 255, 255))
    return x, y, x + wide, y + high


def _tag_corner(
    box: _Box, tag: tuple[float, float], size: tuple[int, int], taken: Sequence[Rectangle]
) -> tuple[float, float]:
    """Where the top left corner of a sign of this width and height goes."""
    wide, high = tag
    own = _extent(box.corners)
    free_x, free_y = max(0.0, size[0] - wide), max(0.0, size[1] - high)
    x, y = _before(box, wide, high)
    places = [(x, y)] if 0 <= x <= free_x and 0 <= y <= free_y else []
    places += [(min(max(0.0, own[0]), free_x), min(max(0.0, y), free_y)) for y in (own[1] - high, own[3])]
    others = [each for each in taken if _shared(each, own) < (own[2] - own[0]) * (own[3] - own[1])]  # nor what holds it
    return min(places, key=lambda at: sum(_shared((*at, at[0] + wide, at[1] + high), each) for each in others))


def _before(box: _Box, wide: float, high: float) -> Point:
    (x0, y0), (x1, y1), (x3, y3) = box.corners[0], box.corners[1], box.corners[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    along_x, along_y = (x1 - x0) / length, (y1 - y0) / length
    away = abs(along_x) * wide / 2 + abs(along_y) * high / 2 + high * _TAG_GAP
    return (x0 + x3) / 2 - along_x * away - wide / 2, (y0 + y3) / 2 - along_y * away - high / 2


def _extent(corners: Sequence[Point]) -> Rectangle:
    return (
        min(x for x, _ in corners),
        min(y for _, y in corners),
        max(x for x, _ in corners),
        max(y for _, y in corners),
    )


def _shared(one: Rectangle, other: Rectangle) -> float:
    """The area that two have in common."""
    wide, high = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def _height_px(box: _Box) -> float:
    (x0, y0), (x3, y3) = box.corners[0], box.corners[-1]
    return math.hypot(x3 - x0, y3 - y0)
