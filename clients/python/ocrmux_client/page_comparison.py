"""A page before and after, side by side, to look at."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ocrmux.ocr.v1.geometry_pb2 import Point
from ocrmux_client.normalized_image import NormalizedImage
from ocrmux_client.page_pictures import NotDrawable, page_picture

MAX_WIDTH_PX = 1600
_MAX_HEIGHT_PX = 2400
_GAP_PX, _CAPTION_PX, _FONT_PX = 16, 30, 16.0
_GROUND, _INK, _OUTLINE = (236, 238, 241), (40, 44, 52), (214, 48, 49)


def comparison(source: Path, image: NormalizedImage, done: str, password: str = "") -> Image.Image:
    """The source's page to the left, with its outline where one was found, and the result to the right.

    Each is brought down, never enlarged, to half of 1600 px and to 2400 px of height. ``done`` is the caption of the
    result. Holds both pages decoded. Raises NotDrawable, OSError.
    """
    transform = image.transform
    before = page_picture(source, image.page, transform.source_size, password)
    full_width = before.width
    before = _brought_down(before)
    if image.measures is not None and image.measures.HasField("outline"):
        _draw_outline(before, image.measures.outline.points, before.width / full_width)
    after = _brought_down(_result(image))
    width = before.width + after.width + 3 * _GAP_PX
    sheet = Image.new("RGB", (width, max(before.height, after.height) + _CAPTION_PX + _GAP_PX), _GROUND)
    sizes = (transform.source_size, transform.page_size)
    captions = (f"source  {sizes[0].width}x{sizes[0].height}", f"{done}  {sizes[1].width}x{sizes[1].height}")
    left = _GAP_PX
    for picture, caption in zip((before, after), captions, strict=True):
        sheet.paste(picture, (left, _CAPTION_PX))
        _write(sheet, caption, left, picture.width)
        left += picture.width + _GAP_PX
    return sheet


def _result(image: NormalizedImage) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images; the service's own limits hold for these
        try:
            with Image.open(io.BytesIO(image.content)) as opened:
                return opened.convert("RGB")
        except (OSError, Image.DecompressionBombError) as error:
            raise NotDrawable(f"the page that was made cannot be drawn: {error}") from error


def _brought_down(picture: Image.Image) -> Image.Image:
    widest = (MAX_WIDTH_PX - 3 * _GAP_PX) // 2
    factor = min(1.0, widest / picture.width, _MAX_HEIGHT_PX / picture.height)
    if factor == 1.0:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _draw_outline(picture: Image.Image, points: Sequence[Point], factor: float) -> None:
    corners = [(point.x * factor, point.y * factor) for point in points]
    ImageDraw.Draw(picture).line([*corners, corners[0], corners[1]], fill=_OUTLINE, width=4, joint="curve")


def _write(sheet: Image.Image, caption: str, left: int, width: int) -> None:
    """The caption above its picture, cut to its width."""
    font = ImageFont.load_default(_FONT_PX)
    while caption and font.getlength(caption) > width:
        caption = caption[:-1]
    ImageDraw.Draw(sheet).text((left, _CAPTION_PX / 2), caption, font=font, fill=_INK, anchor="lm")
