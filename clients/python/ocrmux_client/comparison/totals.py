"""What a comparison says of its providers, over all pages."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from ocrmux_client.comparison.compared_page import ComparedPage, Pair
from ocrmux_client.comparison.text_difference import ErrorCount
from ocrmux_client.items import Feature


@dataclass(slots=True)
class Mean:
    """The mean of what was added."""

    total: float = 0.0
    number: int = 0

    def add(self, value: float | None) -> None:
        """Adds a value; None is none."""
        if value is not None:
            self.total += value
            self.number += 1

    @property
    def value(self) -> float | None:
        """None of nothing."""
        return self.total / self.number if self.number else None


@dataclass(slots=True)
class ProviderTotals:
    """One provider's sums. ``provider_ms`` has a time for each page that it was asked for: none from the cache.

    ``costs`` is by currency. ``outlier``: pages on which it agrees least with the others.
    """

    read: int = 0
    failed: int = 0
    from_cache: int = 0
    billed_units: float = 0.0
    agreement: Mean = field(default_factory=Mean)
    confidence: Mean = field(default_factory=Mean)
    errors: ErrorCount = field(default_factory=ErrorCount)
    provider_ms: list[float] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
    outlier: int = 0

    def add(self, name: str, page: ComparedPage) -> None:
        """Adds one page."""
        record = page.records.get(name)
        if record is None:
            return
        self.read += record.ok
        self.failed += not record.ok
        self.from_cache += record.from_cache
        self.outlier += page.outlier == name
        self.agreement.add(page.agreement_of(name))
        self.confidence.add(record.confidence)
        self.errors += page.errors.get(name, ErrorCount())
        self.billed_units += record.provenance.billed_units
        if record.ok and not record.from_cache:
            self.provider_ms.append(record.provenance.timings.provider_ms)
        if currency := record.provenance.currency:
            self.costs[currency] = self.costs.get(currency, 0.0) + record.provenance.cost

    def as_json(self) -> dict[str, Any]:
        """The sums' JSON object; what is not known is null."""
        return {
            "pages_read": self.read,
            "pages_failed": self.failed,
            "from_cache": self.from_cache,
            "agreement": _rounded(self.agreement.value),
            "error_rate": _rounded(self.errors.rate),
            "confidence": _rounded(self.confidence.value),
            "provider_ms": {f"p{share}": _rounded(percentile(self.provider_ms, share / 100)) for share in (50, 95)},
            "billed_units": self.billed_units,
            "costs": {currency: round(cost, 9) for currency, cost in sorted(self.costs.items())},
            "outlier": self.outlier,
        }


class Comparison:
    """Totals over all pages, and the pages that differ most, at most ``details_max`` of them, whole."""

    def __init__(self, feature: Feature, providers: Sequence[str], details_max: int, *, in_turn: bool = False) -> None:
        self.feature = feature
        self.providers = tuple(providers)
        self.in_turn = in_turn
        self.totals = {name: ProviderTotals() for name in self.providers}
        self.pairs: dict[Pair, Mean] = {}
        self.pages = 0
        self.with_truth = 0
        self._details_max = details_max
        self._worst: list[tuple[tuple[bool, float], int, ComparedPage]] = []
        self._numbers = count()

    def add(self, page: ComparedPage) -> None:
        """Adds one page."""
        self.pages += 1
        self.with_truth += page.truth is not None
        for name, totals in self.totals.items():
            totals.add(name, page)
        for pair, value in page.agreements.items():
            self.pairs.setdefault(pair, Mean()).add(value)
        entry = (page.badness, -next(self._numbers), page)
        if len(self._worst) < self._details_max:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)

    @property
    def worst(self) -> list[ComparedPage]:
        """The pages that were kept, those worth a look first; equals in the order in which they came."""
        return [page for _, _, page in sorted(self._worst, key=lambda entry: entry[:2], reverse=True)]

    def as_json(self) -> dict[str, Any]:
        """The totals' JSON object."""
        return {
            "pages": self.pages,
            "pages_with_truth": self.with_truth,
            "in_turn": self.in_turn,
            "providers": {name: totals.as_json() for name, totals in self.totals.items()},
            "pairs": [
                {"providers": list(pair), "agreement": _rounded(mean.value)} for pair, mean in self.pairs.items()
            ],
        }


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that is not below ``share`` of all (nearest rank); None of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
