"""The gateway's vocabulary: what is asked of a provider and what comes back.

Coordinates are pixels of the image that the gateway was given; the origin is the outer corner of its top-left pixel.
Confidences are 0..1, or None where a provider states none.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

Point = tuple[float, float]
Polygon = tuple[Point, ...]


class Feature(enum.Enum):
    """What can be read."""

    TEXT = "text"
    TABLE = "table"
    ID_DOCUMENT = "id"


class IdDocument(enum.Enum):
    """Which identity document a page shows."""

    IDENTITY_CARD = "identity_card"
    BUSINESS_LICENCE = "business_licence"
    BANK_CARD = "bank_card"
    PASSPORT = "passport"


class CheckDigit(enum.Enum):
    """Whether a field's check digit holds."""

    NOT_APPLICABLE = "not_applicable"
    VALID = "valid"
    INVALID = "invalid"


class CellKind(enum.Enum):
    """What a table cell is for."""

    CONTENT = "content"
    COLUMN_HEADER = "column_header"
    ROW_HEADER = "row_header"
    FOOTER = "footer"


@dataclass(frozen=True, slots=True)
class Rect:
    """An upright rectangle, pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Word:
    """One word, or one character of a script written without spaces."""

    text: str
    confidence: float | None
    polygon: Polygon


@dataclass(frozen=True, slots=True)
class Line:
    """One line; its polygon starts at the top of its first glyph and runs clockwise as the text is read."""

    text: str
    confidence: float | None
    polygon: Polygon | None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together, in reading order."""

    lines: tuple[Line, ...]
    polygon: Polygon | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell; indices from 0, spans from 1."""

    row: int
    column: int
    row_span: int
    column_span: int
    text: str
    confidence: float | None
    polygon: Polygon | None
    kind: CellKind | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table, its cells by row, then by column."""

    row_count: int
    column_count: int
    cells: tuple[Cell, ...]
    polygon: Polygon | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A named field of an identity document."""

    name: str
    raw_value: str
    normalized_value: str
    confidence: float | None
    polygon: Polygon | None
    check_digit: CheckDigit | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What a provider read on one image of ``width`` x ``height`` pixels."""

    width: int
    height: int
    blocks: tuple[Block, ...] = ()
    tables: tuple[Table, ...] = ()
    fields: tuple[Field, ...] = ()
    languages: tuple[str, ...] = ()


class ProviderKind(enum.Enum):
    """Where a provider runs."""

    EMBEDDED = "embedded"
    SELF_HOSTED = "self_hosted"
    CLOUD = "cloud"


class ProviderState(enum.Enum):
    """What a provider can do now."""

    SERVING = "serving"
    STARTING = "starting"
    NOT_CONFIGURED = "not_configured"
    RESTED = "rested"
    QUOTA_SPENT = "quota_spent"


class PagePreference(enum.Enum):
    """How a provider wants its pages."""

    UNTOUCHED = "untouched"
    CLEANED_GREY = "cleaned_grey"
    BILEVEL = "bilevel"


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What images a provider takes; 0 means no limit."""

    max_bytes: int = 0
    max_pixels: int = 0
    max_side_px: int = 0
    min_side_px: int = 0
    max_aspect: float = 0.0
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """How often one feature of a provider may be called; 0 means no limit.

    ``requests_per_second`` is a whole number, or below 1; ``margin`` is the share by which the second is made longer,
    so that jitter on the way pushes no call into it. Days and months begin at midnight of UTC + ``period_offset_s``.
    ``max_concurrency`` counts calls in progress.
    """

    requests_per_second: float = 0.0
    requests_per_day: int = 0
    requests_per_month: int = 0
    max_concurrency: int = 0
    margin: float = 0.02
    period_offset_s: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in a day, in units as they are billed and in money; 0 means no limit.

    Days begin at midnight of UTC + ``period_offset_s``.
    """

    units_per_day: float = 0.0
    cost_per_day: float = 0.0
    period_offset_s: int = 0


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How many images one call may carry, and of how many bytes together; 0 bytes means no limit."""

    max_images: int = 1
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class FeatureSupport:
    """One feature of a provider, with its limits.

    A call for one image is expected to be billed ``units_per_call``, at ``price_per_unit`` each. ``documents`` are the
    identity documents that it reads, for ID_DOCUMENT. ``mosaic``: several regions of a page go in one image, else each
    makes a call.
    """

    limits: ImageLimits
    page_preference: PagePreference
    quota: Quota = Quota()
    batch: BatchLimits = BatchLimits()
    units_per_call: float = 0.0
    price_per_unit: float = 0.0
    documents: frozenset[IdDocument] = frozenset()
    mosaic: bool = False


@dataclass(frozen=True, slots=True)
class ProviderDescription:
    """What never changes about a provider while the process runs."""

    name: str
    display_name: str
    kind: ProviderKind
    features: Mapping[Feature, FeatureSupport]
    languages: tuple[str, ...] = ()
    adapter_version: int = 1
    """Raised when the same model's answer would be made into another page; a part of the cache's key."""


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What a provider can do now. ``model`` is its model or API version, a part of the cache's key."""

    state: ProviderState
    model: str = ""
    detail: str = ""


def _nothing() -> None:
    """For calls that need not hurry."""


@dataclass(slots=True)
class UnsentBody:
    """What a call's attempt has made of the image and not sent, because its turn had passed: the next one sends it.

    ``sha256`` is its digest in hexadecimal, where it is signed.
    """

    content: bytes = b""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """One image for one feature of one provider. ``options`` are the provider's own; ``Provider.check`` knows them.

    All attempts of a call share ``unsent``.
    """

    image: bytes
    media_type: str
    width: int
    height: int
    feature: Feature
    languages: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    include_raw_response: bool = False
    document: IdDocument | None = None
    also: frozenset[Feature] = frozenset()
    """The features for which calls with the same image follow or have been made, as the item asks for them too."""
    begin: Callable[[], None] = _nothing
    """To be called at the last moment before the image is sent; what it raises, because that is too late, goes on."""
    unsent: UnsentBody = field(default_factory=UnsentBody)


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """What a provider answered. ``raw_response`` is empty unless it was asked for."""

    page: Page
    billed_units: float = 0.0
    raw_response: bytes = b""


class CacheOutcome(enum.Enum):
    """Where a result came from."""

    MISS = "miss"
    MEMORY = "memory"
    STORE = "store"
    COALESCED = "coalesced"


class CachePolicy(enum.Enum):
    """How the cache is used."""

    USE = "use"
    REFRESH = "refresh"
    BYPASS = "bypass"


class Priority(enum.IntEnum):
    """Who goes first when items wait for one provider; higher ones do, without starving the rest."""

    LOW = 1
    NORMAL = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose item it is: turns go round among tenants, then among a tenant's sources (streams, or connections)."""

    tenant: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class RecognitionSpec:
    """How items are to be read: what a stream's config says."""

    features: frozenset[Feature] = frozenset({Feature.TEXT})
    provider: str | None = None
    route: str | None = None
    languages: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    cache_policy: CachePolicy = CachePolicy.USE
    include_raw_response: bool = False
    document: IdDocument | None = None
    timeout_s: float = 300.0
    priority: Priority = Priority.NORMAL
    caller: Caller = Caller()


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One image to be read. ``content`` is None when only its SHA-256 ``digest`` was sent."""

    content: bytes | None
    digest: bytes | None = None
    regions: tuple[Rect, ...] = ()
    preprocessing: str = ""


@dataclass(frozen=True, slots=True)
class Fallback:
    """A provider that was passed over, with a reason of the error contract or CONFIDENCE_LOW."""

    provider: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recognition:
    """What became of a page: the encoded document and where it came from. Times in milliseconds."""

    document: bytes
    provider: str
    model: str
    cache: CacheOutcome
    attempts: int = 0
    billed_units: float = 0.0
    cost: float = 0.0
    currency: str = ""
    fallbacks: tuple[Fallback, ...] = ()
    queue_ms: float = 0.0
    rate_limit_ms: float = 0.0
    provider_ms: float = 0.0
    raw_response: bytes = b""
    confidence: float | None = None


COST_DIGITS = 9
"""Digits of a cost after the point: three tenths are 0.3, not what binary fractions make of the sum."""


@dataclass(slots=True)
class Trail:
    """How far a page has come, for whoever must say so. Times in milliseconds, over all attempts at all providers."""

    provider: str = ""
    model: str = ""
    attempts: int = 0
    billed_units: float = 0.0
    cost: float = 0.0
    currency: str = ""
    fallbacks: tuple[Fallback, ...] = ()
    queue_ms: float = 0.0
    rate_limit_ms: float = 0.0
    provider_ms: float = 0.0

    def without_times(self) -> Trail:
        """What was done, without how long it took."""
        return replace(self, queue_ms=0.0, rate_limit_ms=0.0, provider_ms=0.0)

    def add(self, other: Trail) -> None:
        """Takes in what was done for another part of the same page; names its provider, where it has one."""
        if other.provider:
            self.provider, self.model = other.provider, other.model
        self.attempts += other.attempts
        self.billed_units += other.billed_units
        self.cost = round(self.cost + other.cost, COST_DIGITS)
        self.currency = self.currency or other.currency
        self.queue_ms += other.queue_ms
        self.rate_limit_ms += other.rate_limit_ms
        self.provider_ms += other.provider_ms
