"""What a PDF image's dictionary states, which pdfium does not tell: read from the file, next to the image's data.

The dictionary of a stream stands in the file in plain text, since neither an object stream nor encryption can hold its
names. It is found by the data behind it. Source: ISO 32000-1, 7.3.8, 7.5.7 and 8.9.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LOOKED_BACK_BYTES = 4096
_PIECE_BYTES = 64
# Places that begin like the data. More than one is a file of equal images, or one made to cost time.
_MAX_PLACES = 100
_STREAM = re.compile(rb"stream\r?\n\Z")
# Whatever makes an image look otherwise than its samples say, or only sometimes there; a "#" may spell any of these.
_ODD = re.compile(rb"/(?:SMask|Mask|SMaskInData|OC|ColorTransform)\b|#")
_DECODE = re.compile(rb"/Decode\s*\[([^\]]*)\]")
_ANY_DECODE = re.compile(rb"/Decode\b")
_STENCIL = re.compile(rb"/ImageMask\s+true\b")


@dataclass(frozen=True, slots=True)
class ImageDictionary:
    """``is_stencil``: its samples tell where to paint, not with what. ``is_direct``: samples run from least to most."""

    is_stencil: bool
    is_direct: bool


class ImageDictionaries:
    """Those of the images in one file. A file's pages mostly follow one another, so each is sought from the last on."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._last_at = 0

    def of(self, data: bytes) -> ImageDictionary | None:
        """The dictionary of the stream whose raw data these are; None where it is not found or states a mask, an
        optional content, a colour transform or names in disguise.
        """
        stated = self._text_before(data)
        if stated is None or _ODD.search(stated):
            return None
        decode = _DECODE.search(stated)
        values = decode[1].split() if decode else []
        is_direct = values == [b"0", b"1"] * (len(values) // 2) if decode else not _ANY_DECODE.search(stated)
        return ImageDictionary(is_stencil=bool(_STENCIL.search(stated)), is_direct=is_direct)

    def _text_before(self, data: bytes) -> bytes | None:
        start = self._start_of(data) if data else None
        if start is None:
            return None
        self._last_at = start
        before = self._content[max(0, start - _LOOKED_BACK_BYTES) : start]
        object_at = before.rfind(b" obj")
        return before[object_at:] if object_at >= 0 and _STREAM.search(before) else None

    def _start_of(self, data: bytes) -> int | None:
        middle = len(data) // 2  # compressed data differs there; files of one scanner all begin alike
        piece = data[middle : middle + _PIECE_BYTES]
        ahead = (self._last_at, len(self._content))
        behind = (0, min(self._last_at + len(data), len(self._content)))
        for begin, end in (ahead, behind):
            at = begin - 1
            for _ in range(_MAX_PLACES):
                at = self._content.find(piece, at + 1, end)
                if at < 0:
                    break
                if at >= middle and self._content.startswith(data, at - middle):
                    return at - middle
        return None
