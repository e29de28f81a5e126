"""Finds the one image that is a whole PDF page: a scan, with at most invisible text over it.

Whatever might make the page look otherwise than the image does is a reason to render it instead.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass

import pypdfium2.raw as pdfium

from preprocess_service.decoders.pdf.image_dictionary import ImageDictionaries, ImageDictionary
from preprocess_service.decoders.pdf.page_objects import (
    MAX_OBJECTS,
    Box,
    Handle,
    Matrix,
    PlacedObject,
    image_size_of,
    moved,
    objects_of,
    page_box_of,
)
from preprocess_service.decoders.pdf.resolution import shows_text
from preprocess_service.model import Size

# Of the page's longer side: how far a scan's edge may be from the page's (a page of rounded points), and how far from
# the page's axes it may lean over its whole length.
_EDGE_TOLERANCE = 0.005
_LEAN_TOLERANCE = 0.0002
# Of faxes, pixels are not square: their pages are rendered.
_ASPECT_TOLERANCE = 0.02
_POINTS_AN_INCH = 72.0
_MAX_CLIPS = 16
_MAX_CLIP_POINTS = 8
_UNIT_SQUARE = Box(0.0, 0.0, 1.0, 1.0)
_UNSEEN_ANNOTATIONS = (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP)
_MAX_ANNOTATIONS = 1000
_HIDING_FLAGS = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW

# The EXIF orientation by where the stored image's right and down show on the page, with y downwards.
_ORIENTATIONS = {
    ((1, 0), (0, 1)): 1,
    ((-1, 0), (0, 1)): 2,
    ((-1, 0), (0, -1)): 3,
    ((1, 0), (0, -1)): 4,
    ((0, 1), (1, 0)): 5,
    ((0, 1), (-1, 0)): 6,
    ((0, -1), (-1, 0)): 7,
    ((0, -1), (1, 0)): 8,
}


@dataclass(frozen=True, slots=True)
class PageScan:
    """The image that is the page. ``orientation`` is as EXIF has it, ``colour_space`` one of pdfium's numbers;
    ``paints_black`` matters to a stencil only.
    """

    handle: Handle
    size: Size
    dpi: float
    orientation: int
    filters: tuple[str, ...]
    colour_space: int
    bits_per_pixel: int
    dictionary: ImageDictionary
    paints_black: bool


def scan_of(page: Handle, dictionaries: ImageDictionaries) -> PageScan | None:
    """The scan that covers the page, upright or in quarter turns, with nothing else to be seen; None where there is no
    such thing, or no certainty.
    """
    page_box = page_box_of(page)
    placed = _last_to_be_seen(page, page_box)
    if placed is None or placed.kind != pdfium.FPDF_PAGEOBJ_IMAGE or _has_annotations(page):
        return None
    matrix = placed.matrix()
    orientation = _orientation(matrix, max(0, pdfium.FPDFPage_GetRotation(page)), page_box.longer_pt)
    size = image_size_of(placed.handle)
    dpi = _pixels_an_inch(matrix, size)
    is_whole = _covers(matrix, page_box) and _is_unclipped(placed, page_box)
    if not orientation or not dpi or not is_whole or _is_special(placed):
        return None
    dictionary = dictionaries.of(raw_data_of(placed.handle))
    if dictionary is None:
        return None
    metadata = pdfium.FPDF_IMAGEOBJ_METADATA()
    pdfium.FPDFImageObj_GetImageMetadata(placed.handle, page, metadata)
    return PageScan(
        handle=placed.handle,
        size=size,
        dpi=dpi,
        orientation=orientation,
        filters=filters_of(placed.handle),
        colour_space=metadata.colorspace,
        bits_per_pixel=metadata.bits_per_pixel,
        dictionary=dictionary,
        paints_black=_paints_black(placed.handle),
    )


def lone_image_of(page: Handle) -> Handle | None:
    """The image that is all there is to be seen on the page, wherever it stands; None where there is no such thing."""
    page_box = page_box_of(page)
    seen: list[PlacedObject] = []
    for looked_at, placed in enumerate(objects_of(page), 1):
        if looked_at == MAX_OBJECTS:
            return None
        if _shows(placed, page_box):
            seen.append(placed)
        if len(seen) > 1 or (seen and seen[0].kind != pdfium.FPDF_PAGEOBJ_IMAGE):
            return None
    return seen[0].handle if seen and not _has_annotations(page) else None


def raw_data_of(handle: Handle) -> bytes:
    """An image's data as they stand in the file, decrypted."""
    return _bytes_by(pdfium.FPDFImageObj_GetImageDataRaw, handle)


def jpeg_of(handle: Handle) -> bytes:
    """The JPEG file of an image whose last filter is DCTDecode."""
    return _bytes_by(pdfium.FPDFImageObj_GetImageDataDecoded, handle)


def filters_of(handle: Handle) -> tuple[str, ...]:
    """The names of an image's filters, in the order they are undone."""
    names = []
    for number in range(max(0, pdfium.FPDFImageObj_GetImageFilterCount(handle))):
        length = pdfium.FPDFImageObj_GetImageFilter(handle, number, None, 0)
        buffer = ctypes.create_string_buffer(length)
        pdfium.FPDFImageObj_GetImageFilter(handle, number, buffer, length)
        names.append(buffer.value.decode("latin-1"))
    return tuple(names)


def _bytes_by(read: Callable[[Handle, object, int], int], handle: Handle) -> bytes:
    length = read(handle, None, 0)
    buffer = bytearray(length)
    read(handle, (ctypes.c_ubyte * length).from_buffer(buffer), length)
    return bytes(buffer)


def _last_to_be_seen(page: Handle, page_box: Box) -> PlacedObject | None:
    """The topmost object that paints something on the page. What is below an opaque image that covers the page does
    not show, whatever it is.
    """
    for looked_at, placed in enumerate(objects_of(page, last_first=True), 1):
        if looked_at == MAX_OBJECTS:
            return None
        if _shows(placed, page_box):
            return placed
    return None


def _shows(placed: PlacedObject, page_box: Box) -> bool:
    if placed.kind == pdfium.FPDF_PAGEOBJ_TEXT and not shows_text(placed.handle):
        return False
    if placed.kind == pdfium.FPDF_PAGEOBJ_PATH:
        fill, stroke = ctypes.c_int(), pdfium.FPDF_BOOL()
        if pdfium.FPDFPath_GetDrawMode(placed.handle, fill, stroke) and not fill.value and not stroke.value:
            return False
    seen = placed.bounds().overlap(page_box)
    return seen.left <= seen.right and seen.bottom <= seen.top


def _has_annotations(page: Handle) -> bool:
    """Whether the page has any that a viewer draws."""
    count = pdfium.FPDFPage_GetAnnotCount(page)
    if count > _MAX_ANNOTATIONS:
        return True
    for number in range(count):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            return True
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        is_hidden = pdfium.FPDFAnnot_GetFlags(annotation) & _HIDING_FLAGS
        pdfium.FPDFPage_CloseAnnot(annotation)
        if kind not in _UNSEEN_ANNOTATIONS and not is_hidden:
            return True
    return False


def _orientation(matrix: Matrix, quarter_turns: int, longer_pt: float) -> int:
    """The EXIF orientation of an image that this matrix places on a page which a viewer turns clockwise; 0 for one
    that is not placed along the axes.
    """
    a, b, c, d, _, _ = matrix
    off_axes = min(max(abs(b), abs(c)), max(abs(a), abs(d)))
    if not off_axes <= _LEAN_TOLERANCE * longer_pt:
        return 0
    # Pixels go right along (a, b) and down along (-c, -d), of which y goes up.
    right, down = _along_axis(a, -b), _along_axis(-c, d)
    for _ in range(quarter_turns):
        right, down = (-right[1], right[0]), (-down[1], down[0])
    return _ORIENTATIONS.get((right, down), 0)


def _along_axis(x: float, y: float) -> tuple[int, int]:
    if abs(x) > abs(y):
        return (1 if x > 0 else -1, 0)
    return (0, 1 if y > 0 else -1)


def _pixels_an_inch(matrix: Matrix, size: Size) -> float:
    """The image's resolution on the page; 0 where it differs between both ways, or there is none."""
    a, b, c, d, _, _ = matrix
    width_pt, height_pt = math.hypot(a, b), math.hypot(c, d)
    if not size.pixels or not 0 < width_pt < math.inf or not 0 < height_pt < math.inf:
        return 0.0
    across, down = size.width / width_pt, size.height / height_pt
    return across * _POINTS_AN_INCH if abs(across / down - 1) <= _ASPECT_TOLERANCE else 0.0


def _covers(matrix: Matrix, page_box: Box) -> bool:
    image_box = moved(_UNIT_SQUARE, matrix)
    within_pt = _EDGE_TOLERANCE * page_box.longer_pt
    return image_box.contains(page_box, within_pt) and page_box.contains(image_box, within_pt)


def _is_unclipped(placed: PlacedObject, page_box: Box) -> bool:
    """Whether every clip of the image is a rectangle that leaves it whole."""
    clip = pdfium.FPDFPageObj_GetClipPath(placed.handle)
    count = pdfium.FPDFClipPath_CountPaths(clip) if clip else 0
    if count > _MAX_CLIPS:
        return False
    within_pt = _EDGE_TOLERANCE * page_box.longer_pt
    for number in range(count):
        box = _rectangle(clip, number)
        if box is None or not moved(box, placed.to_page).contains(page_box, within_pt):
            return False
    return True


def _rectangle(clip: Handle, number: int) -> Box | None:
    """The clip's path, where it is a rectangle along the axes."""
    count = pdfium.FPDFClipPath_CountPathSegments(clip, number)
    if not 4 <= count <= _MAX_CLIP_POINTS:
        return None
    points = []
    for index in range(count):
        segment = pdfium.FPDFClipPath_GetPathSegment(clip, number, index)
        x, y = ctypes.c_float(), ctypes.c_float()
        is_bent = pdfium.FPDFPathSegment_GetType(segment) == pdfium.FPDF_SEGMENT_BEZIERTO
        if is_bent or not pdfium.FPDFPathSegment_GetPoint(segment, x, y):
            return None
        points.append((x.value, y.value))
    box = Box(
        min(x for x, _ in points), min(y for _, y in points), max(x for x, _ in points), max(y for _, y in points)
    )
    corners = {(box.left, box.bottom), (box.left, box.top), (box.right, box.bottom), (box.right, box.top)}
    return box if set(points) == corners else None


def _is_special(placed: PlacedObject) -> bool:
    """Whether the image, or a form that it is in, is blended with what is below, or may be switched off."""
    return any(
        pdfium.FPDFPageObj_HasTransparency(handle) or _is_optional(handle) for handle in (placed.handle, *placed.forms)
    )


def _is_optional(handle: Handle) -> bool:
    """Whether it is marked as content that a viewer shows or hides (ISO 32000-1, 8.11.3.2)."""
    for number in range(max(0, pdfium.FPDFPageObj_CountMarks(handle))):
        name = (pdfium.FPDF_WCHAR * 8)()
        length = ctypes.c_ulong()
        mark = pdfium.FPDFPageObj_GetMark(handle, number)
        pdfium.FPDFPageObjMark_GetName(mark, name, ctypes.sizeof(name), length)
        if bytes(name)[: length.value] == "OC\0".encode("utf-16-le"):
            return True
    return False


def _paints_black(handle: Handle) -> bool:
    """Whether a stencil is filled with opaque black."""
    parts = [ctypes.c_uint() for _ in range(4)]
    return bool(pdfium.FPDFPageObj_GetFillColor(handle, *parts)) and [part.value for part in parts] == [0, 0, 0, 255]
