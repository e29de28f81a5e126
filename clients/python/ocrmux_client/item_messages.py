"""Turns items into the pieces that a stream sends, within the limits that the server announced."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.rpc import status_pb2

from ocrmux.ocr.v1.image_pb2 import (
    DIGEST_ALGORITHM_SHA256,
    ChunkedContent,
    ContentChunk,
    ContentDigest,
    ImagePayload,
)
from ocrmux.ocr.v1.recognition_pb2 import StreamLimits
from ocrmux.preprocess.v1.preprocess_pb2 import SourceItem
from ocrmux_client.errors import SOURCE_UNREADABLE, item_status
from ocrmux_client.items import Item

WHOLE_MAX_BYTES = 1 << 20
CHUNK_BYTES = 1 << 20
_REQUEST_BYTES = 16  # more than the request around an item takes
_ENVELOPE_BYTES = 1024  # more than a chunk's id, lengths and tags ever take


class ItemRefused(Exception):
    """The client itself answers this item: its file cannot be read, or is over the server's limit."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


def size_bytes(item: Item, limits: StreamLimits) -> int:
    """Bytes of the item's content, before it is read. Raises ItemRefused."""
    if isinstance(item.content, bytes):
        size = len(item.content)
    else:
        with _reading(item.content):
            size = item.content.stat().st_size
    _check_size(size, limits)
    return size


def load(item: Item, limits: StreamLimits) -> bytes:
    """The item's content; blocks while a file is read, of which no more than the limit is held. Raises ItemRefused."""
    if isinstance(item.content, bytes):
        return item.content
    with _reading(item.content), item.content.open("rb") as file:
        content = file.read(limits.max_item_bytes + 1 if limits.max_item_bytes else -1)
    _check_size(len(content), limits)  # a file may have grown since it was looked at, or have no end
    return content


def by_digest(item: Item, limits: StreamLimits) -> SourceItem:
    """The item by its digest only; blocks while a file is hashed, never holding it whole. Raises ItemRefused."""
    if isinstance(item.content, bytes):
        value = hashlib.sha256(item.content).digest()
    else:
        digest, size = hashlib.sha256(), 0
        with _reading(item.content), item.content.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                digest.update(piece)
                size += len(piece)
                _check_size(size, limits)
        value = digest.digest()
    return source_item(item, ImagePayload(digest=ContentDigest(algorithm=DIGEST_ALGORITHM_SHA256, value=value)))


def content_pieces(item: Item, content: bytes, limits: StreamLimits) -> Iterator[SourceItem | ContentChunk]:
    """The item with its content: one piece where it fits a message, else an announcement and its chunks."""
    message_max_bytes = limits.max_message_bytes or CHUNK_BYTES + _ENVELOPE_BYTES
    if len(content) <= WHOLE_MAX_BYTES:
        whole = source_item(item, ImagePayload(content=content))
        if whole.ByteSize() + _REQUEST_BYTES <= message_max_bytes:
            yield whole
            return
    announcement = ImagePayload(chunked=ChunkedContent(total_bytes=len(content)))
    yield source_item(item, announcement)
    chunk_bytes = max(1, min(CHUNK_BYTES, message_max_bytes - _ENVELOPE_BYTES))
    for start in range(0, len(content), chunk_bytes):
        yield ContentChunk(request_id=item.request_id, data=content[start : start + chunk_bytes])


def source_item(item: Item, payload: ImagePayload) -> SourceItem:
    """The item as the service takes it."""
    return SourceItem(
        request_id=item.request_id,
        image=payload,
        regions=[region.to_proto() for region in item.regions],
        password=item.password,
    )


def _check_size(size: int, limits: StreamLimits) -> None:
    if 0 < limits.max_item_bytes < size:
        raise ItemRefused(
            item_status(
                grpc.StatusCode.OUT_OF_RANGE,
                "IMAGE_TOO_LARGE_BYTES",
                f"a file of {size} bytes is over the server's limit of {limits.max_item_bytes} bytes",
                {"value": str(size), "limit": str(limits.max_item_bytes), "unit": "bytes"},
            )
        )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """A file that cannot be read, or has a name that no file can have, is its item's own error."""
    try:
        yield
    except (OSError, ValueError) as error:
        message = f"the file cannot be read: {getattr(error, 'strerror', None) or error}"
        figures = {"path": str(path).encode(errors="backslashreplace").decode()}
        raise ItemRefused(item_status(grpc.StatusCode.NOT_FOUND, SOURCE_UNREADABLE, message, figures)) from error
