"""Baidu's endpoints: what each takes, and what a call becomes in its words.

Source: the vendor's pages on each endpoint under cloud.baidu.com/doc/OCR. MB is read as 10^6, the smaller meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import Feature, IdDocument, ImageLimits, ProviderCall
from ocr_gateway.providers.remote.dialect import DOCUMENT_FIELD, LANGUAGES_FIELD, OPTIONS_FIELD

MEDIA_TYPES = ("image/jpeg", "image/png", "image/bmp")
MIN_SIDE_PX = 15
ENDPOINT_OPTION = "endpoint"

_SWITCH = ("true", "false")
_LANGUAGES = {
    "zh": "CHN_ENG", "en": "ENG", "ja": "JAP", "ko": "KOR", "fr": "FRE", "es": "SPA", "pt": "POR", "de": "GER",
    "it": "ITA", "ru": "RUS",
}  # fmt: skip
_MORE_LANGUAGES = _LANGUAGES | {
    "da": "DAN", "nl": "DUT", "ms": "MAL", "sv": "SWE", "id": "IND", "pl": "POL", "ro": "ROM", "tr": "TUR", "el": "GRE",
    "hu": "HUN", "th": "THA", "vi": "VIE", "ar": "ARA", "hi": "HIN",
}  # fmt: skip
_CHINESE = frozenset({"zh", "cmn", "yue"})
_ANY_LANGUAGE = "auto_detect"

_TEXT_OPTIONS: dict[str, tuple[str, ...]] = {
    "language_type": tuple(_LANGUAGES.values()),
    "detect_direction": _SWITCH,
    "detect_language": _SWITCH,
    "paragraph": _SWITCH,
    "probability": _SWITCH,
}
_ACCURATE_OPTIONS: dict[str, tuple[str, ...]] = {
    "language_type": (_ANY_LANGUAGE, *_MORE_LANGUAGES.values()),
    "detect_direction": _SWITCH,
    "paragraph": _SWITCH,
    "probability": _SWITCH,
    "multidirectional_recognize": _SWITCH,
}
_PLACES: dict[str, tuple[str, ...]] = {"recognize_granularity": ("big", "small"), "vertexes_location": _SWITCH}
# The direction is needed for polygons that begin where the text begins; neither costs money.
_TEXT_DEFAULTS = {"detect_direction": "true", "probability": "true"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of Baidu's OCR services. ``max_form_bytes`` limits the image as base64, percent-encoded."""

    name: str
    feature: Feature
    max_side_px: int
    max_form_bytes: int
    options: Mapping[str, tuple[str, ...]]
    """What may be asked for: each option with its values."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    languages: Mapping[str, str] = field(default_factory=dict)
    """BCP 47 language to ``language_type``; empty when there is nothing to choose."""

    @property
    def limits(self) -> ImageLimits:
        """What an image may be. ``max_bytes`` lets through what nearly always fits when it is encoded: 7/10 of the
        limit, as base64 has 4/3 of the size and percent-encoding it adds about a sixteenth.
        """
        return ImageLimits(
            max_bytes=self.max_form_bytes * 7 // 10,
            max_side_px=self.max_side_px,
            min_side_px=MIN_SIDE_PX,
            media_types=MEDIA_TYPES,
        )

    def form_of(self, languages: Sequence[str], options: Mapping[str, str]) -> dict[str, str]:
        """The form's fields beside the image, in Baidu's words.

        Raises FieldInvalid for an option or a value that the endpoint does not have, and for a language or a mixture
        of languages that it does not read.
        """
        form = dict(self.defaults)
        language = self._language_type(languages, chosen=options.get("language_type"))
        if language is not None:
            form["language_type"] = language
        for name, value in options.items():
            if name == ENDPOINT_OPTION:
                continue
            values = self.options.get(name)
            if values is None:
                known = ", ".join([ENDPOINT_OPTION, *sorted(self.options)])
                raise FieldInvalid(
                    OPTIONS_FIELD, f"Baidu's endpoint {self.name!r} has no option {name!r}; it has {known}"
                )
            if value not in values:
                raise FieldInvalid(OPTIONS_FIELD, f"{name} must be one of {', '.join(values)}, not {value!r}")
            form[name] = value
        return form

    def _language_type(self, languages: Sequence[str], chosen: str | None) -> str | None:
        if not languages:
            return chosen
        if chosen is not None:
            raise FieldInvalid(OPTIONS_FIELD, "language_type and languages exclude each other")
        known = self.languages or {"zh": "", "en": ""}
        codes = {_code(known, language, self.name) for language in languages}
        if not self.languages:
            return None
        if codes == {"CHN_ENG", "ENG"}:
            return "CHN_ENG"
        if len(codes) == 1:
            return codes.pop()
        if _ANY_LANGUAGE in self.options["language_type"]:
            return _ANY_LANGUAGE
        raise FieldInvalid(
            LANGUAGES_FIELD, f"Baidu's endpoint {self.name!r} reads one of {', '.join(languages)} at a time"
        )


def _code(known: Mapping[str, str], language: str, endpoint: str) -> str:
    primary = language.lower().replace("_", "-").split("-")[0]
    code = known.get("zh" if primary in _CHINESE else primary)
    if code is None:
        raise FieldInvalid(
            LANGUAGES_FIELD, f"Baidu's endpoint {endpoint!r} does not read {language!r}; it reads {', '.join(known)}"
        )
    return code


_ALL = (
    Endpoint(
        "general", Feature.TEXT, 4096, 8_000_000, _TEXT_OPTIONS | _PLACES,
        _TEXT_DEFAULTS | {"vertexes_location": "true"}, _LANGUAGES,
    ),
    Endpoint("general_basic", Feature.TEXT, 4096, 8_000_000, _TEXT_OPTIONS, _TEXT_DEFAULTS, _LANGUAGES),
    Endpoint(
        "accurate", Feature.TEXT, 8192, 10_000_000,
        _ACCURATE_OPTIONS | _PLACES | {"eng_granularity": ("word", "letter"), "char_probability": _SWITCH},
        _TEXT_DEFAULTS | {"vertexes_location": "true"}, _MORE_LANGUAGES,
    ),
    Endpoint("accurate_basic", Feature.TEXT, 8192, 10_000_000, _ACCURATE_OPTIONS, _TEXT_DEFAULTS, _MORE_LANGUAGES),
    Endpoint("table", Feature.TABLE, 8192, 8_000_000, {"cell_contents": _SWITCH, "return_excel": _SWITCH}),
    Endpoint(
        "idcard", Feature.ID_DOCUMENT, 8192, 8_000_000,
        {
            "id_card_side": ("front", "back"), "detect_risk": _SWITCH, "detect_quality": _SWITCH,
            "detect_photo": _SWITCH, "detect_card": _SWITCH, "detect_ps": _SWITCH,
        },
        {"id_card_side": "front"},
    ),
    Endpoint(
        "business_license", Feature.ID_DOCUMENT, 8192, 10_000_000,
        {"risk_warn": _SWITCH, "detect_quality": _SWITCH, "fullwidth_shift": _SWITCH},
    ),
    Endpoint("bankcard", Feature.ID_DOCUMENT, 8192, 8_000_000, {"location": _SWITCH, "detect_quality": _SWITCH}),
)  # fmt: skip
ENDPOINTS: Mapping[str, Endpoint] = {endpoint.name: endpoint for endpoint in _ALL}
DOCUMENT_ENDPOINTS: Mapping[IdDocument, str] = {
    IdDocument.IDENTITY_CARD: "idcard",
    IdDocument.BUSINESS_LICENCE: "business_license",
    IdDocument.BANK_CARD: "bankcard",
}
"""Which endpoint reads which document. Without a document in the call it is the identity card's."""


def endpoint_of(call: ProviderCall, text_endpoint: str) -> Endpoint:
    """The endpoint for a call: the one that its option names, else its document's, else its feature's.

    Raises FieldInvalid for an endpoint that does not serve the feature, for a document that none reads, and where the
    two contradict each other.
    """
    usual = {Feature.TEXT: text_endpoint, Feature.TABLE: "table", Feature.ID_DOCUMENT: "idcard"}[call.feature]
    by_document = None
    if call.feature is Feature.ID_DOCUMENT and call.document is not None:
        by_document = DOCUMENT_ENDPOINTS.get(call.document)
        if by_document is None:
            known = ", ".join(document.value for document in DOCUMENT_ENDPOINTS)
            raise FieldInvalid(DOCUMENT_FIELD, f"Baidu does not read {call.document.value} here; it reads {known}")
    asked = call.options.get(ENDPOINT_OPTION)
    if asked is None:
        return ENDPOINTS[by_document or usual]
    able = [endpoint.name for endpoint in ENDPOINTS.values() if endpoint.feature is call.feature]
    if asked not in able:
        raise FieldInvalid(OPTIONS_FIELD, f"{ENDPOINT_OPTION} must be one of {', '.join(able)}, not {asked!r}")
    if by_document not in (None, asked):
        raise FieldInvalid(OPTIONS_FIELD, f"the endpoint {asked!r} does not read the document that is asked for")
    return ENDPOINTS[asked]
