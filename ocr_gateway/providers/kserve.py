"""A model behind the Open Inference Protocol (KServe v2): Triton, KServe, OpenVINO Model Server and others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, field_validator

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
)
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.building import bearer, remote_provider
from ocr_gateway.providers.remote.choices import is_among
from ocr_gateway.providers.remote.dialect import LANGUAGES_FIELD, OPTIONS_FIELD, Dialect, Request, status_refusal
from ocr_gateway.providers.remote.json_body import image_mark, json_with_images
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal
from ocr_gateway.providers.remote.places import ordered
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.self_hosted import READABLE, SelfHostedSettings
from ocr_gateway.providers.remote.settings import Credentials, OptionalKey, RemoteFeature
from ocr_gateway.providers.remote.values import array, confidence, index, member, number, text
from rpc_runtime.settings import SettingsSection

_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_MAX_LINES = 100_000
_MAX_ERROR_WORDS = 200

ERRORS = ErrorTable(
    {},
    statuses={
        400: Meaning.BUG,  # tensors of other names or shapes than the settings say
        401: Meaning.CREDENTIALS,
        403: Meaning.CREDENTIALS,
        404: Meaning.NOT_OPEN,  # no such model
        422: Meaning.UNDECODABLE,
    },
)
"""The protocol has no codes: ``{"error": "<words>"}`` with a status."""


class KserveCredentials(Credentials):
    """For servers that want a key."""

    api_key: OptionalKey = None


class KserveOutputs(SettingsSection):
    """Names of the model's outputs, one entry a line of text each."""

    texts: str = Field(default="texts", min_length=1, description="BYTES: the lines' texts.")
    scores: str = Field(default="", description="FP32 or FP64: their confidences, 0..1; empty: there is none.")
    boxes: str = Field(
        default="",
        description="Numbers in pixels, 4 a line (left, top, right, bottom) or 8 (four corners); empty: none.",
    )


class KserveText(RemoteFeature):
    """Text."""

    input: str = Field(default="image", min_length=1, description="Name of the input, BYTES: the image in base64.")
    outputs: KserveOutputs = Field(default_factory=KserveOutputs, description="Names of the outputs.")


class KserveFeatures(SettingsSection):
    """The features of a model."""

    text: KserveText = Field(default_factory=KserveText, description="Lines of text.")


class KserveSettings(SelfHostedSettings):
    """One model of a server."""

    kind: Literal["kserve"] = Field(default="kserve", description="The protocol: KServe v2, as Triton has it.")
    endpoint: str = Field(description="Its scheme, host and port.")
    credentials: KserveCredentials = Field(default_factory=KserveCredentials, description="Where it wants a key.")
    model: str = Field(min_length=1, description="The model's name.")
    version: str = Field(default="", description="The model's version; empty: the server's choice.")
    languages: tuple[str, ...] = Field(default=("zh", "en"), min_length=1, description="What it reads, BCP 47.")
    timeout_s: float = Field(default=30.0, gt=0, description="Of one attempt.")
    features: KserveFeatures = Field(description="What it reads.")

    @field_validator("version", mode="before")
    @classmethod
    def _number_is_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def build_kserve(name: str, settings: KserveSettings) -> RemoteProvider:
    """The provider."""
    return remote_provider(KserveDialect(name, settings), settings)


class KserveDialect(Dialect):
    """One inference an image: the image goes as one BYTES element, in base64, and lines come as parallel tensors."""

    errors = ERRORS

    def __init__(self, name: str, settings: KserveSettings) -> None:
        version = f"/versions/{quote(settings.version, safe='')}" if settings.version else ""
        self._url = f"{settings.endpoint}/v2/models/{quote(settings.model, safe='')}{version}/infer"
        self._headers = _HEADERS | bearer(settings.credentials.read("api_key"))
        self._feature = settings.features.text
        self._languages = settings.languages
        name_and_version = f"{settings.model}/{settings.version}" if settings.version else settings.model
        read = [self._feature.input, *self._feature.outputs.model_dump().values()]
        self._model = f"{name_and_version}+{hashlib.sha256(json.dumps(read).encode()).hexdigest()[:8]}"
        self._description = ProviderDescription(
            name=name,
            display_name=f"{settings.model} (KServe v2)",
            kind=ProviderKind.SELF_HOSTED,
            features={Feature.TEXT: self._feature.support(ImageLimits(media_types=READABLE), mosaic=True)},
            languages=settings.languages,
        )

    @property
    def model(self) -> str:
        """Name and version, as the settings have them, and a mark of the tensors that are read."""
        return self._model

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for a language that the settings do not name, and for any option."""
        for language in call.languages:
            if not is_among(language, self._languages):
                raise FieldInvalid(LANGUAGES_FIELD, f"{language!r} is not read; {', '.join(self._languages)} is")
        for name in call.options:
            raise FieldInvalid(OPTIONS_FIELD, f"it has no option {name!r}; it has none")

    def action(self, call: ProviderCall) -> str:  # noqa: ARG002 - there is one
        """The one that there is."""
        return "infer"

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """JSON with one tensor of one element."""
        wanted = self._feature.outputs
        said = {
            "inputs": [{"name": self._feature.input, "shape": [1], "datatype": "BYTES", "data": [image_mark()]}],
            "outputs": [{"name": name} for name in (wanted.texts, wanted.scores, wanted.boxes) if name],
        }
        return json_with_images(said, calls[0].image)

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """A POST of JSON."""
        return Request("POST", self._url, self._headers)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """The words of ``error``, with the status."""
        refusal = status_refusal(answer)
        if refusal is not None and said is not None and isinstance(said.get("error"), str):
            refusal = Refusal(
                "", said["error"][:_MAX_ERROR_WORDS], status=answer.status, retry_after_s=answer.retry_after_s
            )
        return refusal

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """A line for each text, in the model's order."""
        call, wanted = calls[0], self._feature.outputs
        outputs = {
            text(member(output, "name"), "a name"): output for output in array(member(said, "outputs"), "outputs")
        }
        texts = [text(each, wanted.texts) for each in _values(outputs, wanted.texts)]
        scores = [confidence(each) for each in _values(outputs, wanted.scores)] if wanted.scores else []
        boxes = _boxes(_values(outputs, wanted.boxes), len(texts)) if wanted.boxes else []
        if wanted.scores and len(scores) != len(texts):
            raise ValueError(f"{len(scores)} scores for {len(texts)} texts")
        lines = tuple(
            Line(words, scores[at] if scores else None, boxes[at] if boxes else None)
            for at, words in enumerate(texts)
            if words
        )
        page = Page(call.width, call.height, blocks=(Block(lines),) if lines else ())
        return [ProviderResult(page, billed_units=1.0)]


def _values(outputs: Mapping[str, Any], name: str) -> list[Any]:
    """An output's elements, in row-major order. Raises ValueError where shape and data do not agree."""
    output = member(outputs, name)
    values = array(member(output, "data"), name)
    shape = [index(each, "a shape", _MAX_LINES + 1) for each in array(member(output, "shape"), "a shape")]
    if prod(shape) != len(values):
        raise ValueError(f"{name} has {len(values)} elements and the shape {shape[:8]}")
    return values


def _boxes(values: list[Any], lines: int) -> list[Polygon | None]:
    if not lines:
        return []
    each, rest = divmod(len(values), lines)
    if rest or each not in (4, 8):
        raise ValueError(f"{len(values)} numbers for the boxes of {lines} lines")
    numbers = [number(value, "a coordinate") for value in values]
    return [_polygon(numbers[at : at + each]) for at in range(0, len(numbers), each)]


def _polygon(numbers: Sequence[float]) -> Polygon | None:
    if len(numbers) == 4:
        left, top, right, bottom = numbers
        return ordered(((left, top), (right, top), (right, bottom), (left, bottom)), 0)
    return ordered(tuple(zip(numbers[::2], numbers[1::2], strict=True)), 0)
