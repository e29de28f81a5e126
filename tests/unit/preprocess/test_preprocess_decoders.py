"""Every kind of pixel that a file can hold is read right."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodedPage, DecodeWish, PlainPage
from preprocess_service.decoders.pixel_conversion import reduced, reduction_for
from preprocess_service.model import Size, Source, SourceLimits
from tests.fakes.images import (
    EXIF_ORIENTATION,
    InkBox,
    bgr_of,
    encoded,
    page_with_ink,
    photo,
    png_of,
    stored_with_orientation,
    tiff_with_pixels,
)

LIMITS = SourceLimits()


def decoded(content: bytes, number: int = 1) -> DecodedPage:
    return open_document(Source(content), LIMITS).decode(number)


def plain(content: bytes) -> PlainPage | None:
    return open_document(Source(content), LIMITS).plain_page(1)


def is_plain(content: bytes) -> bool:
    return plain(content) is not None


def greatest_difference(left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]) -> int:
    assert left.shape == right.shape
    return int(np.abs(left.astype(int) - right.astype(int)).max())


@pytest.mark.parametrize(
    ("file_format", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("TIFF", "image/tiff"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_each_format_gives_its_own_pixels(file_format: str, media_type: str, mode: str) -> None:
    """A picture comes out of every format as it went in, as near as the format keeps it."""
    picture = photo().convert(mode)
    lossless: dict[str, dict[str, object]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    content = encoded(picture, file_format, **lossless.get(file_format, {}))
    page = decoded(content)
    assert page.media_type == media_type
    assert (page.size, page.reduction, page.steps) == (Size(96, 64), 1, ())
    expected = np.asarray(picture) if page.pixels.ndim == 2 else bgr_of(picture)
    assert greatest_difference(page.pixels, expected) <= (6 if file_format == "JPEG" else 0)
    assert is_plain(content) == (file_format in ("JPEG", "PNG"))


def test_an_mpo_file_is_its_first_image() -> None:
    """A file of several JPEG images, as phones write, is read as a JPEG of the first."""
    first, second = photo(seed=1), photo(seed=2)
    content = encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
    page = decoded(content)
    assert page.media_type == "image/jpeg"
    assert is_plain(content)
    assert greatest_difference(page.pixels, bgr_of(first)) < greatest_difference(page.pixels, bgr_of(second))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_found(file_format: str, orientation: int) -> None:
    """Each of the eight orientations is told, in every format that can state one."""
    content = stored_with_orientation(photo(), orientation, file_format)
    page = decoded(content)
    assert page.orientation == orientation
    assert is_plain(content) == (orientation == 1 and file_format in ("JPEG", "PNG"))


def test_an_orientation_behind_the_pixels_of_a_png_is_found() -> None:
    """An eXIf chunk may stand after the image data."""
    content = stored_with_orientation(photo(), 6, "PNG")
    at = content.index(b"eXIf") - 4
    length = 12 + struct.unpack(">I", content[at : at + 4])[0]
    moved = content[:at] + content[at + length : -12] + content[at : at + length] + content[-12:]
    assert decoded(moved).orientation == 6


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_means_nothing_is_upright(value: int) -> None:
    """Values outside 1..8 are taken for upright, as viewers do."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = value
    assert decoded(encoded(photo(), "JPEG", exif=exif)).orientation == 1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_exif_data_does_not_spoil_the_image() -> None:
    """A JPEG whose metadata is garbage is read, upright."""
    page = decoded(encoded(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage"))
    assert page.orientation == 1
    assert page.pixels.shape == (64, 96, 3)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(file_format: str, mode: str) -> None:
    """Black of alpha 0, 128 and 255 becomes white, middle grey and black."""
    picture = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 128, 255)):
        picture.putpixel((x, 0), (0, 0, 0, alpha))
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    content = encoded(picture.convert(mode), file_format, **options)
    page = decoded(content)
    grey = page.pixels if page.pixels.ndim == 2 else page.pixels[:, :, 1]
    assert grey.tolist() == [[255, 127, 0]]
    assert not is_plain(content)


def test_a_lossy_webp_with_alpha_is_laid_on_white() -> None:
    """The alpha plane of a lossy WebP counts too."""
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (8, 0, 16, 16))
    page = decoded(encoded(picture, "WEBP", quality=90))
    assert page.pixels[8, 2].tolist() == [255, 255, 255]
    assert page.pixels[8, 14].max() < 8


def test_a_palette_is_looked_up() -> None:
    """Palette indices become their colours."""
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 150, 100])
    picture.putpixel((1, 0), 1)
    for file_format in ("PNG", "BMP", "TIFF"):
        content = encoded(picture, file_format)
        page = decoded(content)
        assert page.pixels.tolist() == [[[30, 20, 10], [100, 150, 200]]]
        assert not is_plain(content)


def test_a_transparent_palette_entry_is_white() -> None:
    """The entry that a PNG declares transparent shows the paper."""
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 0, 200, 150, 100])
    picture.putpixel((1, 0), 1)
    page = decoded(encoded(picture, "PNG", transparency=0))
    assert page.pixels.tolist() == [[[255, 255, 255], [100, 150, 200]]]


@pytest.mark.parametrize(("mode", "black"), [("1", 0), ("L", 0), ("RGB", (0, 0, 0))])
def test_a_transparent_colour_of_a_png_is_white(mode: str, black: float | tuple[float, ...]) -> None:
    """Grey and RGB files can declare one of their colours transparent."""
    content = encoded(Image.new(mode, (4, 4), black), "PNG", transparency=black)
    page = decoded(content)
    assert page.pixels.min() == 255
    assert not is_plain(content)
    assert not page.is_two_tone


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_shallow_grey_is_spread_over_the_whole_range(depth: int) -> None:
    """PNG grey of 1, 2 and 4 bits runs from 0 to 255."""
    page = decoded(png_of(2, 1, depth, 0, bytes([0, (1 << 8 - depth) - 1 ^ 0xFF | 0])))
    assert page.pixels.tolist() == [[255, 0]]
    assert page.is_two_tone == (depth == 1)


def test_16_bit_grey_is_divided_not_clipped() -> None:
    """16-bit grey becomes 8-bit by value / 257, in PNG and TIFF."""
    values = np.array([[0, 257, 300, 32768, 40000, 65535]], np.uint16)
    for file_format in ("PNG", "TIFF"):
        content = encoded(Image.fromarray(values), file_format)
        page = decoded(content)
        assert page.pixels.tolist() == [[0, 1, 1, 128, 156, 255]]
        assert not is_plain(content)


def test_16_bit_colour_and_alpha_are_divided_not_clipped() -> None:
    """16-bit RGB and RGBA of a PNG become 8-bit by value / 257, on white."""
    rgb = png_of(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 65535, 32768, 300))
    assert decoded(rgb).pixels.tolist() == [[[1, 128, 255]]]
    rgba = png_of(1, 1, 16, 6, b"\0" + struct.pack(">HHHH", 0, 0, 0, 32768))
    assert decoded(rgba).pixels.tolist() == [[[127, 127, 127]]]
    grey_alpha = png_of(1, 1, 16, 4, b"\0" + struct.pack(">HH", 0, 65535))
    assert decoded(grey_alpha).pixels.max() == 0


@pytest.mark.parametrize("compression", [None, "group4", "group3", "tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_two_tone_tiff_is_black_on_white(compression: str | None) -> None:
    """A two-tone page comes out with 0 for ink, by every compression."""
    picture = Image.new("1", (40, 20), 1)
    picture.paste(0, (10, 5, 20, 10))
    page = decoded(encoded(picture, "TIFF", compression=compression))
    assert page.is_two_tone
    assert page.pixels[7, 15] == 0
    assert page.pixels[0, 0] == 255
    assert int((page.pixels == 0).sum()) == 50


@pytest.mark.parametrize(("photometric", "expected"), [(0, [[255, 0]]), (1, [[0, 255]])])
@pytest.mark.parametrize("depth", [1, 8, 16])
def test_white_is_zero_and_black_is_zero(photometric: int, expected: list[list[int]], depth: int) -> None:
    """The photometric tag of a TIFF decides which end is white, at every depth."""
    pixels = {1: b"\x40", 8: b"\x00\xff", 16: b"\x00\x00\xff\xff"}[depth]
    assert decoded(tiff_with_pixels(2, 1, depth, photometric, pixels)).pixels.tolist() == expected


@pytest.mark.parametrize(("file_format", "options"), [("JPEG", {"quality": 100}), ("TIFF", {})])
def test_cmyk_is_not_inverted(file_format: str, options: dict[str, object]) -> None:
    """White paper and red ink stay so; Adobe stores a JPEG's CMYK inverted."""
    picture = Image.new("RGB", (32, 32), "white")
    picture.paste((255, 0, 0), (16, 0, 32, 32))
    content = encoded(picture.convert("CMYK"), file_format, **options)
    page = decoded(content)
    assert greatest_difference(page.pixels, bgr_of(picture)) <= 6
    assert not is_plain(content)


def test_lab_becomes_colour() -> None:
    """White, black and a reddish Lab value come out as such."""
    picture = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 0], [136, 80, 67]]], np.uint8), "LAB")
    white, black, red = decoded(encoded(picture, "TIFF")).pixels[0].tolist()
    assert white == [255, 255, 255]
    assert black == [0, 0, 0]
    assert red[2] > 200 > 60 > red[1]


def test_32_bit_whole_numbers_are_taken_by_their_range() -> None:
    """Values up to 255 are 8-bit, up to 65535 are 16-bit, others are stretched from their own range."""
    for values, expected in (
        ([0, 100, 255], [0, 100, 255]),
        ([0, 257, 65535], [0, 1, 255]),
        ([-10, 0, 10], [0, 128, 255]),
    ):
        page = decoded(encoded(Image.fromarray(np.array([values], np.int32)), "TIFF"))
        assert page.pixels.tolist() == [expected]


def test_floating_point_is_stretched_from_its_own_range() -> None:
    """The least value is black and the greatest white; what is no number is paper."""
    values = np.array([[0.25, 0.5, 0.75, np.nan]], np.float32)
    assert decoded(encoded(Image.fromarray(values), "TIFF")).pixels.tolist() == [[0, 128, 255, 255]]
    assert decoded(encoded(Image.fromarray(np.full((1, 2), 3.5, np.float32)), "TIFF")).pixels.tolist() == [[255, 255]]


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_an_animation_is_its_first_picture(file_format: str) -> None:
    """Of an animated file one page is read, and it is not passed on."""
    first = Image.new("RGB", (32, 32), "red")
    options: dict[str, object] = {"lossless": True} if file_format == "WEBP" else {}
    content = encoded(
        first, file_format, save_all=True, append_images=[Image.new("RGB", (32, 32), "blue")], duration=50, **options
    )
    document = open_document(Source(content), LIMITS)
    assert document.page_count == 1
    page = document.decode(1)
    assert page.pixels[5, 5].tolist() == [0, 0, 255]
    assert not is_plain(content)


def test_a_page_larger_than_a_band_is_converted_throughout() -> None:
    """Conversion by bands leaves no seam: every row of a large page is right."""
    alpha = np.tile(np.arange(3000, dtype=np.uint16)[:, None] % 256, (1, 2000)).astype(np.uint8)
    rgba = np.zeros((3000, 2000, 4), np.uint8)
    rgba[:, :, 3] = alpha
    _, content = cv2.imencode(".png", rgba, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    page = decoded(np.asarray(content).tobytes())
    assert greatest_difference(page.pixels[:, :, 0], 255 - alpha) == 0


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
        *(("PNG", mode) for mode in ("RGB", "L", "RGBA", "P", "LA")),
        *(("TIFF", mode) for mode in ("RGB", "L", "RGBA", "P", "CMYK", "LAB", "1")),
        *(("WEBP", mode) for mode in ("RGB", "RGBA")),
        *(("BMP", mode) for mode in ("RGB", "P")),
    ],
)
def test_grey_is_the_luma_of_the_colours(file_format: str, mode: str) -> None:
    """Where colour is of no use, every kind of file gives one channel, the colours' luma."""
    picture = photo().quantize(64) if mode == "P" else _in_mode(photo(), mode)
    content = encoded(picture, file_format, **({"lossless": True} if file_format == "WEBP" else {}))
    colour = open_document(Source(content), LIMITS).decode(1).pixels
    grey = open_document(Source(content), LIMITS).decode(1, DecodeWish(grey=True)).pixels
    luma = colour if colour.ndim == 2 else np.rint(colour @ np.array([0.114, 0.587, 0.299])).astype(np.uint8)
    assert greatest_difference(grey, luma) <= 3


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return Image.fromarray(np.asarray(picture), "LAB")
    if mode in ("RGBA", "LA"):
        picture.putalpha(picture.convert("L"))
    return picture.convert(mode)


@pytest.mark.parametrize("size", [(804, 603), (801, 600), (807, 605)])
@pytest.mark.parametrize("asked", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("grey", [True, False])
def test_a_jpeg_is_decoded_reduced_where_that_is_enough(size: tuple[int, int], asked: int, grey: bool) -> None:
    """Its pixels are fewer by the largest power of two that was allowed, and a point of theirs times it is the page's,
    whatever remainder the page's sides leave.
    """
    picture = page_with_ink(*size, InkBox(160, 120, 240, 80), InkBox(400, 480, 320, 80))
    content = encoded(picture, "JPEG", quality=95)
    page = open_document(Source(content), LIMITS).decode(1, DecodeWish(grey=grey, max_reduction=asked))
    reduction = {1: 1, 2: 2, 3: 2, 4: 4, 8: 8, 16: 8}[asked]
    assert (page.size, page.reduction) == (Size(*size), reduction)
    assert page.pixels.shape[:2] == (-(-size[1] // reduction), -(-size[0] // reduction))
    assert_ink_at(page.pixels if grey else page.pixels[:, :, 1], reduction, (160, 120), (720, 560))


def assert_ink_at(
    grey: npt.NDArray[np.uint8], reduction: int, top_left: tuple[int, int], bottom_right: tuple[int, int]
) -> None:
    """The ink's box, times the reduction, is the page's, whose edges lie on whole reduced pixels."""
    rows, columns = np.nonzero(grey < 128)
    assert (columns.min() * reduction, rows.min() * reduction) == top_left
    assert ((columns.max() + 1) * reduction, (rows.max() + 1) * reduction) == bottom_right


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("longer_side_px", "reduction"), [(1, 8), (101, 8), (102, 4), (202, 4), (203, 2), (404, 2), (405, 1), (9999, 1)]
)
def test_a_look_has_its_pixels_where_they_should_be(
    file_format: str, mode: str, longer_side_px: int, reduction: int
) -> None:
    """A look is grey, reduced as far as its longer side stays at or above what was asked for, and exact in place."""
    picture = page_with_ink(807, 605, InkBox(160, 120, 240, 80), InkBox(400, 480, 320, 80)).convert(mode)
    content = encoded(picture, file_format)
    found = plain(content)
    assert found is not None
    assert found.content is content
    grey, by = found.look(longer_side_px)
    assert by == reduction
    assert grey.shape == (-(-605 // by), -(-807 // by))
    assert_ink_at(grey, by, (160, 120), (720, 560))


def test_reduced_pixels_are_means() -> None:
    """Each is the mean of its block, at the edges of what there is, repeated."""
    pixels = np.array([[0, 100, 200], [100, 200, 50]], np.uint8)
    assert reduced(pixels, 2).tolist() == [[100, 125]]
    assert reduced(pixels, 1) is pixels
    assert reduction_for(3508, 2480, 800) == 4


def test_a_turned_tiff_tells_its_size_as_stored() -> None:
    """Pillow turns a TIFF while it loads it; the size is the one before that."""
    page = decoded(stored_with_orientation(photo(), 6, "TIFF"))
    assert page.is_turned
    assert page.size == Size(64, 96)
    assert page.pixels.shape[:2] == (64, 96)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_page_too_large_for_colour_is_read_in_grey(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit on colour a page comes in grey though colour was wished, and below it in colour."""
    module = f"preprocess_service.decoders.{file_format.lower()}.MAX_COLOUR_PIXELS"
    picture = photo(96, 64)
    shapes = []
    for limit in (96 * 64, 96 * 64 - 1):
        monkeypatch.setattr(module, limit)
        shapes.append(open_document(Source(encoded(picture, file_format)), SourceLimits()).decode(1).pixels.shape)
    assert shapes == [(64, 96, 3), (64, 96)]
