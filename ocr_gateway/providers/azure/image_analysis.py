"""Azure Image Analysis 4.0, its feature ``read``. The vendor ends it on 2028-09-25."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    Word,
)
from ocr_gateway.providers.azure.document_intelligence import AzureCredentials
from ocr_gateway.providers.azure.errors import ERRORS, refusal_of
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.building import remote_provider
from ocr_gateway.providers.remote.choices import is_among
from ocr_gateway.providers.remote.dialect import LANGUAGES_FIELD, OPTIONS_FIELD, Dialect, Request
from ocr_gateway.providers.remote.meanings import Refusal
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.settings import RemoteFeature, RemoteSettings
from ocr_gateway.providers.remote.values import array, confidence, extent, member, number, optional, text
from rpc_runtime.settings import SettingsSection

API_VERSION = "2023-10-01"
_PATH = "/computervision/imageanalysis:analyze"
_MEDIA_TYPES = ("image/jpeg", "image/png", "image/bmp", "image/tiff", "image/webp")
_MAX_BYTES = 20_971_520
_MIN_SIDE_PX, _MAX_SIDE_PX = 50, 16_000
_LANGUAGES = (
    "zh", "en", "ja", "ko", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "sv", "da", "fi", "nb", "cs", "hu", "ro",
    "tr", "id",
)  # fmt: skip


class AzureVisionFeatures(SettingsSection):
    """The features of a resource."""

    text: RemoteFeature = Field(default_factory=RemoteFeature, description="Lines and words.")


class AzureVisionSettings(RemoteSettings):
    """One resource of Computer Vision."""

    key_variables: ClassVar[Mapping[str, str]] = {"api_key": "AZURE_VISION_KEY"}
    rates: ClassVar[Mapping[Feature, int]] = {Feature.TEXT: 10}

    kind: Literal["azure_vision"] = Field(default="azure_vision", description="Whose service it is.")
    endpoint: str = Field(description="The resource's own, https://NAME.cognitiveservices.azure.com.")
    credentials: AzureCredentials = Field(description="Of the provider named azure_vision: AZURE_VISION_KEY.")
    timeout_s: float = Field(default=20.0, gt=0, description="Of one attempt.")
    features: AzureVisionFeatures = Field(description="What it reads.")


def build_azure_vision(name: str, settings: AzureVisionSettings) -> RemoteProvider:
    """The provider."""
    return remote_provider(AzureVisionDialect(name, settings), settings)


class AzureVisionDialect(Dialect):
    """One request an image, answered at once."""

    errors = ERRORS

    def __init__(self, name: str, settings: AzureVisionSettings) -> None:
        self._url = f"{settings.endpoint}{_PATH}?api-version={API_VERSION}&features=read"
        self._key = settings.credentials.read("api_key") or ""
        limits = ImageLimits(
            max_bytes=_MAX_BYTES, max_side_px=_MAX_SIDE_PX, min_side_px=_MIN_SIDE_PX, media_types=_MEDIA_TYPES
        )
        self._description = ProviderDescription(
            name=name,
            display_name="Azure Image Analysis",
            kind=ProviderKind.CLOUD,
            features={Feature.TEXT: settings.features.text.support(limits, mosaic=True)},
            languages=_LANGUAGES,
        )

    @property
    def model(self) -> str:
        """The version of the API."""
        return f"read/{API_VERSION}"

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for a language that is not read (it is told none), and for any option."""
        for language in call.languages:
            if not is_among(language, _LANGUAGES):
                raise FieldInvalid(LANGUAGES_FIELD, f"{language!r} is not read; {', '.join(_LANGUAGES)} are")
        for name in call.options:
            raise FieldInvalid(OPTIONS_FIELD, f"there is no option {name!r}; there is none")

    def action(self, call: ProviderCall) -> str:  # noqa: ARG002 - there is one
        """The one that there is."""
        return "read"

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """The image as it is."""
        return calls[0].image

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """A POST of the image's bytes."""
        headers = {"Ocp-Apim-Subscription-Key": self._key, "Accept": "application/json"}
        return Request("POST", self._url, {**headers, "Content-Type": "application/octet-stream"})

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """The innermost known code of ``error``."""
        return refusal_of(answer, said)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """The one page; its confidences are of words."""
        call = calls[0]
        about = member(said, "metadata")
        width, height = extent(member(about, "width"), "width"), extent(member(about, "height"), "height")
        scale = (call.width / width, call.height / height)
        told = array(member(member(said, "readResult"), "blocks"), "blocks")
        blocks = (Block(_lines(block, scale)) for block in told)
        return [ProviderResult(Page(call.width, call.height, tuple(block for block in blocks if block.lines)), 1.0)]


def _lines(block: Any, scale: tuple[float, float]) -> tuple[Line, ...]:
    lines = []
    for said in array(member(block, "lines"), "lines"):
        words = tuple(_word(each, scale) for each in array(optional(said, "words") or [], "words"))
        sure = [(word.confidence, len(word.text)) for word in words if word.confidence is not None]
        letters = sum(length for _, length in sure)
        lines.append(
            Line(
                text(member(said, "text"), "text"),
                sum(each * length for each, length in sure) / letters if letters else None,
                _polygon(member(said, "boundingPolygon"), scale),
                words,
            )
        )
    return tuple(lines)


def _word(said: Any, scale: tuple[float, float]) -> Word:
    place = _polygon(member(said, "boundingPolygon"), scale)
    if place is None:
        raise ValueError("a word without a place")
    return Word(text(member(said, "text"), "text"), confidence(said.get("confidence")), place)


def _polygon(said: Any, scale: tuple[float, float]) -> Polygon | None:
    """Four points, clockwise from the top left of the text as it is read, as the service gives them."""
    points = tuple(
        (number(member(each, "x"), "x") * scale[0], number(member(each, "y"), "y") * scale[1])
        for each in array(said, "boundingPolygon")
    )
    return points if len(points) == 4 else None
