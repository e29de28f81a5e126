"""Headers and pixels of every kind of image, upright and in 8-bit RGB, or a clear refusal."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from ocr_gateway.errors import FormatUnsupported, ImageEmpty, ImageUndecodable, RegionOutOfImage
from ocr_gateway.image_header import ImageHeader, read_header
from ocr_gateway.image_pixels import crop_pngs, decode_rgb
from ocr_gateway.model import Rect
from tests.fakes.images import files_of_too_many_parts, jpeg_segment, png_chunk, with_inserted

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112
TOO_MANY_PARTS = files_of_too_many_parts()
# Where the stored image's red top-left corner stands for a viewer, and whether width and height change places.
SEEN = {
    1: ("top left", False),
    2: ("top right", False),
    3: ("bottom right", False),
    4: ("bottom left", False),
    5: ("top left", True),
    6: ("top right", True),
    7: ("bottom right", True),
    8: ("bottom left", True),
}


def red_cornered(width: int = 48, height: int = 32) -> Image.Image:
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 4, : width // 4] = RED
    return Image.fromarray(pixels)


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


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
def test_the_header_tells_type_and_size(file_format: str, media_type: str) -> None:
    """Each format that is read is known by its content."""
    assert read_header(encoded(red_cornered(), file_format)) == ImageHeader(media_type, 48, 32)


def test_a_multi_picture_jpeg_is_a_jpeg() -> None:
    """What phones write besides plain JPEG goes as a JPEG, its first picture."""
    content = encoded(red_cornered(), "MPO", save_all=True, append_images=[Image.new("RGB", (48, 32), BLUE)])
    assert read_header(content).media_type == "image/jpeg"
    assert tuple(decode_rgb(content)[2, 2] // 200) == (1, 0, 0)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", SEEN)
def test_size_and_pixels_are_those_after_the_orientation(file_format: str, orientation: int) -> None:
    """All eight orientations are undone, in every format that has them, once."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(red_cornered(), file_format, exif=exif)
    corner, swapped = SEEN[orientation]
    width, height = (32, 48) if swapped else (48, 32)

    header = read_header(content)
    pixels = decode_rgb(content)

    assert (header.width, header.height) == (width, height)
    assert pixels.shape == (height, width, 3)
    seen = {
        "top left": pixels[3, 3],
        "top right": pixels[3, -4],
        "bottom left": pixels[-4, 3],
        "bottom right": pixels[-4, -4],
    }
    assert {name for name, pixel in seen.items() if pixel[0] > 200 and pixel[1] < 60} == {corner}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_exif_block_counts_as_none() -> None:
    """An image is not lost for its EXIF block."""
    content = encoded(red_cornered(), "JPEG", exif=b"Exif\x00\x00MM\x00*garbage that is no directory")
    assert read_header(content) == ImageHeader("image/jpeg", 48, 32)
    assert decode_rgb(content).shape == (32, 48, 3)


def test_a_palette_is_looked_up() -> None:
    """Palette images give their colours, not the indices."""
    content = encoded(red_cornered().quantize(4), "PNG")
    assert tuple(decode_rgb(content)[2, 2]) == RED
    assert tuple(decode_rgb(content)[-1, -1]) == WHITE


def test_a_two_tone_image_is_black_and_white() -> None:
    """1-bit images give 0 and 255."""
    content = encoded(red_cornered().convert("1", dither=Image.Dither.NONE), "TIFF", compression="group4")
    assert sorted(set(decode_rgb(content).ravel().tolist())) == [0, 255]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(file_format: str) -> None:
    """Deep grey is divided by 257, not cut off."""
    deep = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    content = encoded(Image.fromarray(deep), file_format)
    assert decode_rgb(content)[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_onto_white(mode: str) -> None:
    """What is transparent becomes white, whatever colour stands under it; half of black becomes mid-grey."""
    image = Image.new("RGBA", (3, 1))
    image.putdata([(0, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 128)])
    values = decode_rgb(encoded(image.convert(mode), "PNG"))[0, :, 0].tolist()
    assert values[:2] == [255, 0]
    assert values[2] == pytest.approx(127, abs=1)


def test_a_transparent_palette_is_laid_onto_white() -> None:
    """A palette entry marked as transparent becomes white."""
    image = red_cornered().quantize(4)
    index = int(np.asarray(image)[0, 0])
    assert tuple(decode_rgb(encoded(image, "PNG", transparency=index))[0, 0]) == WHITE


def test_cmyk_becomes_rgb() -> None:
    """Printers' JPEGs come out in their colours, not inverted."""
    pixel = decode_rgb(encoded(red_cornered().convert("CMYK"), "JPEG", quality=95))[2, 2]
    assert pixel[0] > 200
    assert pixel[1] < 60
    assert pixel[2] < 60


def test_no_bytes_are_an_empty_image() -> None:
    """Nothing sent has a reason of its own."""
    for read in (read_header, decode_rgb):
        with pytest.raises(ImageEmpty):
            read(b"")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"GIF89a\x01\x00\x01\x00", "image/gif"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "image/heic"),
        (b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00", "image/avif"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    ],
)
def test_known_formats_that_are_not_read_are_named(content: bytes, media_type: str) -> None:
    """A GIF is refused as a GIF, with what is taken instead."""
    with pytest.raises(FormatUnsupported) as refusal:
        read_header(content)
    assert refusal.value.media_type == media_type
    assert "image/png" in refusal.value.supported


@pytest.mark.parametrize(
    "content", [b"hello, I am a text file named .png", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00"]
)
def test_bytes_that_are_no_image_are_undecodable(content: bytes) -> None:
    """Text, and bare signatures, are refused by the header already."""
    with pytest.raises(ImageUndecodable):
        read_header(content)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_a_truncated_image_is_undecodable(file_format: str) -> None:
    """Half a file is never read as a half-grey page."""
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), file_format)
    with pytest.raises(ImageUndecodable):
        decode_rgb(content[: len(content) // 2])


def test_a_huge_header_is_told_and_not_decoded() -> None:
    """50 000 x 50 000 pixels are announced, so that the caller's limit can refuse them."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    content += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert read_header(content) == ImageHeader("image/png", 50_000, 50_000)


def test_a_crop_is_whole_pixels_of_the_upright_image() -> None:
    """A region is widened to whole pixels, of the image as it is seen."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = encoded(red_cornered(), "PNG", exif=exif)
    pixels = decode_rgb(crop_pngs(content, [Rect(23.5, 0.5, 8.5, 10.0)])[0])
    assert pixels.shape == (11, 9, 3)
    assert tuple(pixels[2, 4]) == RED


@pytest.mark.parametrize(
    "rect",
    [Rect(48, 0, 5, 5), Rect(0, 0, 0, 5), Rect(0, -9, 5, 5), Rect(float("nan"), 0, 5, 5), Rect(0, 0, float("inf"), 5)],
)
def test_a_crop_without_area_is_refused(rect: Rect) -> None:
    """Where nothing of the image lies under the region, there is nothing to read."""
    with pytest.raises(RegionOutOfImage):
        crop_pngs(encoded(red_cornered(), "PNG"), [rect])


def test_many_crops_decode_the_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rectangle gives its own crop, in their order, of pixels that are made one time."""
    loads: list[str] = []
    load = PngImageFile.load

    def counted(image: PngImageFile) -> object:
        loads.append("load")
        return load(image)

    monkeypatch.setattr(PngImageFile, "load", counted)
    content = encoded(red_cornered(), "PNG")
    crops = crop_pngs(content, [Rect(0, 0, 4, 4), Rect(40, 20, 5, 6), Rect(0, 0, 48, 32)])
    opened_once = len(loads)
    crop_pngs(content, [Rect(0, 0, 4, 4)])
    assert len(loads) == 2 * opened_once
    first, second, whole = map(decode_rgb, crops)
    assert (first == RED).all()
    assert second.shape == (6, 5, 3)
    assert (second == WHITE).all()
    assert np.array_equal(whole, np.asarray(red_cornered()))


def test_no_rectangles_are_no_crops() -> None:
    """Nothing asked is nothing decoded."""
    assert crop_pngs(encoded(red_cornered(), "PNG"), []) == []


@pytest.mark.parametrize(("content", "refusal"), TOO_MANY_PARTS.values(), ids=TOO_MANY_PARTS)
def test_a_file_of_too_many_parts_is_refused_by_its_header(content: bytes, refusal: str) -> None:
    """What no honest file holds thousands of is counted, before anything walks over all of it."""
    with pytest.raises(ImageUndecodable, match=refusal):
        read_header(content)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_header_is_read_without_pillow(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No library that would walk, inflate or decode the file is asked for its size."""
    content = encoded(red_cornered(), file_format)
    monkeypatch.setattr(Image, "open", None)
    assert (read_header(content).width, read_header(content).height) == (48, 32)


def test_a_tiff_directory_of_too_many_entries_is_refused() -> None:
    """The entries are counted by what the directory states, not walked."""
    content = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2_000_000) + bytes(1000)
    with pytest.raises(ImageUndecodable, match="more than 4096 entries"):
        read_header(content)


def test_a_jpeg_of_too_many_scans_is_not_decoded() -> None:
    """Empty scans, each of which would cost a pass over the image, are counted first."""
    content = encoded(red_cornered(), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    assert decode_rgb(content[:-2] + scan * 100 + b"\xff\xd9").shape == (32, 48, 3)
    with pytest.raises(ImageUndecodable, match="scans"):
        decode_rgb(content[:-2] + scan * 300 + b"\xff\xd9")


def test_pixels_of_another_size_than_the_header_says_are_refused() -> None:
    """The size that was checked is the size that is decoded, whatever two readers make of a file."""
    content = encoded(red_cornered(), "BMP")
    forged = content[:18] + struct.pack("<i", -48) + content[22:]
    with pytest.raises(ImageUndecodable):
        decode_rgb(forged)


def test_metadata_changes_no_pixel() -> None:
    """Colour profiles, previews and comments are passed over, and the end of the file is still looked for."""
    jpeg = encoded(red_cornered(), "JPEG")
    stuffed = with_inserted(jpeg, 2, jpeg_segment(0xE2, b"MPF\0" + bytes(50_000)) * 40 + bytes(1000))
    assert np.array_equal(decode_rgb(stuffed), decode_rgb(jpeg))
    png = encoded(red_cornered(), "PNG")
    assert np.array_equal(decode_rgb(with_inserted(png, 33, png_chunk(b"tEXt", b"k\0v") * 1900)), decode_rgb(png))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_an_orientation_in_xmp_alone_counts(file_format: str) -> None:
    """Where there is no EXIF block, the XMP packet's word on the orientation is taken, for size and pixels alike."""
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    if file_format == "PNG":
        data = b"XML:com.adobe.xmp\0\0\0\0\0" + packet
        content = with_inserted(encoded(red_cornered(), "PNG"), 33, png_chunk(b"iTXt", data))
    else:
        content = encoded(red_cornered(), file_format, xmp=packet)
    assert (read_header(content).width, read_header(content).height) == (32, 48)
    assert decode_rgb(content).shape == (48, 32, 3)


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "F"])
def test_decoding_makes_no_copies_of_the_whole_image(mode: str) -> None:
    """Beside the result, only a band of rows is converted at a time, whatever the pixels are."""
    if mode == "RGBA":
        content = encoded(Image.new("RGBA", (2000, 2000)), "PNG")
    else:
        depth: type[np.generic] = np.uint16 if mode == "I;16" else np.float32
        content = encoded(Image.fromarray(np.zeros((2000, 2000), depth)), "TIFF", compression="tiff_lzw")
    tracemalloc.start()
    try:
        result_bytes = decode_rgb(content).nbytes
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * result_bytes
