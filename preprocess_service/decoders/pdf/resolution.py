"""How many pixels a PDF page is rendered with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pypdfium2.raw as pdfium

from preprocess_service.decoders.paged_document import check_pixels
from preprocess_service.decoders.pdf.page_objects import Handle, image_size_of, objects_of, page_box_of
from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import Size

DEFAULT_DPI = 300.0
_LEAST_DPI = 150.0
_MOST_DPI = 400.0
_MAX_RENDERED_PIXELS = 64_000_000
_MAX_SIDE_PX = 30_000
_POINTS_AN_INCH = 72.0
# A page of which images cover at least this share is rendered with their resolution.
_MAINLY_IMAGES = 0.5


@dataclass(frozen=True, slots=True)
class Pictures:
    """What the images of a page say of it: the share of it that they cover, together, and the pixels an inch of the
    largest, 0 where there is none. ``has_text`` tells of text that shows.
    """

    share: float = 0.0
    per_inch: float = 0.0
    has_text: bool = False


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a page is to be rendered."""

    size: Size
    dpi: float


def pictures_of(page: Handle, max_pixels: int) -> Pictures:
    """What the first 20 000 objects of a page tell. Raises ImageTooLargePixels for an image of more than the limit."""
    page_box = page_box_of(page)
    covered = largest = per_inch = 0.0
    has_text = False
    for placed in objects_of(page):
        if placed.kind == pdfium.FPDF_PAGEOBJ_TEXT:
            has_text = has_text or shows_text(placed.handle)
        if placed.kind != pdfium.FPDF_PAGEOBJ_IMAGE:
            continue
        size = image_size_of(placed.handle)
        if size.pixels > max_pixels:
            check_pixels(size.width, size.height, max_pixels)
        a, b, c, d, _, _ = placed.matrix()
        area = abs(a * d - b * c)
        covered += placed.bounds().overlap(page_box).area
        if area > largest:
            largest, per_inch = area, math.sqrt(size.pixels / area) * _POINTS_AN_INCH
    return Pictures(covered / page_box.area if page_box.area else 0.0, per_inch, has_text)


def shows_text(handle: Handle) -> bool:
    """Whether a text object paints anything: the text that a reader of scans lays over them does not."""
    return bool(pdfium.FPDFTextObj_GetTextRenderMode(handle) != pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)


def rendering_for(width_pt: float, height_pt: float, pictures: Pictures, max_pixels: int) -> Rendering:
    """The pixels of a page of this size: 300 an inch; as many as its images have, within 150 and 400, where these are
    most of it (never fewer than 300 where text shows too); and fewer where that were more than ``max_pixels``,
    64 megapixels, or 30 000 a side.

    Raises ImageUndecodable for a size that is not above zero.
    """
    if not (0 < width_pt < math.inf and 0 < height_pt < math.inf):
        raise ImageUndecodable(f"a page of the PDF is {width_pt:g} x {height_pt:g} points large")
    dpi = DEFAULT_DPI
    if pictures.share >= _MAINLY_IMAGES and pictures.per_inch > 0:
        dpi = min(max(pictures.per_inch, DEFAULT_DPI if pictures.has_text else _LEAST_DPI), _MOST_DPI)
    bound = min(max_pixels, _MAX_RENDERED_PIXELS)
    by_side = _MAX_SIDE_PX * _POINTS_AN_INCH / max(width_pt, height_pt)
    by_pixels = math.sqrt(bound / (width_pt * height_pt)) * _POINTS_AN_INCH
    dpi = min(dpi, by_side, by_pixels)
    # Rounding to whole pixels may not take a page over the bound.
    width, height = (max(1, math.floor(side * dpi / _POINTS_AN_INCH + 0.5)) for side in (width_pt, height_pt))
    if width * height > bound:
        width, height = (
            max(1, math.floor(width_pt * dpi / _POINTS_AN_INCH)),
            max(1, math.floor(height_pt * dpi / _POINTS_AN_INCH)),
        )
    return Rendering(Size(width, height), dpi)
