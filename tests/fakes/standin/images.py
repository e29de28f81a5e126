"""What every service looks at in an image, before it reads it."""

from __future__ import annotations

from tests.fakes.standin.vendor import Denied

SIGNATURES = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/bmp": b"BM",
    "image/gif": b"GIF8",
    "image/tiff": b"II*\x00",
    "image/webp": b"RIFF",
}
_ENDS = {"image/jpeg": b"\xff\xd9", "image/png": b"IEND\xaeB`\x82"}


def media_type_of(image: bytes) -> str:
    """By its signature; empty for none of ``SIGNATURES``."""
    if image.startswith(b"MM\x00*"):
        return "image/tiff"
    return next((name for name, start in SIGNATURES.items() if image.startswith(start)), "")


def check_image(image: bytes, *, whole: bool, media_types: tuple[str, ...] = tuple(SIGNATURES)) -> None:
    """Raises Denied("undecodable") for what is no image of these types; with ``whole`` also for a JPEG or PNG without
    its end."""
    media_type = media_type_of(image)
    if media_type not in media_types or (whole and not image.endswith(_ENDS.get(media_type, b""))):
        raise Denied("undecodable", "image format error")
