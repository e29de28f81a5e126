"""RapidOCR, the embedded neural engine: needs nothing but its wheel, which has the models inside."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.identity.reading.reader import DOCUMENTS, read_fields
from ocr_gateway.image_layout import SUPPORTED_MEDIA_TYPES
from ocr_gateway.image_pixels import decode_rgb
from ocr_gateway.model import (
    Feature,
    FeatureSupport,
    ImageLimits,
    Page,
    PagePreference,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
    ProviderStatus,
    Quota,
)
from ocr_gateway.providers.engine_pool import CallerWatch, EnginePool, ProviderLoad
from ocr_gateway.providers.kept_readings import KeptReadings, ReadingKey
from ocr_gateway.providers.rapid_engine import RapidEngine, model_name
from ocr_gateway.providers.rapid_reader import read_page
from ocr_gateway.tables.finder import find_tables

_NAME = "rapidocr"
_DEFAULT_TEXT_SCORE = 0.5
# What the one built-in recogniser reads, by the characters in its dictionary; it takes no choice among them.
_LANGUAGES = (
    "zh", "zh-Hans", "zh-Hant", "en", "ja", "af", "az", "bs", "ca", "cs", "cy", "da", "de", "es", "et", "eu",
    "fi", "fr", "ga", "gl", "hr", "hu", "id", "is", "it", "ku", "la", "lb", "lt", "lv", "mi", "ms", "mt",
    "nl", "no", "oc", "pl", "pt", "qu", "rm", "ro", "sk", "sl", "sq", "sv", "sw", "tl", "tr", "uz",
)  # fmt: skip
_SCRIPTS = frozenset({"hans", "hant", "hani", "jpan", "hira", "kana", "latn"})
_LIMITS = ImageLimits(
    max_bytes=64 * 1024 * 1024,
    max_pixels=64_000_000,
    max_side_px=30_000,
    min_side_px=4,
    max_aspect=0.0,
    media_types=SUPPORTED_MEDIA_TYPES,
)


class RapidOcrProvider:
    """Lines and words by RapidOCR, ``workers`` pages at a time, a core each; tables and identity documents from them.
    An item that asks for several features has its page read once.

    One option, ``text_score`` (0..1, default 0.5): lines of less confidence are left out. Each worker holds its own
    engine: 0.3 GB for the first, 0.25 GB for each further one, and 0.1 GB more for each while it reads a page. Pages
    turned by a quarter or upside down are read the right way up. There is no raw response to ask for. ``today`` decides
    the century of the dates in machine-readable zones.
    """

    def __init__(self, workers: int = 1, today: Callable[[], datetime.date] = datetime.date.today) -> None:
        self._today = today
        self._pool = EnginePool(_NAME, workers, RapidEngine)
        self._readings = KeptReadings()
        self._description = ProviderDescription(
            name=_NAME,
            display_name="RapidOCR (PP-OCRv6, embedded)",
            kind=ProviderKind.EMBEDDED,
            features={
                Feature.TEXT: FeatureSupport(
                    limits=_LIMITS, page_preference=PagePreference.UNTOUCHED, quota=Quota(max_concurrency=workers)
                ),
                Feature.TABLE: FeatureSupport(
                    limits=_LIMITS, page_preference=PagePreference.UNTOUCHED, quota=Quota(max_concurrency=workers)
                ),
                Feature.ID_DOCUMENT: FeatureSupport(
                    limits=_LIMITS,
                    page_preference=PagePreference.UNTOUCHED,
                    quota=Quota(max_concurrency=workers),
                    documents=DOCUMENTS,
                ),
            },
            languages=_LANGUAGES,
            adapter_version=3,
        )
        self._model = _model_or_empty()

    @property
    def description(self) -> ProviderDescription:
        """What never changes."""
        return self._description

    @property
    def status(self) -> ProviderStatus:
        """STARTING until one engine is loaded; NOT_CONFIGURED, with the reason, when none can be."""
        state, detail = self._pool.state
        return ProviderStatus(state=state, model=self._model, detail=detail)

    @property
    def load(self) -> ProviderLoad:
        """Pages being read and pages that wait for a worker."""
        return self._pool.load

    async def start(self) -> None:
        """Begins to import the library and to load the engines, in the worker threads."""
        self._pool.start()

    async def until_ready(self) -> None:
        """A page waits for an engine that is being loaded in ``recognize``: there is no quota to lose."""

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid as the port says."""
        _check_languages(call.languages)
        _text_score(call.options)

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        """Reads one image; without text there are no blocks, without a table no tables, without a document no fields.

        Raises as the port says.
        """
        self.check(call)
        text_score = _text_score(call.options)
        image = call.image

        def work(engine: RapidEngine, watch: CallerWatch) -> Page:
            pixels = decode_rgb(image)
            key = ReadingKey.of(image, text_score)
            page = self._readings.take(key, call.feature)
            if page is None:
                page = read_page(engine, pixels, text_score, watch.check)
                if call.also:
                    self._readings.keep(key, page, call.also)
            lines = [line for block in page.blocks for line in block.lines]
            if call.feature is Feature.TABLE:
                return Page(page.width, page.height, tables=find_tables(pixels, lines, watch.check))
            if call.feature is Feature.ID_DOCUMENT:
                return Page(
                    page.width, page.height, fields=read_fields(lines, call.document, self._today(), watch.check)
                )
            return page

        return ProviderResult(page=await self._pool.run(work))

    async def close(self) -> None:
        """Ends the workers. Waits at most 3 s for a page that is being read."""
        await self._pool.close()


def _model_or_empty() -> str:
    try:
        return model_name()
    except importlib.metadata.PackageNotFoundError:
        return ""


def _check_languages(languages: Sequence[str]) -> None:
    for language in languages:
        tongue, *rest = language.lower().replace("_", "-").split("-")
        other_script = any(len(part) == 4 and part.isalpha() and part not in _SCRIPTS for part in rest)
        if tongue not in _LANGUAGES or other_script:
            raise FieldInvalid(
                "recognition.languages",
                f"the provider {_NAME!r} does not read {language!r}; it reads {', '.join(_LANGUAGES)}",
            )


def _text_score(options: Mapping[str, str]) -> float:
    unknown = sorted(set(options) - {"text_score"})
    if unknown:
        raise FieldInvalid(
            "recognition.provider_options",
            f"the provider {_NAME!r} has no option {unknown[0]!r}; it has 'text_score'",
        )
    given = options.get("text_score")
    if given is None:
        return _DEFAULT_TEXT_SCORE
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise FieldInvalid("recognition.provider_options", f"text_score must be a number from 0 to 1, not {given!r}")
    return value
