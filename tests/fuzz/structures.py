"""Changes that respect a format's frame, so that they get past its first checks: chunks, segments, entries, boxes."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.fakes.images import png_chunk

_PNG_START = 8
_MOST_PARTS = 4000
_MOST_UNPACKED = 1 << 20
_NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"2",
    b"7",
    b"99",
    b"65535",
    b"2147483647",
    b"-2147483648",
    b"4294967296",
    b"0.0001",
    b"1e38",
)
_NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
_OBJECT = re.compile(rb"\d+ 0 obj.*?endobj\n?", re.DOTALL)

Part = bytes


def structured_change(decoder: str, content: bytes, random: Random) -> bytes:
    """The file with one part of its frame changed; as it was where the frame is too damaged to be told."""
    return _CHANGES.get(decoder, _unchanged)(content, random)


def mended(decoder: str, content: bytes) -> bytes:
    """The file with its format's first bytes, and with right checksums where the format has any."""
    first = _FIRST_BYTES.get(decoder, b"")
    content = first + content[len(first) :]
    if decoder != "png":
        return content
    chunks = _png_chunks(content)
    return content[:_PNG_START] + b"".join(png_chunk(*chunk) for chunk in chunks) if chunks else content


def _unchanged(content: bytes, _random: Random) -> bytes:
    return content


def _shuffled(parts: list[Part], random: Random) -> list[Part]:
    """A part doubled, dropped, or moved."""
    at = random.randrange(len(parts))
    match random.randrange(3):
        case 0:
            parts.insert(random.randrange(len(parts) + 1), parts[at])
        case 1:
            del parts[at]
        case _:
            parts.insert(random.randrange(len(parts)), parts.pop(at))
    return parts


def _damaged(data: bytes, random: Random) -> bytes:
    """A few bytes of it changed."""
    out = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        if out:
            out[random.randrange(len(out))] = random.choice((0, 1, 127, 128, 254, 255, random.randrange(256)))
    return bytes(out)


def _png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and data of each, as far as they follow one another."""
    chunks: list[tuple[bytes, bytes]] = []
    at = _PNG_START
    while at + 12 <= len(content) and len(chunks) < _MOST_PARTS:
        length = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def _png(content: bytes, random: Random) -> bytes:
    chunks = _png_chunks(content)
    if not chunks:
        return content
    if random.random() < 0.6:
        which = random.randrange(len(chunks))
        kind, data = chunks[which]
        chunks[which] = (kind, _repacked(data, random) if kind == b"IDAT" else _damaged(data, random))
        return content[:_PNG_START] + b"".join(png_chunk(*chunk) for chunk in chunks)
    return content[:_PNG_START] + b"".join(_shuffled([png_chunk(*chunk) for chunk in chunks], random))


def _repacked(data: bytes, random: Random) -> bytes:
    """What is packed, changed and packed again."""
    try:
        plain = zlib.decompressobj().decompress(data, _MOST_UNPACKED)
    except zlib.error:
        return _damaged(data, random)
    return zlib.compress(_damaged(plain, random) + bytes(random.choice((0, 0, 1000))), 1)


def _jpeg(content: bytes, random: Random) -> bytes:
    parts, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        parts.append(content[at:end])
        at = end
    head, tail = parts[1:], content[at:]
    if not head:
        return content
    if random.random() < 0.6:
        which = random.randrange(len(head))
        head[which] = head[which][:4] + _damaged(head[which][4:], random)
    else:
        head = _shuffled(head, random)
    return parts[0] + b"".join(head) + tail


def _tiff(content: bytes, random: Random) -> bytes:
    """One entry of the first directory: its tag, type, count or value."""
    order = "<" if content.startswith(b"II") else ">"
    if len(content) < 8:
        return content
    (directory,) = struct.unpack_from(f"{order}L", content, 4)
    if directory + 14 > len(content):
        return content
    (count,) = struct.unpack_from(f"{order}H", content, directory)
    at = directory + 2 + 12 * random.randrange(max(1, min(count, 40)))
    if at + 12 > len(content):
        return content
    tag, kind, number, value = struct.unpack_from(f"{order}HHLL", content, at)
    odd = random.choice((0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 255, 256, 65535, 2**31, 2**32 - 1, value + 1, len(content)))
    match random.randrange(4):
        case 0:
            tag = random.choice(
                (
                    256,
                    257,
                    258,
                    259,
                    262,
                    266,
                    273,
                    274,
                    277,
                    278,
                    279,
                    284,
                    317,
                    320,
                    322,
                    323,
                    324,
                    325,
                    338,
                    339,
                    347,
                    530,
                )
            )
        case 1:
            kind = random.randrange(0, 19)
        case 2:
            number = odd
        case _:
            value = odd
    entry = struct.pack(f"{order}HHLL", tag, kind, number % 2**32, value % 2**32)
    return content[:at] + entry + content[at + 12 :]


def _riff(content: bytes, random: Random) -> bytes:
    parts: list[Part] = []
    at = 12
    while at + 8 <= len(content) and len(parts) < _MOST_PARTS:
        end = at + 8 + (int.from_bytes(content[at + 4 : at + 8], "little") + 1 & ~1)
        parts.append(content[at:end])
        at = end
    if not parts:
        return content
    if random.random() < 0.6:
        which = random.randrange(len(parts))
        parts[which] = parts[which][:8] + _damaged(parts[which][8:][:64], random) + parts[which][72:]
    else:
        parts = _shuffled(parts, random)
    body = content[8:12] + b"".join(parts)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def _boxes(content: bytes, random: Random) -> bytes:
    """A box anywhere in the file: its size, its kind, its content, or all of it."""
    places = [
        match.start() - 4 for match in re.finditer(rb"[a-zA-Z][a-zA-Z0-9]{3}", content[:4096]) if match.start() >= 4
    ]
    places = [at for at in places if 8 <= int.from_bytes(content[at : at + 4], "big") <= len(content) - at]
    if not places:
        return content
    at = random.choice(places)
    size = int.from_bytes(content[at : at + 4], "big")
    body = content[at : at + size]
    match random.randrange(4):
        case 0:
            changed = random.choice((0, 1, 7, 8, size - 1, size + 1, 2**31, 2**32 - 1)) % 2**32
            return content[:at] + struct.pack(">L", changed) + content[at + 4 :]
        case 1:
            return content[:at] + body + content[at:]
        case 2:
            return content[: at + 4] + b"free" + content[at + 8 :]
        case _:
            return content[: at + 8] + _damaged(body[8:], random) + content[at + size :]


def _pdf(content: bytes, random: Random) -> bytes:
    """A number, or a whole object. The table is wrong then, and readers mend it."""
    if random.random() < 0.7:
        numbers = list(_NUMBER.finditer(content[:MAX_LOOKED_AT]))
        if not numbers:
            return content
        found = random.choice(numbers)
        return content[: found.start()] + random.choice(_NUMBERS) + content[found.end() :]
    objects = list(_OBJECT.finditer(content[:MAX_LOOKED_AT]))
    if not objects:
        return content
    one, other = random.choice(objects), random.choice(objects)
    return content[: one.start()] + other.group() + content[one.end() :]


MAX_LOOKED_AT = 16_384
"""Of a PDF: its objects and numbers are looked for in so many bytes."""

_FIRST_BYTES = {
    "jpeg": b"\xff\xd8\xff",
    "png": b"\x89PNG\r\n\x1a\n",
    "bmp": b"BM",
    "gif": b"GIF89a",
    "pdf": b"%PDF-1.7",
}

_CHANGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "png": _png,
    "jpeg": _jpeg,
    "tiff": _tiff,
    "webp": _riff,
    "heif": _boxes,
    "avif": _boxes,
    "pdf": _pdf,
}
