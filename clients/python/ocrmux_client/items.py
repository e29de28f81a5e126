"""What a caller asks for: items, and how they are to be read."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import duration_pb2

from ocrmux.ocr.v1 import geometry_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2

PROFILES = ("auto", "document", "photo", "receipt", "classic", "none")
"""Names of profiles that the preprocess service has; it is asked, not this list, whether there is another one."""


class Feature(enum.Enum):
    """What to read."""

    TEXT = "text"
    TABLE = "table"
    ID_DOCUMENT = "id"


class IdDocument(enum.Enum):
    """Which identity document a page shows."""

    IDENTITY_CARD = "identity-card"
    BUSINESS_LICENCE = "business-licence"
    BANK_CARD = "bank-card"
    PASSPORT = "passport"


class CacheUse(enum.Enum):
    """How the cache is used: look and keep; ask anew and keep; neither look nor keep."""

    USE = "use"
    REFRESH = "refresh"
    BYPASS = "bypass"


class Priority(enum.Enum):
    """Who goes first when items wait for one provider."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle to which recognition is confined, in pixels of the source image after its EXIF orientation."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if self.x < 0 or self.y < 0 or self.width <= 0 or self.height <= 0:
            raise ValueError(
                f"a region needs x and y of 0 or more and a width and height above 0, "
                f"not {self.x:g},{self.y:g},{self.width:g},{self.height:g}"
            )

    def to_proto(self) -> geometry_pb2.Rect:
        """The region as the services take it."""
        return geometry_pb2.Rect(x=self.x, y=self.y, width=self.width, height=self.height)


@dataclass(frozen=True, slots=True)
class Item:
    """One image or document of a stream.

    ``content`` is the file's bytes, or its path: a path is read only when the item's turn comes, and again if the item
    has to be sent again. ``request_id`` has 1 to 128 characters and is unique in its stream.
    """

    request_id: str
    content: bytes | Path
    regions: tuple[Region, ...] = ()
    password: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.request_id) <= 128:
            raise ValueError(f"a request_id has 1 to 128 characters, not {len(self.request_id)}")
        if not _is_unicode(self.request_id):
            raise ValueError(f"a request_id is Unicode without lone surrogates, not {self.request_id!r}")


@dataclass(frozen=True, slots=True)
class ReadingConfig:
    """How items are to be read. What is left at its default is the server's to choose.

    At most one of ``provider`` and ``route``; more raises ValueError. ``id_document`` says which document to look for
    and goes with Feature.ID_DOCUMENT only; None leaves it to the provider to find out. ``profile`` and ``overrides``
    steer the normalisation of pages.
    """

    features: tuple[Feature, ...] = (Feature.TEXT,)
    provider: str = ""
    route: str = ""
    languages: tuple[str, ...] = ()
    cache: CacheUse = CacheUse.USE
    priority: Priority = Priority.NORMAL
    item_timeout_s: float | None = None
    provider_options: Mapping[str, str] = field(default_factory=dict)
    include_raw_response: bool = False
    profile: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    id_document: IdDocument | None = None

    def __post_init__(self) -> None:
        if self.id_document is not None and Feature.ID_DOCUMENT not in self.features:
            raise ValueError("which identity document to look for is said for the feature id only")
        if self.provider and self.route:
            raise ValueError("a provider and a route cannot be asked for at once")
        if self.item_timeout_s is not None and not self.item_timeout_s > 0:
            raise ValueError(f"a time limit is above 0 seconds, not {self.item_timeout_s:g}")

    def recognition(self) -> recognition_pb2.RecognitionConfig:
        """The part that the gateway reads."""
        config = recognition_pb2.RecognitionConfig(
            features=[recognition_pb2.Feature.Value(f"FEATURE_{feature.name}") for feature in self.features],
            languages=self.languages,
            cache_policy=recognition_pb2.CachePolicy.Value(f"CACHE_POLICY_{self.cache.name}"),
            priority=recognition_pb2.Priority.Value(f"PRIORITY_{self.priority.name}"),
            provider_options=dict(self.provider_options),
            include_raw_response=self.include_raw_response,
        )
        if self.id_document is not None:
            config.id_document = recognition_pb2.IdDocument.Value(f"ID_DOCUMENT_{self.id_document.name}")
        if self.provider:
            config.provider = self.provider
        if self.route:
            config.route = self.route
        if self.item_timeout_s is not None:
            duration = duration_pb2.Duration()
            duration.FromNanoseconds(round(self.item_timeout_s * 1e9))
            config.item_timeout.CopyFrom(duration)
        return config

    def normalization(self) -> preprocess_pb2.NormalizationConfig:
        """The part that the preprocess service reads."""
        return preprocess_pb2.NormalizationConfig(profile=self.profile, overrides=dict(self.overrides))


@dataclass(frozen=True, slots=True)
class NormalizingConfig:
    """How pages are to be made fit for recognition, without reading them. An empty ``profile`` is the server's own.

    ``overrides``: values of the profile's steps by "step.parameter". ``provider``: whose limits and taste the pages are
    made for; none in particular where it is empty.
    """

    profile: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""

    def normalization(self) -> preprocess_pb2.NormalizationConfig:
        """The config as the preprocess service reads it."""
        return preprocess_pb2.NormalizationConfig(
            profile=self.profile, overrides=dict(self.overrides), provider=self.provider
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
