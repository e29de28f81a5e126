"""Images by their digest alone."""

from __future__ import annotations

import hashlib

from ocrmux.ocr.v1 import image_pb2


def by_digest(content: bytes) -> image_pb2.ImagePayload:
    """The payload that names the content by its SHA-256."""
    value = hashlib.sha256(content).digest()
    digest = image_pb2.ContentDigest(algorithm=image_pb2.DIGEST_ALGORITHM_SHA256, value=value)
    return image_pb2.ImagePayload(digest=digest)
