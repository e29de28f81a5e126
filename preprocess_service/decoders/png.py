"""PNG of every depth and colour type. Of an animated one, the still image."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from PIL import PngImagePlugin

from preprocess_service.decoders.paged_document import (
    ALL,
    MAX_COLOUR_PIXELS,
    UPRIGHT,
    DecodedPage,
    DecodeWish,
    Pixels,
    PlainPage,
    check_pixels,
    decode_with_opencv,
    orientation_in,
    orientation_in_block,
    reading,
)
from preprocess_service.decoders.pixel_conversion import from_opencv, from_pillow, reduced, reduction_for
from preprocess_service.decoders.still_image import StillImage
from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import PNG, Size

_WHAT = "the PNG"
_SIGNATURE_BYTES = 8
_BIT_DEPTH_AT = 24
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_GREY_AND_RGB = ("1", "L", "RGB")
# Of the chunks, what makes the pixels, and what may state their orientation.
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_ORIENTING = ((b"eXIf", b""), (b"iTXt", b"XML:com.adobe.xmp\0"), (b"zTXt", b"Raw profile type exif\0"))
_MAX_ORIENTING_BYTES = 2**20
_PACKED = (b"zTXt", b"iTXt", b"iCCP")
# Pillow, for one, raises over a text or a colour profile above it.
_MAX_METADATA_BYTES = 2**20
# Files as programs write them have a few dozen.
_MAX_CHUNKS = 2000
# Of 4 KiB each, the smallest in use, they make a file larger than any limit on bytes allows.
_MAX_DATA_CHUNKS = 20_000


class PngDocument(StillImage):
    """One PNG image. Raises ImageUndecodable and ImageTooLargePixels by the header."""

    def __init__(self, content: bytes, max_pixels: int) -> None:
        self._content = content
        head = _head_of(content)
        with reading(_WHAT):
            self._header = PngImagePlugin.PngImageFile(io.BytesIO(head))
        check_pixels(*self._header.size, max_pixels)
        self._size = Size(*self._header.size)
        self._bit_depth = content[_BIT_DEPTH_AT]
        self._found_chunks: dict[bytes, slice] | None = None

    def plain_page(self, _number: int, /) -> PlainPage | None:
        """The file, if it is upright, of 8-bit grey or RGB, still, and without metadata that another reader may trip
        over.
        """
        chunks = self._chunks()
        is_plain = self._header.mode in ("L", "RGB") and self._bit_depth == 8
        if not is_plain or b"tRNS" in chunks or b"acTL" in chunks or self._orientation(chunks) != UPRIGHT:
            return None
        if _metadata_bytes(self._content) > _MAX_METADATA_BYTES:
            return None
        return PlainPage(PNG, self._size.width, self._size.height, self._content, self._look)

    def decode(self, _number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The image. Raises ImageUndecodable for one that is cut short or whose checksums do not hold."""
        mode = self._header.mode
        chunks = self._chunks()
        has_transparent_colour = b"tRNS" in chunks and mode in _GREY_AND_RGB
        return DecodedPage(
            pixels=self._pixels(wish, reread=has_transparent_colour),
            media_type=PNG,
            mode=mode if self._bit_depth != 16 else f"{mode} of 16 bits",
            orientation=self._orientation(chunks),
            is_turned=False,
            is_lossless=True,
            is_two_tone=mode == "1" and not has_transparent_colour,
            size=self._size,
        )

    def _chunks(self) -> dict[bytes, slice]:
        if self._found_chunks is None:
            self._found_chunks = dict(_chunks(self._content))
        return self._found_chunks

    def _look(self, longer_side_px: int) -> tuple[Pixels, int]:
        pixels = decode_with_opencv(_still_image(self._content), cv2.IMREAD_GRAYSCALE, _WHAT)
        reduction = reduction_for(self._size.width, self._size.height, longer_side_px)
        return reduced(pixels.astype(np.uint8, copy=False), reduction), reduction

    def _orientation(self, chunks: Mapping[bytes, slice]) -> int:
        stated = orientation_in(self._header)
        exif_chunk = chunks.get(b"eXIf")
        if stated != UPRIGHT or exif_chunk is None:
            return stated
        return orientation_in_block(self._content[exif_chunk])  # it may stand behind the image

    def _pixels(self, wish: DecodeWish, *, reread: bool) -> Pixels:
        # OpenCV reads every PNG and refuses a short stream, which Pillow fills up; but it knows no transparent colour
        # of grey or RGB images, so Pillow reads these once more.
        content = _still_image(self._content)
        is_plain = self._header.mode == "RGB" and self._bit_depth == 8 and not reread
        if is_plain and (wish.grey or self._size.pixels > MAX_COLOUR_PIXELS):
            return decode_with_opencv(content, cv2.IMREAD_GRAYSCALE, _WHAT).astype(np.uint8, copy=False)
        unchanged = decode_with_opencv(content, cv2.IMREAD_UNCHANGED, _WHAT)
        if not reread:
            return from_opencv(unchanged, grey=wish.grey)
        del unchanged
        with reading(_WHAT):
            image = PngImagePlugin.PngImageFile(io.BytesIO(content))
            image.load()
        return from_pillow(image, grey=wish.grey)


def _head_of(content: bytes) -> bytes:
    """The file up to its pixels, without the chunks that matter neither to these nor to their orientation. Raises
    ImageUndecodable for a file of too many chunks.
    """
    pieces = [content[:_SIGNATURE_BYTES]]
    orienting: dict[bytes, bytes] = {}
    for kind, place in _walk(content):
        if kind == b"IDAT":
            return b"".join((*pieces, *orienting.values(), content[place.start - 8 : place.start]))
        chunk = content[place.start - 8 : place.stop + 4] if place.stop - place.start < _MAX_ORIENTING_BYTES else b""
        if kind in _PIXEL_CHUNKS:
            pieces.append(chunk)
        elif any(kind == known and chunk.startswith(start, 8) for known, start in _ORIENTING):
            orienting[kind] = chunk
    raise ImageUndecodable(f"{_WHAT} is cut short: it has no pixels")


def _still_image(content: bytes) -> bytes:
    """The file without its metadata, of which libpng complains at length, and without the frames of an animation."""
    pieces = [content[:_SIGNATURE_BYTES]]
    for kind, place in _walk(content):
        if kind in _PIXEL_CHUNKS:
            pieces.append(content[place.start - 8 : place.stop + 4])
        if kind == b"IEND":
            break
    return b"".join(pieces)


def _metadata_bytes(content: bytes) -> int:
    """What the chunks besides the pixels hold together, texts and colour profiles unpacked; counted no further than
    just above the limit. One that is not well-formed is over it.
    """
    total = 0
    for kind, place in _walk(content):
        if kind in _PIXEL_CHUNKS:
            continue
        total += place.stop - place.start
        if total > _MAX_METADATA_BYTES:
            break
        if kind in _PACKED:
            total += _unpacked_bytes(kind, content[place], _MAX_METADATA_BYTES + 1 - total)
    return total


def _unpacked_bytes(kind: bytes, data: bytes, at_most: int) -> int:
    """The length of a packed chunk's data, at most so many; so many for damaged ones (PNG, 11.3.2.3 and 11.3.3)."""
    _, _, packed = data.partition(b"\0")
    if kind == b"iTXt":
        if packed[:1] == b"\0":
            return 0
        packed = packed[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        packed = packed[1:]
    try:
        return len(zlib.decompressobj().decompress(packed, at_most))
    except zlib.error:
        return at_most


def _chunks(content: bytes) -> Iterator[tuple[bytes, slice]]:
    """Each chunk's type and the place of its data, to the end chunk. Raises ImageUndecodable for a file without one,
    and for a checksum of a critical chunk that does not hold.
    """
    view = memoryview(content)
    for kind, place in _walk(content):
        end = place.stop
        if end + 4 > len(content):
            break
        if kind in _CRITICAL and zlib.crc32(view[place.start - 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise ImageUndecodable(f"{_WHAT} is damaged: the checksum of its chunk {kind.decode()} does not hold")
        yield kind, place
        if kind == b"IEND":
            return
    raise ImageUndecodable(f"{_WHAT} is cut short: it has no end chunk")


def _walk(content: bytes) -> Iterator[tuple[bytes, slice]]:
    """Each chunk's type and the place of its data, as far as the file goes. Raises ImageUndecodable for too many."""
    at, data_chunks, others = _SIGNATURE_BYTES, 0, 0
    while at + 12 <= len(content):
        kind = content[at + 4 : at + 8]
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if kind == b"IDAT":
            data_chunks += 1
        else:
            others += 1
        if others > _MAX_CHUNKS:
            raise ImageUndecodable(f"{_WHAT} has more than {_MAX_CHUNKS} chunks besides its pixels")
        if data_chunks > _MAX_DATA_CHUNKS:
            raise ImageUndecodable(f"{_WHAT} has its pixels in more than {_MAX_DATA_CHUNKS} chunks")
        yield kind, slice(at + 8, end)
        at = end + 4
