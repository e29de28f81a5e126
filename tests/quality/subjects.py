"""What happens to a page before it is read: nothing, the textbook recipe, or a profile of the preprocess service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from preprocess_service.decoders.opening import open_document
from preprocess_service.model import PageFit, PageMeasures, PagePreference, Reader, Source, SourceLimits
from preprocess_service.page_making import make_page
from preprocess_service.page_order import PageOrder
from preprocess_service.profiles import resolve
from tests.quality.textbook import textbook_page

NONE = "none"
TEXTBOOK = "textbook"
CLASSIC = "classic"
BASELINES = (NONE, TEXTBOOK, CLASSIC)
"""What `auto` is compared with: it has no goals of its own."""

PREFERENCES: Mapping[str, PagePreference] = {
    "rapidocr": PagePreference.UNTOUCHED,
    "tesseract": PagePreference.CLEANED_GREY,
}
_NUMBERS = ("quarter_turns", "skew_deg", "contrast", "noise", "unevenness", "text_height_px", "blur")


@dataclass(frozen=True, slots=True)
class PreparedPage:
    """The image that an engine gets, and in words what was measured and done."""

    content: bytes = field(repr=False)
    account: str = ""


def prepared(subject: str, content: bytes, engine: str, overrides: Mapping[str, str]) -> PreparedPage:
    """The page as the subject makes it for the engine. ``none`` is the file itself, byte for byte.

    Raises what the preprocess service raises over a profile or a page.
    """
    if subject == NONE:
        return PreparedPage(content)
    if subject == TEXTBOOK:
        return PreparedPage(textbook_page(content))
    return _by_profile(subject, content, PREFERENCES[engine], overrides)


def _by_profile(name: str, content: bytes, preference: PagePreference, overrides: Mapping[str, str]) -> PreparedPage:
    order = PageOrder(resolve(name, overrides), Reader(preference, PageFit()), may_tile=False)
    document = open_document(Source(content), SourceLimits())
    try:
        page = make_page(document, 1, order)
    finally:
        document.close()
    steps = "; ".join(
        f"{step.name}({', '.join(f'{k}={v}' for k, v in step.parameters.items())})" for step in page.steps
    )
    return PreparedPage(page.parts[0].content, f"{_told(page.measures)} -> {steps or 'nothing'}")


def _told(measures: PageMeasures | None) -> str:
    """The measures that were taken, but where the page lies."""
    if measures is None:
        return "not measured"
    numbers = {name: getattr(measures, name) for name in _NUMBERS}
    told = [f"{name} {value:.3g}" for name, value in numbers.items() if value is not None]
    return ", ".join([*told, *(["outline"] if measures.outline else [])])
