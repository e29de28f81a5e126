"""Profiles: named lists of steps with their parameters, and the fingerprint that a cache keys them by.

A neural engine wants the page upright and otherwise untouched (measured: every enhancement, above all binarising,
makes its error rate worse on pages that it can read at all), so no profile enhances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from preprocess_service.errors import ProfileParameterInvalid, ProfileUnknown

VERSION = 1
"""Raised whenever the same profile and parameters make different pages than before."""

DEFAULT_PROFILE = "auto"


@dataclass(frozen=True, slots=True)
class Profile:
    """How pages are normalised.

    ``min_side_px``: a page whose shorter side is less is enlarged to it, 0 for never. ``max_side_px``: the longer side
    is brought down to it even where the reader takes more, 0 for never. ``jpeg_quality``: the first one tried, 1..100.
    """

    name: str
    min_side_px: int
    max_side_px: int
    jpeg_quality: int


@dataclass(frozen=True, slots=True)
class _Parameter:
    """An overridable parameter: the profile's attribute for it, and the values that it takes."""

    attribute: str
    least: int
    most: int


_PARAMETERS = {
    "encode.jpeg_quality": _Parameter("jpeg_quality", 1, 100),
    "scale.max_side_px": _Parameter("max_side_px", 0, 65_500),
    "scale.min_side_px": _Parameter("min_side_px", 0, 4_096),
}

_PROFILES = {
    "auto": Profile(name="auto", min_side_px=32, max_side_px=0, jpeg_quality=95),
    "none": Profile(name="none", min_side_px=0, max_side_px=0, jpeg_quality=95),
}


def resolve(name: str, overrides: Mapping[str, str]) -> Profile:
    """The profile of this name, "auto" for an empty one, with the overrides ("step.parameter" to a whole number).

    Raises ProfileUnknown, or ProfileParameterInvalid for an override that names no parameter or is out of its range.
    """
    base = _PROFILES.get(name or DEFAULT_PROFILE)
    if base is None:
        raise ProfileUnknown(name, sorted(_PROFILES))
    values = {parameter.attribute: getattr(base, parameter.attribute) for parameter in _PARAMETERS.values()}
    for key, text in overrides.items():
        parameter = _PARAMETERS.get(key)
        if parameter is None:
            raise ProfileParameterInvalid(key, f"known are {', '.join(sorted(_PARAMETERS))}")
        values[parameter.attribute] = _whole_number(key, text, parameter)
    return Profile(name=base.name, **values)


def fingerprint(name: str, overrides: Mapping[str, str]) -> str:
    """Names the version, the profile and each parameter that differs from the profile's own: "v1:auto",
    "v1:auto;encode.jpeg_quality=80". Equal for calls that make equal pages. Raises what ``resolve`` raises.
    """
    resolved = resolve(name, overrides)
    base = _PROFILES[resolved.name]
    parts = [f"v{VERSION}:{resolved.name}"]
    for key, parameter in sorted(_PARAMETERS.items()):
        value = getattr(resolved, parameter.attribute)
        if value != getattr(base, parameter.attribute):
            parts.append(f"{key}={value}")
    return ";".join(parts)


def _whole_number(key: str, text: str, parameter: _Parameter) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ProfileParameterInvalid(key, f"{text!r} is not a whole number")
    value = int(text)
    if not parameter.least <= value <= parameter.most:
        raise ProfileParameterInvalid(key, f"{value} is not within {parameter.least}..{parameter.most}")
    return value
