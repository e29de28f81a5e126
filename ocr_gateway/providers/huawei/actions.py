"""Huawei's services: what each takes, and what a call becomes in its words.

Source: the service model of the vendor's SDK. MB is read as 10^6, the smaller meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import Feature, IdDocument, ImageLimits, ProviderCall
from ocr_gateway.providers.remote.choices import (
    SWITCH,
    asked_document,
    chosen_options,
    language_codes,
    primary_language,
)
from ocr_gateway.providers.remote.dialect import OPTIONS_FIELD
from ocr_gateway.providers.remote.json_body import raw_bytes_within

MAX_BODY_BYTES = 10_000_000
_BODY_BESIDE_IMAGE_BYTES = 4096
_MAX_BYTES = raw_bytes_within(MAX_BODY_BYTES - _BODY_BESIDE_IMAGE_BYTES)
_IMAGES = ("image/jpeg", "image/png", "image/bmp", "image/tiff")
_LIMITS = ImageLimits(max_bytes=_MAX_BYTES, max_side_px=8192, min_side_px=15, media_types=_IMAGES)
_TEXT_LIMITS = ImageLimits(
    max_bytes=_MAX_BYTES,
    max_pixels=160_000_000,
    max_side_px=30_000,
    min_side_px=15,
    media_types=(*_IMAGES, "image/webp"),
)

LANGUAGES: Mapping[str, str] = {"zh": "zh", "en": "zh"} | {
    each: each
    for each in (
        "ms", "uk", "hi", "ru", "vi", "id", "th", "ar", "de", "la", "fr", "it", "es", "pt", "ro", "pl", "am", "ja",
        "ko", "tr", "no", "da", "sv", "km", "he",
    )
}  # fmt: skip
"""BCP 47 to ``language``; zh is Chinese with English."""
_ANY_LANGUAGE = "auto"
_CHINESE = {"zh": "", "en": ""}


@dataclass(frozen=True, slots=True)
class Action:
    """One of Huawei's OCR services. ``defaults`` are asked for unless an option says otherwise: they cost nothing."""

    name: str
    limits: ImageLimits = _LIMITS
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    languages: Mapping[str, str] = field(default_factory=lambda: _CHINESE)

    def parameters(self, call: ProviderCall) -> dict[str, Any]:
        """The request's members beside the image.

        Raises FieldInvalid for an option or a value that the service does not have, and for a language that it does
        not read.
        """
        chosen = chosen_options(call.options, self.options, f"Huawei's {self.name}")
        switched = {name: value == "true" if self.options[name] == SWITCH else value for name, value in chosen.items()}
        return {**self.defaults, **self._language(call), **switched}

    def _language(self, call: ProviderCall) -> dict[str, str]:
        whose = f"Huawei's {self.name}"
        language_codes(call.languages, self.languages, whose)
        if not call.languages or "language" not in self.options:
            return {}
        if "language" in call.options:
            raise FieldInvalid(OPTIONS_FIELD, "language and languages exclude each other")
        beside_english = [each for each in call.languages if primary_language(each) != "en"]
        codes = language_codes(beside_english, self.languages, whose) or (self.languages["en"],)
        return {"language": codes[0] if len(codes) == 1 else _ANY_LANGUAGE}


_ALL = (
    Action(
        "general-text",
        _TEXT_LIMITS,
        {
            "detect_direction": SWITCH,
            "quick_mode": SWITCH,
            "character_mode": SWITCH,
            "single_orientation_mode": SWITCH,
            "return_markdown_result": SWITCH,
            "language": (_ANY_LANGUAGE, *sorted({*LANGUAGES.values()})),
        },
        {"detect_direction": True},  # for polygons that begin where the text begins
        LANGUAGES,
    ),
    Action(
        "general-table",
        options=dict.fromkeys(
            (
                "return_text_location", "return_char_location", "return_confidence", "return_excel",
                "return_rectification_matrix", "with_borders",
            ),
            SWITCH,
        ),
        defaults={"return_text_location": True, "return_confidence": True},
    ),
    Action(
        "id-card",
        options={
            "side": ("front", "back", "double_side"),
            **dict.fromkeys(
                (
                    "return_verification", "return_text_location", "detect_reproduce", "detect_copy",
                    "return_portrait_location", "return_portrait_image", "return_adjusted_image", "detect_tampering",
                    "detect_border_integrity", "detect_blocking_within_border", "detect_blur", "detect_interim",
                    "detect_glare",
                ),
                SWITCH,
            ),
        },
        defaults={"return_text_location": True},
    ),
    Action("business-license"),
    Action("bankcard", options={"return_text_location": SWITCH}, defaults={"return_text_location": True}),
)  # fmt: skip
ACTIONS: Mapping[str, Action] = {action.name: action for action in _ALL}
DOCUMENT_ACTIONS: Mapping[IdDocument, str] = {
    IdDocument.IDENTITY_CARD: "id-card",
    IdDocument.BUSINESS_LICENCE: "business-license",
    IdDocument.BANK_CARD: "bankcard",
}


def action_of(call: ProviderCall) -> Action:
    """The service that a call asks for. Raises FieldInvalid for a document that Huawei is not asked for."""
    match call.feature:
        case Feature.TEXT:
            name = "general-text"
        case Feature.TABLE:
            name = "general-table"
        case Feature.ID_DOCUMENT:
            name = DOCUMENT_ACTIONS[asked_document(call, DOCUMENT_ACTIONS)]
    return ACTIONS[name]


def limits_of(feature: Feature) -> ImageLimits:
    """What a feature takes."""
    return _TEXT_LIMITS if feature is Feature.TEXT else _LIMITS
