"""Broken, hostile and foreign files are refused with the right reason, and never half-read."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from preprocess_service.decoders.jpeg_segments import head_of
from preprocess_service.decoders.opening import open_document
from preprocess_service.errors import (
    FormatUnsupported,
    ImageEmpty,
    ImageTooLargeBytes,
    ImageTooLargePixels,
    ImageUndecodable,
)
from preprocess_service.model import Source, SourceLimits
from tests.fakes.documents import heic_of
from tests.fakes.hostile_file import deflated_zeros
from tests.fakes.images import (
    UNREAD_FORMATS,
    bmp_bomb,
    encoded,
    files_of_too_many_parts,
    jpeg_bomb,
    jpeg_segment,
    photo,
    png_bomb,
    png_chunk,
    png_of,
    stored_with_orientation,
    tiff_bomb,
    webp_bomb,
    with_inserted,
)

LIMITS = SourceLimits()
TOO_MANY_PARTS = files_of_too_many_parts()

WHOLE_FILES = {
    "jpeg": encoded(photo(), "JPEG"),
    "jpeg of grey": encoded(photo().convert("L"), "JPEG"),
    "progressive jpeg": encoded(photo(), "JPEG", progressive=True),
    "cmyk jpeg": encoded(photo().convert("CMYK"), "JPEG"),
    "jpeg with a thumbnail": encoded(photo(), "JPEG", exif=b"Exif\0\0" + encoded(photo(32, 32), "JPEG")),
    "png": encoded(photo(), "PNG"),
    "palette png": encoded(photo().quantize(16), "PNG", transparency=1),
    "16-bit png": encoded(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)), "PNG"),
    "webp": encoded(photo(), "WEBP"),
    "lossless webp": encoded(photo(), "WEBP", lossless=True),
    "webp with exif": stored_with_orientation(photo(), 6, "WEBP"),
    "animated webp": encoded(photo(), "WEBP", save_all=True, append_images=[photo(seed=1)]),
    "bmp": encoded(photo(), "BMP"),
    "palette bmp": encoded(photo().quantize(16), "BMP"),
    "tiff": encoded(photo(), "TIFF"),
    "big tiff": encoded(photo(), "TIFF", big_tiff=True),
    "lzw tiff": encoded(photo(), "TIFF", compression="tiff_lzw"),
    "group 4 tiff": encoded(photo().convert("1"), "TIFF", compression="group4"),
    "jpeg tiff": encoded(photo(), "TIFF", compression="jpeg"),
    "gif": encoded(photo().quantize(64), "GIF"),
    "interlaced gif": encoded(photo().quantize(64), "GIF", interlace=1),
    "heic": heic_of(photo()),
    "heic of tiles": heic_of(photo(160, 130), tile_size=64),
    "avif": encoded(photo(), "AVIF"),
    "cmyk tiff": encoded(photo().convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
}


def read(content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return open_document(Source(content), LIMITS).decode(1).pixels


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", WHOLE_FILES)
def test_a_truncated_file_is_refused_or_was_whole(name: str) -> None:
    """Cut at any place, a file is refused; only what lies behind the pixels may be missing."""
    content = WHOLE_FILES[name]
    expected = read(content)
    last = len(content) - 1
    cuts = {*range(1, last, max(1, last // 60)), *range(max(1, last - 12), last + 1)}
    refused = 0
    for cut in sorted(cuts):
        try:
            pixels = read(content[:cut])
        except ImageUndecodable:
            refused += 1
        else:
            assert np.array_equal(pixels, expected), f"half-read when cut at {cut} of {len(content)}"
            assert cut > len(content) * 0.9
    assert refused >= 60


def check(content: bytes) -> None:
    """Checks a plain file as the pipeline does before it passes one on."""
    plain = open_document(Source(content), LIMITS).plain_page(1)
    assert plain is not None
    plain.look(1)


@pytest.mark.parametrize("name", ["jpeg", "jpeg of grey", "progressive jpeg", "png"])
def test_a_truncated_file_is_not_passed_on(name: str) -> None:
    """The check of a plain file, which makes no full page, refuses it cut at any place."""
    content = WHOLE_FILES[name]
    check(content)
    for cut in {*range(1, len(content), len(content) // 60), *range(len(content) - 12, len(content))}:
        with pytest.raises(ImageUndecodable):
            check(content[:cut])


def _text_chunk(kind: bytes, mebibytes: int) -> bytes:
    starts = {b"zTXt": b"Comment\0\0", b"iCCP": b"profile\0\0", b"iTXt": b"Comment\0\1\0\0\0"}
    return png_chunk(kind, starts[kind] + deflated_zeros(mebibytes))


@pytest.mark.parametrize(
    "chunks",
    [
        _text_chunk(b"zTXt", 2),
        _text_chunk(b"iTXt", 2),
        _text_chunk(b"iCCP", 2),
        _text_chunk(b"zTXt", 1) * 80,
        png_chunk(b"zTXt", b"Comment\0\0no zlib"),
        png_chunk(b"tEXt", b"Comment\0" + b"a" * 2_000_000),
        png_chunk(b"abCd", bytes(600_000)) * 2,
    ],
    ids=["zTXt", "iTXt", "iCCP", "many texts", "damaged text", "long text", "unknown chunks"],
)
def test_a_png_with_metadata_that_other_readers_trip_over_is_not_passed_on(chunks: bytes) -> None:
    """Such a file is decoded, and so made new, instead; its pixels are what they were."""
    content = with_inserted(WHOLE_FILES["png"], 33, chunks)
    assert open_document(Source(content), LIMITS).plain_page(1) is None
    assert np.array_equal(read(content), read(WHOLE_FILES["png"]))


def test_a_png_with_the_metadata_of_every_day_is_passed_on() -> None:
    """A colour profile, a comment and a text of some kilobytes are no reason to make a file new."""
    texts = (b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 9000)), (b"iTXt", b"Comment\0\0\0\0\0" + b"a" * 9000)
    chunks = b"".join(
        png_chunk(kind, data) for kind, data in (*texts, (b"iCCP", b"p\0\0" + zlib.compress(b"b" * 3000)))
    )
    check(with_inserted(WHOLE_FILES["png"], 33, chunks))


def test_a_png_with_a_wrong_checksum_is_refused() -> None:
    """One changed byte of the pixels is found by the chunk's checksum."""
    content = bytearray(WHOLE_FILES["png"])
    content[content.index(b"IDAT") + 200] ^= 0x10
    with pytest.raises(ImageUndecodable, match="checksum of its chunk IDAT"):
        read(bytes(content))


@pytest.mark.parametrize(("colour_type", "extra"), [(0, ()), (0, ((b"tRNS", b"\0\7"),)), (2, ())])
def test_a_png_with_too_few_rows_is_refused(colour_type: int, extra: tuple[tuple[bytes, bytes], ...]) -> None:
    """Well-formed chunks that hold fewer rows than the header states are damage."""
    row = bytes(1 + 64 * (3 if colour_type == 2 else 1))
    with pytest.raises(ImageUndecodable):
        read(png_of(64, 64, 8, colour_type, row * 30, *extra))


def test_an_empty_file_is_refused() -> None:
    """Zero bytes have a reason of their own."""
    with pytest.raises(ImageEmpty):
        read(b"")


@pytest.mark.parametrize(
    "content", [b"hello, this is text\n", b"\x00\x01\x02\x03", b"\x89PNG", b"BMore text than picture", b"\xff\xd8"]
)
def test_bytes_of_no_format_are_undecodable(content: bytes) -> None:
    """What is no image is refused, and the message shows how it starts."""
    with pytest.raises(ImageUndecodable, match="not an image of a known format: starts with"):
        read(content)


@pytest.mark.parametrize(("content", "media_type"), UNREAD_FORMATS)
def test_a_known_format_that_is_not_read_is_named(content: bytes, media_type: str) -> None:
    """Photoshop, SVG, JPEG 2000 and others are refused by their names, with what is supported."""
    with pytest.raises(FormatUnsupported) as caught:
        read(content)
    assert caught.value.media_type == media_type
    assert "image/png" in caught.value.supported


@pytest.mark.parametrize("bomb", [png_bomb, bmp_bomb, tiff_bomb, jpeg_bomb, webp_bomb])
def test_a_header_with_too_many_pixels_is_refused_before_decoding(bomb: Callable[[], bytes]) -> None:
    """A small file that declares gigapixels costs neither memory nor time."""
    content = bomb()
    tracemalloc.start()
    try:
        with pytest.raises(
            ImageTooLargePixels, match=r"\d+ x \d+ = \d+ pixels is over the limit of 100000000"
        ) as caught:
            read(content)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.metadata["limit"] == "100000000"
    assert peak_bytes < 5_000_000


def test_a_file_over_the_byte_limit_is_refused() -> None:
    """The limit on bytes comes with the value."""
    with pytest.raises(ImageTooLargeBytes) as caught:
        open_document(Source(bytes(11)), SourceLimits(max_bytes=10))
    assert caught.value.metadata == {"value": "11", "limit": "10", "unit": "bytes"}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", WHOLE_FILES)
def test_a_garbled_file_raises_only_expected_errors(name: str) -> None:
    """Whatever bytes are changed, the answer is an image or a refusal, never a bug."""
    random = np.random.default_rng(5)
    limits = SourceLimits(max_pixels=2_000_000)
    for _ in range(60):
        content = bytearray(WHOLE_FILES[name])
        for at in random.integers(8, min(len(content), 500), 4):
            content[at] = random.choice([0, 1, 127, 255])
        try:
            pixels = open_document(Source(bytes(content)), limits).decode(1).pixels
        except (ImageUndecodable, ImageTooLargePixels, FormatUnsupported):
            continue
        assert pixels.dtype == np.uint8


@pytest.mark.parametrize(("content", "refusal"), TOO_MANY_PARTS.values(), ids=TOO_MANY_PARTS)
def test_a_file_of_too_many_parts_is_refused(content: bytes, refusal: str) -> None:
    """What no honest file holds thousands of is counted before a library walks over it."""
    with pytest.raises(ImageUndecodable, match=refusal):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        with_inserted(WHOLE_FILES["png"], 33, png_chunk(b"abCd", bytes(500)) * 1900),
        with_inserted(WHOLE_FILES["jpeg"], 2, jpeg_segment(0xE5, bytes(60_000)) * 100),
        with_inserted(WHOLE_FILES["jpeg"], 2, jpeg_segment(0xFE) + bytes(60_000) + b"\xff" * 100),
    ],
    ids=["png chunks", "jpeg application data", "jpeg junk"],
)
def test_much_metadata_changes_no_pixel(content: bytes) -> None:
    """Below the limits, what says nothing of the pixels is passed over."""
    picture = read(WHOLE_FILES["png" if content.startswith(b"\x89") else "jpeg"])
    assert np.array_equal(read(content), picture)


def test_libraries_see_no_metadata_that_costs_time() -> None:
    """Comments and colour profiles of a JPEG, which a reader would copy and parse, are left out of its head."""
    content = with_inserted(WHOLE_FILES["jpeg"], 2, jpeg_segment(0xE2, b"MPF\0" + bytes(60_000)) * 50)
    assert len(head_of(content).needed) < 1000
