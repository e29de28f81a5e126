"""What stands on a PDF page: its objects, in or out of forms, and where they are.

A matrix is (a, b, c, d, e, f) and takes (x, y) to (ax + cy + e, bx + dy + f), as ISO 32000-1, 8.3.4, has it.
Coordinates are points of 1/72 inch from the bottom left.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

from preprocess_service.model import Size

Matrix = tuple[float, float, float, float, float, float]
Handle = Any
"""A pointer of pdfium's; valid as long as its page is open."""

_UNMOVED: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_MAX_FORM_DEPTH = 8
# Of a page with more, only the first or last so many are looked at. Each costs about 2 microseconds.
MAX_OBJECTS = 20_000


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the page, points."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def longer_pt(self) -> float:
        """The longer side."""
        return max(self.right - self.left, self.top - self.bottom)

    @property
    def area(self) -> float:
        """Square points; 0 for a rectangle turned inside out."""
        return max(0.0, self.right - self.left) * max(0.0, self.top - self.bottom)

    def overlap(self, other: Box) -> Box:
        """What both cover."""
        return Box(
            max(self.left, other.left),
            max(self.bottom, other.bottom),
            min(self.right, other.right),
            min(self.top, other.top),
        )

    def contains(self, other: Box, within_pt: float) -> bool:
        """Whether the other lies inside, or reaches out by less than so much."""
        return (
            self.left <= other.left + within_pt
            and self.bottom <= other.bottom + within_pt
            and self.right >= other.right - within_pt
            and self.top >= other.top - within_pt
        )


@dataclass(frozen=True, slots=True)
class PlacedObject:
    """One object, and the forms that it is in, the outermost first. ``to_page`` is the forms' matrix."""

    handle: Handle
    kind: int
    to_page: Matrix = _UNMOVED
    forms: tuple[Handle, ...] = ()

    def matrix(self) -> Matrix:
        """From the object's own space, for an image the unit square, to the page."""
        return composed(matrix_of(self.handle), self.to_page)

    def bounds(self) -> Box:
        """What it covers at most. Without any where pdfium cannot tell."""
        sides = [ctypes.c_float() for _ in range(4)]
        if not pdfium.FPDFPageObj_GetBounds(self.handle, *sides):
            return Box(0.0, 0.0, 0.0, 0.0)
        left, bottom, right, top = (side.value for side in sides)
        return moved(Box(left, bottom, right, top), self.to_page)


def objects_of(page: Handle, *, last_first: bool = False) -> Iterator[PlacedObject]:
    """The objects in the order they are drawn, or against it: those inside a form in the form's stead. Ends without a
    word after 20 000.
    """
    left = MAX_OBJECTS
    for placed in _objects_in(page, pdfium.FPDFPage_CountObjects, pdfium.FPDFPage_GetObject, _UNMOVED, (), last_first):
        if left == 0:
            return
        left -= 1
        yield placed


def _objects_in(
    holder: Handle, count: Any, get: Any, to_page: Matrix, forms: tuple[Handle, ...], last_first: bool
) -> Iterator[PlacedObject]:
    numbers = range(max(0, count(holder)))
    for number in reversed(numbers) if last_first else numbers:
        handle = get(holder, number)
        kind = pdfium.FPDFPageObj_GetType(handle)
        if kind == pdfium.FPDF_PAGEOBJ_FORM and len(forms) < _MAX_FORM_DEPTH:
            inner = composed(matrix_of(handle), to_page)
            counted, got = pdfium.FPDFFormObj_CountObjects, pdfium.FPDFFormObj_GetObject
            yield from _objects_in(handle, counted, got, inner, (*forms, handle), last_first)
        else:
            yield PlacedObject(handle, kind, to_page, forms)


def matrix_of(handle: Handle) -> Matrix:
    """The object's own matrix; the one that changes nothing where pdfium has none."""
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(handle, matrix):
        return _UNMOVED
    return (matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)


def composed(first: Matrix, then: Matrix) -> Matrix:
    """The matrix that applies ``first``, then the other."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def moved(box: Box, matrix: Matrix) -> Box:
    """The upright rectangle round the box where the matrix takes it."""
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (box.left, box.right) for y in (box.bottom, box.top)]
    xs = [a * x + c * y + e for x, y in corners]
    ys = [b * x + d * y + f for x, y in corners]
    return Box(min(xs), min(ys), max(xs), max(ys))


def page_box_of(page: Handle) -> Box:
    """What of the page is shown, before its /Rotate."""
    box = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page, box)
    return Box(box.left, box.bottom, box.right, box.top)


def image_size_of(handle: Handle) -> Size:
    """Pixels of an image, by its dictionary; zero where pdfium cannot tell."""
    width, height = ctypes.c_uint(), ctypes.c_uint()
    pdfium.FPDFImageObj_GetImagePixelSize(handle, width, height)
    return Size(width.value, height.value)
