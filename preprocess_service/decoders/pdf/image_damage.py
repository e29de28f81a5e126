"""Whether an image of a PDF lacks data, which pdfium fills up or leaves out without a word."""

from __future__ import annotations

import pypdfium2.raw as pdfium

from preprocess_service.decoders.paged_document import Pixels
from preprocess_service.decoders.pdf.bitmap import decoded
from preprocess_service.decoders.pdf.page_objects import Handle, image_size_of
from preprocess_service.decoders.pdf.scan import filters_of, raw_data_of

_WHITE = 255
_JPEG = "DCTDecode"
_FAX = "CCITTFaxDecode"
_UNCHECKED = ("JPXDecode", "JBIG2Decode")
_END_OF_IMAGE = b"\xff\xd9"
# Trailing bytes that writers leave behind an image's end.
_TRAILING_BYTES = 16
# One of those that end a fax (ITU-T T.4, 4.1.2, and T.6, 2.4.1.1): no row has eleven zeros in a row.
_END_OF_LINE = "000000000001"


def is_broken(handle: Handle, page: Handle) -> bool:
    """Whether pdfium cannot decode the image, or its data end clearly before its last row."""
    pixels = decoded(handle)
    return pixels is None or is_cut_short(handle, page, pixels)


def is_cut_short(handle: Handle, page: Handle, pixels: Pixels) -> bool:
    """Whether the data of an image with these pixels end before its last row: that is all of one colour, and the data
    are too few, or have no end mark where their filter sets one. In the latter case a white row is believed, as some
    writers leave the mark out.

    Of JPEG 2000 and JBIG2 that is not known, except that pdfium decodes the former only whole.
    """
    last_row = pixels[-1]
    if (last_row != last_row[0]).any() or (last_row.min() == _WHITE and _last_filter_of(handle) in (_JPEG, _FAX)):
        return False
    return may_be_cut_short(handle, page)


def may_be_cut_short(handle: Handle, page: Handle) -> bool:
    """The part of ``is_cut_short`` that needs no pixels."""
    last_filter = _last_filter_of(handle)
    if last_filter in _UNCHECKED:
        return False
    if last_filter == _JPEG:
        return _END_OF_IMAGE not in raw_data_of(handle)[-_TRAILING_BYTES:]
    if last_filter == _FAX:
        tail = raw_data_of(handle)[-_TRAILING_BYTES:]
        return _END_OF_LINE not in f"{int.from_bytes(tail, 'big'):0{len(tail) * 8}b}"
    metadata = pdfium.FPDF_IMAGEOBJ_METADATA()
    pdfium.FPDFImageObj_GetImageMetadata(handle, page, metadata)
    size = image_size_of(handle)
    row_bytes = -(-size.width * int(metadata.bits_per_pixel) // 8)
    length = int(pdfium.FPDFImageObj_GetImageDataDecoded(handle, None, 0))
    return length < row_bytes * (size.height - 1)


def _last_filter_of(handle: Handle) -> str:
    return (filters_of(handle) or ("",))[-1]
