"""The languages that Vision reads, and the hints that it takes.

Source: docs.cloud.google.com/vision/docs/languages, "Supported languages" and "Experimental languages".
"""

from __future__ import annotations

from collections.abc import Sequence

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.providers.remote.choices import primary_language
from ocr_gateway.providers.remote.dialect import LANGUAGES_FIELD

_SUPPORTED = (
    "af", "sq", "ar", "hy", "be", "bn", "bg", "ca", "zh", "hr", "cs", "da", "nl", "en", "et", "fil", "fi", "fr", "de",
    "el", "gu", "he", "hi", "hu", "is", "id", "it", "ja", "kn", "km", "ko", "lo", "lv", "lt", "mk", "ms", "ml", "mr",
    "ne", "no", "fa", "pl", "pt", "pa", "ro", "ru", "sr", "sk", "sl", "es", "sv", "ta", "te", "th", "tr", "uk", "vi",
    "yi",
)  # fmt: skip
_EXPERIMENTAL = (
    "am", "grc", "as", "az", "eu", "bs", "my", "ceb", "chr", "cy", "dv", "dz", "eo", "ga", "gl", "ka", "ht", "jv", "kk",
    "ky", "la", "mn", "mt", "or", "ps", "sa", "si", "sw", "syr", "bo", "ti", "ur", "uz", "zu",
)  # fmt: skip
LANGUAGES = (*_SUPPORTED, *_EXPERIMENTAL)
"""BCP 47, of the primary language."""
_SAME = {"iw": "he", "tl": "fil"}
_HINTS = {"he": "iw"}
_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})
_SIMPLIFIED = frozenset({"hans", "cn", "sg"})


def hints_of(languages: Sequence[str]) -> tuple[str, ...]:
    """``languageHints`` for BCP 47 languages, each once. Raises FieldInvalid for one that Vision does not read."""
    return tuple(dict.fromkeys(_hint(language) for language in languages))


def _hint(language: str) -> str:
    primary = primary_language(language)
    code = _SAME.get(primary, primary)
    if code not in LANGUAGES:
        raise FieldInvalid(LANGUAGES_FIELD, f"Google does not read {language[:40]!r}; it reads {', '.join(LANGUAGES)}")
    rest = language.lower().replace("_", "-").split("-")[1:]
    if code == "zh" and _TRADITIONAL.intersection(rest):
        return "zh-Hant"
    if code == "zh" and _SIMPLIFIED.intersection(rest):
        return "zh-Hans"
    if (code, *rest[:1]) in (("sr", "latn"), ("az", "cyrl"), ("uz", "cyrl")):
        return f"{code}-{rest[0].title()}"
    return _HINTS.get(code, code)
