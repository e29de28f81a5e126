"""WebP, lossy and lossless. Of an animated one, the first frame."""

from __future__ import annotations

import io
from collections.abc import Iterator

import cv2
from PIL import WebPImagePlugin

from preprocess_service.decoders.paged_document import (
    ALL,
    UPRIGHT,
    DecodedPage,
    DecodeWish,
    Pixels,
    check_pixels,
    decode_with_opencv,
    orientation_in_block,
    reading,
)
from preprocess_service.decoders.pixel_conversion import from_opencv, from_pillow
from preprocess_service.decoders.signatures import WEBP
from preprocess_service.decoders.still_image import StillImage
from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import Size

_WHAT = "the WebP"
_HEADER_BYTES = 30
_FIRST_CHUNK_AT = 12
_FLAGS_AT = 20
_ALPHA_FLAG = 0x10
_ANIMATION_FLAG = 0x02
_MAX_CHUNKS = 2000
# libwebp decodes lossless images as a whole into 32 bits a pixel.
_BYTES_A_PIXEL = 4


class WebpDocument(StillImage):
    """One WebP image. Raises ImageUndecodable and ImageTooLargePixels by the header.

    The header is read here, because libwebp allocates its canvas as soon as it opens a file.
    """

    def __init__(self, content: bytes, max_pixels: int) -> None:
        self._content = content
        if len(content) < int.from_bytes(content[4:8], "little") + 8 or len(content) < _HEADER_BYTES:
            raise ImageUndecodable(f"{_WHAT} is cut short: it has {len(content)} bytes, less than its header states")
        self._size = Size(*_stated_size(content))
        check_pixels(self._size.width, self._size.height, max_pixels)

    def decode(self, _number: int, wish: DecodeWish = ALL, /) -> DecodedPage:
        """The image. Raises ImageUndecodable."""
        chunks = dict(_chunks(self._content))
        flags = self._content[_FLAGS_AT] if b"VP8X" in chunks else 0
        exif = chunks.get(b"EXIF")
        has_alpha = bool(flags & _ALPHA_FLAG) or b"VP8L" in chunks
        is_animated = bool(flags & _ANIMATION_FLAG)
        return DecodedPage(
            pixels=self._animated_pixels(wish) if is_animated else self._pixels(wish, has_alpha=has_alpha),
            media_type=WEBP,
            mode="RGBA" if has_alpha else "RGB",
            orientation=orientation_in_block(self._content[exif]) if exif else UPRIGHT,
            is_turned=False,
            is_lossless=b"VP8L" in chunks,
            is_two_tone=False,
            size=self._size,
        )

    def _pixels(self, wish: DecodeWish, *, has_alpha: bool) -> Pixels:
        flags = cv2.IMREAD_UNCHANGED if has_alpha else cv2.IMREAD_COLOR
        takes_bytes = self._size.pixels * _BYTES_A_PIXEL
        return from_opencv(decode_with_opencv(self._content, flags, _WHAT, takes_bytes=takes_bytes), grey=wish.grey)

    def _animated_pixels(self, wish: DecodeWish) -> Pixels:
        with reading(_WHAT):
            image = WebPImagePlugin.WebPImageFile(io.BytesIO(self._content))
            image.load()
        return from_pillow(image, grey=wish.grey)


def _chunks(content: bytes) -> Iterator[tuple[bytes, slice]]:
    """Each chunk's type and the place of its data. Raises ImageUndecodable for more than 2000."""
    at = _FIRST_CHUNK_AT
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(content):
            return
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        yield content[at : at + 4], slice(at + 8, at + 8 + length)
        at += 8 + length + length % 2
    raise ImageUndecodable(f"{_WHAT} has more than {_MAX_CHUNKS} chunks")


def _stated_size(content: bytes) -> tuple[int, int]:
    """Width and height, pixels, by the first chunk (WebP container specification, RFC 9649)."""
    kind = content[12:16]
    if kind == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(content[26:28], "little") & 0x3FFF, int.from_bytes(content[28:30], "little") & 0x3FFF
    raise ImageUndecodable(f"{_WHAT} is damaged: its first chunk is none of a picture's")
