"""Azure Document Intelligence 4.0: prebuilt-read, prebuilt-layout and prebuilt-idDocument."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode, urlsplit

from pydantic import Field

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import (
    Feature,
    IdDocument,
    ImageLimits,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
)
from ocr_gateway.providers.azure.errors import ERRORS, refusal_of
from ocr_gateway.providers.azure.pages import page_of
from ocr_gateway.providers.http import HttpAnswer, HttpFailure
from ocr_gateway.providers.remote.building import remote_provider
from ocr_gateway.providers.remote.choices import is_among
from ocr_gateway.providers.remote.dialect import (
    DOCUMENT_FIELD,
    LANGUAGES_FIELD,
    OPTIONS_FIELD,
    Dialect,
    Request,
    Send,
)
from ocr_gateway.providers.remote.meanings import Meaning, Refusal
from ocr_gateway.providers.remote.provider import ANSWER_WEIGHT, RemoteProvider, off_loop
from ocr_gateway.providers.remote.settings import Credentials, Key, RemoteFeature, RemoteSettings
from ocr_gateway.providers.remote.values import parse_object
from rpc_runtime.settings import SettingsSection

API_VERSION = "2024-11-30"
MODELS: Mapping[Feature, str] = {
    Feature.TEXT: "prebuilt-read",
    Feature.TABLE: "prebuilt-layout",
    Feature.ID_DOCUMENT: "prebuilt-idDocument",
}
_PATH = "/documentintelligence/documentModels/"
_MEDIA_TYPES = ("image/jpeg", "image/png", "image/bmp", "image/tiff")
_MAX_BYTES = {"S0": 50_000_000, "F0": 4_000_000}
"""S0 takes 500 MB, which is for documents of many pages; no image of one page needs more than this."""
_MIN_SIDE_PX, _MAX_SIDE_PX = 50, 10_000
_LANGUAGES = (
    "zh", "en", "ja", "ko", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "sv", "da", "fi", "nb", "cs", "hu", "ro",
    "tr", "th", "vi", "id",
)  # fmt: skip
_FEATURES = ("ocrHighResolution", "languages", "barcodes", "formulas", "styleFont")
_OPTIONS = {"features": _FEATURES, "locale": ()}
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_POLL_S = 1.0
"""The SDK's 30 s, where the service names no time, is for documents of hundreds of pages."""
_SHORTEST_POLL_S, _LONGEST_POLL_S = 0.1, 10.0
_POLL_FAILURES = 5
_PASSING = (Meaning.THROTTLED, Meaning.TRANSIENT)


class AzureCredentials(Credentials):
    """A key of the resource."""

    api_key: Key


class AzureFeatures(SettingsSection):
    """The features of a resource."""

    text: RemoteFeature = Field(default_factory=RemoteFeature, description="prebuilt-read.")
    table: RemoteFeature = Field(default_factory=RemoteFeature, description="prebuilt-layout.")
    id: RemoteFeature = Field(default_factory=RemoteFeature, description="prebuilt-idDocument.")


class AzureSettings(RemoteSettings):
    """One resource of Document Intelligence."""

    key_variables: ClassVar[Mapping[str, str]] = {"api_key": "AZURE_DOCUMENT_INTELLIGENCE_KEY"}
    rates: ClassVar[Mapping[Feature, int]] = dict.fromkeys(Feature, 5)

    kind: Literal["azure"] = Field(default="azure", description="Whose service it is.")
    endpoint: str = Field(description="The resource's own, https://NAME.cognitiveservices.azure.com.")
    credentials: AzureCredentials = Field(description="Of the provider named azure: AZURE_DOCUMENT_INTELLIGENCE_KEY.")
    tier: Literal["S0", "F0"] = Field(default="S0", description="The resource's: F0 takes 4 MB.")
    timeout_s: float = Field(default=60.0, gt=0, description="Of one attempt, with all its polls.")
    features: AzureFeatures = Field(description="What it reads.")


def build_azure(name: str, settings: AzureSettings) -> RemoteProvider:
    """The provider."""
    return remote_provider(AzureDialect(name, settings), settings)


class AzureDialect(Dialect):
    """An image is submitted, then its operation is polled: as often as the service says, else every second.

    A poll that fails for now is made again, up to five times in a row: the image is paid for. Options: ``features``, of
    the service's own names parted by commas, and ``locale``.
    """

    errors = ERRORS

    def __init__(
        self, name: str, settings: AzureSettings, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._endpoint = settings.endpoint
        self._key = settings.credentials.read("api_key") or ""
        self._sleep = sleep
        limits = ImageLimits(
            max_bytes=_MAX_BYTES[settings.tier],
            max_side_px=_MAX_SIDE_PX,
            min_side_px=_MIN_SIDE_PX,
            media_types=_MEDIA_TYPES,
        )
        features = settings.features
        self._description = ProviderDescription(
            name=name,
            display_name="Azure Document Intelligence",
            kind=ProviderKind.CLOUD,
            features={
                Feature.TEXT: features.text.support(limits, mosaic=True),
                Feature.TABLE: features.table.support(limits),
                Feature.ID_DOCUMENT: features.id.support(limits, documents=frozenset({IdDocument.PASSPORT})),
            },
            languages=_LANGUAGES,
        )

    @property
    def model(self) -> str:
        """The version of the API; the models are the features'."""
        return f"prebuilt/{API_VERSION}"

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for a language, a document or an option that it does not read."""
        for language in call.languages:
            if not is_among(language, _LANGUAGES):
                raise FieldInvalid(LANGUAGES_FIELD, f"{language!r} is not read; {', '.join(_LANGUAGES)} are")
        if call.document not in (None, IdDocument.PASSPORT):
            raise FieldInvalid(DOCUMENT_FIELD, "passports and US licences are read; Chinese documents are not")
        for name, value in call.options.items():
            if name not in _OPTIONS:
                raise FieldInvalid(OPTIONS_FIELD, f"there is no option {name!r}; there are {', '.join(_OPTIONS)}")
            if name == "locale" and not _LOCALE.fullmatch(value):
                raise FieldInvalid(OPTIONS_FIELD, f"locale must be a language tag, not {value!r}")
            if name == "features" and not set(value.split(",")) <= set(_FEATURES):
                raise FieldInvalid(OPTIONS_FIELD, f"features must be of {', '.join(_FEATURES)}, not {value!r}")

    def action(self, call: ProviderCall) -> str:
        """The model."""
        return MODELS[call.feature]

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """The image as it is."""
        return calls[0].image

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """The submission, a POST of the image's bytes."""
        call = calls[0]
        query = {"api-version": API_VERSION, **call.options}
        url = f"{self._endpoint}{_PATH}{self.action(call)}:analyze?{urlencode(query)}"
        return Request("POST", url, {**self._headers, "Content-Type": "application/octet-stream"})

    async def exchange(self, send: Send, request: Request) -> HttpAnswer:
        """Submits, then polls until the operation has ended. Raises ValueError for an operation elsewhere."""
        submitted = await send(request)
        if submitted.status != 202:
            if 200 <= submitted.status < 300:
                raise ValueError(f"HTTP {submitted.status} where an operation was to be accepted")
            return submitted
        poll = Request("GET", self._operation(submitted.headers.get("Operation-Location", "")), self._headers)
        wait_s = _wait_s(submitted)
        failures = 0
        while True:
            await self._sleep(wait_s)
            try:
                answer = await send(poll)
            except HttpFailure:
                failures += 1
                if failures > _POLL_FAILURES:
                    raise
                wait_s = _POLL_S
                continue
            if not await self._goes_on(answer, failures):
                return answer
            failures = failures + 1 if answer.status != 200 else 0
            wait_s = _wait_s(answer)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """The innermost known code of ``error``, which an operation that failed has under HTTP 200."""
        refusal = refusal_of(answer, said)
        if refusal is None and said is not None and said.get("status") == "failed":
            return Refusal("InternalServerError", "the operation failed and does not say why")
        return refusal

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """The one page."""
        if said.get("status") != "succeeded":
            raise ValueError(f"an operation that is {str(said.get('status'))[:40]!r}")
        return [ProviderResult(page_of(said, calls[0]), billed_units=1.0)]

    @property
    def _headers(self) -> dict[str, str]:
        return {"Ocp-Apim-Subscription-Key": self._key, "Accept": "application/json"}

    def _operation(self, location: str) -> str:
        """The operation's address, which gets the key: it must be on the resource's own host."""
        ours, theirs = urlsplit(self._endpoint), urlsplit(location)
        if (theirs.scheme, theirs.netloc.lower()) != (ours.scheme, ours.netloc.lower()):
            raise ValueError("Operation-Location is not on the configured host")
        if not theirs.path.startswith(_PATH) or theirs.fragment:
            raise ValueError("Operation-Location is no operation")
        return location

    async def _goes_on(self, answer: HttpAnswer, failures: int) -> bool:
        """Whether the operation has not ended, or the poll failed for now.

        Raises ValueError where it goes on failing, or fails for good: the image is paid for, whatever a poll says, and
        an operation that is not found is no model that is not found. Only keys that are rejected are told as they are.
        """
        said = await off_loop(len(answer.body) * ANSWER_WEIGHT, _object_or_none, answer.body)
        refusal = refusal_of(answer, said)
        if answer.status == 200 or refusal is None:
            return answer.status == 200 and said is not None and said.get("status") in ("notStarted", "running")
        meaning = ERRORS.meaning(refusal.code, refusal.status)
        if meaning is Meaning.CREDENTIALS:
            return False
        if meaning in _PASSING and failures < _POLL_FAILURES:
            return True
        raise ValueError(f"the operation's end is not told: {refusal}")


def _object_or_none(body: bytes) -> dict[str, Any] | None:
    try:
        return parse_object(body)
    except ValueError:
        return None


def _wait_s(answer: HttpAnswer) -> float:
    said_s = answer.retry_after_s
    return _POLL_S if said_s is None else min(max(said_s, _SHORTEST_POLL_S), _LONGEST_POLL_S)
