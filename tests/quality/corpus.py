"""The generated corpus: classes of wear, from clean scans to bad photographs, six short pages each.

The same seed gives the same pages, byte for byte, with the same fonts and the same versions of Pillow and OpenCV.
A page depends on the seed, its class and its number alone.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.quality import wear
from tests.quality.photographs import Viewpoint, photographed
from tests.quality.typesetting import Pixels, Points, SetLine, Typography, set_page

SEED = 4
PAGES_A_CLASS = 6

Matrix = NDArray[np.float64]
Worn = tuple[Pixels, Matrix]
_LANGUAGES = ("english", "chinese", "mixed")
_AS_SET = np.eye(3)


@dataclass(frozen=True, slots=True)
class CorpusPage:
    """One page of the corpus. ``lines`` have their corners in pixels of the image that ``content`` encodes.

    ``to_given`` takes a point of the page as it was set to that image.
    """

    kind: str
    number: int
    language: str
    content: bytes = field(repr=False)
    lines: tuple[SetLine, ...]
    to_given: Matrix = field(repr=False)

    @property
    def text(self) -> str:
        """The lines from the top to the bottom."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class PageClass:
    """A class of pages: how they are set and what befalls them. ``jpeg_quality`` None: PNG.

    ``least_pt`` is the smallest text. Pages are set at ``dpi``.
    """

    wear: Callable[[Pixels, int, np.random.Generator], Worn]
    hard: bool
    dpi: float = 200.0
    least_pt: float = 9.0
    most_pt: float = 14.0
    jpeg_quality: int | None = None


def _still(
    change: Callable[[Pixels, np.random.Generator], Pixels],
) -> Callable[[Pixels, int, np.random.Generator], Worn]:
    """A wear that moves no pixel."""
    return lambda pixels, number, rng: (change(pixels, rng), _AS_SET)


def _scan(pixels: Pixels, number: int, rng: np.random.Generator) -> Worn:
    return wear.grainy(pixels, 1.5, rng), _AS_SET


def _skewed(least: float, most: float) -> Callable[[Pixels, int, np.random.Generator], Worn]:
    def turn(pixels: Pixels, number: int, rng: np.random.Generator) -> Worn:
        degrees = rng.uniform(least, most) * (-1 if number % 2 else 1)
        tilted, matrix = wear.rotated(pixels, degrees)
        return wear.grainy(tilted, 1.5, rng), matrix

    return turn


def _sampled(dpi: float) -> Callable[[Pixels, int, np.random.Generator], Worn]:
    def scan(pixels: Pixels, number: int, rng: np.random.Generator) -> Worn:
        small, matrix = wear.scaled(pixels, dpi / 200.0)
        return wear.grainy(small, 1.5, rng), matrix

    return scan


def _turned(pixels: Pixels, number: int, rng: np.random.Generator) -> Worn:
    turned, matrix = wear.quarter_turned(pixels, number % 3 + 1)
    return wear.grainy(turned, 1.5, rng), matrix


def _photograph(view: Viewpoint) -> Callable[[Pixels, int, np.random.Generator], Worn]:
    return lambda pixels, number, rng: photographed(pixels, view, rng)


_PHONE = Viewpoint(width_px=1500, turn_deg=20, tilt_deg=52, shadow=0.55, blur_px=0.9, grain=3, jpeg_quality=75)
_PHONE_HARD = Viewpoint(width_px=1400, turn_deg=40, tilt_deg=60, shadow=0.3, blur_px=1.2, grain=6, jpeg_quality=55)

CLASSES: Mapping[str, PageClass] = {
    "clean150": PageClass(_scan, hard=False, dpi=150.0),
    "clean200": PageClass(_scan, hard=False),
    "clean300": PageClass(_scan, hard=False, dpi=300.0),
    "noisy": PageClass(_still(lambda p, rng: wear.speckled(wear.grainy(p, 16, rng), 0.004, rng)), hard=False),
    "jpeg30": PageClass(_scan, hard=False, jpeg_quality=30),
    "skew": PageClass(_skewed(1, 5), hard=False),
    "uneven": PageClass(_still(lambda p, rng: wear.grainy(wear.unevenly_lit(p, 0.3, rng), 2, rng)), hard=False),
    "dpi72": PageClass(_sampled(72), hard=False, least_pt=11.0),
    "turns": PageClass(_turned, hard=True),
    "low_contrast": PageClass(
        _still(lambda p, rng: wear.grainy(wear.faded(p, 215, rng.uniform(204.5, 208)), 2, rng)), hard=True
    ),
    "dpi50": PageClass(_sampled(50), hard=True, least_pt=10.0, most_pt=12.0),
    "motion_blur": PageClass(
        _still(lambda p, rng: wear.grainy(wear.motion_blurred(p, rng.uniform(8, 11), rng.uniform(0, 180)), 2, rng)),
        hard=True,
    ),
    "focus_blur": PageClass(
        _still(lambda p, rng: wear.grainy(wear.focus_blurred(p, rng.uniform(4.0, 5.0)), 2, rng)), hard=True
    ),
    "strong_noise": PageClass(_still(lambda p, rng: wear.speckled(wear.grainy(p, 75, rng), 0.08, rng)), hard=True),
    "skew12": PageClass(_skewed(11, 13), hard=True),
    "phone": PageClass(_photograph(_PHONE), hard=True, jpeg_quality=_PHONE.jpeg_quality),
    "phone_hard": PageClass(_photograph(_PHONE_HARD), hard=True, jpeg_quality=_PHONE_HARD.jpeg_quality),
}
"""In the order in which they are told, the mild ones first."""


def make_page(kind: str, number: int, seed: int = SEED) -> CorpusPage:
    """Page ``number`` (from 0) of a class. Raises ``KeyError`` for an unknown class, ``OSError`` without its fonts."""
    page_class = CLASSES[kind]
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
    page = set_page(_typography(page_class, number, rng), rng)
    pixels, matrix = page_class.wear(page.pixels, number, rng)
    lines = tuple(replace(line, corners=moved(line.corners, matrix)) for line in page.lines)
    language = _LANGUAGES[number % len(_LANGUAGES)]
    return CorpusPage(kind, number, language, _encoded(pixels, page_class.jpeg_quality), lines, matrix)


def moved(points: Points, matrix: Matrix) -> Points:
    """Points (n x 2) taken through a homography."""
    taken = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    through: Points = taken[:, :2] / taken[:, 2:]
    return through


def _typography(page_class: PageClass, number: int, rng: np.random.Generator) -> Typography:
    language = _LANGUAGES[number % len(_LANGUAGES)]
    text_pt = rng.uniform(page_class.least_pt, page_class.most_pt)
    # A column of 34 to 44 ems of Latin, in which a line has 60 to 80 characters; CJK takes the same place.
    column_pt = min(max(text_pt * rng.uniform(32, 44), 320.0), 560.0)
    return Typography(
        language=language,
        dpi=page_class.dpi,
        text_pt=text_pt,
        column_pt=column_pt,
        line_count=int(rng.integers(8, 13)),
        serif=bool(number // len(_LANGUAGES) % 2),
    )


def _encoded(pixels: Pixels, jpeg_quality: int | None) -> bytes:
    out = io.BytesIO()
    if jpeg_quality is None:
        Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    else:
        Image.fromarray(pixels).save(out, "JPEG", quality=jpeg_quality)
    return out.getvalue()
