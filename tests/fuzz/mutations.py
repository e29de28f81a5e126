"""Small damage to a file, by a generator of random numbers: the same seed makes the same files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.structures import mended, structured_change

MAX_BYTES = 262_144
"""A file grows no further."""

_MENDED_SHARE = 0.8
"""Of the files, so many have a right beginning and right checksums, without which nothing behind them is reached."""

_NUMBERS = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_TOKENS: dict[str, tuple[bytes, ...]] = {
    "jpeg": tuple(b"\xff" + bytes([marker]) for marker in (0xC0, 0xC2, 0xC4, 0xC9, 0xD0, 0xD9, 0xDA, 0xDD)),
    "png": tuple(b"IHDR PLTE IDAT IEND tRNS acTL fdAT eXIf iCCP zTXt pHYs".split()),
    "tiff": (b"II*\0", b"MM\0*", b"II+\0", b"\x42\x01", b"\x44\x01", b"\x5b\x01", b"\x3d\x01\x03\0"),
    "webp": (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"\x9d\x01\x2a"),
    "bmp": (b"\x28\0\0\0", b"\x7c\0\0\0", b"\x0c\0\0\0", b"\x6c\0\0\0", b"\0\x01", b"\0\0", b"\0\x02"),
    "gif": (b"!\xf9\x04", b"!\xff\x0bNETSCAPE2.0", b",", b";", b"!\xfe", b"\x0c", b"GIF87a"),
    "heif": tuple(b"meta iloc iinf infe ispe irot imir clap grid iovl iden dimg auxC ipma".split()),
    "avif": tuple(b"avif avis av01 av1C moov trak stsz stco ispe pixi a1op lsel".split()),
    "pdf": (
        *b"/Type /Pages /Kids /Count /MediaBox /Rotate /Filter /FlateDecode /LZWDecode /DCTDecode /JBIG2Decode".split(),
        *b"/CCITTFaxDecode /ASCII85Decode /Predictor /Encrypt /XObject /Pattern /Shading /SMask /ObjStm".split(),
        *b"<< >> [ ] stream endobj true null -1 1e38".split(),
        *(b" 1 0 R", b" 2 0 R", b" 4 0 R", b" 5 0 R", b" sh ", b" Do ", b" re f ", b" cm ", b" Tj ", b" EI "),
        b"BI /W 9 /H 9 /BPC 8 ID ",
    ),
}


class Mutator:
    """Makes files like one decoder's seeds."""

    def __init__(self, decoder: str, random: Random) -> None:
        self._decoder = decoder
        self._random = random
        self._ways: Sequence[Callable[[bytearray], None]] = (
            self._flip,
            self._set_byte,
            self._set_number,
            self._set_number,
            self._cut_out,
            self._repeat,
            self._insert_token,
            self._overwrite,
            self._scramble,
            self._truncate,
        )

    def changed(self, pool: Sequence[bytes]) -> bytes:
        """One file of the pool, changed in one to six places, at times spliced with another one."""
        random = self._random
        content = bytearray(random.choice(pool))
        if random.random() < 0.1:
            other = random.choice(pool)
            content = content[: random.randrange(len(content) + 1)] + other[random.randrange(len(other) + 1) :]
        for _ in range(1 + int(random.random() ** 3 * 6)):
            if random.random() < 0.4:
                content = bytearray(structured_change(self._decoder, bytes(content), random))
            if content:
                random.choice(self._ways)(content)
        out = bytes(content[:MAX_BYTES])
        return mended(self._decoder, out) if random.random() < _MENDED_SHARE else out

    def _place(self, content: bytearray) -> int:
        """Anywhere, more often near the start, where headers stand."""
        top = len(content) if self._random.random() < 0.6 else min(len(content), 128)
        return self._random.randrange(top)

    def _span(self, content: bytearray) -> tuple[int, int]:
        at = self._place(content)
        return at, min(len(content), at + 1 + int(self._random.random() ** 4 * 512))

    def _flip(self, content: bytearray) -> None:
        content[self._place(content)] ^= 1 << self._random.randrange(8)

    def _set_byte(self, content: bytearray) -> None:
        content[self._place(content)] = self._random.randrange(256)

    def _set_number(self, content: bytearray) -> None:
        width = self._random.choice((1, 2, 4))
        value = (self._random.choice(_NUMBERS) + self._random.choice((-1, 0, 0, 1))) % (1 << 8 * width)
        at = self._place(content)
        content[at : at + width] = value.to_bytes(width, self._random.choice(("little", "big")))

    def _cut_out(self, content: bytearray) -> None:
        start, end = self._span(content)
        del content[start:end]

    def _repeat(self, content: bytearray) -> None:
        start, end = self._span(content)
        content[start:start] = content[start:end] * self._random.choice((1, 1, 2, 10, 100))

    def _insert_token(self, content: bytearray) -> None:
        at, token = self._place(content), self._random.choice(_TOKENS[self._decoder])
        end = at + (len(token) if self._random.random() < 0.5 else 0)
        content[at:end] = token

    def _overwrite(self, content: bytearray) -> None:
        start, end = self._span(content)
        source = self._place(content)
        content[start:end] = content[source : source + end - start]

    def _scramble(self, content: bytearray) -> None:
        start, end = self._span(content)
        content[start:end] = self._random.randbytes(end - start)

    def _truncate(self, content: bytearray) -> None:
        if self._random.random() < 0.3:
            del content[self._random.randrange(len(content)) :]
