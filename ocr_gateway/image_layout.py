"""How an image file is laid out: its extent, its orientation, and which of its bytes make its pixels.

Every walk over chunks, segments or directory entries is bounded, so that a look at a file takes milliseconds whatever
is in it. Of a file with several pages the first is meant.

Sources: PNG (W3C, third edition) section 5, JPEG (ITU T.81) annex B, TIFF 6.0 section 2, RFC 9649, and the BITMAP
header structures of Windows and OS/2.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ocr_gateway.errors import FormatUnsupported, ImageEmpty, ImageUndecodable

JPEG, PNG, TIFF, WEBP, BMP = "image/jpeg", "image/png", "image/tiff", "image/webp", "image/bmp"
SUPPORTED_MEDIA_TYPES = (JPEG, PNG, TIFF, WEBP, BMP)

# (offset, bytes there, what it is): files that are images or documents, and not read here.
_FOREIGN_SIGNATURES = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (0, b"\xff\x4f\xff\x51", "image/jp2"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\x00\x00\x00\x0cJXL ", "image/jxl"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (0, b"AT&TFORM", "image/vnd.djvu"),
    (0, b"%!PS", "application/postscript"),
    (0, b"\x97JB2\r\n\x1a\n", "image/x-jbig2"),
    (0, b"<svg", "image/svg+xml"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftyphevc", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypmsf1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
)

# Files as cameras, scanners and programs write them have a few dozen.
_MAX_CHUNKS = 2000
# Of 4 KiB each, the smallest in use, they make a file larger than any limit on bytes allows.
_MAX_DATA_CHUNKS = 20_000
_MAX_ENTRIES = 4096
# Tiles of 32 x 32 px at 100 megapixels. Each costs a reader about 10 microseconds.
_MAX_STRIPS = 100_000
_MAX_TABLE_BYTES = 65_536
_MAX_JUNK_BYTES = 65_536
# The orientation stands near the start of an EXIF block or XMP packet.
_LOOKED_AT_BYTES = 65_536

UPRIGHT = 1
ORIENTATIONS = range(1, 9)
_QUARTERORIENTATIONS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Layout:
    """A file's extent in pixels as stored, its orientation, and which of its bytes make the pixels (none: all)."""

    media_type: str
    width: int
    height: int
    orientation: int = UPRIGHT
    pieces: Sequence[tuple[int, int]] = ()
    scans_at: int = 0

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as a viewer shows the image."""
        return (self.height, self.width) if self.orientation in _QUARTERORIENTATIONS else (self.width, self.height)


def layout_of(content: bytes) -> Layout:
    """The layout, in time that does not grow with the file.

    Raises ``ImageEmpty``, ``FormatUnsupported`` for a known format that is not read here, else ``ImageUndecodable``,
    also for a file of more parts than any honest one has.
    """
    if not content:
        raise ImageEmpty
    for signature, read in _LAYOUTS:
        if content.startswith(signature):
            try:
                layout = read(content)
            except (struct.error, IndexError) as error:
                raise ImageUndecodable("its header is cut short or damaged") from error
            if layout.width < 1 or layout.height < 1:
                raise ImageUndecodable(f"its header says {layout.width} x {layout.height} pixels")
            return layout
    for offset, signature, media_type in _FOREIGN_SIGNATURES:
        if content.startswith(signature, offset):
            raise FormatUnsupported(media_type, SUPPORTED_MEDIA_TYPES)
    raise ImageUndecodable("the bytes are in no image format that is known here")


def _png_layout(content: bytes) -> Layout:
    width, height = struct.unpack_from(">II", content, 16)
    if content[12:16] != b"IHDR":
        raise ImageUndecodable("it does not begin with a header chunk")
    pieces = [(0, 8)]
    blocks: dict[bytes, bytes] = {}
    at, data, others = 8, 0, 0
    while at + 8 <= len(content):
        kind = content[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        data += kind == b"IDAT"
        others += kind != b"IDAT"
        if others > _MAX_CHUNKS:
            raise ImageUndecodable(f"it has more than {_MAX_CHUNKS} chunks besides its pixels")
        if data > _MAX_DATA_CHUNKS:
            raise ImageUndecodable(f"it has its pixels in more than {_MAX_DATA_CHUNKS} chunks")
        if kind in (b"PLTE", b"tRNS", b"IDAT", b"IEND") or at == 8:
            joined = pieces[-1][1] == at
            pieces[-1:] = [(pieces[-1][0], end)] if joined else [pieces[-1], (at, end)]
        elif kind == b"eXIf" or (kind == b"iTXt" and content.startswith(b"XML:com.adobe.xmp\0\0", at + 8)):
            blocks[kind] = content[at + 8 : min(end - 4, at + 8 + _LOOKED_AT_BYTES)]
        if kind == b"IEND":
            break
        at = end
    orientation = _orientation(blocks.get(b"eXIf"), blocks.get(b"iTXt"))
    return Layout(PNG, width, height, orientation, pieces)


def _jpeg_layout(content: bytes) -> Layout:
    pieces = [(0, 2)]
    width = height = tables = 0
    has_frame = False
    exif = xmp = None
    for marker, start, end in _jpeg_segments(content):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if has_frame:
                raise ImageUndecodable("it has more than one frame")
            has_frame = True
            height, width = struct.unpack_from(">HH", content, start + 5)
        elif marker == 0xDB:
            tables += end - start
            if tables > _MAX_TABLE_BYTES:
                raise ImageUndecodable(f"its quantization tables have more than {_MAX_TABLE_BYTES} bytes")
        elif marker == 0xE1 and content.startswith(b"Exif\0\0", start + 4):
            exif = exif or content[start + 10 : end]
        elif marker == 0xE1 and content.startswith(b"http://ns.adobe.com/xap/1.0/\0", start + 4):
            xmp = content[start + 4 : end]
        if marker == 0xDA:
            pieces.append((start, len(content)))
            break
        # Application data and comments say nothing of the pixels, but for JFIF and Adobe's, which name the colours.
        if marker < 0xE1 or marker == 0xEE:
            pieces.append((start, end))
    if not has_frame:
        raise ImageUndecodable("it has no frame header")
    return Layout(JPEG, width, height, _orientation(exif, xmp), pieces, pieces[-1][0])


_MARKER = re.compile(rb"\xff[\x01-\xfe]")


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Each segment's marker, start and end, up to the end mark. Passes over a little junk between them."""
    at, junk = 2, _MAX_JUNK_BYTES
    for _ in range(_MAX_CHUNKS):
        found = _MARKER.search(content, at, at + junk + 2)
        if found is None or content[found.end() - 1] == 0xD9:
            return
        start, marker = found.start(), content[found.end() - 1]
        junk -= start - at
        at = found.end()
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        at += max(struct.unpack_from(">H", content, at)[0], 2)
        yield marker, start, at
    raise ImageUndecodable(f"it has more than {_MAX_CHUNKS} segments before its pixels")


def _tiff_layout(content: bytes) -> Layout:
    tags = _directory(content, _first_directory(content))
    for tag in _STRIP_OFFSETS:
        if tag in tags and tags[tag].count > _MAX_STRIPS:
            raise ImageUndecodable(f"it has more than {_MAX_STRIPS} strips or tiles")
    for tag in _SUB_DIRECTORIES:
        if tag in tags:
            _check_entries(content, tags[tag].value)
    if _WIDTH not in tags or _HEIGHT not in tags:
        raise ImageUndecodable("its directory states no size")
    orientation = tags[_ORIENTATION].value if _ORIENTATION in tags else UPRIGHT
    known = orientation if orientation in ORIENTATIONS else UPRIGHT
    return Layout(TIFF, tags[_WIDTH].value, tags[_HEIGHT].value, known)


_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_STRIP_OFFSETS = (273, 279, 324, 325)
_SUB_DIRECTORIES = (34665, 34853, 40965)
_INTEGER_FORMATS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q"}


@dataclass(frozen=True, slots=True)
class _Tag:
    """How many values a tag has, and the first of those that stand in the entry itself, 0 if none does."""

    count: int
    value: int


def _first_directory(block: bytes) -> int:
    order = _byte_order(block)
    return int(
        struct.unpack_from(f"{order}Q", block, 8)[0] if _is_big(block) else struct.unpack_from(f"{order}L", block, 4)[0]
    )


def _byte_order(block: bytes) -> str:
    return "<" if block[:2] == b"II" else ">"


def _is_big(block: bytes) -> bool:
    return 43 in block[2:4]


def _check_entries(block: bytes, offset: int) -> int:
    """The number of a directory's entries. Raises ImageUndecodable above the limit."""
    count_format = _byte_order(block) + ("Q" if _is_big(block) else "H")
    if offset + 8 > len(block):
        return 0
    count = int(struct.unpack_from(count_format, block, offset)[0])
    if count > _MAX_ENTRIES:
        raise ImageUndecodable(f"its directory has more than {_MAX_ENTRIES} entries")
    return count


def _directory(block: bytes, offset: int) -> dict[int, _Tag]:
    """The tags of one directory whose values are whole numbers. Raises ImageUndecodable for one that is cut short."""
    entry = struct.Struct(_byte_order(block) + ("HHQ8s" if _is_big(block) else "HHL4s"))
    first = offset + (8 if _is_big(block) else 2)
    count = _check_entries(block, offset)
    entries = block[first : first + count * entry.size]
    if not count or len(entries) < count * entry.size:
        raise ImageUndecodable("its directory is missing or cut short")
    tags: dict[int, _Tag] = {}
    for tag, kind, length, inline in entry.iter_unpack(entries):
        if kind in _INTEGER_FORMATS:
            value_format = _byte_order(block) + _INTEGER_FORMATS[kind]
            stands_here = length * struct.calcsize(value_format) <= len(inline)
            value = struct.unpack_from(value_format, inline)[0] if stands_here else 0
            tags.setdefault(tag, _Tag(length, value))
    return tags


def _webp_layout(content: bytes) -> Layout:
    kind = content[12:16]
    if content[8:12] != b"WEBP" or len(content) < 30:
        raise ImageUndecodable("its WebP header is cut short or damaged")
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        height = int.from_bytes(content[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    else:
        raise ImageUndecodable(f"its first chunk is {kind!r}")
    blocks: dict[bytes, bytes] = {}
    at, chunks = 12, 0
    while at + 8 <= len(content):
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise ImageUndecodable(f"it has more than {_MAX_CHUNKS} chunks")
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] in (b"EXIF", b"XMP "):
            blocks.setdefault(content[at : at + 4], content[at + 8 : at + 8 + min(length, _LOOKED_AT_BYTES)])
        at += 8 + length + length % 2
    return Layout(WEBP, width, height, _orientation(blocks.get(b"EXIF"), blocks.get(b"XMP ")))


def _bmp_layout(content: bytes) -> Layout:
    if int.from_bytes(content[14:18], "little") == 12:
        return Layout(BMP, *struct.unpack_from("<HH", content, 18))
    width, height = struct.unpack_from("<ii", content, 18)
    return Layout(BMP, width, abs(height))


_LAYOUTS: tuple[tuple[bytes, Callable[[bytes], Layout]], ...] = (
    (b"\xff\xd8\xff", _jpeg_layout),
    (b"\x89PNG\r\n\x1a\n", _png_layout),
    (b"II*\0", _tiff_layout),
    (b"MM\0*", _tiff_layout),
    (b"II+\0", _tiff_layout),
    (b"MM\0+", _tiff_layout),
    (b"RIFF", _webp_layout),
    (b"BM", _bmp_layout),
)

_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def _orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """The orientation by the EXIF block, else by the XMP packet; 1 where neither can be read."""
    if exif is not None:
        block = exif.removeprefix(b"Exif\0\0")
        try:
            stated = _directory(block, _first_directory(block)).get(_ORIENTATION)
        except (ImageUndecodable, struct.error):
            stated = None
        if stated is not None:
            return stated.value if stated.value in ORIENTATIONS else UPRIGHT
    found = _XMP_ORIENTATION.search(xmp[:_LOOKED_AT_BYTES]) if xmp is not None else None
    return int(found[1]) if found and int(found[1]) in ORIENTATIONS else UPRIGHT
