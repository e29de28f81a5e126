"""Documents of many pages, each with its number as squares at its foot, so that its pixels tell which it is."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from tests.bench.scan_pages import BODIES, printed_page
from tests.fakes.documents import A4_PT, PdfPage, PdfStream, pdf_of, scan_page, text_page

Pixels = npt.NDArray[np.uint8]

GREY_PX = (1240, 1754)
"""A4 at 150 dpi, so that 200 pages stay below the limit on one file."""
TWO_TONE_PX = (2480, 3508)
_BITS = 8
_SQUARE = 0.016
"""Side, as a share of the page's width."""
_LEFT, _PITCH, _FOOT = 0.2, 0.06, 0.96
"""Where the squares' middles are: across, as shares of the width, and down, as one of the height."""
_NOISE = 1.2
_QUALITY = 50
_LINES = 46


def scanned_pdf(pages: int) -> bytes:
    """Grey scans, embedded as JPEG, one a page."""
    return pdf_of(*(scan_page(_jpeg_stream(_grey_page(number))) for number in _numbers(pages)))


def text_pdf(pages: int) -> bytes:
    """Text in Helvetica."""
    return pdf_of(*(_vector_page(number) for number in _numbers(pages)))


def two_tone_tiff(pages: int) -> bytes:
    """Black and white at 300 dpi, compressed by group 4."""
    return _tiff((_two_tone_page(number) for number in _numbers(pages)), compression="group4")


def grey_tiff(pages: int) -> bytes:
    """Grey, compressed as JPEG."""
    images = (Image.fromarray(_grey_page(number)) for number in _numbers(pages))
    return _tiff(images, compression="jpeg", quality=_QUALITY)


DOCUMENTS: dict[str, Callable[[int], bytes]] = {
    "PDF of grey scans (JPEG, 150 dpi)": scanned_pdf,
    "PDF of vector text": text_pdf,
    "TIFF, two-tone (group 4, 300 dpi)": two_tone_tiff,
    "TIFF, grey (JPEG, 150 dpi)": grey_tiff,
}


def number_on(content: bytes, page_to_source: Sequence[float], source_size: tuple[int, int]) -> int:
    """The number that stands on a normalised page; its geometry takes the squares' places there."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError("the page is damaged")
    places = np.array([_place(bit, source_size) for bit in range(_BITS)], np.float64).reshape(1, -1, 2)
    to_page = np.linalg.inv(np.array(page_to_source, np.float64).reshape(3, 3))
    number = 0
    for bit, (x, y) in enumerate(cv2.perspectiveTransform(places, to_page)[0]):
        patch = pixels[max(0, int(y) - 2) : int(y) + 3, max(0, int(x) - 2) : int(x) + 3]
        number |= int(patch.size > 0 and float(patch.mean()) < 128) << bit
    return number


def _numbers(pages: int) -> range:
    if not 0 < pages < 2**_BITS:
        raise ValueError(f"a document has 1 to {2**_BITS - 1} pages here, not {pages}")
    return range(1, pages + 1)


def _place(bit: int, size: tuple[float, float]) -> tuple[float, float]:
    width, height = size
    return (_LEFT + _PITCH * bit) * width, _FOOT * height


def _squares(number: int, size: tuple[float, float]) -> Iterator[tuple[float, float, float]]:
    """Left, top and side of those that are set, from the page's top left."""
    side = _SQUARE * size[0]
    for bit in range(_BITS):
        if number >> bit & 1:
            x, y = _place(bit, size)
            yield x - side / 2, y - side / 2, side


def _marked(pixels: Pixels, number: int) -> Pixels:
    marked = pixels.copy()
    for left, top, side in _squares(number, (pixels.shape[1], pixels.shape[0])):
        marked[round(top) : round(top + side), round(left) : round(left + side)] = 30
    return marked


@cache
def _body(number: int, size: tuple[int, int]) -> Pixels:
    grey = cv2.resize(cv2.cvtColor(printed_page(number), cv2.COLOR_BGR2GRAY), size, interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(number).normal(0, _NOISE, grey.shape)
    return np.asarray(np.clip(np.rint(grey + noise), 0, 255), np.uint8)


def _grey_page(number: int) -> Pixels:
    return _marked(_body(number % BODIES, GREY_PX), number)


def _two_tone_page(number: int) -> Image.Image:
    pixels = _marked(_body(number % BODIES, TWO_TONE_PX), number)
    return Image.fromarray(pixels > 128)


def _jpeg_stream(pixels: Pixels) -> PdfStream:
    height, width = pixels.shape
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    entries = f"/Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceGray/BitsPerComponent 8"
    return PdfStream(f"{entries}/Filter/DCTDecode", data)


def _vector_page(number: int) -> PdfPage:
    lines = [f"Line {line} of page {number}: the parcel was left with a neighbour" for line in range(1, _LINES + 1)]
    page = text_page(*lines, font_pt=10)
    height = A4_PT[1]
    squares = " ".join(
        f"{left:.2f} {height - top - side:.2f} {side:.2f} {side:.2f} re f"
        for left, top, side in _squares(number, A4_PT)
    )
    return PdfPage(content=page.content + f" {squares}".encode(), media_box=page.media_box)


def _tiff(images: Iterator[Image.Image], **options: object) -> bytes:
    """One page after the other, none of them held."""
    out = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(out, new=True) as writer:
        for image in images:
            image.save(writer, "TIFF", **options)
            writer.newFrame()
    return out.getvalue()
