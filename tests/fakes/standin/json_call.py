"""Reading calls whose body is JSON and whose image is base64."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from tests.fakes.standin.vendor import Denied, Head

_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]+);base64,(.*)", re.DOTALL)


def read_json(head: Head, body: bytes, *, code: str) -> dict[str, Any]:
    """The body's object. Raises Denied(code) for another Content-Type, or no object."""
    if head.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise Denied(code, "Content-Type is not application/json")
    try:
        said = json.loads(body)
    except ValueError:
        raise Denied(code, "the body is no JSON") from None
    if not isinstance(said, dict):
        raise Denied(code, "the body is no object")
    return said


def read_base64(encoded: Any, *, code: str) -> bytes:
    """Strict base64. Raises Denied(code)."""
    if not isinstance(encoded, str) or not encoded:
        raise Denied(code, "there is no image")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise Denied(code, "the image is no base64") from None


def read_data_url(url: Any, *, code: str) -> tuple[str, bytes]:
    """Media type and content of a data URL (RFC 2397). Raises Denied(code)."""
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        raise Denied(code, "the image is no data URL")
    return match[1], read_base64(match[2], code=code)
