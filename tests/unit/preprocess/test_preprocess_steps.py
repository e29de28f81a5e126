"""The steps do what they say, and tell the way back."""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
import pytest
from PIL import Image

from preprocess_service.errors import ImageTooLargeBytes
from preprocess_service.model import IDENTITY, Homography, PageFit, Point, Size
from preprocess_service.steps.binarize import fixed, otsu, sauvola
from preprocess_service.steps.crop import crop, pad
from preprocess_service.steps.deskew import deskew, level_size
from preprocess_service.steps.encode import EncodedPage, encode
from preprocess_service.steps.illumination import illumination
from preprocess_service.steps.orient import orient, turn
from preprocess_service.steps.perspective import aspect_of, page_size, perspective
from preprocess_service.steps.scale import reduced, scale
from preprocess_service.steps.step_result import Pixels
from preprocess_service.steps.tones import contrast, denoise, grey, sharpen
from tests.fakes.images import bgr_of, photo

PNG_ONLY = PageFit(media_types=("image/png",))
JPEG_ONLY = PageFit(media_types=("image/jpeg",))


def test_an_inverse_leads_back() -> None:
    """A homography composed with its inverse is the identity."""
    homography = Homography((2.0, 0.1, 5.0, -0.3, 1.5, 7.0, 0.001, 0.002, 1.0))
    assert homography.compose(homography.inverse()).values == pytest.approx(IDENTITY.values)
    with pytest.raises(ValueError, match="no inverse"):
        Homography((1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)).inverse()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orient_moves_each_pixel_to_where_its_homography_says(orientation: int) -> None:
    """The middle of every pixel of the turned page leads to the pixel that it came from."""
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)
    result = orient(stored, orientation)
    height, width = result.pixels.shape
    assert (height, width) == ((3, 4) if orientation < 5 else (4, 3))
    for y in range(height):
        for x in range(width):
            ((from_x, from_y),) = result.to_previous.apply([(x + 0.5, y + 0.5)])
            assert result.pixels[y, x] == stored[int(from_y), int(from_x)]
    assert result.applied.parameters == {"exif_orientation": str(orientation)}


def test_scale_averages_on_the_way_down() -> None:
    """A fine checkerboard becomes even grey, not an alias of itself."""
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    result = scale(checkerboard, Size(16, 16))
    assert set(np.unique(result.pixels)) <= {127, 128}
    assert result.to_previous.apply([(16.0, 8.0)]) == ((64.0, 32.0),)


def encoded_page(
    pixels: Pixels, fit: PageFit | None = None, *, two_tone: bool = False, lossless: bool = True
) -> EncodedPage:
    return encode(pixels, fit or PageFit(), is_two_tone=two_tone, is_lossless=lossless, jpeg_quality=95)


def test_a_two_tone_page_is_encoded_with_one_bit() -> None:
    """Two tones stay what they are, in one bit a pixel."""
    pixels = np.where(np.random.default_rng(1).random((50, 61)) > 0.9, 0, 255).astype(np.uint8)
    page = encoded_page(pixels, two_tone=True)
    image = Image.open(io.BytesIO(page.content))
    assert (page.media_type, image.mode) == ("image/png", "1")
    assert np.array_equal(np.asarray(image.convert("L")), pixels)


@pytest.mark.parametrize(
    ("shape", "lossless", "fit", "media_type"),
    [
        ((100, 100), True, PageFit(), "image/png"),
        ((100, 100, 3), True, PageFit(), "image/png"),
        ((100, 100, 3), False, PageFit(), "image/jpeg"),
        ((100, 100), False, PageFit(), "image/jpeg"),
        ((2100, 2000, 3), True, PageFit(), "image/jpeg"),
        ((2100, 2000), True, PageFit(), "image/jpeg"),
        ((100, 100, 3), False, PNG_ONLY, "image/png"),
        ((100, 100, 3), True, JPEG_ONLY, "image/jpeg"),
    ],
)
def test_the_form_follows_the_source_and_what_is_taken(
    shape: tuple[int, ...], lossless: bool, fit: PageFit, media_type: str
) -> None:
    """PNG for small pages of lossless sources, JPEG for others, and only what the reader takes."""
    noisy = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    page = encoded_page(noisy, fit, lossless=lossless)
    assert page.media_type == media_type
    assert Image.open(io.BytesIO(page.content)).size == (shape[1], shape[0])


def test_flat_grey_paper_is_encoded_as_png() -> None:
    """Where most neighbours are equal PNG is the smaller, also for a page that came as JPEG."""
    pixels = np.full((2100, 2000), 255, np.uint8)
    pixels[::40, 100:1900] = 0
    page = encoded_page(pixels, lossless=False)
    assert page.media_type == "image/png"
    assert len(page.content) < len(encoded_page(pixels, JPEG_ONLY, lossless=False).content)


def test_a_page_over_the_byte_limit_loses_quality_before_size() -> None:
    """The first JPEG quality that fits is taken at full size; the size is given up only after the last of them."""
    pixels = bgr_of(photo(400, 300))
    full = len(encoded_page(pixels, JPEG_ONLY).content)
    lower = encoded_page(pixels, PageFit(media_types=("image/jpeg",), max_bytes=full - 1))
    assert lower.size == Size(400, 300)
    assert int(lower.applied.parameters["quality"]) < 95
    smaller = encoded_page(pixels, PageFit(max_bytes=full // 12))
    assert len(smaller.content) <= full // 12
    assert smaller.size.width < 400
    assert smaller.to_previous.apply([(smaller.size.width, smaller.size.height)])[0] == pytest.approx((400.0, 300.0))


def test_a_two_tone_page_over_the_byte_limit_shrinks_as_grey() -> None:
    """Where only PNG is taken, a two-tone page is scaled until it fits."""
    pixels = np.where(np.random.default_rng(1).random((300, 300)) > 0.5, 0, 255).astype(np.uint8)
    page = encoded_page(pixels, PageFit(media_types=("image/png",), max_bytes=5000), two_tone=True)
    assert len(page.content) <= 5000
    assert page.size.width < 300


def test_a_byte_limit_that_nothing_meets_is_an_error() -> None:
    """No page at all fits in ten bytes, and the search for one ends."""
    with pytest.raises(ImageTooLargeBytes) as caught:
        encoded_page(bgr_of(photo()), PageFit(max_bytes=10))
    assert caught.value.limit == 10


def test_a_fit_that_no_page_can_meet_is_refused() -> None:
    """A reader that takes neither PNG nor JPEG is a mistake in its description."""
    with pytest.raises(ValueError, match="image/tiff"):
        PageFit(media_types=("image/tiff",))


def text_like(width: int = 600, height: int = 400, *, ink: int = 0, paper: int = 255) -> Pixels:
    """Rows of black marks of 6 x 12 px on white paper."""
    pixels = np.full((height, width), paper, np.uint8)
    for y in range(30, height - 40, 30):
        for x in range(40, width - 46, 14):
            pixels[y : y + 12, x : x + 6] = ink
    return pixels


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_turn_is_counter_clockwise(quarter_turns: int) -> None:
    """As numpy turns, and with the way back."""
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    result = turn(pixels, quarter_turns)
    assert np.array_equal(result.pixels, np.rot90(pixels, quarter_turns))
    ((x, y),) = result.to_previous.apply([(0.5, 0.5)])
    assert pixels[int(y), int(x)] == result.pixels[0, 0]
    assert result.applied.parameters == {"quarter_turns": str(quarter_turns)}


def test_deskew_levels_a_line_that_falls() -> None:
    """A line that falls to the right by 5 degrees is level afterwards, and nothing is cut off."""
    pixels = np.full((400, 600), 230, np.uint8)
    cv2.line(pixels, (50, 150), (550, 150 + round(500 * math.tan(math.radians(5)))), 0, 3)
    result = deskew(pixels, 5.0)
    rows, _ = np.nonzero(result.pixels < 128)
    assert rows.max() - rows.min() <= 6
    assert result.pixels.shape == (level_size(Size(600, 400), 5.0).height, level_size(Size(600, 400), 5.0).width)
    assert set(result.pixels[0, :10]) == {230}


def test_deskew_by_nothing_changes_nothing() -> None:
    """An angle of zero gives the page pixel by pixel."""
    pixels = bgr_of(photo())
    assert np.array_equal(deskew(pixels, 0.0).pixels, pixels)


def seen_by_camera(
    page: Size, picture: Size, focal_px: float, angles_deg: tuple[float, float, float]
) -> tuple[Point, Point, Point, Point]:
    """Where the corners of a page that lies before a camera stand in its picture."""
    rotation, _ = cv2.Rodrigues(np.radians(np.array(angles_deg)))
    distance = 1.6 * focal_px * max(page.width / picture.width, page.height / picture.height)
    corners = []
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        at = rotation @ np.array((x * page.width / 2, y * page.height / 2, 0.0)) + np.array((0, 0, distance))
        corners.append(
            (float(focal_px * at[0] / at[2]) + picture.width / 2, float(focal_px * at[1] / at[2]) + picture.height / 2)
        )
    return corners[0], corners[1], corners[2], corners[3]


@pytest.mark.parametrize("angles_deg", [(20.0, 15.0, 5.0), (30.0, -10.0, -8.0), (-25.0, 20.0, 0.0)])
@pytest.mark.parametrize("page", [Size(210, 297), Size(297, 210), Size(80, 200)])
def test_the_true_aspect_of_a_photographed_page_is_found(page: Size, angles_deg: tuple[float, float, float]) -> None:
    """By the camera's geometry, to within 1 %, where the page's sides seem far from it."""
    picture = Size(3000, 4000)
    corners = seen_by_camera(page, picture, 3200.0, angles_deg)
    assert aspect_of(corners, picture) == pytest.approx(page.width / page.height, rel=0.01)


@pytest.mark.parametrize("angles_deg", [(0.0, 0.0, 0.0), (25.0, 0.0, 0.0), (0.0, 25.0, 0.0), (0.0, 0.0, 12.0)])
def test_a_page_with_parallel_sides_has_about_its_aspect(angles_deg: tuple[float, float, float]) -> None:
    """Where the picture does not tell its focal length, a telephone's is taken: within 3 % for a telephone."""
    picture = Size(3000, 4000)
    corners = seen_by_camera(Size(210, 297), picture, 3000.0, angles_deg)
    assert aspect_of(corners, picture) == pytest.approx(210 / 297, rel=0.03)


def test_inexact_corners_never_squeeze_a_page() -> None:
    """Whatever the corners, the aspect stays within twice the one that is seen."""
    wedge = ((10.0, 10.0), (990.0, 400.0), (995.0, 600.0), (10.0, 990.0))
    seen = (math.dist(wedge[0], wedge[1]) + math.dist(wedge[2], wedge[3])) / (980 + math.dist(wedge[1], wedge[2]))
    assert 0.499 <= aspect_of(wedge, Size(1000, 1000)) / seen <= 2.001
    in_line = ((0.0, 0.0), (500.0, 500.0), (1000.0, 1000.0), (0.0, 1000.0))
    assert aspect_of(in_line, Size(1000, 1000)) > 0


def test_perspective_loses_no_resolution() -> None:
    """The page is no smaller than its longest sides in the picture, and not many times larger than the picture."""
    corners = ((100.0, 100.0), (900.0, 120.0), (800.0, 1300.0), (200.0, 1250.0))
    size = page_size(corners, Size(1000, 1400))
    assert size.width >= 799
    assert size.height >= 1183
    sliver = ((0.0, 0.0), (1000.0, 0.0), (1000.0, 1.0), (0.0, 1400.0))
    assert page_size(sliver, Size(1000, 1400)).pixels <= 1.5 * 1400 * 1000


def test_perspective_takes_the_corners_to_the_corners() -> None:
    """The page's corners lead back to those that were given, and what is between them fills the page."""
    picture = np.full((700, 500), 90, np.uint8)
    corners = ((100.0, 120.0), (400.0, 100.0), (430.0, 600.0), (60.0, 580.0))
    cv2.fillPoly(picture, [np.array(corners, np.int32)], 240)
    result = perspective(picture, corners)
    height, width = result.pixels.shape
    back = result.to_previous.apply([(0, 0), (width, 0), (width, height), (0, height)])
    assert [pytest.approx(point, abs=0.01) for point in corners] == list(back)
    assert result.pixels[4:-4, 4:-4].min() > 200


def test_crop_stays_on_the_page() -> None:
    """A rectangle that reaches over the page's edge ends there, and its way back counts from its true corner."""
    pixels = np.arange(100, dtype=np.uint8).reshape(10, 10)
    result = crop(pixels, -3, 4, Size(8, 20))
    assert np.array_equal(result.pixels, pixels[4:, :5])
    assert result.to_previous.apply([(0.0, 0.0)]) == ((0.0, 4.0),)


@pytest.mark.parametrize("paper", [(200,), (10, 200, 250)])
def test_pad_lays_paper_beside_the_page(paper: tuple[int, ...]) -> None:
    """The page keeps its place and size; what is new has the paper's colour."""
    pixels = np.full((20, 30, len(paper)), paper, np.uint8).squeeze()
    pixels[5:8, 5:8] = 0
    result = pad(pixels, Size(40, 64))
    assert np.array_equal(result.pixels[:20, :30], pixels)
    assert result.pixels.shape[:2] == (64, 40)
    assert tuple(np.atleast_1d(result.pixels[63, 39])) == paper
    assert result.to_previous == IDENTITY


def test_a_picture_for_measuring_is_reduced_by_a_whole_number_where_one_is_near() -> None:
    """3508 px by 2 and not by 2.0046, which costs ten times as much; other factors are kept."""
    pixels = np.zeros((3508, 2480), np.uint8)
    picture, factor = reduced(pixels, 3508 / 1750)
    assert (picture.shape, factor) == ((1754, 1240), 2.0)
    picture, factor = reduced(pixels, 2.5)
    assert (picture.shape, factor) == ((1403, 992), 2.5)
    picture, factor = reduced(pixels, 0.7)
    assert picture is pixels
    assert factor == 1.0


def test_illumination_makes_paper_white_in_any_light() -> None:
    """Paper that falls from 240 to 90 is even afterwards, and its text as dark against it as before."""
    light = np.linspace(240, 90, 600)[np.newaxis, :]
    pixels = (text_like().astype(float) / 255 * 0.9 * light + 0.1 * light).astype(np.uint8)
    result = illumination(pixels, 12.0).pixels
    paper, ink = result[text_like() == 255], result[text_like() == 0]
    assert (np.percentile(paper, 2), np.percentile(paper, 98)) == (
        pytest.approx(250, abs=12),
        pytest.approx(250, abs=5),
    )
    assert np.percentile(ink, 98) < 60


def test_illumination_leaves_dark_areas_dark() -> None:
    """A black band over the page, and a grey photograph of a fifteenth of its length, are not taken for shadow."""
    pixels = text_like(600, 1200)
    pixels[500:700] = 10
    pixels[900:960, 100:160] = 120
    result = illumination(pixels, 12.0).pixels
    assert result[520:680].max() < 60
    assert result[910:950, 110:150].max() < 150


def test_illumination_takes_a_tint_away() -> None:
    """Yellow paper becomes white, channel by channel."""
    pixels = np.full((300, 300, 3), (120, 200, 220), np.uint8)
    assert illumination(pixels).pixels.min() >= 248


def test_contrast_is_stretched_to_the_full_range() -> None:
    """Ink at 120 on paper at 150 becomes black on white."""
    result = contrast(text_like(ink=120, paper=150), "stretch")
    assert (result.pixels.min(), result.pixels.max()) == (0, 255)
    assert result.applied.parameters == {"method": "stretch", "black": "120", "white": "150"}


def test_contrast_can_be_stretched_part_by_part() -> None:
    """Both halves of a page, one bright and one dark, gain contrast."""
    noise = np.random.default_rng(5).integers(0, 16, (200, 400), dtype=np.uint8)
    pixels = noise + np.where(np.arange(400) < 200, 40, 180).astype(np.uint8)
    local = contrast(pixels, "clahe").pixels
    for half in (slice(0, 200), slice(200, 400)):
        assert local[:, half].std() > 1.5 * pixels[:, half].std()


def test_a_page_of_few_words_keeps_its_noise_faint() -> None:
    """With less ink than a percentile shows, the paper's noise is stretched no more than the ink that is known of."""
    pixels = np.random.default_rng(5).integers(200, 212, (400, 400), dtype=np.uint8)
    pixels[200:204, 200:220] = 20
    assert contrast(pixels, "stretch").pixels[:100].min() < 150
    kept = contrast(pixels, "stretch", 180.0).pixels
    assert kept[:100].min() > 220
    assert kept[200:204, 200:220].max() < 10


def test_an_empty_page_stays_empty_when_it_is_stretched() -> None:
    """Paper alone has no ink to be made black."""
    assert set(np.unique(contrast(np.full((50, 50), 200, np.uint8), "stretch").pixels)) == {255}


@pytest.mark.parametrize("method", ["despeckle", "median", "gaussian", "bilateral", "nlmeans"])
@pytest.mark.parametrize("channels", [1, 3])
def test_denoise_smooths_paper_and_keeps_ink(method: str, channels: int) -> None:
    """Noise on the paper loses at least a third, and ink stays ink."""
    clean = text_like(300, 200, ink=30, paper=200)
    noise = np.random.default_rng(3).normal(0, 20, (200, 300, channels))
    pixels = (clean[:, :, np.newaxis] + noise).clip(0, 255).astype(np.uint8).squeeze()
    result = denoise(pixels, method, 20.0).pixels
    assert result.shape == pixels.shape
    is_paper = cv2.erode(clean, np.ones((5, 5), np.uint8)) == 200
    assert result[is_paper].std() < pixels[is_paper].std() / 1.5
    assert np.median(result[clean == 30]) < 90


def test_sharpen_steepens_an_edge() -> None:
    """From dark to light in fewer pixels than before."""
    blurred = cv2.GaussianBlur(text_like(ink=40, paper=220), (0, 0), 1.5).astype(np.uint8)
    steepest = np.abs(np.diff(blurred.astype(int), axis=1)).max()
    assert np.abs(np.diff(sharpen(blurred, 1.5, 1.0).pixels.astype(int), axis=1)).max() > 1.2 * steepest


def test_binarize_makes_two_tones() -> None:
    """Each method finds the ink of a page in even light exactly."""
    page = text_like(ink=60, paper=210)
    for result in (otsu(page), fixed(page, 150), sauvola(page, 12.0, 0.2)):
        assert np.array_equal(result.pixels, text_like())


def test_sauvola_finds_ink_in_uneven_light() -> None:
    """Where paper in the shadow is darker than ink in the light, and the bands that it works in do not show."""
    light = np.linspace(250, 60, 1500)[:, np.newaxis]
    page = ((0.35 + 0.65 * (text_like(900, 1500).astype(float) / 255)) * light).astype(np.uint8)
    assert page[-100:].max() < page[30:42].min()
    assert np.mean(sauvola(page, 12.0, 0.2).pixels != text_like(900, 1500)) < 0.001
    assert np.mean(otsu(page).pixels != text_like(900, 1500)) > 0.2


def test_grey_drops_the_colour() -> None:
    """By the weights of luminance; a grey page is given back."""
    red = np.full((2, 2, 3), (0, 0, 255), np.uint8)
    assert grey(red).pixels.tolist() == [[76, 76], [76, 76]]
    already = np.zeros((2, 2), np.uint8)
    assert grey(already).pixels is already


@pytest.mark.parametrize("size", [(960, 320), (320, 960), (977, 326)])
@pytest.mark.parametrize("max_bytes", [2000, 4000, 6000])
def test_a_page_made_smaller_for_its_bytes_keeps_to_aspect_and_shortest_side(
    size: tuple[int, int], max_bytes: int
) -> None:
    """However far it must shrink, rounding takes it past neither limit."""
    noise = np.random.default_rng(5).integers(0, 256, (size[1], size[0]), dtype=np.uint8)
    fit = PageFit(max_bytes=max_bytes, max_aspect=3.0, min_side_px=15)
    made = encode(noise, fit, is_two_tone=False, is_lossless=False, jpeg_quality=90).size
    assert made.longer_px <= 3.0 * made.shorter_px
    assert made.shorter_px >= 15


def test_a_page_that_fits_no_longer_once_it_is_small_enough_is_too_large() -> None:
    """Where the shortest side allows no size of so few bytes, that is told."""
    noise = np.random.default_rng(5).integers(0, 256, (300, 300), dtype=np.uint8)
    with pytest.raises(ImageTooLargeBytes):
        encode(noise, PageFit(max_bytes=2000, min_side_px=250), is_two_tone=False, is_lossless=False, jpeg_quality=90)
