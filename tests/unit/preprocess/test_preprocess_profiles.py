"""Profiles, their overrides and their fingerprints."""

from __future__ import annotations

import pytest

from preprocess_service.errors import ProfileParameterInvalid, ProfileUnknown
from preprocess_service.model import PagePreference
from preprocess_service.profiles import Parameters, described, fingerprint, profile_names, resolve

UNTOUCHED = PagePreference.UNTOUCHED
CLEANED_GREY = PagePreference.CLEANED_GREY
BILEVEL = PagePreference.BILEVEL


def test_an_empty_name_is_auto() -> None:
    """Who names no profile gets auto."""
    assert resolve("", {}) == resolve("auto", {})
    assert fingerprint("", {}) == "v2:auto,untouched"


def test_none_does_nothing() -> None:
    """The profile none has every step off, enlarges nothing and measures nothing."""
    parameters = resolve("none", {}).parameters(BILEVEL)
    assert parameters == Parameters()
    assert not parameters.measures
    assert not parameters.always_changes


def test_an_unknown_profile_names_the_known_ones() -> None:
    """The error says what there is."""
    with pytest.raises(ProfileUnknown, match="known are auto, classic, document, none, photo, receipt") as caught:
        resolve("fancy", {})
    assert caught.value.metadata["name"] == "fancy"


@pytest.mark.parametrize(
    ("name", "preference", "measures", "always_changes"),
    [
        ("auto", UNTOUCHED, True, False),
        ("auto", CLEANED_GREY, True, False),
        ("auto", BILEVEL, True, True),
        ("document", UNTOUCHED, True, True),
        ("classic", UNTOUCHED, False, True),
    ],
)
def test_a_profile_knows_what_it_needs(
    name: str, preference: PagePreference, measures: bool, always_changes: bool
) -> None:
    """Whether a page is measured, and whether one may pass as it is, follows from the steps that are on."""
    parameters = resolve(name, {}).parameters(preference)
    assert (parameters.measures, parameters.always_changes) == (measures, always_changes)


def test_auto_follows_the_reader() -> None:
    """Only for a reader of two tones does auto make black and white, and only for one of grey pages drop the colour."""
    auto = resolve("auto", {})
    assert [auto.parameters(each).binarize_when for each in (UNTOUCHED, CLEANED_GREY, BILEVEL)] == [
        "never",
        "never",
        "always",
    ]
    assert [auto.parameters(each).wants_grey for each in (UNTOUCHED, CLEANED_GREY, BILEVEL)] == [False, True, True]


def test_overrides_change_the_profile_and_the_fingerprint() -> None:
    """A parameter is overridden by its name, and named in the fingerprint, in one order and one form."""
    overrides = {
        "scale.min_side_px": "64",
        "encode.jpeg_quality": "80",
        "deskew.when": "never",
        "scale.text_px": "24.0",
    }
    parameters = resolve("auto", overrides).parameters(UNTOUCHED)
    assert (parameters.scale_min_side_px, parameters.encode_jpeg_quality) == (64, 80)
    assert (parameters.deskew_when, parameters.scale_text_px) == ("never", 24.0)
    assert (
        fingerprint("auto", overrides)
        == "v2:auto,untouched;deskew.when=never;encode.jpeg_quality=80;scale.min_side_px=64;scale.text_px=24"
    )


def test_the_preference_stands_in_the_fingerprint_where_it_matters() -> None:
    """Pages of auto differ by who reads them, those of the other profiles do not."""
    assert fingerprint("auto", {}, CLEANED_GREY) == "v2:auto,cleaned_grey"
    assert fingerprint("document", {}, CLEANED_GREY) == fingerprint("document", {}, UNTOUCHED) == "v2:document"


def test_an_override_that_changes_nothing_keeps_the_fingerprint() -> None:
    """Calls that make the same pages have the same key, also where the override changes them for another reader."""
    assert fingerprint("auto", {"scale.min_side_px": "032"}) == "v2:auto,untouched"
    assert fingerprint("auto", {"deskew.min_deg": "0.3"}, CLEANED_GREY) == "v2:auto,cleaned_grey"
    assert fingerprint("auto", {"deskew.min_deg": "0.3"}, UNTOUCHED) == "v2:auto,untouched;deskew.min_deg=0.3"


def test_a_profile_is_made_again_from_its_name_and_overrides() -> None:
    """A profile that was sent to another process as text is the same there."""
    profile = resolve("receipt", {"crop.margin": "0.010", "binarize.method": "otsu"})
    assert profile.overrides == (("binarize.method", "otsu"), ("crop.margin", "0.01"))
    assert resolve(profile.name, dict(profile.overrides)) == profile


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("scale.nothing", "1", "known are scale.when, .*scale.max_side_px$"),
        ("scaling.when", "never", "the steps are perspective, .*encode$"),
        ("deskew", "never", "known are"),
        ("encode.jpeg_quality", "101", "within 1..100"),
        ("encode.jpeg_quality", "0", "within 1..100"),
        ("encode.jpeg_quality", "-1", "whole number"),
        ("encode.jpeg_quality", "80.5", "whole number"),
        ("encode.jpeg_quality", "good", "whole number"),
        ("scale.max_side_px", "9" * 5000, "whole number"),
        ("scale.min_side_px", "²", "whole number"),
        ("deskew.min_deg", "nan", "not a number"),
        ("deskew.min_deg", "1e1", "not a number"),
        ("deskew.min_deg", ".", "not a number"),
        ("deskew.min_deg", "46", "within 0..45"),
        ("deskew.when", "sometimes", "none of never, needed, always"),
        ("binarize.method", "", "none of otsu, sauvola, fixed"),
    ],
)
def test_an_override_that_cannot_be_applied_is_refused(key: str, value: str, message: str) -> None:
    """Unknown parameters and values out of range are told by name, with what is known."""
    with pytest.raises(ProfileParameterInvalid, match=message) as caught:
        resolve("auto", {key: value})
    assert caught.value.metadata == {"parameter": key}


def test_every_default_is_a_value_that_an_override_could_set() -> None:
    """What the table of parameters shows is within its own ranges, for every profile and reader."""
    for name in profile_names():
        for preference in PagePreference:
            table = described(name, preference)
            overrides = {each.key: f"{each.default}" for each in table}
            assert resolve(name, overrides).parameters(preference) == resolve(name, {}).parameters(preference)
            assert all(each.meaning.endswith(".") and each.takes for each in table)
