"""The body of a call to Baidu: the image as base64, percent-encoded, then the options."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import urlencode

from ocr_gateway.errors import ImageTooLargeBytes

_PIECE_BYTES = 48 * 1024
"""Of the image, divisible by 3. Pieces that stay in the processor's cache are encoded twice as fast as the whole."""


def encode_form(image: bytes, options: Mapping[str, str], max_form_bytes: int) -> bytes:
    """``image=`` with the image, and ``&name=value`` for each option. About 0.3 ms for 100 KB, 15 ms for 5.6 MB.

    Raises ImageTooLargeBytes for an image of more than ``max_form_bytes`` when it is encoded; since that counts what no
    caller sees, the error states the size of the image and what would just fit.
    """
    whole = memoryview(image)
    pieces = [_percent_encoded(whole[at : at + _PIECE_BYTES]) for at in range(0, len(image), _PIECE_BYTES)]
    encoded_bytes = sum(map(len, pieces))
    if encoded_bytes > max_form_bytes:
        raise ImageTooLargeBytes(value=len(image), limit=len(image) * max_form_bytes // encoded_bytes)
    return b"".join((b"image=", *pieces, b"&" if options else b"", urlencode(options).encode("ascii")))


def _percent_encoded(piece: memoryview) -> bytes:
    """The piece in base64. Of its 65 characters these three are not sent as they are; the last one only ends it."""
    encoded = base64.b64encode(piece).replace(b"+", b"%2B").replace(b"/", b"%2F")
    padding = len(encoded) - len(encoded.rstrip(b"="))
    return encoded[:-padding] + b"%3D" * padding if padding else encoded
