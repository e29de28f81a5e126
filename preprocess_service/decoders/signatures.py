"""Tells a file's format by its first bytes, whatever its name says."""

from __future__ import annotations

from preprocess_service.errors import FormatUnsupported, ImageUndecodable
from preprocess_service.model import JPEG, PNG

TIFF = "image/tiff"
WEBP = "image/webp"
BMP = "image/bmp"
READABLE = (JPEG, PNG, TIFF, WEBP, BMP)

_LOOKED_AT_BYTES = 1024
_BMP_HEADER_BYTES = frozenset({12, 40, 52, 56, 64, 108, 124})
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Formats that are known and not read. Sources: each format's own specification, and the list of file(1).
_UNREAD: tuple[tuple[bytes, str], ...] = (
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
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
_BOX_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic-sequence",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif-sequence",
}


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
    return None


def _unread_type(content: bytes) -> str | None:
    for start, media_type in _UNREAD:
        if content.startswith(start):
            return media_type
    head = content[:_LOOKED_AT_BYTES]
    if b"%PDF-" in head:
        return "application/pdf"
    if content[4:8] == b"ftyp":
        return _BOX_BRANDS.get(content[8:12], "video/mp4")
    if len(head) > 2 and head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace():
        return "image/x-portable-anymap"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in text):
        return "image/svg+xml"
    return None


def _shown(content: bytes) -> str:
    head = content[:12]
    if head.isascii() and all(byte in b"\t\r\n" or byte >= 0x20 for byte in head):
        return repr(head.decode("ascii"))
    return "the bytes " + head.hex(" ")
