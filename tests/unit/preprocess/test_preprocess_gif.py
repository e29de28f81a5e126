"""GIF: the first frame, on its canvas, on white."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodedPage, DecodeWish
from preprocess_service.errors import ImageTooLargePixels, ImageUndecodable
from preprocess_service.model import Size, Source, SourceLimits
from tests.fakes.documents import gif_of
from tests.fakes.images import bgr_of, encoded, photo

LIMITS = SourceLimits()
COMMENT = b"!\xfe\x05hello\0"
TRANSPARENT_FIRST = b"!\xf9\x04\x01\0\0\0\0"


def decoded(content: bytes, wish: DecodeWish | None = None) -> DecodedPage:
    return open_document(Source(content), LIMITS).decode(1, wish or DecodeWish())


@pytest.mark.parametrize("interlace", [0, 1])
def test_each_pixel_has_its_palettes_colour(interlace: int) -> None:
    """A picture of 200 colours comes out as it went in, interlaced or not."""
    picture = photo().quantize(200)
    content = encoded(picture, "GIF", interlace=interlace)
    page = decoded(content)
    assert (page.media_type, page.size) == ("image/gif", Size(96, 64))
    assert np.array_equal(page.pixels, bgr_of(picture))
    assert decoded(content, DecodeWish(grey=True)).pixels.shape == (64, 96)
    assert open_document(Source(content), LIMITS).plain_page(1) is None


def test_an_animation_is_its_first_frame() -> None:
    """What follows is not looked at, be it damaged."""
    first, second = photo(seed=1).quantize(64), photo(seed=2).quantize(64)
    content = encoded(first, "GIF", save_all=True, append_images=[second], duration=50)
    document = open_document(Source(content[: len(content) * 2 // 3]), LIMITS)
    assert document.page_count == 1
    assert np.array_equal(document.decode(1).pixels, bgr_of(first))


def test_transparent_pixels_are_white() -> None:
    """The palette entry declared transparent shows the paper."""
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 150, 100])
    picture.putpixel((1, 0), 1)
    page = decoded(gif_of((2, 1), picture, extensions=[TRANSPARENT_FIRST]))
    assert page.pixels.tolist() == [[[255, 255, 255], [100, 150, 200]]]
    assert decoded(gif_of((2, 1), picture, extensions=[COMMENT])).pixels.tolist() == [[[30, 20, 10], [100, 150, 200]]]


@pytest.mark.parametrize("grey", [False, True])
def test_a_frame_smaller_than_its_canvas_stands_on_white(grey: bool) -> None:
    """The frame keeps its place; the canvas grows where a frame reaches out of it, as viewers do."""
    picture = Image.new("P", (4, 3), 0)
    picture.putpalette([0, 0, 200])
    page = decoded(gif_of((10, 8), picture, at=(5, 2)), DecodeWish(grey=grey))
    assert page.size == Size(10, 8)
    assert page.pixels.shape[:2] == (8, 10)
    ink = np.argwhere(page.pixels[:, :, -1] < 255) if not grey else np.argwhere(page.pixels < 255)
    assert (ink.min(axis=0).tolist(), ink.max(axis=0).tolist()) == ([2, 5], [4, 8])
    assert decoded(gif_of((2, 2), picture, at=(5, 2))).size == Size(9, 5)


@pytest.mark.parametrize("at", [0, 65_000])
def test_too_many_pixels_are_refused_by_the_header(at: int) -> None:
    """The canvas counts, be it stated or made by where a frame stands."""
    picture = Image.new("P", (4, 3), 0)
    canvas = (65_535, 65_535) if at == 0 else (10, 10)
    with pytest.raises(ImageTooLargePixels):
        open_document(Source(gif_of(canvas, picture, at=(at, at))), LIMITS)


def test_a_frame_of_no_pixels_is_refused() -> None:
    """A frame without width is no picture."""
    content = bytearray(gif_of((4, 3), Image.new("P", (4, 3), 0)))
    descriptor = content.index(b",", 13 + (3 << (content[10] & 7) + 1))
    content[descriptor + 5 : descriptor + 7] = struct.pack("<H", 0)
    with pytest.raises(ImageUndecodable):
        open_document(Source(bytes(content)), LIMITS)


def test_a_picture_whose_data_end_early_is_refused() -> None:
    """Well-formed blocks that hold fewer rows than the frame states are damage, not a black rest."""
    short = gif_of((40, 10), photo(40, 10).quantize(64))
    content = bytearray(gif_of((40, 10), photo(40, 10).quantize(64)))
    descriptor = content.index(b",", 13 + (3 << (content[10] & 7) + 1))
    content[descriptor + 5 : descriptor + 9] = struct.pack("<2H", 40, 300)
    assert decoded(short).size == Size(40, 10)
    with pytest.raises(ImageUndecodable):
        decoded(bytes(content))


@pytest.mark.parametrize(
    ("extensions", "refusal"), [([COMMENT] * 2001, "more than 2000 extensions"), ([b"x"], "it has no image")]
)
def test_blocks_that_make_no_picture_are_refused(extensions: list[bytes], refusal: str) -> None:
    """Blocks are walked within bounds, before a library sees them."""
    with pytest.raises(ImageUndecodable, match=refusal):
        open_document(Source(gif_of((4, 3), Image.new("P", (4, 3), 0), extensions=extensions)), LIMITS)
