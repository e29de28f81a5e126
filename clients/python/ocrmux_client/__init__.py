"""The Python client of ocrmux: ``OcrMuxClient`` for asyncio, ``OcrMux`` for scripts, and the command line."""

from __future__ import annotations

from ocrmux_client.backoff import Backoff
from ocrmux_client.client import OcrMuxClient
from ocrmux_client.errors import OcrMuxError
from ocrmux_client.items import (
    CacheUse,
    Feature,
    IdDocument,
    Item,
    NormalizingConfig,
    Priority,
    ReadingConfig,
    Region,
)
from ocrmux_client.normalized_image import NormalizedAnswer, NormalizedImage
from ocrmux_client.reading import Reading
from ocrmux_client.stream_policy import StreamPolicy
from ocrmux_client.sync_client import OcrMux
from ocrmux_client.tls import Tls

__all__ = [
    "Backoff",
    "CacheUse",
    "Feature",
    "IdDocument",
    "Item",
    "NormalizedAnswer",
    "NormalizedImage",
    "NormalizingConfig",
    "OcrMux",
    "OcrMuxClient",
    "OcrMuxError",
    "Priority",
    "Reading",
    "ReadingConfig",
    "Region",
    "StreamPolicy",
    "Tls",
]
