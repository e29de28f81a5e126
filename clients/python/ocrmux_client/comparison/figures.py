"""Figures of a comparison in words, the same on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Mapping

from ocrmux.ocr.v1.document_pb2 import CHECK_DIGIT_INVALID, CHECK_DIGIT_VALID, Field
from ocrmux_client.comparison.totals import Comparison, ProviderTotals, percentile

NONE = "–"
_CHECKS = {CHECK_DIGIT_VALID: " ✓", CHECK_DIGIT_INVALID: " ✗ check digit"}


def share(value: float | None) -> str:
    """In per cent with one decimal; never 100 % for less than all, nor 0 % for more than nothing."""
    if value is None:
        return NONE
    rounded = round(value * 100, 1)
    if rounded == 100.0 and value < 1.0:
        rounded = 99.9
    if rounded == 0.0 and value > 0.0:
        return "< 0.1 %"
    return f"{rounded:.1f} %"


def milliseconds(value: float | None) -> str:
    """Whole milliseconds from ten on."""
    return NONE if value is None else f"{value:.1f}" if 0 < value < 10 else f"{value:,.0f}"


def money(costs: Mapping[str, float]) -> str:
    """Each currency's sum, four significant digits."""
    return " + ".join(f"{cost:.4g} {currency}" for currency, cost in sorted(costs.items())) or NONE


def field_value(field: Field | None) -> str:
    """A field's value, what is printed where that is another text, and whether its check digit holds."""
    if field is None:
        return NONE
    value = field.normalized_value or field.raw_value
    raw = f" [{field.raw_value}]" if field.raw_value not in {"", value} else ""
    return f"{value}{raw}{_CHECKS.get(field.check_digit, '')}"


def summary_columns(comparison: Comparison) -> dict[str, list[str]]:
    """A row a provider, by the column's name; columns of which nothing is known are left out."""
    totals = list(comparison.totals.values())
    columns = {
        "provider": list(comparison.totals),
        "read": [str(one.read) for one in totals],
        "failed": [str(one.failed) for one in totals],
        "agreement": [share(one.agreement.value) for one in totals],
        "errors": [share(one.errors.rate) for one in totals],
        "confidence": [share(one.confidence.value) for one in totals],
        "p50 ms": [_time(one, 0.5) for one in totals],
        "p95 ms": [_time(one, 0.95) for one in totals],
        "cached": [str(one.from_cache) for one in totals],
        "units": [f"{one.billed_units:g}" for one in totals],
        "cost": [money(one.costs) for one in totals],
    }
    kept_always = {"provider", "read", "failed", "agreement", "p50 ms", "p95 ms"}
    return {name: cells for name, cells in columns.items() if name in kept_always or not {*cells} <= {"0", NONE}}


def notes(comparison: Comparison) -> list[str]:
    """What has to be known to read the figures right."""
    told = [_AGREEMENT[comparison.feature.value]]
    if comparison.with_truth:
        told.append(
            f"errors: characters to change to make what was read into the truth, as a share of it; "
            f"{comparison.with_truth} of {comparison.pages} pages have one"
        )
    asked = any(one.provider_ms for one in comparison.totals.values())
    cached = any(one.from_cache for one in comparison.totals.values())
    if cached:
        rest = "of the other pages" if asked else "not known"
        told.append(f"some pages came from the cache: times are {rest}, and they cost nothing; --no-cache asks anew")
    if asked and not comparison.in_turn:
        told.append("times: the providers worked side by side; --in-turn has one page in work at a time")
    return told


_BLANKS = "white space counts as one blank, none beside Chinese and Japanese characters"
_AGREEMENT = {
    "text": f"agreement: 1 - edit distance / length of the longer text, mean over the other providers; {_BLANKS}",
    "table": "agreement: mean likeness of the cells in one place; a cell that only one has counts 0",
    "id": "agreement: fields with the same value, of all fields that one of two has",
}


def _time(totals: ProviderTotals, at: float) -> str:
    return milliseconds(percentile(totals.provider_ms, at))
