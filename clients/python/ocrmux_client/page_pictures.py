"""Pages of files as pictures, as the services count their pixels: upright, in colour, on white.

What a service read elsewhere is made again here, from the same file. Pillow reads images, libheif HEIC, and pdfium
renders PDF pages, at the very size that the answer states.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from ocrmux.ocr.v1.geometry_pb2 import Size

MAX_PIXELS = 80_000_000
_PDF_START_BYTES = 1024  # pdfium looks for the header as far


class NotDrawable(Exception):
    """The page cannot be drawn: its file is damaged, locked, of a format that is not read here, or too large."""


def page_picture(source: Path, page_number: int, size: Size, password: str = "") -> Image.Image:
    """The page of this number, from 1. A PDF's has exactly ``size``, that of its answer, in pixels.

    Holds the decoded page. PDFs are not to be drawn from two threads at a time. Raises NotDrawable, OSError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes and odd tags; sizes are checked below
            return _in_colour(_opened(source, page_number, size, password))
    except UnidentifiedImageError as error:
        raise NotDrawable(f"{source} is of a format that cannot be drawn") from error
    except (Image.DecompressionBombError, EOFError, ValueError, SyntaxError) as error:
        raise NotDrawable(f"{source}, page {page_number}, cannot be drawn: {error}") from error


def _opened(source: Path, page_number: int, size: Size, password: str) -> Image.Image:
    with source.open("rb") as file:
        start = file.read(_PDF_START_BYTES)
    if b"%PDF-" in start:
        return _pdf_page(source, page_number, size, password)
    try:
        with Image.open(source) as opened:
            _check_size(source, opened.width, opened.height)
            if page_number > 1:
                opened.seek(page_number - 1)
            return ImageOps.exif_transpose(opened)
    except UnidentifiedImageError:
        if start[4:8] != b"ftyp":
            raise
        return _heic(source)


def _heic(source: Path) -> Image.Image:
    """The primary image; libheif turns it upright."""
    import pillow_heif  # loaded for such files only: it is large

    file = pillow_heif.open_heif(source)
    _check_size(source, *file.size)
    return file.to_pillow()


def _pdf_page(source: Path, page_number: int, size: Size, password: str) -> Image.Image:
    import pypdfium2  # loaded for such files only: it is large

    if not (size.width and size.height):
        raise NotDrawable(f"{source}, page {page_number}: its answer states no size")
    _check_size(source, size.width, size.height)
    try:
        with pypdfium2.PdfDocument(source, password=password or None) as document:
            document.init_forms()
            if page_number > len(document):
                raise NotDrawable(f"{source} has no page {page_number}")
            page = document[page_number - 1]
            width, height = page.get_size()
            scale = max(size.width / width, size.height / height)
            if scale * width * scale * height > 4 * MAX_PIXELS:
                raise NotDrawable(f"{source}, page {page_number}, has another shape than its answer")
            picture: Image.Image = page.render(scale=scale, may_draw_forms=True).to_pil()
    except (pypdfium2.PdfiumError, ZeroDivisionError) as error:
        raise NotDrawable(f"{source}, page {page_number}, cannot be rendered: {error}") from error
    wanted = (size.width, size.height)
    return picture if picture.size == wanted else picture.resize(wanted, Image.Resampling.BILINEAR)


def _check_size(source: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise NotDrawable(f"{source} has more than {MAX_PIXELS} pixels")


def _in_colour(image: Image.Image) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        low, high = image.getextrema()
        span = float(high) - float(low) or 1.0  # type: ignore[arg-type]
        return image.convert("F").point(lambda value: (value - float(low)) * (255.0 / span)).convert("RGB")  # type: ignore[arg-type]
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, (255, 255, 255, 255)), layered).convert("RGB")
    return image.convert("RGB")
