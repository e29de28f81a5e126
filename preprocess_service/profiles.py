"""Profiles: lists of steps with their parameters, and the fingerprint that a cache keys them by.

Which thresholds are right was found by error rates (docs/quality.md): a neural engine wants the page upright and
otherwise untouched, Tesseract wants text of one height, even light and level lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args, get_type_hints

from preprocess_service.errors import ProfileParameterInvalid, ProfileUnknown
from preprocess_service.model import PagePreference

VERSION = 2
"""Raised whenever the same profile and parameters make different pages than before."""

DEFAULT_PROFILE = "auto"

When = Literal["never", "needed", "always"]
DenoiseMethod = Literal["measured", "despeckle", "median", "gaussian", "bilateral", "nlmeans"]
ContrastMethod = Literal["stretch", "clahe"]
BinarizeMethod = Literal["otsu", "sauvola", "fixed"]

_MAX_NUMBER_CHARACTERS = 9

Value = str | int | float


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    """One parameter as the documentation shows it: ``key`` is "step.parameter", ``takes`` its choices or its range."""

    key: str
    default: Value
    takes: str
    meaning: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """A parameter that takes one of a few words."""

    meaning: str


@dataclass(frozen=True, slots=True)
class _Range:
    """A parameter that takes numbers from ``least`` to ``most``."""

    least: float
    most: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every step's parameters. The first word of a name is the step, the rest the parameter: ``deskew_min_deg`` is
    "deskew.min_deg" in a request. The defaults do nothing to a page.
    """

    perspective_when: Annotated[When, _Choice("Undo the perspective of a photographed page.")] = "never"
    perspective_min_deg: Annotated[
        float, _Range(0, 90, "Where a corner is this far from square, or a side from level.")
    ] = 2.0
    crop_when: Annotated[When, _Choice("Cut away what surrounds the page.")] = "never"
    crop_max_share: Annotated[float, _Range(0, 1, "Where the page fills less than this share of the picture.")] = 0.9
    crop_margin: Annotated[float, _Range(0, 0.2, "What is left around it, as a share of its longer side.")] = 0.005
    orient_when: Annotated[When, _Choice("Turn by quarters until the text is upright.")] = "never"
    deskew_when: Annotated[When, _Choice("Level the lines.")] = "never"
    deskew_min_deg: Annotated[float, _Range(0, 45, "Where lines fall or rise by more than this.")] = 0.3
    grey_when: Annotated[When, _Choice("Drop the colour; needed: where another step changes the page.")] = "never"
    denoise_when: Annotated[When, _Choice("Smooth noise away.")] = "never"
    denoise_min_noise: Annotated[float, _Range(0, 255, "Where the noise deviates by more than this, grey levels.")] = (
        24.0
    )
    denoise_min_share: Annotated[float, _Range(0, 5, "Or by more than this share of the contrast.")] = 0.25
    denoise_method: Annotated[DenoiseMethod, _Choice("How; measured: despeckle if strong, else gaussian.")] = "measured"
    illumination_when: Annotated[When, _Choice("Divide by the paper's brightness.")] = "never"
    illumination_min_unevenness: Annotated[float, _Range(0, 1, "Where the paper varies by more than this share.")] = (
        0.12
    )
    contrast_when: Annotated[When, _Choice("Stretch ink and paper to the full range.")] = "never"
    contrast_below: Annotated[float, _Range(0, 1, "Where they differ by less than this share of it.")] = 0.25
    contrast_method: Annotated[ContrastMethod, _Choice("How.")] = "stretch"
    scale_when: Annotated[When, _Choice("Bring the text to a height.")] = "never"
    scale_text_px: Annotated[float, _Range(4, 200, "That height, px.")] = 30.0
    scale_below_px: Annotated[float, _Range(0, 200, "Where it is less than this.")] = 22.0
    scale_above_px: Annotated[
        float, _Range(0, 2000, "Where it is more than this and its edges are sharp; 0: never.")
    ] = 0.0
    scale_max_factor: Annotated[float, _Range(1, 8, "Enlarged at most so many times.")] = 4.0
    scale_min_side_px: Annotated[int, _Range(0, 4096, "Enlarged where the shorter side is less; 0: never.")] = 0
    scale_max_side_px: Annotated[int, _Range(0, 65_500, "Brought down where the longer side is more; 0: never.")] = 0
    sharpen_when: Annotated[When, _Choice("Sharpen the edges.")] = "never"
    sharpen_min_blur: Annotated[float, _Range(0, 5, "Where they are wider than this share of the text's height.")] = (
        0.35
    )
    sharpen_amount: Annotated[float, _Range(0, 5, "How much of the difference from the smoothed page is added.")] = 0.8
    binarize_when: Annotated[When, _Choice("Make it black and white.")] = "never"
    binarize_method: Annotated[BinarizeMethod, _Choice("How.")] = "sauvola"
    binarize_threshold: Annotated[int, _Range(1, 255, "For fixed: what is brighter becomes white.")] = 150
    binarize_k: Annotated[float, _Range(0, 1, "For sauvola: how much darker than its surroundings ink is.")] = 0.2
    encode_jpeg_quality: Annotated[int, _Range(1, 100, "The first quality that is tried.")] = 90

    @property
    def measures(self) -> bool:
        """Whether anything depends on what is measured on the page."""
        return any(
            getattr(self, name) in _NEEDING_MEASURES.get(name, ("needed", "always")) for name in _WHEN_ATTRIBUTES
        )

    @property
    def wants_grey(self) -> bool:
        """Whether colour is of no use once the page is changed."""
        return self.grey_when != "never" or self.binarize_when != "never"

    @property
    def always_changes(self) -> bool:
        """Whether each page is changed, so that no page can be passed on as it is."""
        return any(getattr(self, name) == "always" for name in _ALWAYS_CHANGING)


@dataclass(frozen=True, slots=True)
class _Parameter:
    """An attribute of Parameters, as a request overrides it."""

    attribute: str
    takes: _Choice | _Range
    is_whole: bool
    choices: tuple[str, ...]


def _parameter(attribute: str, annotated: Any) -> _Parameter:
    kind, takes = get_args(annotated)
    return _Parameter(attribute, takes, kind is int, get_args(kind))


_PARAMETERS = {
    attribute.replace("_", ".", 1): _parameter(attribute, annotated)
    for attribute, annotated in get_type_hints(Parameters, include_extras=True).items()
}
_WHEN_ATTRIBUTES = tuple(each.attribute for key, each in _PARAMETERS.items() if key.endswith(".when"))
# What "always" does without measures. Grey is dropped on the way of another step, or always.
_NEEDING_MEASURES: dict[str, tuple[str, ...]] = {
    "grey_when": (),
    "binarize_when": ("needed",),
    "denoise_when": ("needed",),
    "contrast_when": ("needed",),
}
_ALWAYS_CHANGING = ("grey_when", "denoise_when", "illumination_when", "contrast_when", "sharpen_when", "binarize_when")

_TURNED_AND_CUT = Parameters(
    perspective_when="needed", crop_when="needed", orient_when="needed", deskew_when="needed", scale_min_side_px=32
)
_CLEANED = replace(
    _TURNED_AND_CUT,
    grey_when="needed",
    illumination_when="needed",
    contrast_when="needed",
    denoise_when="needed",
    denoise_min_share=0.15,
    scale_when="needed",
)
_AUTO = {
    # What a neural engine reads it reads best as it came: only what is broken is mended.
    PagePreference.UNTOUCHED: replace(
        _TURNED_AND_CUT,
        perspective_min_deg=3.0,
        crop_max_share=0.6,
        deskew_min_deg=6.0,
        illumination_when="needed",
        illumination_min_unevenness=0.45,
        contrast_when="needed",
        denoise_when="needed",
        scale_when="needed",
        scale_text_px=20.0,
        scale_below_px=5.0,
        scale_max_factor=3.0,
    ),
    # Tesseract's page analysis takes the strokes of large Chinese characters for rules and the gaps between them for
    # columns, and averaging over areas takes noise away.
    PagePreference.CLEANED_GREY: replace(_CLEANED, scale_text_px=16.0, scale_below_px=15.0, scale_above_px=18.0),
    PagePreference.BILEVEL: replace(_CLEANED, binarize_when="always", scale_text_px=32.0),
}
_DOCUMENT = replace(_CLEANED, grey_when="always", illumination_when="always", contrast_when="always")
_PHOTO = replace(
    _TURNED_AND_CUT,
    perspective_min_deg=1.0,
    illumination_when="always",
    contrast_when="needed",
    deskew_min_deg=1.0,
    scale_when="needed",
    scale_text_px=24.0,
    scale_below_px=14.0,
)
_RECEIPT = replace(
    _CLEANED,
    crop_max_share=0.97,
    grey_when="always",
    illumination_when="always",
    contrast_when="always",
    binarize_when="always",
)
_CLASSIC = Parameters(
    grey_when="always",
    denoise_when="always",
    denoise_method="gaussian",
    binarize_when="always",
    binarize_method="fixed",
)


def _for_all(parameters: Parameters) -> Mapping[PagePreference, Parameters]:
    return dict.fromkeys(PagePreference, parameters)


_PROFILES: dict[str, Mapping[PagePreference, Parameters]] = {
    "auto": _AUTO,
    "classic": _for_all(_CLASSIC),
    "document": _for_all(_DOCUMENT),
    "none": _for_all(Parameters()),
    "photo": _for_all(_PHOTO),
    "receipt": _for_all(_RECEIPT),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """How pages are normalised: a named profile with overrides, ``(key, value)`` in the keys' order and each in its
    shortest form, so that equal profiles make equal pages.
    """

    name: str
    overrides: tuple[tuple[str, str], ...] = ()

    def parameters(self, preference: PagePreference) -> Parameters:
        """The steps' parameters for a reader of this preference."""
        changes: dict[str, Any] = {_PARAMETERS[key].attribute: _value(key, text) for key, text in self.overrides}
        return replace(_PROFILES[self.name][preference], **changes)


def resolve(name: str, overrides: Mapping[str, str]) -> Profile:
    """The profile of this name, "auto" for an empty one, with the overrides ("step.parameter" to its value).

    Raises ProfileUnknown, or ProfileParameterInvalid for an override that names no parameter or is out of its range.
    """
    profile = name or DEFAULT_PROFILE
    if profile not in _PROFILES:
        raise ProfileUnknown(name, sorted(_PROFILES))
    bases = _PROFILES[profile].values()
    changes: list[tuple[str, str]] = []
    for key, text in sorted(overrides.items()):
        if key not in _PARAMETERS:
            raise ProfileParameterInvalid(key, _known_near(key))
        value = _value(key, text)
        if any(getattr(base, _PARAMETERS[key].attribute) != value for base in bases):
            changes.append((key, f"{value:g}" if isinstance(value, float) else str(value)))
    return Profile(profile, tuple(changes))


def _known_near(key: str) -> str:
    """The parameters of the key's step, else the steps: few enough to be told whole."""
    step = key.partition(".")[0]
    own = [each for each in _PARAMETERS if each.startswith(f"{step}.")]
    if own:
        return f"known are {', '.join(own)}"
    steps = dict.fromkeys(each.partition(".")[0] for each in _PARAMETERS)
    return f"it is STEP.PARAMETER, and the steps are {', '.join(steps)}"


def fingerprint(name: str, overrides: Mapping[str, str], preference: PagePreference = PagePreference.UNTOUCHED) -> str:
    """Names the version, the profile, the preference where the profile heeds it, and each parameter that differs from
    the profile's own: "v2:auto,untouched", "v2:none;encode.jpeg_quality=80". Equal for calls that make equal pages for
    readers that take the same. Raises what ``resolve`` raises.
    """
    resolved = resolve(name, overrides)
    bases = _PROFILES[resolved.name]
    heeds_preference = len(set(bases.values())) > 1
    start = f"v{VERSION}:{resolved.name}" + (f",{preference.value}" if heeds_preference else "")
    own = bases[preference]
    changes = [
        f"{key}={text}"
        for key, text in resolved.overrides
        if getattr(own, _PARAMETERS[key].attribute) != _value(key, text)
    ]
    return ";".join((start, *changes))


def profile_names() -> tuple[str, ...]:
    """Every profile, by name."""
    return tuple(sorted(_PROFILES))


def described(name: str, preference: PagePreference = PagePreference.UNTOUCHED) -> tuple[ParameterDescription, ...]:
    """The parameters of a profile with its defaults, in the steps' order. Raises ProfileUnknown."""
    own = resolve(name, {}).parameters(preference)
    return tuple(
        ParameterDescription(key, getattr(own, each.attribute), _takes(each), each.takes.meaning)
        for key, each in _PARAMETERS.items()
    )


def _takes(parameter: _Parameter) -> str:
    if isinstance(parameter.takes, _Range):
        return f"{parameter.takes.least:g}..{parameter.takes.most:g}"
    return " | ".join(parameter.choices)


def _value(key: str, text: str) -> Value:
    """The text as the parameter's value. Raises ProfileParameterInvalid."""
    parameter = _PARAMETERS[key]
    if isinstance(parameter.takes, _Range):
        return _number(key, text, parameter.takes, is_whole=parameter.is_whole)
    if text not in parameter.choices:
        raise ProfileParameterInvalid(key, f"{text!r} is none of {', '.join(parameter.choices)}")
    return text


def _number(key: str, text: str, takes: _Range, *, is_whole: bool) -> int | float:
    whole, point, decimals = text.partition(".")
    digits = whole + decimals
    is_plain = text.isascii() and digits.isdigit() and len(text) <= _MAX_NUMBER_CHARACTERS
    if not is_plain or (is_whole and point):
        raise ProfileParameterInvalid(key, f"{text!r} is not a {'whole ' if is_whole else ''}number")
    value = int(text) if is_whole else float(text)
    if not takes.least <= value <= takes.most:
        raise ProfileParameterInvalid(key, f"{value} is not within {takes.least:g}..{takes.most:g}")
    return value
