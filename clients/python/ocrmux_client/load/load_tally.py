"""What came of a load, counted as it comes: nothing is kept an item."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ocrmux.ocr.v1.recognition_pb2 import CacheOutcome, PageAnswer
from ocrmux_client.errors import OcrMuxError
from ocrmux_client.load.latency_histogram import LatencyHistogram
from ocrmux_client.load.send_plan import Arrival

NOT_SENT = "NOT_SENT"
UNANSWERED = "UNANSWERED"
PARTS = ("preprocess", "queue", "rate_limit", "provider", "total")
"""Of a page's time, as the services tell it."""


@dataclass(slots=True)
class ItemOutcome:
    """An item's answers together: how many pages, and why it failed, where it did."""

    pages: list[PageAnswer] = field(default_factory=list)
    reason: str = ""

    def take(self, answer: PageAnswer) -> None:
        """One more answer; the first error is the item's."""
        self.pages.append(answer)
        if answer.WhichOneof("outcome") == "error" and not self.reason:
            error = OcrMuxError.from_status(answer.error)
            self.reason = error.reason or error.code.name


@dataclass(slots=True)
class Second:
    """One second of the measured time: what was due, sent, answered and failed in it, by the run's clock."""

    due: int = 0
    sent: int = 0
    answered: int = 0
    failed: int = 0
    longest_response_s: float = 0.0


@dataclass(slots=True)
class LoadTally:
    """Counts of the items that were due within the measured time; what warms up counts nowhere.

    ``begins_s`` and ``ends_s`` are that time by the run's clock. ``response`` counts from when an item was due,
    ``service`` from when it was sent, both to its last page; an item that was never answered is in ``response`` with
    the time that it waited, and one that failed in neither. ``late``: how long after it could have been an item was
    sent.
    """

    begins_s: float
    ends_s: float
    arrivals: int = 0
    answered: int = 0
    pages: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    providers: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    fallbacks: int = 0
    billed_units: float = 0.0
    cost: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    sent_in_time: int = 0
    answered_in_time: int = 0
    response: LatencyHistogram = field(default_factory=LatencyHistogram)
    service: LatencyHistogram = field(default_factory=LatencyHistogram)
    late: LatencyHistogram = field(default_factory=LatencyHistogram)
    parts: dict[str, LatencyHistogram] = field(default_factory=lambda: {part: LatencyHistogram() for part in PARTS})
    seconds: defaultdict[int, Second] = field(default_factory=lambda: defaultdict(Second))
    reconnects: int = 0

    @property
    def failed(self) -> int:
        """Items that were due and have no result."""
        return self.errors.total()

    @property
    def measured_s(self) -> float:
        """How long the measured time is."""
        return max(0.0, self.ends_s - self.begins_s)

    def sent(self, arrival: Arrival, at_s: float, late_s: float) -> None:
        """The item is on its way."""
        if self._is_within(at_s):
            self.sent_in_time += 1
            self._second(at_s).sent += 1
        if self._counts(arrival):
            self.arrivals += 1
            self._second(arrival.due_s).due += 1
            self.late.record(late_s)

    def taken(self, arrival: Arrival, sent_s: float, at_s: float, outcome: ItemOutcome) -> None:
        """The item's last answer came."""
        if outcome.reason:
            self._pay(arrival, outcome)
            self.failed_with(arrival, at_s, outcome.reason)
            return
        if self._is_within(at_s):
            self.answered_in_time += 1
            self._second(at_s).answered += 1
        if not self._counts(arrival):
            return
        self.answered += 1
        self.response.record(at_s - arrival.due_s)
        self.service.record(at_s - sent_s)
        second = self._second(arrival.due_s)
        second.longest_response_s = max(second.longest_response_s, at_s - arrival.due_s)
        self._pay(arrival, outcome)
        self._time(outcome)

    def failed_with(self, arrival: Arrival, at_s: float, reason: str) -> None:
        """The item has an error, or was lost with its stream."""
        if self._is_within(at_s):
            self._second(at_s).failed += 1
        if self._counts(arrival):
            self.errors[reason] += 1

    def left_over(self, arrival: Arrival, at_s: float, *, was_sent: bool) -> None:
        """The run ended without an answer for the item, or without room to send it."""
        if not self._counts(arrival):
            return
        if not was_sent:
            self.arrivals += 1
            self._second(arrival.due_s).due += 1
        self.errors[UNANSWERED if was_sent else NOT_SENT] += 1
        self.response.record(at_s - arrival.due_s)

    def cut(self, at_s: float) -> None:
        """The run was broken off: the measured time ends here."""
        self.ends_s = max(self.begins_s, min(self.ends_s, at_s))

    def _counts(self, arrival: Arrival) -> bool:
        return self._is_within(arrival.due_s)

    def _is_within(self, at_s: float) -> bool:
        return self.begins_s <= at_s < self.ends_s

    def _second(self, at_s: float) -> Second:
        return self.seconds[int(at_s - self.begins_s)]

    def _pay(self, arrival: Arrival, outcome: ItemOutcome) -> None:
        if not self._counts(arrival):
            return
        for page in outcome.pages:
            provenance = page.provenance
            self.attempts += provenance.attempts
            self.fallbacks += len(provenance.fallbacks)
            self.billed_units += provenance.billed_units
            if provenance.cost:
                self.cost[provenance.currency] += provenance.cost

    def _time(self, outcome: ItemOutcome) -> None:
        for page in outcome.pages:
            self.pages += 1
            self.cache[CacheOutcome.Name(page.provenance.cache).removeprefix("CACHE_OUTCOME_")] += 1
            self.providers[page.provenance.provider] += 1
            timings = page.provenance.timings
            for part, histogram in self.parts.items():
                histogram.record(getattr(timings, f"{part}_ms") / 1000)
