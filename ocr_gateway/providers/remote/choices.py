"""What callers may choose of a vendor's API: its options, by its own names and values, and languages, by BCP 47."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import IdDocument, ProviderCall
from ocr_gateway.providers.remote.dialect import DOCUMENT_FIELD, LANGUAGES_FIELD, OPTIONS_FIELD

SWITCH = ("true", "false")
"""The values of an option that is on or off."""

# A language with its script and region, of BCP 47 what tells how a text is written.
_TAG = re.compile(r"([a-z]{2,3})(-[a-z]{4})?(-(?:[a-z]{2}|[0-9]{3}))?")
_MACRO = {"cmn": "zh", "yue": "zh", "nb": "no", "nn": "no"}


def chosen_options(options: Mapping[str, str], known: Mapping[str, Sequence[str]], whose: str) -> dict[str, str]:
    """The options, each with one of the values that ``known`` has for it.

    Raises FieldInvalid for another option or value; ``whose`` says in the error's words who has no such one.
    """
    for name, value in options.items():
        values = known.get(name)
        if values is None:
            there_are = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise FieldInvalid(OPTIONS_FIELD, f"{whose} has no option {name!r}; {there_are}")
        if value not in values:
            raise FieldInvalid(OPTIONS_FIELD, f"{name} must be one of {', '.join(values)}, not {value!r}")
    return dict(options)


def language_codes(languages: Sequence[str], known: Mapping[str, str], whose: str) -> tuple[str, ...]:
    """The vendor's codes for languages, each once, in order. ``known`` has them by the language's first subtag.

    Raises FieldInvalid for a language that is not among them.
    """
    codes: dict[str, None] = {}
    for language in languages:
        code = known.get(primary_language(language))
        if code is None:
            raise FieldInvalid(LANGUAGES_FIELD, f"{whose} does not read {language!r}; it reads {', '.join(known)}")
        codes[code] = None
    return tuple(codes)


def is_among(tag: str, known: Collection[str]) -> bool:
    """Whether a language is one of those known, as its first subtag tells."""
    language = primary_language(tag)
    return bool(language) and language in {primary_language(each) for each in known}


def primary_language(tag: str) -> str:
    """The first subtag, in small letters, with zh for its spoken forms and no for Norwegian's two; empty for no tag."""
    match = _TAG.fullmatch(tag.lower().replace("_", "-"))
    return _MACRO.get(match[1], match[1]) if match else ""


def asked_action(call: ProviderCall, option: str, default: str, known: Collection[str]) -> str:
    """The service's action that a call names by an option; ``default`` where it names none.

    Raises FieldInvalid for one that there is not.
    """
    name = call.options.get(option, default)
    if name not in known:
        raise FieldInvalid(OPTIONS_FIELD, f"{option} must be one of {', '.join(known)}, not {name!r}")
    return name


def asked_document(call: ProviderCall, readable: Collection[IdDocument]) -> IdDocument:
    """The identity document that a call asks for, an identity card where it names none.

    Raises FieldInvalid for one that is not ``readable``.
    """
    document = call.document or IdDocument.IDENTITY_CARD
    if document not in readable:
        known = ", ".join(sorted(each.value for each in readable))
        raise FieldInvalid(DOCUMENT_FIELD, f"{known} can be read, not {document.value}")
    return document
