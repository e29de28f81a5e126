"""Pixels by pdfium: a page rendered, or an image decoded."""

from __future__ import annotations

import ctypes
from typing import Any

import cv2
import numpy as np
import pypdfium2.raw as pdfium

from preprocess_service.decoders.paged_document import Pixels
from preprocess_service.decoders.pdf.page_objects import Handle
from preprocess_service.decoders.pixel_conversion import from_opencv, in_grey
from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import Size

_WHITE = 255
_FLAGS = pdfium.FPDF_ANNOT | pdfium.FPDF_RENDER_LIMITEDIMAGECACHE
_CHANNELS = {
    pdfium.FPDFBitmap_Gray: 1,
    pdfium.FPDFBitmap_BGR: 3,
    pdfium.FPDFBitmap_BGRx: 4,
    pdfium.FPDFBitmap_BGRA: 4,
}


def rendered(page: Handle, form: Handle | None, size: Size, *, in_grey_at_once: bool) -> Pixels:
    """The page on white, with its annotations and the fields of its form.

    pdfium draws text faster in grey (by a third) and images slower (by a third) than in colour.
    """
    shape = (size.height, size.width) if in_grey_at_once else (size.height, size.width, 3)
    pixels: Pixels = np.full(shape, _WHITE, np.uint8)
    kind = pdfium.FPDFBitmap_Gray if in_grey_at_once else pdfium.FPDFBitmap_BGR
    buffer = pixels.ctypes.data_as(ctypes.c_void_p)
    bitmap = pdfium.FPDFBitmap_CreateEx(size.width, size.height, kind, buffer, pixels.strides[0])
    if not bitmap:
        raise ImageUndecodable(f"a page of the PDF cannot be rendered with {size.width} x {size.height} pixels")
    flags = _FLAGS | (pdfium.FPDF_GRAYSCALE if in_grey_at_once else 0)
    try:
        pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, size.width, size.height, 0, flags)
        if form:
            pdfium.FPDF_FFLDraw(form, bitmap, page, 0, 0, size.width, size.height, 0, flags)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return pixels


def decoded(handle: Handle) -> Pixels | None:
    """An image's own pixels, without a mask; None where pdfium cannot decode it."""
    bitmap = pdfium.FPDFImageObj_GetBitmap(handle)
    if not bitmap:
        return None
    try:
        return _copied(bitmap)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)


def _copied(bitmap: Any) -> Pixels | None:
    kind = pdfium.FPDFBitmap_GetFormat(bitmap)
    channels = _CHANNELS.get(kind)
    start = pdfium.FPDFBitmap_GetBuffer(bitmap)
    if channels is None or not start:
        return None
    width, height = pdfium.FPDFBitmap_GetWidth(bitmap), pdfium.FPDFBitmap_GetHeight(bitmap)
    stride = pdfium.FPDFBitmap_GetStride(bitmap)
    rows = np.ctypeslib.as_array(ctypes.cast(start, ctypes.POINTER(ctypes.c_ubyte)), (height, stride))
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    if kind == pdfium.FPDFBitmap_BGRA:
        return from_opencv(pixels)
    return (pixels[:, :, 0] if channels == 1 else pixels[:, :, :3]).copy()  # the buffer goes with the bitmap


def without_needless_colour(pixels: Pixels) -> Pixels:
    """BGR pixels that are all grey, as grey."""
    if pixels.ndim == 2:
        return pixels
    grey = in_grey(pixels)
    blue, green, red = cv2.split(pixels)
    return grey if np.array_equal(blue, green) and np.array_equal(green, red) else pixels


def is_black_and_white(pixels: Pixels) -> bool:
    """Whether the pixels are grey and each is 0 or 255."""
    return pixels.ndim == 2 and cv2.countNonZero(pixels) == int(np.count_nonzero(pixels == _WHITE))
