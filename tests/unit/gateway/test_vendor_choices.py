"""What the vendors' adapters share: options, languages, words of characters, licence numbers, hosts, hidden keys."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field
from ocr_gateway.model import IdDocument, Polygon
from ocr_gateway.providers.remote.address import host_of
from ocr_gateway.providers.remote.characters import Character, words_of
from ocr_gateway.providers.remote.choices import SWITCH, chosen_options, language_codes, primary_language
from ocr_gateway.providers.remote.documents import in_order, registration_field
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning
from ocr_gateway.providers.remote.secrecy import Kept

KNOWN = {"zh": "CHN", "en": "ENG", "no": "NOR"}


def character(text: str, left: float, sure: float | None = 0.9) -> Character:
    return Character(text, sure, ((left, 0), (left + 10, 0), (left + 10, 9), (left, 9)))


def test_an_option_has_one_of_its_values() -> None:
    """Anything else is refused in words that say what there is."""
    assert chosen_options({"a": "true"}, {"a": SWITCH, "b": ("1", "2")}, "It") == {"a": "true"}
    for given, words in (({"c": "1"}, "It has no option 'c'; it has a, b"), ({"b": "3"}, "b must be one of 1, 2")):
        with pytest.raises(FieldInvalid, match=words) as refusal:
            chosen_options(given, {"a": SWITCH, "b": ("1", "2")}, "It")
        assert refusal.value.field == "recognition.provider_options"
    with pytest.raises(FieldInvalid, match="it has none"):
        chosen_options({"c": "1"}, {}, "It")


@pytest.mark.parametrize(
    ("tag", "primary"),
    [
        ("zh", "zh"), ("zh-Hans", "zh"), ("zh_TW", "zh"), ("zh-Hant-TW", "zh"), ("yue", "zh"), ("NB-no", "no"),
        ("es-419", "es"), ("", ""), ("no-such-language", ""), ("english", ""), ("e", ""), ("zh-", ""), ("de-1996", ""),
    ],
)  # fmt: skip
def test_a_tags_language_is_its_first_part(tag: str, primary: str) -> None:
    """Script and region play no part; what is no such tag is no language."""
    assert primary_language(tag) == primary


def test_languages_become_codes_once_each() -> None:
    """In order; one that is not read is refused."""
    assert language_codes(("nn", "zh-Hans", "nb", "zh"), KNOWN, "It") == ("NOR", "CHN")
    with pytest.raises(FieldInvalid, match="does not read 'tlh'; it reads zh, en, no") as refusal:
        language_codes(("zh", "tlh"), KNOWN, "It")
    assert refusal.value.field == "recognition.languages"


def test_letters_are_joined_until_a_blank() -> None:
    """A blank of the line, one among the characters, a character without a place, and a Chinese one end a word."""
    blank = Character(" ", None, None)
    cases = {
        "ab cd": ([*(character(each, 10 * x) for x, each in enumerate("abcd"))], ["ab", "cd"]),
        "ab": ([character("a", 0), blank, character("b", 10)], ["a", "b"]),
        "a中b": ([*(character(each, 10 * x) for x, each in enumerate("a中b"))], ["a", "中", "b"]),
        "abc": ([character("a", 0), Character("b", 0.5, None), character("c", 20)], ["a", "c"]),
    }
    for line, (characters, wanted) in cases.items():
        assert [word.text for word in words_of(line, characters)] == wanted, line


def test_a_word_reaches_from_its_first_character_to_its_last() -> None:
    """Tilted as they are; of a script that runs from right to left it is the box round them."""
    tilted = [
        Character(each, 0.5, ((x, x), (x + 9, x + 9), (x, x + 18), (x - 9, x + 9))) for each, x in (("a", 0), ("b", 9))
    ]
    wanted: Polygon = ((0, 0), (18, 18), (9, 27), (-9, 9))
    assert [word.polygon for word in words_of("ab", tilted)] == [wanted]
    (leftward,) = words_of("שם", [character("ש", 10), character("ם", 0)])
    assert leftward.polygon == ((0, 0), (20, 0), (20, 9), (0, 9))


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("91110105MA01ABCD7M", FieldName.CREDIT_CODE),
        ("110108000000016", FieldName.REGISTRATION_NUMBER),
        ("4403011234567", FieldName.REGISTRATION_NUMBER),
        ("9111010", FieldName.CREDIT_CODE),
    ],
)
def test_a_licences_number_is_told_by_its_length(raw: str, name: FieldName) -> None:
    """For services that have one name for both."""
    field = registration_field(raw, None, None)
    assert field is not None
    assert field.name == name


def test_fields_come_in_the_documents_order() -> None:
    """After its type each name once, the first one; one of another document comes last. Of nothing there are none."""
    made = [
        make_field(FieldName.BANK_NAME, "甲", None, None),
        make_field(FieldName.MRZ, "P<", None, None),
        None,
        make_field(FieldName.CARD_NUMBER, "1", None, None),
        make_field(FieldName.BANK_NAME, "乙", None, None),
    ]
    assert [(field.name, field.raw_value) for field in in_order(IdDocument.BANK_CARD, made)] == [
        ("document_type", "bank_card"), ("card_number", "1"), ("bank_name", "甲"), ("mrz", "P<"),
    ]  # fmt: skip
    assert in_order(IdDocument.BANK_CARD, [None]) == ()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://OCR.example.com", "ocr.example.com"),
        ("https://ocr.example.com:443", "ocr.example.com"),
        ("http://ocr.example.com:443", "ocr.example.com:443"),
        ("http://127.0.0.1:18099", "127.0.0.1:18099"),
        ("http://[::1]:80", "[::1]"),
    ],
)
def test_a_host_is_signed_as_it_is_sent(url: str, host: str) -> None:
    """With the port unless it is the scheme's own."""
    assert host_of(url) == host


def test_keys_are_taken_out_of_words() -> None:
    """As they are and percent-encoded, a longer one before a shorter one that it begins with."""
    kept = Kept("secret", "secret/longer+", None, "", "abc")
    assert kept.out_of("x secret secret/longer+ secret%2Flonger%2B abc") == "x *** *** *** abc"
    assert "secret" not in repr(kept)


def test_keys_are_taken_out_of_words_however_they_are_quoted() -> None:
    """For a URL, in JSON, in HTML, in Python, and in base64 at any place, in small letters too."""
    key = 'K3y/with+all=of"it&more \\ than9'
    quoted = [
        quote(key), quote_plus(key), quote(key, safe="/").replace("%2B", "%2b").replace("%3D", "%3d"),
        json.dumps(key), json.dumps(key).replace("/", "\\/"), html.escape(key), repr(key), f"{key.encode()!r}",
    ]  # fmt: skip
    assert [words for words in quoted if "with" in Kept(key).out_of(f"said {words} to it")] == []
    for before in ("", "a", "ab", "user:"):
        code = base64.b64encode(f"{before}{key}!".encode()).decode()
        for form in (code, code.replace("+", "-").replace("/", "_")):
            left = Kept(key).out_of(f"Basic {form}.").removeprefix("Basic ").removesuffix(".")
            assert "***" in left
            assert len(left) <= len(before) * 2 + 11


def test_the_code_of_a_table_that_says_most_counts() -> None:
    """An exact one, be it one character longer than a beginning, then the longest beginning; each stands there once."""
    table = ErrorTable(
        {Meaning.BUG: ("Failed*",), Meaning.OPTION: ("FailedOperation.*",), Meaning.UNDECODABLE: ("FailedX",)}
    )
    codes = ("Failed", "FailedOther", "failedoperation.image", "FailedX", "Else")
    meanings = [Meaning.BUG, Meaning.BUG, Meaning.OPTION, Meaning.UNDECODABLE, Meaning.TRANSIENT]
    assert [table.meaning(code) for code in codes] == meanings
    for twice in (("A", "a"), ("A*", "a*")):
        with pytest.raises(ValueError, match="twice"):
            ErrorTable({Meaning.BUG: twice})
