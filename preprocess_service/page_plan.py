"""What is to be done to a page, by its measures, its profile and its reader. Pure: nothing here sees a pixel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from preprocess_service.model import PageFit, PageMeasures, Point, Size
from preprocess_service.profiles import Parameters
from preprocess_service.steps.deskew import level_size
from preprocess_service.steps.warp import MAX_WARPED_SIDE_PX
from preprocess_service.tiles import Tile, TileLimits, plan_tiles

MIN_READABLE_TEXT_PX = 12.0
"""Characters that are lower than this lose strokes: rather than that, a page is read in tiles."""
MAX_TILES = 24
"""Each is a call of its own to the reader. A page that would need more is scaled instead."""
MAX_ENLARGED_PIXELS = 36_000_000
"""A page is not enlarged beyond A3 at 400 dpi, whatever the height of its text."""

_WHOLE_PICTURE_SHARE = 0.97
"""A page that fills more of its picture is not taken out of it: nothing but a rim would go."""
_MIN_SCALING = 0.05
"""A page is not resampled for less than this share of its size."""
_SHRINK_AGAIN = 0.999
"""Where rounding up the paper around a page passes a limit by a pixel."""
_LINES_A_WIDTH = 50.0
"""Where the text's height is not known: a fiftieth of the shorter side, as on a page or a telephone's screen."""
_STRONG_NOISE = 15.0
"""Grey levels."""
_SURE_SPREAD = 0.8
"""Of the measured contrast: some of the ink is thinner and fainter."""
_UNTOLD_SPREAD = 64.0
"""Grey levels, where no ink was found: what is there is made no more than four times as strong."""
_FAINT_CONTRAST = 0.08
"""Below it what is taken for characters may be their crumbs: a page is not scaled by the height of those."""
_SHARP_EDGES = 0.1
"""Of the text's height, at most: softer text loses by being made smaller."""
_BLUR_OF_TEXT = 0.25
"""The unsharp mask's radius as a share of the edges' width."""

Corners = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class Perspective:
    """Take the page between these corners out of the picture."""

    corners: Corners


@dataclass(frozen=True, slots=True)
class Crop:
    """Cut this rectangle out."""

    x: int
    y: int
    size: Size


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn counter-clockwise by quarters, 1 to 3."""

    quarter_turns: int


@dataclass(frozen=True, slots=True)
class Deskew:
    """Turn counter-clockwise by these degrees."""

    skew_deg: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Make each side so many times as long."""

    factor: float


@dataclass(frozen=True, slots=True)
class Grey:
    """Drop the colour."""


@dataclass(frozen=True, slots=True)
class Denoise:
    """Smooth noise of this deviation, in grey levels."""

    method: str
    noise: float


@dataclass(frozen=True, slots=True)
class Illuminate:
    """Make the light even; the text is so high, px, or 0 where that is not known."""

    text_height_px: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Stretch the contrast, of ink that is darker than paper by this many grey levels at least."""

    method: str
    least_spread: float


@dataclass(frozen=True, slots=True)
class Sharpen:
    """Add the difference from the page smoothed so, so many times."""

    sigma_px: float
    amount: float


@dataclass(frozen=True, slots=True)
class Binarize:
    """Make black and white."""

    method: str
    threshold: int
    k: float
    text_height_px: float


Cut = Perspective | Crop
PlannedStep = Turn | Deskew | Scale | Grey | Denoise | Illuminate | Stretch | Sharpen | Binarize


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a page, in their order. Where there is a ``cut``, the page is to be measured again once it is cut
    out, and planned anew: what surrounded it was measured with it. ``text_height_px`` is that after the steps.
    """

    cut: Cut | None
    steps: tuple[PlannedStep, ...]
    text_height_px: float | None

    @property
    def is_empty(self) -> bool:
        """Whether the page is to be left as it is."""
        return self.cut is None and not self.steps

    @property
    def factor(self) -> float:
        """By how much the page is scaled."""
        return math.prod(step.factor for step in self.steps if isinstance(step, Scale))


def plan(measures: PageMeasures, parameters: Parameters, size: Size, fit: PageFit, *, may_tile: bool) -> Plan:
    """What to do to a page of this size, measured in its own pixels.

    Points are moved first, so that the tones are reckoned on what remains; a page is made smaller as early and larger
    as late as may be, since each step costs by the pixel.
    """
    if measures.contrast is not None and measures.contrast < _FAINT_CONTRAST:
        measures = replace(measures, text_height_px=None, blur=None)
    factor = _scaling(measures, parameters, size, fit, may_tile=may_tile)
    smaller, larger = min(factor, 1.0), max(factor, 1.0)
    text_px = measures.text_height_px
    steps: list[PlannedStep] = [*_turns(measures, parameters)]
    if smaller < 1:
        steps.append(Scale(smaller))
    steps += _levelling(measures, parameters, size)
    steps += _toning(_scaled_measures(measures, smaller), parameters)
    if larger > 1:
        steps.append(Scale(larger))
    scaled = None if text_px is None else text_px * factor
    steps += _finishing(measures, parameters, scaled)
    wants_grey = parameters.grey_when == "always" or (parameters.wants_grey and bool(steps))
    if wants_grey:
        steps.insert(0, Grey())
    return Plan(_cut(measures, parameters, size), tuple(steps), scaled)


def in_pixels(measures: PageMeasures, reduction: int) -> PageMeasures:
    """The measures of a page in pixels that are fewer by this factor each way."""
    if reduction == 1:
        return measures
    outline = measures.outline
    if outline is not None:
        top_left, top_right, bottom_right, bottom_left = ((x / reduction, y / reduction) for x, y in outline)
        measures = replace(measures, outline=(top_left, top_right, bottom_right, bottom_left))
    return _scaled_measures(measures, 1 / reduction)


def _scaled_measures(measures: PageMeasures, factor: float) -> PageMeasures:
    """The text and the noise of a page made smaller: the mean of n x n pixels has an n-th of their noise."""
    if factor == 1.0:
        return measures
    noise, text_px = measures.noise, measures.text_height_px
    return replace(
        measures,
        noise=None if noise is None else noise * factor,
        text_height_px=None if text_px is None else text_px * factor,
    )


def _cut(measures: PageMeasures, parameters: Parameters, size: Size) -> Cut | None:
    corners = measures.outline
    if corners is None:
        return None
    share = _area(corners) / size.pixels
    if share > _WHOLE_PICTURE_SHARE:
        return None
    if size.longer_px <= MAX_WARPED_SIDE_PX and _wants_perspective(corners, parameters):
        return Perspective(corners)
    if parameters.crop_when == "always" or (parameters.crop_when == "needed" and share < parameters.crop_max_share):
        return _around(corners, parameters.crop_margin, size)
    return None


def _wants_perspective(corners: Corners, parameters: Parameters) -> bool:
    if parameters.perspective_when != "needed":
        return parameters.perspective_when == "always"
    off_square, off_level = _obliqueness_deg(corners)
    level_deg = max(parameters.perspective_min_deg, parameters.deskew_min_deg)
    return off_square > parameters.perspective_min_deg or off_level > level_deg


def _obliqueness_deg(corners: Corners) -> tuple[float, float]:
    """How far the corner that is least square is from 90 degrees, and the side that is least level or plumb from it."""
    headings = [
        math.degrees(math.atan2(after[1] - before[1], after[0] - before[0]))
        for before, after in zip(corners, (*corners[1:], corners[0]), strict=True)
    ]
    angles = [(after - before) % 360 for before, after in zip(headings, (*headings[1:], headings[0]), strict=True)]
    off_level = [abs((heading + 45) % 90 - 45) for heading in headings]
    return max(abs(angle - 90) for angle in angles), max(off_level)


def _area(corners: Corners) -> float:
    pairs = zip(corners, (*corners[1:], corners[0]), strict=True)
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairs)) / 2


def _around(corners: Corners, margin: float, size: Size) -> Crop:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    rim = margin * max(max(xs) - min(xs), max(ys) - min(ys))
    left, top = max(0, math.floor(min(xs) - rim)), max(0, math.floor(min(ys) - rim))
    right, bottom = min(size.width, math.ceil(max(xs) + rim)), min(size.height, math.ceil(max(ys) + rim))
    return Crop(left, top, Size(max(1, right - left), max(1, bottom - top)))


def _turns(measures: PageMeasures, parameters: Parameters) -> Iterator[Turn]:
    if parameters.orient_when != "never" and measures.quarter_turns:
        yield Turn(measures.quarter_turns)


def _levelling(measures: PageMeasures, parameters: Parameters, size: Size) -> Iterator[Deskew]:
    skew_deg = measures.skew_deg
    if not skew_deg or max(size.longer_px, level_size(size, skew_deg).longer_px) > MAX_WARPED_SIDE_PX:
        return
    if _is_wanted(parameters.deskew_when, abs(skew_deg) > parameters.deskew_min_deg):
        yield Deskew(skew_deg)


def _toning(measures: PageMeasures, parameters: Parameters) -> Iterator[PlannedStep]:
    noise, contrast = measures.noise or 0.0, measures.contrast
    is_noisy = noise > parameters.denoise_min_noise
    is_noisy |= contrast is not None and noise > parameters.denoise_min_share * 255 * contrast
    if _is_wanted(parameters.denoise_when, is_noisy):
        yield Denoise(_denoising(parameters.denoise_method, noise), noise)
    unevenness = measures.unevenness or 0.0
    if _is_wanted(parameters.illumination_when, unevenness > parameters.illumination_min_unevenness):
        yield Illuminate(measures.text_height_px or 0.0)
    if _is_wanted(parameters.contrast_when, contrast is not None and contrast < parameters.contrast_below):
        levels = _UNTOLD_SPREAD if contrast is None else _SURE_SPREAD * 255 * contrast
        yield Stretch(parameters.contrast_method, levels)


def _denoising(method: str, noise: float) -> str:
    """Strong noise has speckles, which only a median takes; the weak noise of a faint page is averaged."""
    if method != "measured":
        return method
    return "despeckle" if noise > _STRONG_NOISE else "gaussian"


def _finishing(measures: PageMeasures, parameters: Parameters, text_height_px: float | None) -> Iterator[PlannedStep]:
    text_px, blur = text_height_px or 0.0, measures.blur or 0.0
    edge_px = blur * text_px
    if edge_px and _is_wanted(parameters.sharpen_when, blur > parameters.sharpen_min_blur):
        yield Sharpen(max(0.5, _BLUR_OF_TEXT * edge_px), parameters.sharpen_amount)
    if parameters.binarize_when != "never":
        yield Binarize(parameters.binarize_method, parameters.binarize_threshold, parameters.binarize_k, text_px)


def _is_wanted(when: str, is_needed: bool) -> bool:
    return when == "always" or (when == "needed" and is_needed)


def _scaling(measures: PageMeasures, parameters: Parameters, size: Size, fit: PageFit, *, may_tile: bool) -> float:
    """The factor for readability; what the reader takes is seen to later."""
    factor, text_px = 1.0, measures.text_height_px
    if text_px and parameters.scale_when != "never":
        is_low = text_px < parameters.scale_below_px
        is_high = 0 < parameters.scale_above_px < text_px and (measures.blur or 0.0) <= _SHARP_EDGES
        if parameters.scale_when == "always" or is_low or is_high:
            factor = min(parameters.scale_text_px / text_px, parameters.scale_max_factor)
    if parameters.scale_min_side_px:
        factor = max(factor, min(1.0, factor) * parameters.scale_min_side_px / size.shorter_px)
    if parameters.scale_max_side_px:
        factor = min(factor, parameters.scale_max_side_px / size.longer_px)
    if factor > 1:
        most = max(1.0, _most_taken(size, fit))
        if not (may_tile and text_px and text_px * most < MIN_READABLE_TEXT_PX):
            factor = min(factor, most)
        factor = max(1.0, min(factor, math.sqrt(MAX_ENLARGED_PIXELS / size.pixels)))
    keeps_side = not parameters.scale_max_side_px or size.longer_px <= parameters.scale_max_side_px
    return factor if abs(factor - 1) >= _MIN_SCALING or not keeps_side else 1.0


def _most_taken(size: Size, limits: PageFit | TileLimits) -> float:
    """By how much a page of this size can be enlarged within the limits; below 1 where it passes them."""
    sides = limits.max_side_px / size.longer_px if limits.max_side_px else math.inf
    return min(sides, math.sqrt(limits.max_pixels / size.pixels)) if limits.max_pixels else sides


@dataclass(frozen=True, slots=True)
class FitPlan:
    """How a page is brought into its reader's limits: scaled, then laid on a sheet of paper, then cut into tiles; each
    is the same as what is before it where there is no need.
    """

    scaled: Size
    padded: Size
    tiles: tuple[Tile, ...]

    def leaves(self, size: Size) -> bool:
        """Whether a page of this size is taken as it is."""
        return self.scaled == size == self.padded and len(self.tiles) == 1


def plan_fit(
    size: Size, fit: PageFit, text_height_px: float | None = None, *, may_tile: bool, max_side_px: int = 0
) -> FitPlan:
    """The page within the reader's limits, and ``max_side_px`` as one more (0: none).

    A side below ``fit.min_side_px`` gets paper beside it, so that text keeps its size. A page of too high an aspect, or
    whose text would become unreadable by scaling, is given in tiles if that may be, and else with paper beside it.
    """
    sides = [side for side in (fit.max_side_px, max_side_px) if side]
    limits = TileLimits(fit.max_aspect, min(sides, default=0), fit.max_pixels)
    whole = _fit_whole(size, fit, limits)
    text_px = text_height_px or size.shorter_px / _LINES_A_WIDTH
    becomes_unreadable = whole.scaled != size and text_px * whole.scaled.width / size.width < MIN_READABLE_TEXT_PX
    if may_tile and (becomes_unreadable or _is_too_long(size, fit.max_aspect)):
        tiled = _fit_in_tiles(size, fit, limits, text_px)
        if 1 < len(tiled.tiles) <= MAX_TILES:
            return tiled
    return whole


def _fit_whole(size: Size, fit: PageFit, limits: TileLimits) -> FitPlan:
    if not _is_within(Size(max(1, fit.min_side_px), max(1, fit.min_side_px)), limits):
        fit = replace(fit, min_side_px=0)  # limits that contradict each other: the upper ones are kept
    scaled, sheet = size, _sheet_under(size, fit)
    factor = 1.0
    while not _is_within(sheet, limits) and scaled.pixels > 1:
        factor *= min(_SHRINK_AGAIN, _most_taken(sheet, limits))
        scaled = scaled_size(size, factor)
        sheet = _sheet_under(scaled, fit)
    return FitPlan(scaled, sheet, (Tile(0, 0, sheet.width, sheet.height),))


def _sheet_under(size: Size, fit: PageFit) -> Size:
    """The paper that a page of this size is laid on: broad enough for the aspect, and no side too short."""
    least = float(fit.min_side_px)
    if fit.max_aspect:
        least = max(least, size.longer_px / fit.max_aspect - 1e-9)
    return Size(max(size.width, math.ceil(least)), max(size.height, math.ceil(least)))


def _is_within(size: Size, limits: TileLimits) -> bool:
    return _most_taken(size, limits) >= 1


def _fit_in_tiles(size: Size, fit: PageFit, limits: TileLimits, text_px: float) -> FitPlan:
    """Scaled only as far as its shorter side, or a square of that side, needs it."""
    factor = min(1.0, _most_taken(Size(size.shorter_px, size.shorter_px), limits))
    scaled = size if factor == 1 else scaled_size(size, factor)
    padded = Size(max(scaled.width, fit.min_side_px), max(scaled.height, fit.min_side_px))
    return FitPlan(scaled, padded, plan_tiles(padded, limits, text_px * factor))


def scaled_size(size: Size, factor: float) -> Size:
    """Rounded down, so that no limit is passed; the small term keeps 2.9999999 a 3."""
    return Size(max(1, int(size.width * factor + 1e-6)), max(1, int(size.height * factor + 1e-6)))


def _is_too_long(size: Size, max_aspect: float) -> bool:
    return bool(max_aspect) and size.longer_px > size.shorter_px * max_aspect
