"""Tencent's actions: what each takes, and what a call becomes in its words.

Source: the service model of the vendor's SDK. MB is read as 10^6, the smaller meaning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import Feature, IdDocument, ImageLimits, ProviderCall
from ocr_gateway.providers.remote.choices import (
    SWITCH,
    asked_action,
    asked_document,
    chosen_options,
    language_codes,
    primary_language,
)
from ocr_gateway.providers.remote.dialect import OPTIONS_FIELD
from ocr_gateway.providers.remote.json_body import raw_bytes_within

ACTION_OPTION = "action"
TEXT_ACTIONS = ("GeneralBasicOCR", "GeneralAccurateOCR")
TABLE_ACTION = "RecognizeTableAccurateOCR"
MAX_BODY_BYTES = 10_000_000
_BODY_BESIDE_IMAGE_BYTES = 4096
_MAX_LICENCE_BASE64 = 7_000_000
_MAX_TABLE_ASPECT = 3.0
_PHOTOS = ("image/jpeg", "image/png")
_IMAGES = (*_PHOTOS, "image/bmp")

LANGUAGES: Mapping[str, str] = {
    "zh": "zh", "en": "zh", "ja": "jap", "ko": "kor", "es": "spa", "fr": "fre", "de": "ger", "pt": "por", "vi": "vie",
    "ms": "may", "ru": "rus", "it": "ita", "nl": "hol", "sv": "swe", "fi": "fin", "da": "dan", "no": "nor",
    "hu": "hun", "th": "tha", "hi": "hi", "ar": "ara",
}  # fmt: skip
"""BCP 47 to LanguageType; each is read together with English."""
_CHINESE = {"zh": "OCR", "en": "OCR"}
_MANY_LANGUAGES = {language: "MulOCR" for language in LANGUAGES if language != "da"} | _CHINESE
_SEVERAL = {"LanguageType": "mix", "ConfigID": "MulOCR"}


@dataclass(frozen=True, slots=True)
class Action:
    """One of Tencent's OCR services. ``config`` are the switches that go as one JSON text."""

    name: str
    limits: ImageLimits
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    config: tuple[str, ...] = ()
    languages: Mapping[str, str] = field(default_factory=lambda: _CHINESE)

    def parameters(self, call: ProviderCall) -> dict[str, Any]:
        """The request's members beside the image.

        Raises FieldInvalid for an option or a value that the action does not have, and for a language that it does not
        read.
        """
        known = {**self.options, **dict.fromkeys(self.config, SWITCH)}
        chosen = chosen_options(call.options, known, f"Tencent's {self.name}")
        said: dict[str, Any] = {
            name: value == "true" if known[name] == SWITCH else value
            for name, value in chosen.items()
            if name not in (ACTION_OPTION, *self.config)
        }
        if config := {name: chosen[name] == "true" for name in self.config if name in chosen}:
            said["Config"] = json.dumps(config, separators=(",", ":"))
        return self._language(call) | said

    def _language(self, call: ProviderCall) -> dict[str, str]:
        """What the languages come to: LanguageType for one beside English, or for many; else which model reads them."""
        whose = f"Tencent's {self.name}"
        language_codes(call.languages, self.languages, whose)
        member = next((name for name in ("LanguageType", "ConfigID") if name in self.options), None)
        if not call.languages or member is None:
            return {}
        if member in call.options:
            raise FieldInvalid(OPTIONS_FIELD, f"{member} and languages exclude each other")
        beside_english = [each for each in call.languages if primary_language(each) != "en"]
        codes = language_codes(beside_english, self.languages, whose) or (self.languages["en"],)
        return {member: codes[0] if len(codes) == 1 else _SEVERAL[member]}


def _limits(media_types: tuple[str, ...], max_bytes: int, max_aspect: float = 0.0) -> ImageLimits:
    return ImageLimits(max_bytes=max_bytes, max_aspect=max_aspect, media_types=media_types)


# The request is limited as a whole, and the image's base64 within it to the same size.
_MAX_BYTES = raw_bytes_within(MAX_BODY_BYTES - _BODY_BESIDE_IMAGE_BYTES)

_ALL = (
    Action(
        "GeneralBasicOCR",
        _limits(_IMAGES, _MAX_BYTES),
        {
            ACTION_OPTION: TEXT_ACTIONS,
            "LanguageType": ("zh", "zh_rare", "auto", "mix", *sorted({*LANGUAGES.values()} - {"zh"})),
            "IsWords": SWITCH,
        },
        languages=LANGUAGES,
    ),
    Action(
        "GeneralAccurateOCR",
        _limits(_IMAGES, _MAX_BYTES),
        {
            ACTION_OPTION: TEXT_ACTIONS,
            "IsWords": SWITCH,
            "EnableDetectSplit": SWITCH,
            "EnableDetectText": SWITCH,
            "ConfigID": ("OCR", "MulOCR"),
            "WordsType": ("0", "1", "2"),
        },
        languages=_MANY_LANGUAGES,
    ),
    Action(
        TABLE_ACTION,
        _limits(_IMAGES, _MAX_BYTES, _MAX_TABLE_ASPECT),
        {"UseNewModel": SWITCH},
    ),
    Action(
        "IDCardOCR",
        _limits(_IMAGES, _MAX_BYTES),
        {
            "CardSide": ("FRONT", "BACK"),
            "EnableRecognitionRectify": SWITCH,
            "EnableReflectDetail": SWITCH,
            "EnableDateVerify": SWITCH,
            "CardWarnType": ("Basic", "Advanced"),
        },
        config=(
            "CropIdCard", "CropPortrait", "CopyWarn", "BorderCheckWarn", "ReshootWarn", "DetectPsWarn", "TempIdWarn",
            "InvalidDateWarn", "Quality", "ReflectWarn", "KeyCheck", "ValueCheck",
        ),
    ),
    Action(
        "BizLicenseOCR",
        _limits(_PHOTOS, raw_bytes_within(_MAX_LICENCE_BASE64)),
        {"EnableCopyWarn": SWITCH, "EnablePeriodComplete": SWITCH},
    ),
    Action(
        "BankCardOCR",
        _limits(_IMAGES, _MAX_BYTES),
        dict.fromkeys(
            (
                "RetBorderCutImage", "RetCardNoImage", "EnableCopyCheck", "EnableReshootCheck", "EnableBorderCheck",
                "EnableQualityValue",
            ),
            SWITCH,
        ),
    ),
)  # fmt: skip
ACTIONS: Mapping[str, Action] = {action.name: action for action in _ALL}
DOCUMENT_ACTIONS: Mapping[IdDocument, str] = {
    IdDocument.IDENTITY_CARD: "IDCardOCR",
    IdDocument.BUSINESS_LICENCE: "BizLicenseOCR",
    IdDocument.BANK_CARD: "BankCardOCR",
}


def action_of(call: ProviderCall, text_action: str) -> Action:
    """The action that a call asks for; ``text_action`` where it names none.

    Raises FieldInvalid for an action that there is not, and for a document that Tencent is not asked for.
    """
    match call.feature:
        case Feature.TEXT:
            name = asked_action(call, ACTION_OPTION, text_action, TEXT_ACTIONS)
        case Feature.TABLE:
            name = TABLE_ACTION
        case Feature.ID_DOCUMENT:
            name = DOCUMENT_ACTIONS[asked_document(call, DOCUMENT_ACTIONS)]
    return ACTIONS[name]


def limits_of(feature: Feature, text_action: str) -> ImageLimits:
    """What all actions of a feature take."""
    match feature:
        case Feature.TEXT:
            return ACTIONS[text_action].limits
        case Feature.TABLE:
            return ACTIONS[TABLE_ACTION].limits
        case Feature.ID_DOCUMENT:  # the licence's are the narrowest
            return ACTIONS["BizLicenseOCR"].limits
