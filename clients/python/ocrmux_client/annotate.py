"""Pictures of pages with what was read drawn where it stands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image, ImageDraw, ImageFont

from ocrmux.ocr.v1.document_pb2 import Page
from ocrmux.ocr.v1.geometry_pb2 import Polygon
from ocrmux_client.page_pictures import page_picture
from ocrmux_client.picture_names import PictureNames

BIG_PIXELS = 4_000_000
_FINE_PIXELS = 2_000_000  # up to here outlines are smoothed by drawing them at twice the size
_LOW, _HIGH = 0.6, 0.97
_THIN_MIN_PX = 12  # outlines of smaller words would hide them
_WASH_ALPHA, _THIN_ALPHA, _EDGE_ALPHA = 34, 170, 235
_RED, _AMBER, _GREEN = (214, 48, 49), (232, 160, 20), (22, 150, 84)
_UNSURE, _TABLE, _FIELD = (58, 110, 220), (124, 77, 220), (0, 140, 160)

Colour = tuple[int, int, int]
Point = tuple[float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class _Box:
    """One outline: its corners, colour, label, and whether it is a thin one without a wash."""

    corners: Sequence[Point]
    colour: Colour
    label: str = ""
    thin: bool = False


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
    words of 12 px and more are thin outlines; table cells are violet, fields teal with their names.
    """
    boxes = list(_boxes(page, _scale(image, page)))
    height_px = median([_height_px(box) for box in boxes if not box.thin] or [20.0])
    stroke_px = max(1, round(min(math.sqrt(image.width * image.height) / 500, height_px / 14)))
    picture = Image.alpha_composite(_washed(image, boxes).convert("RGBA"), _outlines(image.size, boxes, stroke_px))
    font = ImageFont.load_default(max(8.0, min(height_px * 0.5, max(image.size) / 60, 40.0)))
    labels = Image.new("RGBA", image.size, (255, 255, 255, 0))
    pen = ImageDraw.Draw(labels)
    for box in boxes:
        if box.label:
            _tag(pen, box, font, image.size)
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
    for field in page.fields:
        if corners := _corners(field.polygon, scale):
            yield _Box(corners, _FIELD, field.name)


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


def _tag(pen: ImageDraw.ImageDraw, box: _Box, font: Font, size: tuple[int, int]) -> None:
    """A small sign before the text's beginning, whichever way it runs; above it where there is no room for that."""
    (x0, y0), (x1, y1), (x3, y3) = box.corners[0], box.corners[1], box.corners[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    along_x, along_y = (x1 - x0) / length, (y1 - y0) / length
    left, top, right, bottom = pen.textbbox((0, 0), box.label, font=font)
    pad = max(1.0, (bottom - top) * 0.3)
    wide, high = right - left + 2 * pad, bottom - top + 2 * pad
    away = abs(along_x) * wide / 2 + abs(along_y) * high / 2 + pad
    x, y = (x0 + x3) / 2 - along_x * away - wide / 2, (y0 + y3) / 2 - along_y * away - high / 2
    if not (0 <= x <= size[0] - wide and 0 <= y <= size[1] - high):
        x, y = min(x0, x3), min(y0, y3) - high
    x, y = min(max(0.0, x), max(0.0, size[0] - wide)), min(max(0.0, y), max(0.0, size[1] - high))
    pen.rounded_rectangle((x, y, x + wide, y + high), radius=high / 4, fill=(*box.colour, 225))
    pen.text((x + pad - left, y + pad - top), box.label, font=font, fill=(255, 255, 255, 255))


def _height_px(box: _Box) -> float:
    (x0, y0), (x3, y3) = box.corners[0], box.corners[-1]
    return math.hypot(x3 - x0, y3 - y0)
