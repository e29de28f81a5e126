"""Opens a file of any readable format."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from preprocess_service.decoders.bmp import BmpDocument
from preprocess_service.decoders.gif import GifDocument
from preprocess_service.decoders.jpeg import JpegDocument
from preprocess_service.decoders.paged_document import PagedDocument
from preprocess_service.decoders.png import PngDocument
from preprocess_service.decoders.signatures import AVIF, BMP, GIF, HEIC, PDF, TIFF, WEBP, media_type_of
from preprocess_service.decoders.tiff import TiffDocument
from preprocess_service.decoders.webp import WebpDocument
from preprocess_service.errors import ImageEmpty, ImageTooLargeBytes
from preprocess_service.model import JPEG, PNG, Source, SourceLimits


def open_document(source: Source, limits: SourceLimits) -> PagedDocument:
    """The document, none of its pages decoded; the format is told by the content. The caller closes it.

    Raises ImageEmpty, ImageTooLargeBytes, FormatUnsupported, ImageUndecodable, ImageTooLargePixels (for a file of one
    page, else its page raises it), TooManyPages and PasswordRequired.
    """
    content = source.content
    if not content:
        raise ImageEmpty
    if len(content) > limits.max_bytes:
        raise ImageTooLargeBytes(value=len(content), limit=limits.max_bytes)
    media_type = media_type_of(content)
    if media_type == PDF:
        return _pdf(source, limits)
    if media_type == TIFF:
        return TiffDocument(content, limits.max_pixels, limits.max_pages)
    return _STILL_IMAGES[media_type](content, limits.max_pixels)


# pdfium and libheif are loaded with the first file that needs them: each takes a tenth of a second and 10 MB.


def _pdf(source: Source, limits: SourceLimits) -> PagedDocument:
    from preprocess_service.decoders.pdf.document import PdfDocument

    return PdfDocument(source.content, source.password, limits.max_pixels, limits.max_pages)


def _heic(content: bytes, max_pixels: int) -> PagedDocument:
    from preprocess_service.decoders.heif import HeicDocument

    return HeicDocument(content, max_pixels)


def _avif(content: bytes, max_pixels: int) -> PagedDocument:
    from preprocess_service.decoders.heif import AvifDocument

    return AvifDocument(content, max_pixels)


_STILL_IMAGES: Mapping[str, Callable[[bytes, int], PagedDocument]] = {
    JPEG: JpegDocument,
    PNG: PngDocument,
    WEBP: WebpDocument,
    BMP: BmpDocument,
    GIF: GifDocument,
    HEIC: _heic,
    AVIF: _avif,
}
