"""Opens a file of any readable format."""

from __future__ import annotations

from preprocess_service.decoders.bmp import BmpDocument
from preprocess_service.decoders.jpeg import JpegDocument
from preprocess_service.decoders.paged_document import PagedDocument
from preprocess_service.decoders.png import PngDocument
from preprocess_service.decoders.signatures import BMP, TIFF, WEBP, media_type_of
from preprocess_service.decoders.tiff import TiffDocument
from preprocess_service.decoders.webp import WebpDocument
from preprocess_service.errors import ImageEmpty, ImageTooLargeBytes
from preprocess_service.model import JPEG, Source, SourceLimits


def open_document(source: Source, limits: SourceLimits) -> PagedDocument:
    """The document, none of its pages decoded; the format is told by the content.

    Raises ImageEmpty, ImageTooLargeBytes, FormatUnsupported, ImageUndecodable, ImageTooLargePixels (for a file of one
    page, else its page raises it) and TooManyPages.
    """
    content = source.content
    if not content:
        raise ImageEmpty
    if len(content) > limits.max_bytes:
        raise ImageTooLargeBytes(value=len(content), limit=limits.max_bytes)
    media_type = media_type_of(content)
    if media_type == TIFF:
        return TiffDocument(content, limits.max_pixels, limits.max_pages)
    if media_type == JPEG:
        return JpegDocument(content, limits.max_pixels)
    if media_type == WEBP:
        return WebpDocument(content, limits.max_pixels)
    if media_type == BMP:
        return BmpDocument(content, limits.max_pixels)
    return PngDocument(content, limits.max_pixels)
