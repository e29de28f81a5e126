"""The segments of a JPEG file before its first scan, walked with bounds, so that no library has to.

Source: ITU T.81, annex B.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from preprocess_service.errors import ImageUndecodable

_COEFFICIENTS = 64
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# In a scan's data 0xFF is escaped by a zero, and restart marks may stand there.
_END_OF_DATA = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_QUANTIZATION = 0xDB
_APPLICATION_1 = 0xE1
_ADOBE = 0xEE
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_BLOCKS = (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0")

# A file as cameras and programs write it has a few dozen.
_MAX_SEGMENTS = 2000
# Four tables have 520.
_MAX_TABLE_BYTES = 65_536
_MAX_JUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class JpegHead:
    """What a reader needs before the first scan, from the start mark on: frame, tables, colours, and the first EXIF
    block and XMP packet. ``scan_at`` is where the first scan's segment begins in the file, ``data_at`` where it ends.
    ``has_one_scan`` tells that a reader takes all pixels from the first scan and nothing from any other;
    ``components`` are their numbers, a byte each.
    """

    needed: bytes
    scan_at: int
    data_at: int
    has_one_scan: bool
    components: bytes


@dataclass(frozen=True, slots=True)
class JpegScan:
    """One scan. ``header`` is its segment without mark and length; its data go from ``data_at`` to ``end``."""

    header: bytes
    data_at: int
    end: int


def head_of(content: bytes) -> JpegHead:
    """The head of a file that is known for a JPEG, without the application data that says nothing of its pixels.

    Raises ImageUndecodable for a file without a scan, with two frames, with more than 2000 segments before its scan,
    or with more junk or tables there than 64 KiB.
    """
    needed = [content[:2]]
    frames = table_bytes = 0
    is_progressive, components = False, b""
    blocks: set[bytes] = set()
    for marker, start, end in _segments(content):
        if marker == _START_OF_SCAN:
            has_one_scan = not is_progressive and content[start + 4 : start + 5] == bytes((len(components),))
            return JpegHead(b"".join(needed), start, end, has_one_scan, components)
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            frames += 1
            is_progressive = marker in _PROGRESSIVE
            stated = content[start + 9] if start + 9 < len(content) else 0
            components = content[start + 10 : end : 3][:stated]
        table_bytes += end - start if marker == _QUANTIZATION else 0
        if frames > 1:
            raise ImageUndecodable("the JPEG has more than one frame")
        if table_bytes > _MAX_TABLE_BYTES:
            raise ImageUndecodable(f"the JPEG has quantization tables of more than {_MAX_TABLE_BYTES} bytes")
        if marker < _APPLICATION_1 or marker == _ADOBE:
            needed.append(content[start:end])
        elif marker == _APPLICATION_1:
            block = next((block for block in _BLOCKS if content.startswith(block, start + 4)), None)
            if block is not None and block not in blocks:
                blocks.add(block)
                needed.append(content[start:end])
    raise ImageUndecodable("the JPEG is cut short: it has no scan")


def scans_of(content: bytes, head: JpegHead) -> Iterator[JpegScan]:
    """Each scan. Its data end at the first mark that is not part of them, or at the file's end. Raises ImageUndecodable
    for more than 2000 segments between two scans.
    """
    header_at, data_at = head.scan_at, head.data_at
    while True:
        found = _END_OF_DATA.search(content, data_at)
        end = found.start() if found else len(content)
        yield JpegScan(content[header_at + 4 : data_at], data_at, end)
        following = next((segment for segment in _segments(content, end) if segment[0] == _START_OF_SCAN), None)
        if following is None:
            return
        _, header_at, data_at = following


def lacks_scans(content: bytes, head: JpegHead) -> bool:
    """Whether the scans of a file that has several leave a coefficient of a component unknown, or known only roughly:
    the file was cut short, even where an end mark was set behind. Raises what ``scans_of`` does.
    """
    rough = {component: [True] * _COEFFICIENTS for component in head.components}
    for scan in scans_of(content, head):
        count = scan.header[0] if scan.header else 0
        if len(scan.header) < 2 * count + 4:
            continue
        first, last, approximation = scan.header[2 * count + 1 : 2 * count + 4]
        if approximation & 0x0F:  # the bits of each coefficient that are still to come
            continue
        for component in scan.header[1 : 2 * count : 2]:
            if component in rough:
                rough[component][first : last + 1] = [False] * (last + 1 - first)
    return any(any(coefficients) for coefficients in rough.values())


def _segments(content: bytes, at: int = 2) -> Iterator[tuple[int, int, int]]:
    """Each segment's marker, start and end, as far as they follow one another with little junk between them."""
    junk = _MAX_JUNK_BYTES
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(content, at, at + junk + 2)
        if found is None or content[found.end() - 1] == _END_OF_IMAGE:
            return
        start, marker = found.start(), content[found.end() - 1]
        junk -= start - at
        at = found.end()
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        at += max(int.from_bytes(content[at : at + 2], "big"), 2)
        yield marker, start, at
    raise ImageUndecodable(f"the JPEG has more than {_MAX_SEGMENTS} segments before its pixels")
