"""HEIC and AVIF: upright, on white, of 8 bits, and bounded by what their boxes state."""

from __future__ import annotations

import io
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodedPage, DecodeWish, Pixels
from preprocess_service.errors import FormatUnsupported, ImageTooLargePixels, ImageUndecodable
from preprocess_service.model import Size, Source, SourceLimits
from tests.fakes.documents import heic_of
from tests.fakes.images import EXIF_ORIENTATION, bgr_of, encoded, photo, stored_with_orientation

LIMITS = SourceLimits()
PICTURE = photo(192, 128)


def decoded(content: bytes, wish: DecodeWish | None = None) -> DecodedPage:
    return open_document(Source(content), LIMITS).decode(1, wish or DecodeWish())


def upright(page: DecodedPage) -> Pixels:
    """The pixels after the orientation that the page tells."""
    image = Image.fromarray(page.pixels[:, :, ::-1])
    exif = image.getexif()
    exif[EXIF_ORIENTATION] = page.orientation
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}
    mirrors = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        7: Image.Transpose.TRANSVERSE,
    }
    method = (turns | mirrors).get(page.orientation)
    return bgr_of(image if method is None else image.transpose(method))


def mean_difference(left: Pixels, right: Pixels) -> float:
    assert left.shape == right.shape
    return float(np.abs(left.astype(int) - right.astype(int)).mean())


def with_brands(content: bytes, major: bytes, *compatible: bytes) -> bytes:
    """The file with other brands, its offsets kept by as many of them."""
    length = struct.unpack_from(">L", content)[0]
    count = (length - 16) // 4
    brands = (list(compatible) + [compatible[-1]] * count)[:count]
    return content[:8] + major + content[12:16] + b"".join(brands) + content[length:]


def files_of(picture: Image.Image) -> dict[str, bytes]:
    return {"heic": heic_of(picture), "avif": encoded(picture, "AVIF", quality=90)}


@pytest.mark.parametrize("name", ["heic", "avif"])
def test_a_picture_comes_out_as_it_went_in(name: str) -> None:
    """Each format's pixels are the picture's, grey where that is wished, and it is not passed on."""
    content = files_of(PICTURE)[name]
    page = decoded(content)
    assert page.media_type == f"image/{name}"
    assert (page.size, page.orientation, page.is_turned) == (Size(192, 128), 1, False)
    assert mean_difference(page.pixels, bgr_of(PICTURE)) < 4
    assert decoded(content, DecodeWish(grey=True)).pixels.shape == (128, 192)
    document = open_document(Source(content), LIMITS)
    assert document.page_count == 1
    assert document.plain_page(1) is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["heic", "avif"])
def test_the_picture_is_turned_exactly_once(name: str, orientation: int) -> None:
    """Both the format's own properties and the EXIF data state the orientation: it is applied once."""
    content = (
        heic_of(PICTURE, orientation=orientation)
        if name == "heic"
        else stored_with_orientation(PICTURE, orientation, "AVIF", quality=90)
    )
    assert (b"irot" in content or b"imir" in content) == (orientation != 1)
    assert mean_difference(upright(decoded(content)), bgr_of(PICTURE)) < 4


def test_the_exif_data_alone_turn_no_heic() -> None:
    """Where the format's properties say nothing, the picture is shown as it is stored, as viewers do."""
    content = heic_of(PICTURE, orientation=6)
    blank = content.replace(b"irot", b"free")
    page = decoded(blank)
    assert page.orientation == 1
    assert page.pixels.shape == (192, 128, 3)


@pytest.mark.parametrize("name", ["heic", "avif"])
def test_alpha_is_laid_on_white(name: str) -> None:
    """A transparent half shows the paper, a black one stays."""
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (32, 0, 64, 64))
    page = decoded(files_of(picture)[name])
    assert page.pixels[32, 8].min() > 250
    assert page.pixels[32, 56].max() < 8


@pytest.mark.parametrize("twelve", [False, True])
def test_10_and_12_bits_become_8(twelve: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deep pixels are scaled, not clipped."""
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", twelve)
    pixels = np.full((48, 64, 3), (0, 32768, 65535), np.uint16)
    file = pillow_heif.from_bytes("RGB;16", (64, 48), pixels.tobytes())
    buffer = io.BytesIO()
    file.save(buffer, quality=-1, chroma=444)
    assert decoded(buffer.getvalue()).pixels[24, 32].tolist() == pytest.approx([255, 128, 0], abs=3)


def test_grey_stays_grey() -> None:
    """A HEIC without colour has one channel."""
    assert decoded(heic_of(PICTURE.convert("L"))).pixels.shape == (128, 192)


def test_of_several_images_the_primary_one_is_read() -> None:
    """A burst is its best shot, wherever that stands in the file."""
    file = pillow_heif.from_pillow(photo(64, 64, seed=1))
    file.add_from_pillow(PICTURE)
    buffer = io.BytesIO()
    file.save(buffer, quality=90, primary_index=1)
    assert mean_difference(decoded(buffer.getvalue()).pixels, bgr_of(PICTURE)) < 4


def test_a_sequence_is_its_first_frame() -> None:
    """Of an animated AVIF the first picture is read."""
    content = encoded(PICTURE, "AVIF", save_all=True, append_images=[photo(192, 128, seed=3)], quality=90)
    assert mean_difference(decoded(content).pixels, bgr_of(PICTURE)) < 4


def test_a_picture_of_tiles_is_put_together() -> None:
    """Phones store photographs as a grid of tiles."""
    picture = photo(300, 280)
    content = heic_of(picture, tile_size=128)
    assert b"grid" in content
    assert mean_difference(decoded(content).pixels, bgr_of(picture)) < 4


@pytest.mark.parametrize(
    ("name", "brands"),
    [
        ("heic", (b"heic", b"mif1")),
        ("heic", (b"mif1", b"miaf", b"heic")),
        ("heic", (b"hevc", b"mif1", b"heic")),
        ("avif", (b"avif", b"mif1")),
        ("avif", (b"mif1", b"miaf", b"avif")),
    ],
)
def test_the_brands_tell_how_pixels_are_coded(name: str, brands: tuple[bytes, ...]) -> None:
    """A general major brand leaves it to the compatible ones."""
    content = with_brands(files_of(PICTURE)[name], *brands)
    assert decoded(content).media_type == f"image/{name}"


def test_a_film_without_a_still_image_is_refused_by_its_name() -> None:
    """A HEIC that is a sequence alone, which libheif's binding does not read, is known and not taken."""
    content = with_brands(files_of(PICTURE)["heic"], b"msf1", b"hevc")
    with pytest.raises(FormatUnsupported, match="image/heic-sequence"):
        open_document(Source(content), LIMITS)


@pytest.mark.parametrize("name", ["heic", "avif"])
def test_a_size_over_the_limit_is_refused_before_decoding(name: str) -> None:
    """The size that a file states counts, though it holds no such picture."""
    content = bytearray(files_of(PICTURE)[name])
    at = content.index(b"ispe") + 8
    content[at : at + 8] = struct.pack(">2L", 60_000, 60_000)
    with pytest.raises(ImageTooLargePixels, match="60000 x 60000"):
        open_document(Source(bytes(content)), LIMITS)


@pytest.mark.parametrize("name", ["heic", "avif"])
def test_a_size_stated_too_small_makes_no_large_picture(name: str) -> None:
    """A file that states 8 x 8 pixels and holds more is refused, or read as 8 x 8."""
    content = bytearray(files_of(photo(300, 280))[name])
    at = content.index(b"ispe") + 8
    content[at : at + 8] = struct.pack(">2L", 8, 8)
    try:
        page = decoded(bytes(content))
    except ImageUndecodable:
        return
    assert page.pixels.shape[:2] == (8, 8)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "states no size"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x08free" * 20_001, "more than 20000 boxes"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif\0\0\0\x04meta", "a box ends outside"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif\0\0\0\x01meta" + b"\xff" * 8, "a box ends outside"),
    ],
)
def test_boxes_that_make_no_file_are_refused(content: bytes, refusal: str) -> None:
    """Boxes are walked within bounds, before a library sees them."""
    with pytest.raises(ImageUndecodable, match=refusal):
        open_document(Source(content), LIMITS)
