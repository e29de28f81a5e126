"""BCP 47 languages and Tesseract's names for its models."""

from __future__ import annotations

from collections.abc import Collection, Sequence

_NAMES = {
    "af": "afr", "ar": "ara", "az": "aze", "be": "bel", "bg": "bul", "bn": "ben", "bs": "bos", "ca": "cat",
    "cs": "ces", "cy": "cym", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "eo": "epo", "es": "spa",
    "et": "est", "eu": "eus", "fa": "fas", "fi": "fin", "fr": "fra", "ga": "gle", "gl": "glg", "gu": "guj",
    "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun", "hy": "hye", "id": "ind", "is": "isl", "it": "ita",
    "ja": "jpn", "ka": "kat", "kk": "kaz", "km": "khm", "kn": "kan", "ko": "kor", "la": "lat", "lo": "lao",
    "lt": "lit", "lv": "lav", "mk": "mkd", "ml": "mal", "mn": "mon", "mr": "mar", "ms": "msa", "mt": "mlt",
    "my": "mya", "nb": "nor", "ne": "nep", "nl": "nld", "nn": "nor", "no": "nor", "pa": "pan", "pl": "pol",
    "pt": "por", "ro": "ron", "ru": "rus", "sk": "slk", "sl": "slv", "sq": "sqi", "sr": "srp", "sv": "swe",
    "sw": "swa", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl", "tr": "tur", "uk": "ukr", "ur": "urd",
    "uz": "uzb", "vi": "vie", "yi": "yid", "zh-hans": "chi_sim", "zh-hant": "chi_tra",
}  # fmt: skip
_BY_NAME = {name: tag for tag, name in reversed(_NAMES.items())} | {"chi_sim": "zh-Hans", "chi_tra": "zh-Hant"}
_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})
_DEFAULTS = ("eng", "chi_sim")


def model_of(language: str) -> str | None:
    """Tesseract's name for a BCP 47 language, None for one that it does not know. A region decides only between the
    two ways to write Chinese.
    """
    parts = language.lower().replace("_", "-").split("-")
    if parts[0] in ("zh", "cmn", "yue"):
        return "chi_tra" if _TRADITIONAL & set(parts[1:]) else "chi_sim"
    return _NAMES.get(parts[0])


def language_of(model: str) -> str | None:
    """The BCP 47 language of one of Tesseract's models, None for those of no one language, such as "osd"."""
    return _BY_NAME.get(model)


def default_models(installed: Collection[str]) -> Sequence[str]:
    """What is read when no language is asked for: English and simplified Chinese, as far as they are installed, else
    the first installed language.
    """
    found = [model for model in _DEFAULTS if model in installed]
    return found or sorted(model for model in installed if language_of(model) is not None)[:1]
