"""A PDF document: its pages, one at a time, rendered or as the scans that they are."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import pypdfium2
import pypdfium2.raw as pdfium

from preprocess_service.decoders.jpeg import JpegDocument
from preprocess_service.decoders.paged_document import (
    ALL,
    UPRIGHT,
    DecodedPage,
    DecodeWish,
    Pixels,
    PlainPage,
    check_pixels,
)
from preprocess_service.decoders.pdf.bitmap import decoded, is_black_and_white, rendered, without_needless_colour
from preprocess_service.decoders.pdf.image_damage import is_broken, is_cut_short, may_be_cut_short
from preprocess_service.decoders.pdf.image_dictionary import ImageDictionaries
from preprocess_service.decoders.pdf.resolution import Rendering, pictures_of, rendering_for
from preprocess_service.decoders.pdf.scan import PageScan, jpeg_of, lone_image_of, scan_of
from preprocess_service.decoders.pixel_conversion import in_grey
from preprocess_service.decoders.signatures import PDF
from preprocess_service.errors import ImageUndecodable, PasswordRequired, TooManyPages
from preprocess_service.model import AppliedStep, Size

_JPEG_FILTER = "DCTDecode"
_END_OF_IMAGE = b"\xff\xd9"
# Trailing bytes that writers leave behind a JPEG's end.
_PADDING = b"\0\r\n "
_JPEG_SPACES = (
    pdfium.FPDF_COLORSPACE_DEVICEGRAY,
    pdfium.FPDF_COLORSPACE_DEVICERGB,
    pdfium.FPDF_COLORSPACE_CALGRAY,
    pdfium.FPDF_COLORSPACE_CALRGB,
    pdfium.FPDF_COLORSPACE_ICCBASED,
)

# pdfium keeps the data of each stream that it read until its document is closed.
_REOPENED_AFTER_PAGES = 32

# Forms by XFA, which this pdfium does not know, are told at length; the page is drawn without.
logging.getLogger("pypdfium2").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class _OpenPage:
    """The page that was asked for last, and what was found on it."""

    number: int
    page: pypdfium2.PdfPage
    scan: PageScan | None
    jpeg: JpegDocument | None


class PdfDocument:
    """The pages of a PDF file.

    Raises PasswordRequired for one that the password, or none, does not open; ImageUndecodable for one that pdfium
    cannot read or that has no page; TooManyPages by its page tree, before one is rendered. Not safe for threads, as
    pdfium is not: neither are two documents in two of them.
    """

    def __init__(self, content: bytes, password: str, max_pixels: int, max_pages: int) -> None:
        self._content, self._password = content, password
        self._dictionaries = ImageDictionaries(content)
        self._max_pixels = max_pixels
        self._open: _OpenPage | None = None
        self._pages_opened = 0
        self._pdf = _opened(content, password)
        self.page_count = len(self._pdf)
        if not 0 < self.page_count <= max_pages:
            self._pdf.close()
            if self.page_count > max_pages:
                raise TooManyPages(value=self.page_count, limit=max_pages)
            raise ImageUndecodable("the PDF has no page")

    def plain_page(self, number: int, /) -> PlainPage | None:
        """The JPEG that is the page, where it is one of grey or RGB, upright. Raises ImageUndecodable for a page that
        cannot be opened, and for such a JPEG that is seen to be cut short.
        """
        opened = self._page(number)
        if opened.scan is None or opened.jpeg is None or opened.scan.orientation != UPRIGHT:
            return None
        return opened.jpeg.plain_page(1)

    def decode(self, number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The page. Its ``media_type`` is the PDF's; ``steps`` tells whether it was rendered or a scan taken out, and
        its pixels an inch. Raises ImageUndecodable, also for a page that is nothing but a damaged image, and
        ImageTooLargePixels where an image on it is over the limit.
        """
        opened = self._page(number)
        page = _extracted(opened, wish, self._max_pixels) if opened.scan else None
        return page or self._rendered(opened, wish)

    def close(self) -> None:
        """Frees the document."""
        self._close_page()
        self._pdf.close()

    def _page(self, number: int) -> _OpenPage:
        if self._open is None or self._open.number != number:
            self._close_page()
            page = self._loaded(number)
            try:
                scan = scan_of(page.raw, self._dictionaries)
                jpeg = _jpeg_in(scan, self._max_pixels) if scan else None
            except BaseException:
                page.close()
                raise
            self._open = _OpenPage(number, page, scan, jpeg)
        return self._open

    def _loaded(self, number: int) -> pypdfium2.PdfPage:
        if self._pages_opened == _REOPENED_AFTER_PAGES:
            self._pdf.close()
            self._pdf = _opened(self._content, self._password)
            self._pages_opened = 0
        self._pages_opened += 1
        try:
            return self._pdf[number - 1]
        except pypdfium2.PdfiumError as error:
            raise ImageUndecodable(f"page {number} of the PDF is damaged: {error}") from error

    def _close_page(self) -> None:
        if self._open is not None:
            self._open.page.close()
            self._open = None

    def _rendered(self, opened: _OpenPage, wish: DecodeWish) -> DecodedPage:
        page = opened.page
        pictures = pictures_of(page.raw, self._max_pixels)
        width_pt, height_pt = page.get_size()
        how = rendering_for(width_pt, height_pt, pictures, self._max_pixels)
        form = page.formenv.raw if page.formenv else None
        pixels = rendered(page.raw, form, how.size, in_grey_at_once=wish.grey and pictures.share == 0)
        if pictures.share > 0 and (image := lone_image_of(page.raw)):
            is_suspicious = pixels.min() == pixels.max() or may_be_cut_short(image, page.raw)
            if is_suspicious and is_broken(image, page.raw):
                raise _image_damage(opened.number)
        return _page_of(in_grey(pixels) if wish.grey else pixels, how.size, _render_step(how), is_lossless=True)


def _opened(content: bytes, password: str) -> pypdfium2.PdfDocument:
    """The file, its form made ready to be drawn, which pdfium wants before anything else is asked."""
    try:
        pdf = pypdfium2.PdfDocument(content, password=password or None)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise PasswordRequired(given=bool(password)) from error
        if error.err_code == pdfium.FPDF_ERR_SECURITY:
            raise ImageUndecodable("the PDF is encrypted in a way that is not known here") from error
        raise ImageUndecodable("the PDF is damaged or incomplete") from error
    try:
        pdf.init_forms()
    except pypdfium2.PdfiumError as error:
        pdf.close()
        raise ImageUndecodable(f"the PDF is damaged: {error}") from error
    return pdf


def _jpeg_in(scan: PageScan, max_pixels: int) -> JpegDocument | None:
    """The scan's JPEG, where its pixels are the page's as they are: neither inverted nor CMYK nor otherwise odd.

    Raises ImageUndecodable and ImageTooLargePixels by its header.
    """
    is_plain = scan.dictionary.is_direct and scan.colour_space in _JPEG_SPACES
    if scan.filters[-1:] != (_JPEG_FILTER,) or not is_plain:
        return None
    content = jpeg_of(scan.handle)
    if not content.rstrip(_PADDING).endswith(_END_OF_IMAGE):
        content += _END_OF_IMAGE  # some writers leave it out; whether pixels lack too is checked when they are read
    jpeg = JpegDocument(content, max_pixels)
    return jpeg if jpeg.is_grey_or_rgb and jpeg.size == scan.size else None


def _extracted(opened: _OpenPage, wish: DecodeWish, max_pixels: int) -> DecodedPage | None:
    """The scan's pixels, oriented by the page; None where pdfium cannot decode them by themselves."""
    scan = opened.scan
    if scan is None:
        return None
    step = AppliedStep("extract", {"filter": "+".join(scan.filters) or "none", "dpi": f"{scan.dpi:.0f}"})
    if opened.jpeg is not None:
        page = opened.jpeg.decode(1, wish)
        return replace(page, media_type=PDF, orientation=scan.orientation, steps=(step,))
    check_pixels(scan.size.width, scan.size.height, max_pixels)
    if scan.dictionary.is_stencil and not scan.paints_black:
        return None
    pixels = decoded(scan.handle)
    if pixels is None or pixels.shape[:2] != (scan.size.height, scan.size.width):
        return None
    if is_cut_short(scan.handle, opened.page.raw, pixels):
        raise _image_damage(opened.number)
    if scan.dictionary.is_stencil:
        pixels = ~pixels  # its samples say how much is painted
    is_bilevel = scan.bits_per_pixel == 1
    if is_bilevel:
        pixels = without_needless_colour(pixels)
    return _page_of(
        in_grey(pixels) if wish.grey else pixels,
        scan.size,
        step,
        is_lossless=_JPEG_FILTER not in scan.filters,
        orientation=scan.orientation,
        is_two_tone=is_bilevel and is_black_and_white(pixels),
    )


def _image_damage(number: int) -> ImageUndecodable:
    return ImageUndecodable(f"page {number} of the PDF is an image that is damaged or cut short")


def _render_step(how: Rendering) -> AppliedStep:
    return AppliedStep("render", {"dpi": f"{how.dpi:.0f}" if how.dpi >= 1 else f"{how.dpi:.3g}"})


def _page_of(
    pixels: Pixels,
    size: Size,
    step: AppliedStep,
    *,
    is_lossless: bool,
    orientation: int = UPRIGHT,
    is_two_tone: bool = False,
) -> DecodedPage:
    return DecodedPage(
        pixels=pixels,
        media_type=PDF,
        mode="L" if pixels.ndim == 2 else "RGB",
        orientation=orientation,
        is_turned=False,
        is_lossless=is_lossless,
        is_two_tone=is_two_tone,
        size=size,
        steps=(step,),
    )
