"""Makes one page of an opened document fit for its reader: measure, plan, do, encode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from preprocess_service.decoders.paged_document import (
    SIDEWAYS,
    UPRIGHT,
    DecodedPage,
    DecodeWish,
    PagedDocument,
    PlainPage,
)
from preprocess_service.measures.page_measuring import measure
from preprocess_service.model import (
    IDENTITY,
    AppliedStep,
    Homography,
    PageFit,
    PageMeasures,
    PagePart,
    Size,
)
from preprocess_service.page_order import PageOrder
from preprocess_service.page_plan import (
    Binarize,
    Crop,
    Cut,
    Denoise,
    Deskew,
    FitPlan,
    Grey,
    Illuminate,
    Perspective,
    Plan,
    PlannedStep,
    Scale,
    Sharpen,
    Stretch,
    Turn,
    in_pixels,
    plan,
    plan_fit,
    scaled_size,
)
from preprocess_service.profiles import Parameters
from preprocess_service.steps.binarize import fixed, otsu, sauvola
from preprocess_service.steps.crop import crop, pad, translation
from preprocess_service.steps.deskew import deskew
from preprocess_service.steps.encode import MAX_ENCODED_SIDE_PX, EncodedPage, encode
from preprocess_service.steps.illumination import illumination
from preprocess_service.steps.orient import applied_orientation, orient, to_stored, turn
from preprocess_service.steps.perspective import perspective
from preprocess_service.steps.scale import reduced, scale
from preprocess_service.steps.step_result import Pixels, StepResult, size_of
from preprocess_service.steps.tones import contrast, denoise, grey, ink_and_paper, sharpen
from preprocess_service.tiles import Tile

_LEAST_INK_LEVELS = 2.5
_LEAST_INK_NOISES = 1.5
"""What differs by less from the paper, in grey levels or in the noise's deviation, is rounding or noise itself."""
MEASURED_SIDE_PX = 1750
"""Longer side of the picture that is measured, at most: A4 at 150 dpi."""
_LEAST_MEASURED_SIDE_PX = 1200
"""And at least, where the page has so much, when a decoder reduces it by powers of two."""
_MAX_REDUCTION = 8
_LEAST_FAINT_SPREAD = 21.25
"""Grey levels that are stretched to 255 to see faint ink: twelve times."""
_UNCONVERTED_MODES = ("1", "L", "RGB")
_NOT_MEASURED = PageMeasures()

Measuring = Callable[[Pixels, float], PageMeasures]


@dataclass(frozen=True, slots=True)
class MadePage:
    """A normalised page, without its place in the document and its time; the fields mean what NormalizedPage's do."""

    parts: tuple[PagePart, ...]
    page_size: Size
    source_size: Size
    page_to_source: Homography
    steps: tuple[AppliedStep, ...]
    measures: PageMeasures | None


def make_page(document: PagedDocument, number: int, order: PageOrder, *, measuring: Measuring = measure) -> MadePage:
    """The page of this number, from 1. A page that needs nothing is the source's own bytes, and then no more of it is
    decoded than measuring it takes.

    Raises ImageUndecodable and ImageTooLargePixels for a page that is bad, ImageTooLargeBytes where nothing brings it
    below the reader's limit.
    """
    parameters = order.profile.parameters(order.reader.preference)
    plain = document.plain_page(number)
    measures = None
    if plain is not None and not parameters.always_changes and _is_taken(plain, order.reader.fit):
        measures = _looked_at(plain, parameters, measuring)
        size = Size(plain.width, plain.height)
        if _planned(measures or _NOT_MEASURED, parameters, size, order).is_empty:
            part = PagePart(plain.content, plain.media_type, size)
            return MadePage((part,), size, size, IDENTITY, (), measures)
    wish = DecodeWish(parameters.wants_grey, _reduction(plain, measures, parameters, order))
    sheet = _sheet_of(document.decode(number, wish))
    if measures is None and parameters.measures:
        measures = _measured(sheet.pixels, sheet.reduction, measuring)
    text_height_px = _work(sheet, measures, parameters, order, measuring)
    return _finished(sheet, measures, parameters, order, text_height_px)


class _Sheet:
    """The page while it is worked on: its pixels, the way back, and what was done. Each step frees the pixels of the
    one before, which may be hundreds of megabytes.
    """

    def __init__(self, pixels: Pixels, source_size: Size, to_source: Homography, reduction: int) -> None:
        self.pixels = pixels
        self.source_size = source_size
        self.to_source = to_source
        self.reduction = reduction
        self.is_two_tone = False
        self.is_lossless = True
        self.steps: list[AppliedStep] = []

    @property
    def size(self) -> Size:
        """Of the page as it is now."""
        return size_of(self.pixels)

    def take(self, result: StepResult, *, keeps_tones: bool = False) -> None:
        """The page is now what the step made of it."""
        self.pixels = result.pixels
        self.to_source = self.to_source.compose(result.to_previous)
        self.steps.append(result.applied)
        self.is_two_tone = self.is_two_tone and keeps_tones


def _is_taken(plain: PlainPage, fit: PageFit) -> bool:
    if not fit.takes(plain.media_type) or (fit.max_bytes and len(plain.content) > fit.max_bytes):
        return False
    size = Size(plain.width, plain.height)
    return plan_fit(size, fit, may_tile=False).leaves(size)


def _looked_at(plain: PlainPage, parameters: Parameters, measuring: Measuring) -> PageMeasures | None:
    """The page's measures, or None where the profile asks for none. Raises ImageUndecodable for a damaged file."""
    if not parameters.measures:
        plain.look(1)
        return None
    picture, reduction = plain.look(_LEAST_MEASURED_SIDE_PX)
    return _measured(picture, reduction, measuring)


def _measured(pixels: Pixels, reduction: int, measuring: Measuring) -> PageMeasures:
    """What is measured on a picture of the page; ``reduction`` pixels of the page are one of those given."""
    picture, factor = reduced(pixels, size_of(pixels).longer_px / MEASURED_SIDE_PX)
    picture = grey(picture).pixels
    measures = measuring(picture, factor * reduction)
    return measures if measures.contrast is not None else _measured_again(picture, measures, measuring)


def _measured_again(picture: Pixels, measures: PageMeasures, measuring: Measuring) -> PageMeasures:
    """With the contrast of ink that is too faint to be seen unless the picture is smoothed and stretched; an empty page
    stays one. Nothing else of that second look is told: it is too unsure to turn a page by.
    """
    smooth = denoise(picture, "despeckle", measures.noise or 0.0).pixels
    black, white = ink_and_paper(smooth)
    levels = max(_LEAST_FAINT_SPREAD, white - black)
    stretched = contrast(smooth, "stretch", levels)
    seen = (measuring(stretched.pixels, 1.0).contrast or 0.0) * levels
    least = max(_LEAST_INK_LEVELS, _LEAST_INK_NOISES * (measures.noise or 0.0))
    return replace(measures, contrast=seen / 255) if seen >= least else measures


def _planned(measures: PageMeasures, parameters: Parameters, size: Size, order: PageOrder) -> Plan:
    return plan(measures, parameters, size, order.reader.fit, may_tile=order.may_tile)


def _reduction(plain: PlainPage | None, measures: PageMeasures | None, parameters: Parameters, order: PageOrder) -> int:
    """By what power of two the page may be reduced while it is decoded, as it would be scaled down by more later."""
    if plain is None:
        return 1
    size = Size(plain.width, plain.height)
    planned = _planned(measures or _NOT_MEASURED, parameters, size, order)
    fitted = plan_fit(size, order.reader.fit, may_tile=order.may_tile)
    factor = planned.factor * min(1.0, fitted.scaled.longer_px / size.longer_px)
    if measures is None and parameters.scale_when != "never":
        return 1  # the text's height may yet ask for every pixel, or for tiles
    reduction = 1
    while reduction < _MAX_REDUCTION and reduction * 2 * factor <= 1:
        reduction *= 2
    return reduction


def _sheet_of(decoded: DecodedPage) -> _Sheet:
    """The page upright by its EXIF orientation."""
    orientation = UPRIGHT if decoded.is_turned else decoded.orientation
    pixels, reduction = decoded.pixels, decoded.reduction
    upright = orient(pixels, orientation)
    is_sideways = decoded.orientation in SIDEWAYS
    source_size = Size(decoded.size.height, decoded.size.width) if is_sideways else decoded.size
    to_source = IDENTITY
    if reduction > 1:
        larger = Homography((float(reduction), 0.0, 0.0, 0.0, float(reduction), 0.0, 0.0, 0.0, 1.0))
        stored_to_source = to_stored(orientation, decoded.size).inverse()
        to_source = stored_to_source.compose(larger).compose(upright.to_previous)
    sheet = _Sheet(upright.pixels, source_size, to_source, reduction)
    sheet.is_two_tone, sheet.is_lossless = decoded.is_two_tone, decoded.is_lossless
    sheet.steps += _decoding_steps(decoded)
    return sheet


def _decoding_steps(decoded: DecodedPage) -> Iterator[AppliedStep]:
    yield from decoded.steps
    is_grey = decoded.pixels.ndim == 2
    if decoded.mode not in _UNCONVERTED_MODES:
        yield AppliedStep("convert", {"from": decoded.mode, "to": "L" if is_grey else "RGB"})
    elif decoded.mode == "RGB" and is_grey:
        yield AppliedStep("grey")
    if decoded.reduction > 1:
        yield AppliedStep("reduce", {"reduction": str(decoded.reduction)})
    if decoded.orientation != UPRIGHT:
        yield applied_orientation(decoded.orientation)


def _work(
    sheet: _Sheet, measures: PageMeasures | None, parameters: Parameters, order: PageOrder, measuring: Measuring
) -> float | None:
    """Plans and does what the page needs; gives its text's height afterwards, px."""
    planned = _planned(in_pixels(measures or _NOT_MEASURED, sheet.reduction), parameters, sheet.size, order)
    if planned.cut is not None:
        sheet.take(_cut_out(sheet.pixels, planned.cut), keeps_tones=isinstance(planned.cut, Crop))
        again = _measured_inside(sheet.pixels, measures or _NOT_MEASURED, measuring)
        planned = _planned(again, parameters, sheet.size, order)
    finishing = [step for step in planned.steps if isinstance(step, Sharpen | Binarize)]
    for step in planned.steps:
        if step not in finishing:
            _do(sheet, step)
    text_height_px = planned.text_height_px
    if text_height_px is None and _is_cleaned_for_its_text(planned, parameters):
        text_height_px = _scaled_by_text(sheet, parameters, order, measuring)
    for step in finishing:
        _do(sheet, replace(step, text_height_px=text_height_px or 0.0) if isinstance(step, Binarize) else step)
    return text_height_px


def _is_cleaned_for_its_text(planned: Plan, parameters: Parameters) -> bool:
    """Whether text that could not be told from noise may now be, and is wanted at a height."""
    is_wanted = parameters.wants_grey and parameters.scale_when != "never"
    return is_wanted and any(isinstance(step, Denoise | Stretch) for step in planned.steps)


def _scaled_by_text(sheet: _Sheet, parameters: Parameters, order: PageOrder, measuring: Measuring) -> float | None:
    """Scales a page whose text could not be told from noise before it was cleaned; gives the text's height, px."""
    height = _measured(sheet.pixels, 1, measuring).text_height_px
    planned = _planned(replace(_NOT_MEASURED, text_height_px=height), parameters, sheet.size, order)
    for step in planned.steps:
        if isinstance(step, Scale):
            _do(sheet, step)
    return planned.text_height_px


def _measured_inside(pixels: Pixels, before: PageMeasures, measuring: Measuring) -> PageMeasures:
    """The measures of the page that was cut out. Its light is as uneven as it was in the picture, if not more: on the
    page alone a shadow may leave too little paper to tell.
    """
    measures = _measured(pixels, 1, measuring)
    unevenness = max((value for value in (before.unevenness, measures.unevenness) if value is not None), default=None)
    return replace(measures, outline=None, unevenness=unevenness)


def _cut_out(pixels: Pixels, cut: Cut) -> StepResult:
    return perspective(pixels, cut.corners) if isinstance(cut, Perspective) else crop(pixels, cut.x, cut.y, cut.size)


def _do(sheet: _Sheet, step: PlannedStep) -> None:
    """Does a step, unless the page is already as it would make it."""
    if isinstance(step, Grey):
        if sheet.pixels.ndim == 3:
            sheet.take(grey(sheet.pixels), keeps_tones=True)
    elif isinstance(step, Binarize):
        if not sheet.is_two_tone:
            sheet.take(_black_and_white(sheet.pixels, step))
            sheet.is_two_tone = True
    else:
        sheet.take(_changed(sheet.pixels, step), keeps_tones=isinstance(step, Turn))


def _changed(pixels: Pixels, step: Turn | Deskew | Scale | Denoise | Illuminate | Stretch | Sharpen) -> StepResult:
    match step:
        case Turn():
            return turn(pixels, step.quarter_turns)
        case Deskew():
            return deskew(pixels, step.skew_deg)
        case Scale():
            return scale(pixels, scaled_size(size_of(pixels), step.factor))
        case Denoise():
            return denoise(pixels, step.method, step.noise)
        case Illuminate():
            return illumination(pixels, step.text_height_px)
        case Stretch():
            return contrast(pixels, step.method, step.least_spread)
        case Sharpen():
            return sharpen(pixels, step.sigma_px, step.amount)


def _black_and_white(pixels: Pixels, step: Binarize) -> StepResult:
    if step.method == "fixed":
        return fixed(pixels, step.threshold)
    return otsu(pixels) if step.method == "otsu" else sauvola(pixels, step.text_height_px, step.k)


def _finished(
    sheet: _Sheet, measures: PageMeasures | None, parameters: Parameters, order: PageOrder, text_px: float | None
) -> MadePage:
    """The page within its reader's limits, encoded."""
    fit = order.reader.fit
    fitted = plan_fit(sheet.size, fit, text_px, may_tile=order.may_tile, max_side_px=MAX_ENCODED_SIDE_PX)
    if fitted.scaled != sheet.size:
        sheet.take(scale(sheet.pixels, fitted.scaled))
    if fitted.padded != sheet.size:
        sheet.take(pad(sheet.pixels, fitted.padded), keeps_tones=True)
    if len(fitted.tiles) > 1:
        return _in_tiles(sheet, measures, parameters, fit, fitted)
    encoded = _encoded(sheet, sheet.pixels, fit, parameters)
    return MadePage(
        parts=(PagePart(encoded.content, encoded.media_type, encoded.size),),
        page_size=encoded.size,
        source_size=sheet.source_size,
        page_to_source=sheet.to_source.compose(encoded.to_previous),
        steps=(*sheet.steps, encoded.applied),
        measures=measures,
    )


def _in_tiles(
    sheet: _Sheet, measures: PageMeasures | None, parameters: Parameters, fit: PageFit, fitted: FitPlan
) -> MadePage:
    tiles = [(tile, _encoded(sheet, _tile_of(sheet.pixels, tile), fit, parameters)) for tile in fitted.tiles]
    return MadePage(
        parts=tuple(
            PagePart(
                encoded.content,
                encoded.media_type,
                encoded.size,
                translation(tile.x, tile.y).compose(encoded.to_previous),
            )
            for tile, encoded in tiles
        ),
        page_size=sheet.size,
        source_size=sheet.source_size,
        page_to_source=sheet.to_source,
        steps=(*sheet.steps, AppliedStep("tile", {"tiles": str(len(tiles))}), tiles[0][1].applied),
        measures=measures,
    )


def _tile_of(pixels: Pixels, tile: Tile) -> Pixels:
    return pixels[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]


def _encoded(sheet: _Sheet, pixels: Pixels, fit: PageFit, parameters: Parameters) -> EncodedPage:
    return encode(
        pixels,
        fit,
        is_two_tone=sheet.is_two_tone,
        is_lossless=sheet.is_lossless,
        jpeg_quality=parameters.encode_jpeg_quality,
    )
