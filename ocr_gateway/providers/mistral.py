"""Mistral OCR, in the cloud or as a server of the same API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import (
    Block,
    Feature,
    ImageLimits,
    Line,
    Page,
    Polygon,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
    Table,
)
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.building import bearer, remote_provider
from ocr_gateway.providers.remote.choices import is_among
from ocr_gateway.providers.remote.dialect import LANGUAGES_FIELD, OPTIONS_FIELD, Dialect, Request, status_refusal
from ocr_gateway.providers.remote.json_body import image_mark, json_with_images, raw_bytes_within
from ocr_gateway.providers.remote.marked_text import plain_lines, tables_of
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.settings import Credentials, Key, RemoteFeature, RemoteSettings
from ocr_gateway.providers.remote.values import array, confidence, extent, member, number, optional, text
from rpc_runtime.settings import SettingsSection

_PATH = "/v1/ocr"
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_MAX_FILE_BYTES = 50_000_000
_MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
_LANGUAGES = ("en", "zh", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "ja", "ko")
_OPTIONS = {"extract_header": ("true", "false"), "extract_footer": ("true", "false")}
_MAX_ERROR_WORDS = 200

ERRORS = ErrorTable(
    {
        Meaning.THROTTLED: ("rate_limited", "1300"),
        Meaning.CREDENTIALS: ("unauthorized", "invalid_api_key"),
        Meaning.UNDECODABLE: ("invalid_file", "invalid_image", "3310"),
        Meaning.TOO_LARGE: ("document_too_large", "3730"),
        Meaning.NOT_OPEN: ("invalid_model", "1500"),
        Meaning.OPTION: ("invalid_request_error",),
    },
    statuses={400: Meaning.UNDECODABLE, 422: Meaning.OPTION, 404: Meaning.NOT_OPEN},
)
"""By ``type`` or ``code`` of the error, else by the status. The codes are not confirmed; the statuses are."""


class MistralCredentials(Credentials):
    """A key of the API."""

    api_key: Key


class MistralFeatures(SettingsSection):
    """The features of an account."""

    text: RemoteFeature = Field(default_factory=RemoteFeature, description="Blocks of text.")
    table: RemoteFeature = Field(default_factory=RemoteFeature, description="Tables.")


class MistralSettings(RemoteSettings):
    """One account."""

    key_variables: ClassVar[Mapping[str, str]] = {"api_key": "MISTRAL_API_KEY"}
    rates: ClassVar[Mapping[Feature, int]] = {Feature.TEXT: 5, Feature.TABLE: 5}
    mosaic_features: ClassVar[frozenset[Feature]] = frozenset()
    may_have_path: ClassVar[bool] = True

    kind: Literal["mistral"] = Field(default="mistral", description="Whose service it is.")
    endpoint: str = Field(default="https://api.mistral.ai", description="Scheme and host. The key goes there.")
    credentials: MistralCredentials = Field(description="Of the provider named mistral: MISTRAL_API_KEY.")
    model: str = Field(
        default="mistral-ocr-latest", min_length=1, description="The model's name; pin one for the cache."
    )
    timeout_s: float = Field(default=60.0, gt=0, description="Of one attempt.")
    features: MistralFeatures = Field(description="What it reads.")


def build_mistral(name: str, settings: MistralSettings) -> RemoteProvider:
    """The provider."""
    return remote_provider(MistralDialect(name, settings), settings)


class MistralDialect(Dialect):
    """One request an image. Text comes as blocks with a box each, in Markdown, which is undone; tables as HTML."""

    errors = ERRORS

    def __init__(self, name: str, settings: MistralSettings) -> None:
        self._url = f"{settings.endpoint}{_PATH}"
        self._headers = _HEADERS | bearer(settings.credentials.read("api_key"))
        self._model = settings.model
        limits = ImageLimits(max_bytes=raw_bytes_within(_MAX_FILE_BYTES), media_types=_MEDIA_TYPES)
        features = settings.features
        self._description = ProviderDescription(
            name=name,
            display_name="Mistral OCR",
            kind=ProviderKind.CLOUD,
            features={
                Feature.TEXT: features.text.support(limits, mosaic=False),
                Feature.TABLE: features.table.support(limits),
            },
            languages=_LANGUAGES,
        )

    @property
    def model(self) -> str:
        """As the settings name it."""
        return self._model

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for a language that is not known to be read (it is told none), and for an option that
        there is not."""
        for language in call.languages:
            if not is_among(language, _LANGUAGES):
                raise FieldInvalid(
                    LANGUAGES_FIELD, f"{language!r} is not known to be read; {', '.join(_LANGUAGES)} are"
                )
        for name, value in call.options.items():
            if name not in _OPTIONS:
                raise FieldInvalid(OPTIONS_FIELD, f"there is no option {name!r}; there are {', '.join(_OPTIONS)}")
            if value not in _OPTIONS[name]:
                raise FieldInvalid(OPTIONS_FIELD, f"{name} must be true or false, not {value!r}")

    def action(self, call: ProviderCall) -> str:  # noqa: ARG002 - there is one
        """The one that there is."""
        return "ocr"

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """JSON with the image as a data URL."""
        call = calls[0]
        said: dict[str, Any] = {
            "model": self._model,
            "document": {"type": "image_url", "image_url": f"data:{call.media_type};base64,{image_mark()}"},
            "include_image_base64": False,
            "include_blocks": True,
            "confidence_scores_granularity": "block",
            **{name: value == "true" for name, value in call.options.items()},
        }
        if call.feature is Feature.TABLE:
            said["table_format"] = "html"
        return json_with_images(said, call.image)

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """A POST of JSON with the key."""
        return Request("POST", self._url, self._headers)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """The ``code`` or ``type`` of the error, with the status."""
        refusal = status_refusal(answer)
        if refusal is None or said is None:
            return refusal
        words = said.get("message") or said.get("detail") or ""
        code = next((str(said[key]) for key in ("code", "type") if isinstance(said.get(key), str | int)), "")
        return Refusal(code, str(words)[:_MAX_ERROR_WORDS], status=answer.status, retry_after_s=answer.retry_after_s)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """The one page."""
        call = calls[0]
        pages = array(member(said, "pages"), "pages")
        if len(pages) != 1:
            raise ValueError(f"{len(pages)} pages for one image")
        scale = _scale(pages[0], call)
        if call.feature is Feature.TABLE:
            page = Page(call.width, call.height, tables=_tables(pages[0], scale))
        else:
            page = Page(call.width, call.height, blocks=_blocks(pages[0], scale))
        return [ProviderResult(page, billed_units=_units(said))]


def _units(said: Mapping[str, Any]) -> float:
    """``usage_info.pages_processed``; 1 where it is not told."""
    usage = said.get("usage_info")
    pages = usage.get("pages_processed") if isinstance(usage, dict) else None
    return float(pages) if isinstance(pages, int) and not isinstance(pages, bool) and 0 <= pages < 1000 else 1.0


_Scale = tuple[float, float]


def _scale(page: Any, call: ProviderCall) -> _Scale:
    """From the page's own extent, in which places are told, to the image's."""
    told = member(page, "dimensions")
    if told is None:
        return 1.0, 1.0
    width, height = extent(member(told, "width"), "width"), extent(member(told, "height"), "height")
    return call.width / width, call.height / height


def _blocks(page: Any, scale: _Scale) -> tuple[Block, ...]:
    """The blocks with text; the page's Markdown as one where it tells none."""
    told = page.get("blocks")
    if told is None:
        lines = _lines(text(member(page, "markdown"), "markdown"), None, None)
        return (Block(lines),) if lines else ()
    blocks = []
    for said in array(told, "blocks"):
        if optional(said, "type") == "image":
            continue
        place, sure = _box(said, scale), _sure(said)
        lines = _lines(text(member(said, "content"), "content"), place, sure)
        if lines:
            blocks.append(Block(lines, place))
    return tuple(blocks)


def _lines(marked: str, place: Polygon | None, sure: float | None) -> tuple[Line, ...]:
    """A block's lines. Only a block of one line says where that line is."""
    texts = plain_lines(marked)
    return tuple(Line(words, sure, place if len(texts) == 1 else None) for words in texts)


def _tables(page: Any, scale: _Scale) -> tuple[Table, ...]:
    """The page's tables; those in its Markdown where it tells none apart. Blocks of tables, where there are as many,
    say where they are and how sure."""
    told = page.get("tables")
    if told is None:
        tables = tables_of(text(member(page, "markdown"), "markdown"))
    else:
        tables = [
            table for said in array(told, "tables") for table in tables_of(text(member(said, "content"), "content"))
        ]
    blocks = [said for said in array(page.get("blocks") or [], "blocks") if optional(said, "type") == "table"]
    if len(blocks) != len(tables):
        return tuple(tables)
    return tuple(
        replace(table, polygon=_box(said, scale), confidence=_sure(said))
        for table, said in zip(tables, blocks, strict=True)
    )


def _box(said: Any, scale: _Scale) -> Polygon | None:
    left, top, right, bottom = (
        number(member(said, name), name) for name in ("top_left_x", "top_left_y", "bottom_right_x", "bottom_right_y")
    )
    if right <= left or bottom <= top:
        return None
    across, down = scale
    left, right, top, bottom = left * across, right * across, top * down, bottom * down
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _sure(said: Any) -> float | None:
    scores = said.get("confidence_scores")
    return confidence(scores.get("average_content_confidence_score")) if isinstance(scores, dict) else None
