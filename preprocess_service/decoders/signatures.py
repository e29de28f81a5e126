"""Tells a file's format by its first bytes, whatever its name says."""

from __future__ import annotations

from preprocess_service.errors import FormatUnsupported, ImageUndecodable
from preprocess_service.model import JPEG, PNG

TIFF = "image/tiff"
WEBP = "image/webp"
BMP = "image/bmp"
GIF = "image/gif"
HEIC = "image/heic"
AVIF = "image/avif"
PDF = "application/pdf"
READABLE = (JPEG, PNG, TIFF, WEBP, BMP, GIF, HEIC, AVIF, PDF)

_LOOKED_AT_BYTES = 1024
_BMP_HEADER_BYTES = frozenset({12, 40, 52, 56, 64, 108, 124})
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Formats that are known and not read. Sources: each format's own specification, and the list of file(1).
_UNREAD: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/j2c"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"II\xbc\x01", "image/jxr"),
    (b"\0\0\x01\0", "image/vnd.microsoft.icon"),
    (b"AT&TFORM", "image/vnd.djvu"),
    (b"%!PS", "application/postscript"),
    (b"\xc5\xd0\xd3\xc6", "application/postscript"),
    (b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (b"DDS ", "image/vnd-ms.dds"),
    (b"\x76\x2f\x31\x01", "image/x-exr"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"{\\rtf", "application/rtf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
_UNREAD_STARTS = tuple(start for start, _ in _UNREAD)
# Brands of ISO/IEC 23008-12 (HEIF), annex B, and of AV1 in it. A general one says nothing of how pixels are coded.
_HEVC_STILL_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis"))
_HEVC_SEQUENCE_BRANDS = frozenset((b"hevc", b"hevx", b"hevm", b"hevs"))
_AV1_BRANDS = frozenset((b"avif", b"avis"))
_STILL_BRANDS = frozenset((b"mif1", b"mif2"))
_GENERAL_BRANDS = _STILL_BRANDS | {b"msf1", b"miaf"}
_MAX_BRANDS = 64


def media_type_of(content: bytes) -> str:
    """The media type, one of READABLE.

    Raises FormatUnsupported for a format that is known and not read, ImageUndecodable for anything else.
    """
    readable = _readable_type(content)
    if readable is not None:
        return readable
    unread = _unread_type(content)
    if unread is not None:
        raise FormatUnsupported(unread, READABLE)
    raise ImageUndecodable(f"not an image of a known format: starts with {_shown(content)}")


def _readable_type(content: bytes) -> str | None:
    if content.startswith(b"\xff\xd8\xff"):
        return JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if content.startswith(_TIFF_STARTS):
        return TIFF
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return WEBP
    if content.startswith(b"BM") and int.from_bytes(content[14:18], "little") in _BMP_HEADER_BYTES:
        return BMP
    if content.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if content[4:8] == b"ftyp":
        return _type_by_brands(content)
    if b"%PDF-" in content[:_LOOKED_AT_BYTES] and not content.startswith(_UNREAD_STARTS):
        return PDF
    return None


def _type_by_brands(content: bytes) -> str | None:
    """HEIC or AVIF, by the major brand or, where that is a general one, by those that the file is compatible with."""
    brands = _brands(content)
    telling = brands if brands[0] in _GENERAL_BRANDS else brands[:1]
    if not _AV1_BRANDS.isdisjoint(telling):
        return AVIF
    if not (_HEVC_STILL_BRANDS | _HEVC_SEQUENCE_BRANDS).isdisjoint(telling):
        has_still_image = not (_HEVC_STILL_BRANDS | _STILL_BRANDS).isdisjoint(brands)
        return HEIC if has_still_image else None
    return None


def _brands(content: bytes) -> list[bytes]:
    end = min(int.from_bytes(content[:4], "big"), len(content), 16 + 4 * _MAX_BRANDS)
    return [content[8:12], *(content[at : at + 4] for at in range(16, end - 3, 4))]


def _unread_type(content: bytes) -> str | None:
    for start, media_type in _UNREAD:
        if content.startswith(start):
            return media_type
    head = content[:_LOOKED_AT_BYTES]
    if content[4:8] == b"ftyp":
        return _unread_type_by_brand(content[8:12], _brands(content))
    if len(head) > 2 and head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace():
        return "image/x-portable-anymap"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in text):
        return "image/svg+xml"
    return None


def _unread_type_by_brand(major: bytes, brands: list[bytes]) -> str:
    if not _HEVC_SEQUENCE_BRANDS.isdisjoint(brands):
        return "image/heic-sequence"
    return "image/heif" if major in _GENERAL_BRANDS else "video/mp4"


def _shown(content: bytes) -> str:
    head = content[:12]
    if head.isascii() and all(byte in b"\t\r\n" or byte >= 0x20 for byte in head):
        return repr(head.decode("ascii"))
    return "the bytes " + head.hex(" ")
