"""A vision model behind the chat completions API of OpenAI: vLLM, SGLang, Ollama, llama.cpp and others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import (
    Block,
    Feature,
    FeatureSupport,
    ImageLimits,
    Line,
    Page,
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
from ocr_gateway.providers.remote.marked_text import plain_lines, tables_of
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.self_hosted import SelfHostedSettings
from ocr_gateway.providers.remote.settings import Credentials, OptionalKey, RemoteFeature
from ocr_gateway.providers.remote.values import array, member, text
from rpc_runtime.settings import SettingsSection

_PATH = "/v1/chat/completions"
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp")
_TRUNCATED = "ocrmux:truncated"
_FILTERED = "ocrmux:filtered"
_MAX_ERROR_WORDS = 200

ERRORS = ErrorTable(
    {
        Meaning.SHAPE: ("context_length_exceeded", _TRUNCATED),
        Meaning.OPTION: ("invalid_request_error", "BadRequestError"),
        Meaning.CREDENTIALS: ("invalid_api_key", "AuthenticationError"),
        Meaning.NOT_OPEN: ("model_not_found", "NotFoundError"),
        Meaning.QUOTA_SPENT: ("insufficient_quota",),
        Meaning.THROTTLED: ("rate_limit_exceeded", "RateLimitError"),
        Meaning.TRANSIENT: ("server_error", "InternalServerError", "engine_overloaded"),
        Meaning.UNDECODABLE: ("invalid_image", "invalid_image_format", "image_parse_error"),
        Meaning.NOTHING_HERE: (_FILTERED,),
    },
    statuses={400: Meaning.OPTION, 422: Meaning.OPTION, 404: Meaning.NOT_OPEN},
)
"""By ``error.code`` or ``error.type``, else by the status. ``finish_reason`` "length" is told as a code of our own."""


class OpenAiCredentials(Credentials):
    """For servers that want a key."""

    api_key: OptionalKey = None


class OpenAiFeature(RemoteFeature):
    """One feature, which is a prompt."""

    prompt: str = Field(default="OCR:", min_length=1, max_length=4000, description="What the model is told.")


class OpenAiTable(OpenAiFeature):
    """Tables."""

    prompt: str = Field(
        default="Table Recognition:", min_length=1, max_length=4000, description="What the model is told."
    )


class OpenAiFeatures(SettingsSection):
    """What it reads. The prompts are PaddleOCR-VL's unless the settings have others."""

    text: OpenAiFeature = Field(default_factory=OpenAiFeature, description="Lines of text.")
    table: OpenAiTable | None = Field(default=None, description="Tables, in HTML or in pipes; none unless declared.")


class OpenAiSettings(SelfHostedSettings):
    """One model of a server."""

    mosaic_features: ClassVar[frozenset[Feature]] = frozenset()

    kind: Literal["openai"] = Field(default="openai", description="The protocol: OpenAI's chat completions.")
    endpoint: str = Field(description="Its scheme, host and port, without /v1.")
    credentials: OpenAiCredentials = Field(default_factory=OpenAiCredentials, description="Where it wants a key.")
    model: str = Field(min_length=1, description="The model's name.")
    languages: tuple[str, ...] = Field(default=("zh", "en"), min_length=1, description="What it reads, BCP 47.")
    max_tokens: int = Field(default=4096, ge=1, description="Of an answer; a longer one is refused as truncated.")
    extra: dict[str, Any] = Field(default_factory=dict, description="More members of the request, as vllm_xargs.")
    timeout_s: float = Field(default=120.0, gt=0, description="Of one attempt.")
    features: OpenAiFeatures = Field(description="What it reads.")

    @field_validator("endpoint")
    @classmethod
    def _is_without_version(cls, value: str) -> str:
        if value.endswith("/v1"):
            raise ValueError("leave out /v1, which is added")
        return value


def build_openai(name: str, settings: OpenAiSettings) -> RemoteProvider:
    """The provider."""
    return remote_provider(OpenAiDialect(name, settings), settings)


class OpenAiDialect(Dialect):
    """One completion an image. The model tells neither places nor confidences. An answer that was cut off is none."""

    errors = ERRORS

    def __init__(self, name: str, settings: OpenAiSettings) -> None:
        self._url = f"{settings.endpoint}{_PATH}"
        self._headers = _HEADERS | bearer(settings.credentials.read("api_key"))
        self._settings = settings
        limits = ImageLimits(media_types=_MEDIA_TYPES)
        supports: dict[Feature, FeatureSupport] = {Feature.TEXT: settings.features.text.support(limits)}
        self._prompts = {Feature.TEXT: settings.features.text.prompt}
        if settings.features.table is not None:
            supports[Feature.TABLE] = settings.features.table.support(limits)
            self._prompts[Feature.TABLE] = settings.features.table.prompt
        self._description = ProviderDescription(
            name=name,
            display_name=f"{settings.model} (chat completions)",
            kind=ProviderKind.SELF_HOSTED,
            features=supports,
            languages=settings.languages,
        )

    @property
    def model(self) -> str:
        """The model, and a mark of all else that makes its answer: prompts, max_tokens and what else is sent."""
        made_by = [sorted((f.value, words) for f, words in self._prompts.items()), self._settings.max_tokens]
        told = json.dumps([made_by, self._settings.extra], sort_keys=True)
        return f"{self._settings.model}+{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for a language that the settings do not name, and for any option."""
        for language in call.languages:
            if not is_among(language, self._settings.languages):
                known = ", ".join(self._settings.languages)
                raise FieldInvalid(LANGUAGES_FIELD, f"{language!r} is not read; {known} is")
        for name in call.options:
            raise FieldInvalid(OPTIONS_FIELD, f"it has no option {name!r}; it has none")

    def action(self, call: ProviderCall) -> str:  # noqa: ARG002 - there is one
        """The one that there is."""
        return self._settings.model

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """JSON with the image as a data URL, then the prompt."""
        call = calls[0]
        picture = {"type": "image_url", "image_url": {"url": f"data:{call.media_type};base64,{image_mark()}"}}
        said = {
            **self._settings.extra,
            "model": self._settings.model,
            "messages": [{"role": "user", "content": [picture, {"type": "text", "text": self._prompts[call.feature]}]}],
            "temperature": 0,
            "max_tokens": self._settings.max_tokens,
        }
        return json_with_images(said, call.image)

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """A POST of JSON."""
        return Request("POST", self._url, self._headers)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """The ``code`` or ``type`` of ``error``, which older servers put at the top and some under HTTP 200, with the
        status."""
        refusal = status_refusal(answer)
        if said is None or (refusal is None and ("choices" in said or not said.get("error"))):
            return refusal
        error = said.get("error")
        error = error if isinstance(error, dict) else said
        code = next((error[key] for key in ("code", "type") if isinstance(error.get(key), str)), "")
        words = error.get("message") or (said.get("error") if isinstance(said.get("error"), str) else "")
        told = error.get("code")  # of a relay, which tells the status of the server behind it under HTTP 200
        status = told if answer.status == 200 and isinstance(told, int) and 400 <= told < 600 else answer.status
        return Refusal(code, str(words)[:_MAX_ERROR_WORDS], status=status, retry_after_s=answer.retry_after_s)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """What the model wrote, as lines or tables; a Refusal where it was cut off."""
        call = calls[0]
        choices = array(member(said, "choices"), "choices")
        if not choices:
            raise ValueError("no choices")
        match choices[0].get("finish_reason") if isinstance(choices[0], dict) else None:
            case "length":
                return [Refusal(_TRUNCATED, f"its text is longer than max_tokens, {self._settings.max_tokens}")]
            case "content_filter":
                return [Refusal(_FILTERED, "it was filtered")]
            case "abort" | "error" as reason:  # vLLM's and OpenRouter's, with what was written so far
                raise ValueError(f"it ended by {reason!r}")
        written = member(member(choices[0], "message"), "content")
        words = "" if written is None else text(written, "content")
        if call.feature is Feature.TABLE:
            page = Page(call.width, call.height, tables=tuple(tables_of(words)))
        else:
            lines = tuple(Line(line, None, None) for line in plain_lines(words))
            page = Page(call.width, call.height, blocks=(Block(lines),) if lines else ())
        return [ProviderResult(page, billed_units=1.0)]
