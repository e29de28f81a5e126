"""The cache's key: everything that changes the answer, and nothing that does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ocr_gateway.model import Feature, IdDocument, Rect


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What the answer depends on, besides the image."""

    preprocessing: str
    provider: str
    model: str
    adapter_version: int
    features: frozenset[Feature]
    schema_version: int
    languages: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[Rect, ...] = ()
    raw_response: bool = False
    document: IdDocument | None = None
    mosaic: bool = False
    """Whether several regions are read in one image."""


def digest_of(content: bytes) -> bytes:
    """The SHA-256 of an image, 32 bytes."""
    return hashlib.sha256(content).digest()


class KeyMaker:
    """Makes the keys of images that are read in one way: what they have in common is hashed once."""

    def __init__(self, parts: KeyParts) -> None:
        canonical = json.dumps(
            [
                parts.schema_version,
                parts.preprocessing,
                parts.provider,
                parts.model,
                parts.adapter_version,
                sorted(feature.value for feature in parts.features),
                list(parts.languages),
                sorted(parts.options.items()),
                [_sides(region) for region in parts.regions],
                parts.raw_response,
                parts.document.value if parts.document else None,
                parts.mosaic,
            ],
            separators=(",", ":"),
        )
        self._start = hashlib.sha256(canonical.encode())

    def key(self, content_digest: bytes) -> str:
        """64 hexadecimal digits, the SHA-256 of the parts, in a form in which no two different ones look the same, and
        of the image's SHA-256 (32 bytes), as the gateway received it."""
        whole = self._start.copy()
        whole.update(content_digest)
        return whole.hexdigest()


def _sides(region: Rect) -> list[float]:
    """Its numbers, in the one form that equal ones have: 0, 0.0 and -0.0 are the same place."""
    return [float(side) + 0.0 for side in (region.x, region.y, region.width, region.height)]
