"""Profiles, their overrides and their fingerprints."""

from __future__ import annotations

import pytest

from preprocess_service.errors import ProfileParameterInvalid, ProfileUnknown
from preprocess_service.profiles import fingerprint, resolve


def test_an_empty_name_is_auto() -> None:
    """Who names no profile gets auto."""
    assert resolve("", {}) == resolve("auto", {})
    assert fingerprint("", {}) == "v1:auto"


def test_none_enlarges_nothing() -> None:
    """The profile none leaves even the tiniest page at its size."""
    assert resolve("none", {}).min_side_px == 0
    assert resolve("auto", {}).min_side_px == 32


def test_an_unknown_profile_names_the_known_ones() -> None:
    """The error says what there is."""
    with pytest.raises(ProfileUnknown, match="known are auto, none") as caught:
        resolve("fancy", {})
    assert caught.value.metadata["name"] == "fancy"


def test_overrides_change_the_profile_and_the_fingerprint() -> None:
    """A parameter is overridden by its name, and named in the fingerprint, in one order."""
    overrides = {"scale.min_side_px": "64", "encode.jpeg_quality": "80"}
    profile = resolve("auto", overrides)
    assert (profile.min_side_px, profile.jpeg_quality) == (64, 80)
    assert fingerprint("auto", overrides) == "v1:auto;encode.jpeg_quality=80;scale.min_side_px=64"


def test_an_override_that_changes_nothing_keeps_the_fingerprint() -> None:
    """Calls that make the same pages have the same key."""
    assert fingerprint("auto", {"scale.min_side_px": "032"}) == "v1:auto"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scale.nothing", "1"),
        ("encode.jpeg_quality", "101"),
        ("encode.jpeg_quality", "0"),
        ("encode.jpeg_quality", "-1"),
        ("encode.jpeg_quality", "good"),
        ("scale.max_side_px", "9" * 5000),
        ("scale.min_side_px", "²"),
    ],
)
def test_an_override_that_cannot_be_applied_is_refused(key: str, value: str) -> None:
    """Unknown parameters and values out of range are told by name."""
    with pytest.raises(ProfileParameterInvalid) as caught:
        resolve("auto", {key: value})
    assert caught.value.metadata == {"parameter": key}
