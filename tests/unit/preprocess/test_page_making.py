"""From a page of an opened document to the page that is given to its reader."""

from __future__ import annotations

import gc
import io
import weakref
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import ALL, DecodedPage, DecodeWish, PlainPage
from preprocess_service.errors import ImageTooLargeBytes
from preprocess_service.model import (
    IDENTITY,
    PageFit,
    PageMeasures,
    PagePreference,
    Reader,
    Size,
    Source,
    SourceLimits,
)
from preprocess_service.page_making import MadePage, Measuring, make_page
from preprocess_service.page_order import PageOrder
from preprocess_service.profiles import resolve
from preprocess_service.steps.encode import EncodedPage, encode
from preprocess_service.steps.step_result import Pixels
from tests.fakes.images import InkBox, encoded, page_with_ink, photo, stored_with_orientation, tiff_pages

GOOD = PageMeasures(
    quarter_turns=0, skew_deg=0.0, contrast=0.9, noise=1.0, unevenness=0.02, text_height_px=17.0, blur=0.1
)
UNTOUCHED = PagePreference.UNTOUCHED
CLEANED_GREY = PagePreference.CLEANED_GREY


def refused(_picture: Pixels, _factor: float) -> PageMeasures:
    raise AssertionError("nothing was to be measured")


def always(measures: PageMeasures) -> Measuring:
    return lambda _picture, _factor: measures


def made(
    content: bytes,
    profile: str = "auto",
    *,
    measuring: Measuring | None = None,
    preference: PagePreference = UNTOUCHED,
    fit: PageFit | None = None,
    may_tile: bool = False,
    overrides: dict[str, str] | None = None,
) -> MadePage:
    order = PageOrder(resolve(profile, overrides or {}), Reader(preference, fit or PageFit()), may_tile)
    return make_page(open_document(Source(content), SourceLimits()), 1, order, measuring=measuring or always(GOOD))


def image_of(page: MadePage) -> Image.Image:
    (part,) = page.parts
    return Image.open(io.BytesIO(part.content))


@pytest.mark.parametrize("preference", [UNTOUCHED, CLEANED_GREY])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_page_that_needs_nothing_is_the_file_itself(file_format: str, preference: PagePreference) -> None:
    """Byte for byte, with its measures, and no step."""
    content = encoded(photo(), file_format)
    page = made(content, preference=preference)
    assert page.parts[0].content is content
    assert (page.steps, page.measures) == ((), GOOD)
    assert (page.page_size, page.source_size, page.page_to_source) == (Size(96, 64), Size(96, 64), IDENTITY)


def test_none_measures_nothing() -> None:
    """The profile none passes the file on, or does what the fit asks for, and knows no measures."""
    content = encoded(photo(), "JPEG")
    page = made(content, "none", measuring=refused)
    assert (page.parts[0].content, page.measures) == (content, None)
    scaled = made(content, "none", measuring=refused, fit=PageFit(max_side_px=48))
    assert (scaled.page_size, scaled.measures) == (Size(48, 32), None)


def test_classic_measures_nothing() -> None:
    """The textbook recipe is grey, blurred, and black and white at 150."""
    page = made(encoded(photo(), "JPEG"), "classic", measuring=refused)
    assert [step.name for step in page.steps] == ["grey", "denoise", "binarize", "encode"]
    assert image_of(page).mode == "1"


@pytest.mark.parametrize(
    ("size", "preference", "factor"),
    [
        ((3600, 2400), UNTOUCHED, 2.0),
        ((3000, 2000), UNTOUCHED, 2.0),
        ((1700, 1200), UNTOUCHED, 1.0),
        ((400, 300), UNTOUCHED, 1.0),
        ((3600, 2400), PagePreference.BILEVEL, 2.0),
        ((3000, 2000), PagePreference.BILEVEL, 3000 / 1750),
        ((1700, 1200), PagePreference.BILEVEL, 1.0),
    ],
)
def test_a_page_is_measured_on_a_reduced_grey_picture(
    size: tuple[int, int], preference: PagePreference, factor: float
) -> None:
    """No longer than about 1750 px, whether it is looked at or decoded, with the factor that its pixels stand for."""
    seen: list[tuple[tuple[int, ...], float]] = []

    def measuring(picture: Pixels, pixels_each: float) -> PageMeasures:
        seen.append((picture.shape, pixels_each))
        return GOOD

    made(encoded(Image.new("RGB", size, "white"), "JPEG"), measuring=measuring, preference=preference)
    ((shape, pixels_each),) = seen
    assert max(shape) <= 1800
    assert pixels_each == pytest.approx(factor)
    assert shape == (round(size[1] / factor), round(size[0] / factor))


class WatchedDocument:
    """A JPEG whose decoder tells what was asked of it."""

    page_count = 1

    def __init__(self, content: bytes) -> None:
        self._document = open_document(Source(content), SourceLimits())
        self.asked: list[object] = []
        self.pixels: list[weakref.ref[Pixels]] = []

    def plain_page(self, number: int, /) -> PlainPage | None:
        plain = self._document.plain_page(number)
        assert plain is not None
        look = plain.look

        def watched(side_px: int) -> tuple[Pixels, int]:
            self.asked.append(side_px)
            return look(side_px)

        return replace(plain, look=watched)

    def decode(self, number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        self.asked.append(wish)
        decoded = self._document.decode(number, wish)
        self.pixels.append(weakref.ref(decoded.pixels))
        return decoded

    def close(self) -> None:
        self._document.close()


BIG = encoded(photo(2400, 1600), "JPEG")


@pytest.mark.parametrize(
    ("profile", "preference", "fit", "measures", "asked"),
    [
        ("none", UNTOUCHED, PageFit(), GOOD, [1]),
        ("auto", UNTOUCHED, PageFit(), GOOD, [1200]),
        ("auto", UNTOUCHED, PageFit(), replace(GOOD, skew_deg=20.0), [1200, DecodeWish()]),
        ("auto", CLEANED_GREY, PageFit(), replace(GOOD, skew_deg=20.0), [1200, DecodeWish(grey=True)]),
        ("none", UNTOUCHED, PageFit(max_side_px=700), GOOD, [DecodeWish(max_reduction=2)]),
        ("none", UNTOUCHED, PageFit(max_side_px=600), GOOD, [DecodeWish(max_reduction=4)]),
        ("none", UNTOUCHED, PageFit(media_types=("image/png",)), GOOD, [DecodeWish()]),
        ("classic", UNTOUCHED, PageFit(max_side_px=100), GOOD, [DecodeWish(grey=True, max_reduction=8)]),
        ("document", UNTOUCHED, PageFit(), GOOD, [DecodeWish(grey=True)]),
    ],
)
def test_no_more_is_decoded_than_is_needed(
    profile: str, preference: PagePreference, fit: PageFit, measures: PageMeasures, asked: list[object]
) -> None:
    """A page is looked at only where it may pass, and decoded once, in grey and at reduced size where that will do."""
    document = WatchedDocument(BIG)
    make_page(document, 1, PageOrder(resolve(profile, {}), Reader(preference, fit), False), measuring=always(measures))
    assert document.asked == asked


def test_a_page_that_is_to_be_made_smaller_by_its_text_is_decoded_so() -> None:
    """The steps after the decoder's reduction bring it to the height that was wished for, and its way back is exact."""
    document = WatchedDocument(BIG)
    order = PageOrder(resolve("auto", {"scale.above_px": "60"}), Reader(CLEANED_GREY), False)
    page = make_page(document, 1, order, measuring=always(replace(GOOD, text_height_px=70.0)))
    assert document.asked == [1200, DecodeWish(grey=True, max_reduction=4)]
    assert [step.name for step in page.steps][:2] == ["grey", "reduce"]
    corner = page.page_to_source.apply([(float(page.page_size.width), float(page.page_size.height))])
    assert corner[0] == pytest.approx((2400.0, 1600.0))


def test_a_broken_page_for_a_neural_engine_keeps_its_colour() -> None:
    """Turned upright and level, in RGB."""
    content = encoded(photo(300, 200), "PNG")
    page = made(content, measuring=always(replace(GOOD, quarter_turns=1, skew_deg=-10.0)))
    assert [step.name for step in page.steps] == ["orient", "deskew", "encode"]
    assert image_of(page).mode == "RGB"
    assert page.measures == replace(GOOD, quarter_turns=1, skew_deg=-10.0)


def test_a_page_cut_out_of_its_picture_is_measured_again() -> None:
    """What surrounded it no longer counts; the answer tells what was measured on the picture as it came."""
    corners = ((60.0, 50.0), (330.0, 40.0), (360.0, 460.0), (40.0, 450.0))
    first = replace(GOOD, outline=corners, noise=90.0, text_height_px=None)
    pictures: list[tuple[int, ...]] = []

    def measuring(picture: Pixels, _factor: float) -> PageMeasures:
        pictures.append(picture.shape)
        return first if len(pictures) == 1 else replace(GOOD, quarter_turns=2, outline=corners)

    page = made(encoded(photo(400, 500), "PNG"), measuring=measuring)
    assert [step.name for step in page.steps] == ["perspective", "orient", "encode"]
    assert pictures == [(500, 400), (page.page_size.height, page.page_size.width)]
    assert page.measures == first
    assert page.page_to_source.apply([(0.0, 0.0)])[0] == pytest.approx(corners[2], abs=0.01)


@pytest.mark.parametrize("again", [None, 0.02])
def test_the_light_of_a_page_cut_out_is_as_uneven_as_it_was(again: float | None) -> None:
    """It was measured inside of the outline before, where there was more of it to see."""
    corners = ((60.0, 50.0), (330.0, 40.0), (360.0, 460.0), (40.0, 450.0))
    outlines = iter([corners, None])

    def measuring(_picture: Pixels, _factor: float) -> PageMeasures:
        outline = next(outlines)
        return replace(GOOD, outline=outline, unevenness=again if outline is None else 0.9)

    page = made(encoded(photo(400, 500), "PNG"), measuring=measuring)
    assert [step.name for step in page.steps] == ["perspective", "illumination", "encode"]


def test_text_that_noise_hid_is_measured_once_the_page_is_clean() -> None:
    """It is then brought to its height before the page is made black and white, by windows of that height."""
    heights = iter([None, 9.0])
    noisy_page = replace(GOOD, noise=40.0)
    page = made(
        encoded(photo(300, 200), "PNG"),
        measuring=lambda _picture, _factor: replace(noisy_page, text_height_px=next(heights)),
        preference=PagePreference.BILEVEL,
    )
    assert [step.name for step in page.steps] == ["grey", "denoise", "scale", "binarize", "encode"]
    factor = page.page_size.width / 300
    window = int(page.steps[3].parameters["window_px"])
    assert window == pytest.approx(2 * 9.0 * factor, abs=2)
    assert page.measures == replace(noisy_page, text_height_px=None)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_measured_upright(orientation: int) -> None:
    """The measures are of the page as a viewer shows it, and the source's size too."""
    shapes: list[tuple[int, ...]] = []

    def measuring(picture: Pixels, _factor: float) -> PageMeasures:
        shapes.append(picture.shape)
        return GOOD

    page = made(stored_with_orientation(photo(300, 200), orientation, "JPEG"), measuring=measuring)
    assert shapes == [(200, 300)]
    assert page.source_size == page.page_size == Size(300, 200)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_page_reduced_by_its_decoder_leads_back_exactly(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its sides are no multiples of the reduction, so that the last pixels hang over the edge."""
    decoded = DecodedPage(
        pixels=np.full((26, 38), 200, np.uint8),
        media_type="image/jpeg",
        mode="L",
        orientation=orientation,
        is_turned=False,
        is_lossless=False,
        is_two_tone=False,
        size=Size(150, 101),
        reduction=4,
    )
    document = WatchedDocument(BIG)
    monkeypatch.setattr(document, "decode", lambda _number, _wish: decoded)
    order = PageOrder(resolve("none", {}), Reader(fit=PageFit(media_types=("image/png",))), False)
    page = make_page(document, 1, order)
    turned = orientation >= 5
    assert page.source_size == (Size(101, 150) if turned else Size(150, 101))
    stored_corners = {(x, y) for x in (0.0, 152.0) for y in (0.0, 104.0)}
    width, height = page.source_size.width, page.source_size.height
    mirrored_x, mirrored_y = orientation in (2, 3, 7, 8), orientation in (3, 4, 6, 7)
    if turned:
        mirrored_x, mirrored_y = orientation in (6, 7), orientation in (7, 8)
        stored_corners = {(y, x) for x, y in stored_corners}
    expected = {(width - x if mirrored_x else x, height - y if mirrored_y else y) for x, y in stored_corners}
    size = page.page_size
    corners = [(x, y) for x in (0.0, float(size.width)) for y in (0.0, float(size.height))]
    assert {(round(x, 6), round(y, 6)) for x, y in page.page_to_source.apply(corners)} == expected


def test_an_over_tall_page_is_given_in_tiles() -> None:
    """From the top to the bottom, each of them taken by the reader, with its place on the page."""
    boxes = [InkBox(100, y, 40, 20) for y in range(50, 2900, 200)]
    content = encoded(page_with_ink(400, 3000, *boxes), "PNG")
    page = made(content, fit=PageFit(max_aspect=2.5), may_tile=True)
    assert (page.page_size, page.page_to_source) == (Size(400, 3000), IDENTITY)
    assert [part.size for part in page.parts] == [Size(400, 1000)] * 4
    assert [part.to_page.apply([(0.0, 0.0)])[0][1] for part in page.parts] == [0.0, 666.0, 1333.0, 2000.0]
    assert [step.name for step in page.steps] == ["tile", "encode"]
    whole = np.full((3000, 400), 255, np.uint8)
    for part in page.parts:
        tile = np.asarray(cv2.imdecode(np.frombuffer(part.content, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
        top = int(part.to_page.apply([(0.0, 0.0)])[0][1])
        whole[top : top + 1000] = np.minimum(whole[top : top + 1000], tile)
    assert np.array_equal(whole, np.asarray(page_with_ink(400, 3000, *boxes).convert("L")))


def test_an_over_tall_page_that_may_not_be_tiled_gets_paper_beside_it() -> None:
    """One part, of the aspect that is taken, with its text as high as it was."""
    page = made(encoded(page_with_ink(400, 3000), "PNG"), fit=PageFit(max_aspect=2.5))
    assert (len(page.parts), page.page_size) == (1, Size(1200, 3000))
    assert [step.name for step in page.steps] == ["pad", "encode"]


def test_a_two_tone_page_stays_one_through_turns_and_paper() -> None:
    """Turned and padded, it is still encoded with one bit; black and white is not made of it again."""
    pixels = np.where(np.random.default_rng(1).random((60, 90)) > 0.9, 0, 255).astype(np.uint8)
    content = encoded(Image.fromarray(pixels).convert("1"), "TIFF")
    page = made(
        content,
        measuring=always(replace(GOOD, quarter_turns=1, text_height_px=30.0)),
        preference=PagePreference.BILEVEL,
        fit=PageFit(min_side_px=100),
    )
    assert [step.name for step in page.steps] == ["orient", "pad", "encode"]
    assert image_of(page).mode == "1"
    assert np.array_equal(np.asarray(image_of(page).convert("L"))[:90, :60], np.rot90(pixels))


def test_a_page_scaled_to_grey_is_no_longer_two_tone() -> None:
    """Averages of black and white are kept as grey."""
    pixels = np.where(np.random.default_rng(1).random((60, 90)) > 0.5, 0, 255).astype(np.uint8)
    page = made(encoded(Image.fromarray(pixels).convert("1"), "TIFF"), "none", fit=PageFit(max_side_px=45))
    assert image_of(page).mode == "L"


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (encoded(photo().convert("CMYK"), "JPEG"), ["convert", "encode"]),
        (encoded(photo().quantize(8), "PNG"), ["convert", "encode"]),
        (encoded(photo(), "BMP"), ["encode"]),
        (stored_with_orientation(photo(), 6, "JPEG"), ["orient", "encode"]),
        (encoded(photo(20, 10), "PNG"), ["scale", "encode"]),
    ],
)
def test_what_cannot_pass_is_made_anew_and_told(content: bytes, names: list[str]) -> None:
    """Each conversion, turn and scaling stands in the steps."""
    assert [step.name for step in made(content).steps] == names


def test_a_plain_file_of_too_many_bytes_is_encoded_anew() -> None:
    """The reader's limit on bytes is kept, and where nothing keeps it, told."""
    content = encoded(photo(300, 200), "PNG")
    assert len(made(content, fit=PageFit(max_bytes=len(content) // 2)).parts[0].content) <= len(content) // 2
    with pytest.raises(ImageTooLargeBytes):
        made(content, fit=PageFit(max_bytes=10))


def test_an_override_changes_what_is_made() -> None:
    """A step that is switched on for this call alone."""
    page = made(encoded(photo(), "JPEG"), overrides={"binarize.when": "always", "binarize.method": "otsu"})
    assert [step.name for step in page.steps] == ["grey", "binarize", "encode"]


def test_each_stage_frees_the_pixels_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the page is encoded, the decoded pixels are gone."""
    document = WatchedDocument(encoded(photo(300, 200), "JPEG"))
    left: list[bool] = []

    def watched(*args: Any, **options: Any) -> EncodedPage:
        gc.collect()
        left.append(document.pixels[0]() is not None)
        return encode(*args, **options)

    monkeypatch.setattr("preprocess_service.page_making.encode", watched)
    order = PageOrder(resolve("document", {}), Reader(), False)
    make_page(document, 1, order, measuring=always(replace(GOOD, skew_deg=3.0)))
    assert left == [False]


def test_any_page_of_a_document_is_made() -> None:
    """By its number, from 1."""
    content = tiff_pages(photo(40, 40), photo(60, 40))
    document = open_document(Source(content), SourceLimits())
    page = make_page(document, 2, PageOrder(resolve("none", {}), Reader(), False))
    assert page.page_size == Size(60, 40)


def test_faint_ink_is_seen_by_a_second_look() -> None:
    """Where no ink is found the picture is stretched and measured again, and only the contrast of that is told."""
    pixels = np.full((300, 300), 215, np.uint8)
    pixels[100:104, 50:250] = pixels[150:154, 50:250] = 203
    pictures: list[int] = []

    def measuring(picture: Pixels, _factor: float) -> PageMeasures:
        pictures.append(int(picture.max()) - int(picture.min()))
        return PageMeasures(noise=0.0) if len(pictures) == 1 else replace(GOOD, contrast=0.5, quarter_turns=2)

    page = made(encoded(Image.fromarray(pixels), "PNG"), measuring=measuring)
    assert pictures[0] == 12
    assert pictures[1] > 100
    assert page.measures == PageMeasures(noise=0.0, contrast=0.5 * 21.25 / 255)
    assert [step.name for step in page.steps] == ["contrast", "encode"]


def test_an_empty_page_is_looked_at_twice_and_left_alone() -> None:
    """Noise and rounding are no ink, for the measures that are used as well."""
    for deviation in (0.0, 1.0, 2.0, 6.0):
        noise = np.random.default_rng(3).normal(0, deviation, (700, 900))
        content = encoded(Image.fromarray((215 + noise).clip(0, 255).astype(np.uint8)), "PNG")
        order = PageOrder(resolve("auto", {}), Reader(CLEANED_GREY), False)
        page = make_page(open_document(Source(content), SourceLimits()), 1, order)
        assert page.parts[0].content == content
