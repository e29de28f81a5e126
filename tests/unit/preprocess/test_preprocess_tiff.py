"""TIFF documents of several pages."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from preprocess_service.decoders import tiff_directory
from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodeWish
from preprocess_service.errors import ImageTooLargePixels, ImageUndecodable, TooManyPages
from preprocess_service.model import Source, SourceLimits
from tests.fakes.documents import tiff_of
from tests.fakes.images import (
    EXIF_ORIENTATION,
    bgr_of,
    encoded,
    photo,
    tiff_bomb,
    tiff_of_overlapping_directories,
    tiff_pages,
)

LIMITS = SourceLimits()


def directories(content: bytes) -> list[int]:
    """The offset of each directory of a little-endian TIFF."""
    found = [struct.unpack_from("<L", content, 4)[0]]
    while True:
        count = struct.unpack_from("<H", content, found[-1])[0]
        following = struct.unpack_from("<L", content, found[-1] + 2 + 12 * count)[0]
        if not following:
            return found
        found.append(following)


def next_pointer_of(content: bytes, directory: int) -> int:
    return directory + 2 + 12 * int(struct.unpack_from("<H", content, directory)[0])


def test_pages_are_read_in_any_order() -> None:
    """Each page comes by its number, whatever its size and depth."""
    pages = (photo(20, 10), photo(30, 40).convert("L"), photo(16, 16).convert("1"))
    document = open_document(Source(tiff_pages(*pages, compression="tiff_lzw")), LIMITS)
    assert document.page_count == 3
    for number in (3, 1, 2):
        page = document.decode(number)
        assert np.array_equal(np.squeeze(page.pixels), np.squeeze(bgr_or_grey(pages[number - 1])))
        assert page.is_two_tone == (number == 3)


def bgr_or_grey(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pixels = np.asarray(image if image.mode != "1" else image.convert("L"), np.uint8)
    return pixels if pixels.ndim == 2 else pixels[:, :, ::-1]


def test_each_page_has_its_own_orientation() -> None:
    """Pages are turned by their own tag, not by their neighbour's."""
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer, True) as writer:
        for orientation in (1, 6):
            exif = Image.Exif()
            exif[EXIF_ORIENTATION] = orientation
            photo(20, 10).save(writer, "TIFF", exif=exif)
            writer.newFrame()
    document = open_document(Source(buffer.getvalue()), LIMITS)
    assert [document.decode(number).orientation for number in (1, 2)] == [1, 6]
    assert document.decode(1).pixels.shape == (10, 20, 3)
    turned = document.decode(2)
    assert turned.is_turned
    assert turned.pixels.shape == (20, 10, 3)


def test_too_many_pages_are_refused_before_one_is_decoded() -> None:
    """The page count comes from the directories, and stands in the error."""
    content = tiff_pages(*(Image.new("1", (8, 8)) for _ in range(12)))
    with pytest.raises(TooManyPages) as caught:
        open_document(Source(content), SourceLimits(max_pages=11))
    assert caught.value.metadata == {"value": "12", "limit": "11", "unit": "pages"}


@pytest.mark.parametrize("damaged", [1, 2, 3])
def test_a_damaged_page_spoils_no_other(damaged: int) -> None:
    """A directory whose strip lies behind the file's end fails alone, be it the first."""
    pages = (photo(20, 10), photo(30, 40), photo(16, 16))
    content = bytearray(tiff_pages(*pages))
    directory = directories(bytes(content))[damaged - 1]
    count = struct.unpack_from("<H", content, directory)[0]
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == 273:
            struct.pack_into("<L", content, entry + 8, len(content) + 1000)
    document = open_document(Source(bytes(content)), LIMITS)
    assert document.page_count == 3
    for number in (1, 2, 3):
        if number == damaged:
            with pytest.raises(ImageUndecodable, match=f"page {number} of the TIFF"):
                document.decode(number)
        else:
            assert np.array_equal(document.decode(number).pixels, bgr_or_grey(pages[number - 1]))


def test_a_file_that_breaks_off_gives_its_first_pages() -> None:
    """Where the chain of directories leaves the file, the pages before it are read, and a damaged one stands there."""
    content = tiff_pages(photo(20, 10), photo(30, 40), photo(16, 16))
    document = open_document(Source(content[: directories(content)[2] + 5]), LIMITS)
    assert document.page_count == 3
    assert document.decode(2).pixels.shape == (40, 30, 3)
    with pytest.raises(ImageUndecodable, match="page 3 of the TIFF cannot be read"):
        document.decode(3)


def test_a_chain_that_runs_in_a_circle_ends() -> None:
    """A directory that points back is damage, not an endless document."""
    content = bytearray(tiff_pages(photo(20, 10), photo(30, 40)))
    first, second = directories(bytes(content))
    struct.pack_into("<L", content, next_pointer_of(bytes(content), second), first)
    document = open_document(Source(bytes(content)), LIMITS)
    assert document.page_count == 3
    with pytest.raises(ImageUndecodable, match="circle"):
        document.decode(3)


def test_a_thumbnail_is_no_page() -> None:
    """A directory that states itself a reduced copy is passed over."""
    content = bytearray(tiff_pages(photo(20, 10), photo(10, 5), photo(16, 16)))
    directory = directories(bytes(content))[1]
    struct.pack_into("<HHLL", content, directory + 2, 254, 4, 1, 1)
    document = open_document(Source(bytes(content)), LIMITS)
    assert document.page_count == 2
    assert document.decode(2).pixels.shape == (16, 16, 3)


def test_a_page_with_too_many_pixels_fails_by_its_directory() -> None:
    """The limit on pixels holds for each page."""
    with pytest.raises(ImageTooLargePixels):
        open_document(Source(tiff_bomb()), LIMITS).decode(1)


def test_a_tiff_without_pages_is_undecodable() -> None:
    """A header that leads nowhere is no document."""
    with pytest.raises(ImageUndecodable, match="no page"):
        open_document(Source(b"II*\0" + bytes(4)), LIMITS)


@pytest.mark.parametrize("directories", [3, 100, 1900, 3000])
def test_overlapping_directories_are_refused_at_once(directories: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories of 4096 entries each, 12 bytes apart, are damage as soon as they are larger than the file: each of
    their pages would cost a reader 45 ms.
    """
    looks: list[int] = []
    look = tiff_directory._number

    def counted(content: bytes, at: int, number_format: str) -> int | None:
        looks.append(at)
        return look(content, at, number_format)

    monkeypatch.setattr(tiff_directory, "_number", counted)
    with pytest.raises(ImageUndecodable, match="directories overlap"):
        open_document(Source(tiff_of_overlapping_directories(directories)), LIMITS)
    assert len(looks) <= 3 * 12


def test_as_many_directories_as_a_file_can_hold_are_pages() -> None:
    """A file of nothing but directories, side by side, has that many pages."""
    content = tiff_pages(*[Image.new("1", (1, 1))] * 50)
    assert open_document(Source(content), LIMITS).page_count == 50


def test_values_larger_than_the_file_are_damage() -> None:
    """A directory whose entries all point to the same large value is not read."""
    content = bytearray(tiff_pages(photo(20, 10)))
    directory = directories(bytes(content))[0]
    for number in range(6):
        struct.pack_into("<HHLL", content, directory + 2 + 12 * number, 60_000 + number, 1, len(content) - 8, 8)
    with pytest.raises(ImageUndecodable, match="larger than the file"):
        open_document(Source(bytes(content)), LIMITS).decode(1)


def test_a_refusal_quotes_no_bytes_of_the_file() -> None:
    """What a library says of a damaged page is told as plain text, without the bytes that it quotes."""
    content = bytearray(tiff_pages(photo(20, 10)))
    directory = directories(bytes(content))[0]
    for at in range(directory + 2, next_pointer_of(bytes(content), directory), 12):
        if struct.unpack_from("<H", content, at)[0] == 258:
            struct.pack_into("<HHL4s", content, at, 258, 2, 4, b"\xe4\x00'\x07")
    with pytest.raises(ImageUndecodable) as caught:
        open_document(Source(bytes(content)), LIMITS).decode(1)
    assert re.fullmatch(r"[ -~]+", str(caught.value))
    assert "\\x" not in str(caught.value)


def test_thumbnails_without_end_are_damage() -> None:
    """A chain of more thumbnails than any file has ends, with a page that says so."""
    pages = [Image.new("1", (8, 8)) for _ in range(30)]
    content = bytearray(tiff_pages(*pages))
    for directory in directories(bytes(content)):
        struct.pack_into("<HHLL", content, directory + 2, 254, 4, 1, 1)
    document = open_document(Source(bytes(content)), SourceLimits(max_pages=2))
    assert document.page_count == 1
    with pytest.raises(ImageUndecodable, match="thumbnails"):
        document.decode(1)


def test_an_exif_directory_of_too_many_entries_is_damage() -> None:
    """A page's EXIF directory is not read when its count of entries is absurd."""
    content = bytearray(tiff_pages(photo(20, 10)))
    directory = directories(bytes(content))[0]
    last = next_pointer_of(bytes(content), directory) - 12
    struct.pack_into("<HHLL", content, last, 34665, 4, 1, len(content))
    content += struct.pack("<H", 60_000) + bytes(100)
    with pytest.raises(ImageUndecodable, match="more than 4096 entries"):
        open_document(Source(bytes(content)), LIMITS).decode(1)


def test_tiles_are_put_together() -> None:
    """A page of 40 x 20 pixels in tiles of 16 x 16, whose last reach out of it."""
    picture = np.arange(800, dtype=np.uint16).reshape(20, 40).astype(np.uint8)
    padded = np.zeros((32, 48), np.uint8)
    padded[:20, :40] = picture
    tiles = b"".join(padded[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16, 32))
    tags = {256: [40], 257: [20], 258: [8], 259: [1], 262: [1], 277: [1], 322: [16], 323: [16]}
    content = tiff_of({**tags, 324: range(0, 1536, 256), 325: [256] * 6}, tiles, offsets=324)
    assert np.array_equal(open_document(Source(content), LIMITS).decode(1).pixels, picture)


def test_old_style_jpeg_is_read() -> None:
    """Compression 6, as scanners of the nineties wrote it, is a JPEG like any other."""
    jpeg = encoded(photo(64, 48), "JPEG", quality=95)
    tags = {256: [64], 257: [48], 258: [8, 8, 8], 259: [6], 262: [6], 273: [0], 277: [3], 278: [48], 279: [len(jpeg)]}
    content = tiff_of({**tags, 512: [1], 513: [0], 514: [len(jpeg)], 530: [2, 2]}, jpeg, offsets=273)
    page = open_document(Source(content), LIMITS).decode(1)
    assert np.abs(page.pixels.astype(int) - bgr_of(photo(64, 48))).mean() < 3


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("compression", ["group4", "group3", "packbits", "tiff_lzw"])
def test_two_tones_are_right_whichever_is_stored_as_zero(compression: str, photometric: int) -> None:
    """Faxes store white as 0, others black: both come out as they look."""
    picture = photo(64, 48).convert("1")
    content = encoded(picture, "TIFF", compression=compression, tiffinfo={262: photometric})
    page = open_document(Source(content), LIMITS).decode(1)
    assert page.is_two_tone
    assert np.array_equal(page.pixels, bgr_or_grey(picture))


def test_grey_pages_are_made_of_coloured_ones_where_that_is_wished() -> None:
    """One channel is converted, not three."""
    page = open_document(Source(tiff_pages(photo(20, 10))), LIMITS).decode(1, DecodeWish(grey=True))
    assert page.pixels.shape == (10, 20)
