"""The steps do what they say, and tell the way back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from preprocess_service.errors import ImageTooLargeBytes
from preprocess_service.model import IDENTITY, Homography, PageFit, Size
from preprocess_service.steps.encode import EncodedPage, encode
from preprocess_service.steps.orient import orient
from preprocess_service.steps.scale import plan_size, scale
from preprocess_service.steps.step_result import Pixels
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


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        (Size(1000, 500), {}, Size(1000, 500)),
        (Size(1000, 500), {"max_side_px": 500}, Size(500, 250)),
        (Size(1000, 500), {"max_pixels": 125_000}, Size(500, 250)),
        (Size(1000, 500), {"max_side_px": 1000, "max_pixels": 500_000}, Size(1000, 500)),
        (Size(100, 8), {"min_side_px": 32}, Size(400, 32)),
        (Size(100, 8), {"min_side_px": 32, "max_side_px": 200}, Size(200, 16)),
        (Size(100_000, 1), {"max_side_px": 1000}, Size(1000, 1)),
        (Size(1000, 1), {"max_pixels": 100}, Size(100, 1)),
        (Size(100, 8), {"min_side_px": 8}, Size(100, 8)),
    ],
)
def test_a_size_is_planned_within_the_limits(size: Size, limits: dict[str, int], expected: Size) -> None:
    """Down to the upper limits, up to the lower one, never beyond the upper ones."""
    every = {"max_side_px": 0, "max_pixels": 0, "min_side_px": 0} | limits
    assert plan_size(size, **every) == expected


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
        ((2100, 2000), True, PageFit(), "image/png"),
        ((100, 100, 3), False, PNG_ONLY, "image/png"),
        ((100, 100, 3), True, JPEG_ONLY, "image/jpeg"),
    ],
)
def test_the_form_follows_the_source_and_what_is_taken(
    shape: tuple[int, ...], lossless: bool, fit: PageFit, media_type: str
) -> None:
    """PNG for small or grey pages of lossless sources, JPEG for others, and only what the reader takes."""
    page = encoded_page(np.full(shape, 200, np.uint8), fit, lossless=lossless)
    assert page.media_type == media_type
    assert Image.open(io.BytesIO(page.content)).size == (shape[1], shape[0])


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
