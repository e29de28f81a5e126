"""The preprocess service's vocabulary: files, pages, and the geometry between them.

Coordinates are continuous pixels: the origin is the outer corner of the top-left pixel, and pixel i covers i..i+1. The
source is meant after its EXIF orientation, as a viewer shows it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rpc_runtime.expected_error import ExpectedError

Point = tuple[float, float]
Matrix = tuple[float, float, float, float, float, float, float, float, float]

JPEG = "image/jpeg"
PNG = "image/png"
PAGE_MEDIA_TYPES = (PNG, JPEG)
"""What a normalised page can be encoded as."""


@dataclass(frozen=True, slots=True)
class Size:
    """The extent of an image, pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def longer_px(self) -> int:
        """The longer side."""
        return max(self.width, self.height)

    @property
    def shorter_px(self) -> int:
        """The shorter side."""
        return min(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Homography:
    """A 3 x 3 matrix in row-major order that takes points (x, y, 1) of one image to another; its last number is 1."""

    values: Matrix

    def compose(self, first: Homography) -> Homography:
        """The homography that applies ``first``, then this one."""
        a, b = self.values, first.values
        product = [sum(a[row * 3 + k] * b[k * 3 + column] for k in range(3)) for row in range(3) for column in range(3)]
        return Homography(_normalized(product))

    def inverse(self) -> Homography:
        """The way back. Raises ValueError for a matrix that has none."""
        a, b, c, d, e, f, g, h, i = self.values
        determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        if determinant == 0:
            raise ValueError(f"the homography {self.values} has no inverse")
        adjugate = (
            *(e * i - f * h, c * h - b * i, b * f - c * e),
            *(f * g - d * i, a * i - c * g, c * d - a * f),
            *(d * h - e * g, b * g - a * h, a * e - b * d),
        )
        return Homography(_normalized([value / determinant for value in adjugate]))

    def apply(self, points: Iterable[Point]) -> tuple[Point, ...]:
        """The points, taken to the other image."""
        a, b, c, d, e, f, g, h, i = self.values
        moved: list[Point] = []
        for x, y in points:
            w = g * x + h * y + i
            moved.append(((a * x + b * y + c) / w, (d * x + e * y + f) / w))
        return tuple(moved)


def _normalized(values: list[float]) -> Matrix:
    last = values[8]
    if last == 0:
        raise ValueError("the homography takes the origin to infinity")
    a, b, c, d, e, f, g, h, i = (value / last for value in values)
    return (a, b, c, d, e, f, g, h, i)


IDENTITY = Homography((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class AppliedStep:
    """One thing that was done to a page, with its parameters as text."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """A file as the caller sent it. The password opens an encrypted document."""

    content: bytes = field(repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What files are taken. Pixels are those of one page."""

    max_bytes: int = 50 * 1024 * 1024
    max_pixels: int = 100_000_000
    max_pages: int = 2000


@dataclass(frozen=True, slots=True)
class PageFit:
    """What pages the reader takes; 0 means no limit, no media types means any.

    Raises ValueError for media types of which none is PNG or JPEG, because no page could ever be made for it.
    """

    media_types: tuple[str, ...] = ()
    max_bytes: int = 0
    max_pixels: int = 0
    max_side_px: int = 0
    min_side_px: int = 0
    max_aspect: float = 0.0
    """The longer side over the shorter one."""

    def __post_init__(self) -> None:
        if self.media_types and not set(self.media_types) & set(PAGE_MEDIA_TYPES):
            raise ValueError(f"pages can be made as {', '.join(PAGE_MEDIA_TYPES)} only, not {self.media_types}")

    def takes(self, media_type: str) -> bool:
        """Whether a page of this media type is taken."""
        return not self.media_types or media_type in self.media_types


class PagePreference(enum.Enum):
    """How the engine that will read a page wants it."""

    UNTOUCHED = "untouched"
    CLEANED_GREY = "cleaned_grey"
    BILEVEL = "bilevel"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who will read a page: what it likes and what it takes."""

    preference: PagePreference = PagePreference.UNTOUCHED
    fit: PageFit = PageFit()


@dataclass(frozen=True, slots=True)
class PageMeasures:
    """What was measured on a page that is upright by its EXIF orientation, before any step; None: not told.

    The fields mean what ``ocrmux.ocr.v1.PageMeasures`` says of them: ``quarter_turns`` are those counter-clockwise that
    bring the text upright, ``skew_deg`` by how much lines fall to the right after these, ``contrast`` and
    ``unevenness`` shares of the whole range, ``noise`` a standard deviation in grey levels, ``text_height_px`` and
    ``outline`` (top left first, clockwise) in pixels of the source, ``blur`` a share of the text's height.
    """

    quarter_turns: int | None = None
    skew_deg: float | None = None
    contrast: float | None = None
    noise: float | None = None
    unevenness: float | None = None
    text_height_px: float | None = None
    blur: float | None = None
    outline: tuple[Point, Point, Point, Point] | None = None


@dataclass(frozen=True, slots=True)
class PagePart:
    """One encoded image of a page: the whole of it, or a tile of one that is too tall for its reader.

    ``to_page`` takes a point of the image to the normalised page.
    """

    content: bytes = field(repr=False)
    media_type: str
    size: Size
    to_page: Homography = IDENTITY


@dataclass(frozen=True, slots=True)
class NormalizedPage:
    """A page that is fit for recognition, encoded, in one part or in tiles from the top to the bottom.

    ``number`` counts from 1; ``page_count`` is 0 where it is not known; ``page_to_source`` takes a point of the page to
    the upright source; ``steps`` is empty when the only part is the source's own, byte for byte; ``measures`` is None
    where nothing was measured.
    """

    number: int
    page_count: int
    parts: tuple[PagePart, ...]
    page_size: Size
    source_size: Size
    page_to_source: Homography
    steps: tuple[AppliedStep, ...]
    measures: PageMeasures | None
    preprocess_ms: float


@dataclass(frozen=True, slots=True)
class PageFailure:
    """One page of a document that could not be made, while others may be."""

    number: int
    page_count: int
    error: ExpectedError
