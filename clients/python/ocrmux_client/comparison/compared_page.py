"""One page as several providers read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from ocrmux_client.comparison.content_agreement import agreement
from ocrmux_client.comparison.text_difference import ErrorCount, error_count
from ocrmux_client.items import Feature
from ocrmux_client.records import PageRecord, place_of

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ComparedPage:
    """One page and what each provider made of it, in the order of the providers.

    ``agreements`` has every pair of providers that both read it; ``truth`` is the text that stands on it, or None;
    ``errors`` counts against the truth.
    """

    source: str
    page_number: int
    page_count: int | None
    records: Mapping[str, PageRecord]
    agreements: Mapping[Pair, float]
    truth: str | None
    errors: Mapping[str, ErrorCount]

    @property
    def place(self) -> str:
        """Source and page, for a person."""
        return place_of(self.source, self.page_number, self.page_count)

    @property
    def failed(self) -> tuple[str, ...]:
        """The providers that did not read it."""
        return tuple(name for name, record in self.records.items() if not record.ok)

    @property
    def worst_pair(self) -> Pair | None:
        """The two providers that agree least; None where fewer than two read the page."""
        return min(self.agreements, key=lambda pair: self.agreements[pair]) if self.agreements else None

    @property
    def lowest(self) -> float | None:
        """The agreement of the worst pair."""
        return min(self.agreements.values(), default=None)

    @property
    def mean(self) -> float | None:
        """The mean agreement of all pairs."""
        return fmean(self.agreements.values()) if self.agreements else None

    def agreement_of(self, provider: str) -> float | None:
        """The provider's mean agreement with the others that read the page."""
        own = [value for pair, value in self.agreements.items() if provider in pair]
        return fmean(own) if own else None

    @property
    def outlier(self) -> str | None:
        """Who agrees least with the others, where three or more read the page and one alone is the least."""
        means = {name: self.agreement_of(name) for name, record in self.records.items() if record.ok}
        known = {name: value for name, value in means.items() if value is not None}
        least = [name for name, value in known.items() if value == min(known.values())]
        return least[0] if len(known) >= 3 and len(least) == 1 else None

    @property
    def badness(self) -> tuple[bool, float]:
        """Larger for pages that are worth a look sooner: those that somebody failed to read, then low agreement."""
        return bool(self.failed), 1.0 - (1.0 if self.lowest is None else self.lowest)

    def as_json(self) -> dict[str, Any]:
        """The page's JSON object; agreements and error rates are shares."""
        readings = {}
        for name, record in self.records.items():
            errors = self.errors.get(name)
            readings[name] = record.as_json() | {"error_rate": None if errors is None else _rounded(errors.rate)}
        return {
            "source": self.source,
            "page": self.page_number,
            "page_count": self.page_count,
            "agreement": _rounded(self.mean),
            "pairs": [
                {"providers": list(pair), "agreement": _rounded(value)} for pair, value in self.agreements.items()
            ],
            "outlier": self.outlier,
            "truth": self.truth,
            "readings": readings,
        }


def compared(feature: Feature, records: Mapping[str, PageRecord], truth: str | None) -> ComparedPage:
    """One page, its agreements and errors computed: up to seconds for texts of 50 000 characters."""
    read = {name: record.page for name, record in records.items() if record.page is not None}
    first = next(iter(records.values()))
    errors = {name: error_count(truth, page.text) for name, page in read.items()} if truth is not None else {}
    return ComparedPage(
        source=first.source,
        page_number=max(record.page_number for record in records.values()),
        page_count=next((record.page_count for record in records.values() if record.page_count), None),
        records=records,
        agreements={
            (ours, theirs): agreement(feature, read[ours], read[theirs]) for ours, theirs in combinations(read, 2)
        },
        truth=truth,
        errors=errors,
    )


def pages_of(answers: Mapping[str, Sequence[PageRecord]]) -> list[dict[str, PageRecord]]:
    """The records of one source, by provider, as one mapping a page.

    A provider's error of the source as a whole stands for every page that it did not answer.
    """
    by_page = {name: {record.page_number: record for record in records} for name, records in answers.items()}
    numbers = sorted({number for records in by_page.values() for number in records if number}) or [0]
    pages = [
        {name: record for name, records in by_page.items() if (record := records.get(number) or records.get(0))}
        for number in numbers
    ]
    return [page for page in pages if page]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)
