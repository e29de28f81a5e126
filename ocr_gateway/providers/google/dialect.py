"""Vision's ``images:annotate``: text of up to 16 images in one call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ocr_gateway.errors import FieldInvalid, ImageTooLargeBytes
from ocr_gateway.model import (
    BatchLimits,
    Feature,
    FeatureSupport,
    ImageLimits,
    PagePreference,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
)
from ocr_gateway.providers.google.errors import ERRORS, image_refusal, refusal_of
from ocr_gateway.providers.google.languages import LANGUAGES, hints_of
from ocr_gateway.providers.google.pages import page_of
from ocr_gateway.providers.google.settings import MAX_IMAGES, GoogleSettings
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.choices import chosen_options
from ocr_gateway.providers.remote.dialect import OPTIONS_FIELD, Dialect, Request
from ocr_gateway.providers.remote.json_body import image_mark, json_with_images, raw_bytes_within
from ocr_gateway.providers.remote.meanings import Refusal
from ocr_gateway.providers.remote.values import array, member

# docs.cloud.google.com/vision/quotas; MB is read as 10^6, the smaller meaning. The rest of the JSON has less than 1 KiB
# an image, all of Vision's languages as hints included.
MAX_JSON_BYTES = 10_000_000
_MAX_IMAGES_BYTES = raw_bytes_within(MAX_JSON_BYTES - MAX_IMAGES * 1024)
_MAX_PIXELS = 75_000_000
# TIFF and PDF go by files:annotate.
_MEDIA_TYPES = ("image/jpeg", "image/png", "image/bmp", "image/webp")

STABLE_MODEL = "builtin/stable"
_ACTION, _HINTS = "action", "languageHints"
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    _ACTION: ("DOCUMENT_TEXT_DETECTION", "TEXT_DETECTION"),
    "model": (STABLE_MODEL, "builtin/latest", "builtin/weekly"),
    "advancedOcrOptions": ("legacy_layout",),
}


class GoogleDialect(Dialect):
    """One project's Vision. ``api_key`` goes in a header; None where calls carry a token."""

    errors = ERRORS

    def __init__(self, name: str, settings: GoogleSettings, api_key: str | None) -> None:
        text = settings.features.text
        self._url = f"{settings.endpoint}/v1/images:annotate"
        self._api_key = api_key
        self._action = text.action
        self._model = text.model
        self._parent = settings.parent
        limits = ImageLimits(max_bytes=_MAX_IMAGES_BYTES, max_pixels=_MAX_PIXELS, media_types=_MEDIA_TYPES)
        support = FeatureSupport(
            limits=limits,
            page_preference=PagePreference.UNTOUCHED,
            quota=text.quota.quota,
            batch=BatchLimits(text.images_per_call, _MAX_IMAGES_BYTES),
            units_per_call=1.0,
            price_per_unit=text.price_per_unit,
            mosaic=text.regions == "mosaic",
        )
        self._description = ProviderDescription(
            name, "Google Cloud Vision", ProviderKind.CLOUD, {Feature.TEXT: support}, LANGUAGES
        )

    @property
    def model(self) -> str:
        """API version, action, model, and the location where one is chosen."""
        return "/".join(part for part in ("v1", self._action, self._model, self._parent) if part)

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for an option, a value or a language that there is not."""
        hints = call.options.get(_HINTS, "")
        chosen_options(call.options, {**_OPTIONS, _HINTS: (hints,)}, "Google")
        if call.languages and _HINTS in call.options:
            raise FieldInvalid(OPTIONS_FIELD, f"{_HINTS} and languages exclude each other")
        _hints(call)

    def action(self, call: ProviderCall) -> str:
        """The type of detection."""
        return call.options.get(_ACTION, self._action)

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """JSON with the images in base64. Raises ImageTooLargeBytes for one that breaks the limit of the JSON."""
        said: dict[str, Any] = {"requests": [self._asked(call) for call in calls]}
        if self._parent:
            said["parent"] = self._parent
        body = json_with_images(said, *(call.image for call in calls))
        if len(body) > MAX_JSON_BYTES:
            raise ImageTooLargeBytes(value=max(len(call.image) for call in calls), limit=_MAX_IMAGES_BYTES)
        return body

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """A POST of JSON with the key or the token."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if access:
            headers["Authorization"] = f"Bearer {access}"
        elif self._api_key:
            headers["X-Goog-Api-Key"] = self._api_key
        return Request("POST", self._url, headers)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """The error of the whole call; those of single images stand in a good answer."""
        return refusal_of(answer, said)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """A page, or an error, for each image; in the order of the calls, as documented."""
        responses = array(member(said, "responses"), "responses")
        if len(responses) != len(calls):
            raise ValueError(f"{len(responses)} responses for {len(calls)} images")
        return [_result(each, call, alone=len(calls) == 1) for each, call in zip(responses, calls, strict=True)]

    def _asked(self, call: ProviderCall) -> dict[str, Any]:
        """One image's request. What is as Vision has it by default is left out."""
        action, model = self.action(call), call.options.get("model", self._model)
        feature = {"type": action} | ({"model": model} if model != STABLE_MODEL else {})
        params: dict[str, Any] = {}
        if action == "TEXT_DETECTION":
            params["enableTextDetectionConfidenceScore"] = True
        if "advancedOcrOptions" in call.options:
            params["advancedOcrOptions"] = [call.options["advancedOcrOptions"]]
        context: dict[str, Any] = {}
        if hints := _hints(call):
            context[_HINTS] = list(hints)
        if params:
            context["textDetectionParams"] = params
        asked: dict[str, Any] = {"image": {"content": image_mark()}, "features": [feature]}
        return asked | ({"imageContext": context} if context else {})


def _hints(call: ProviderCall) -> tuple[str, ...]:
    """``languageHints`` of the option of that name, parted by commas, or of the call's languages."""
    given = call.options.get(_HINTS)
    if given is None:
        return hints_of(call.languages)
    try:
        return hints_of([each.strip() for each in given.split(",")])
    except FieldInvalid as fault:
        raise FieldInvalid(OPTIONS_FIELD, f"{_HINTS}: {fault}") from None


def _result(said: Any, call: ProviderCall, *, alone: bool) -> ProviderResult | Refusal:
    """One image's page, 1 unit; or its error, which costs nothing."""
    refusal = image_refusal(said.get("error") if isinstance(said, dict) else None)
    if refusal is not None:
        return refusal
    raw = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace") if call.include_raw_response else b""
    return ProviderResult(page_of(said, call.width, call.height), 1.0, b"" if alone else raw)
