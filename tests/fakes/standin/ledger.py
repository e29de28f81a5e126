"""What the stand-in counts, and the quotas that follow from it. Pure: times come from outside, monotonic seconds."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any


class SlidingSecond:
    """Counts events within one second, whichever it is."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.worst = 0

    def within(self, now: float) -> int:
        """Events in the second that ends now, its beginning left out."""
        while self._times and self._times[0] <= now - 1.0:
            self._times.popleft()
        return len(self._times)

    def add(self, now: float) -> int:
        """Adds an event; gives how many the second has with it."""
        self._times.append(now)
        count = self.within(now)
        self.worst = max(self.worst, count)
        return count


class Ledger:
    """Everything that is counted since it was made."""

    def __init__(self) -> None:
        self.requests = 0
        self.token_requests = 0
        self.tokens_issued = 0
        self.refused_tokens = 0
        self.endpoints: Counter[str] = Counter()
        self.refusals = 0
        self.daily_refusals = 0
        self.errors: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.billed = 0
        self.abandoned = 0
        self.in_progress = 0
        self.most_in_progress = 0
        self.bytes_in = 0
        self.admitted = 0
        self.largest_batch = 0
        self._arrivals: dict[str, SlidingSecond] = {}
        self._endings: dict[str, SlidingSecond] = {}
        self._admissions: dict[str, SlidingSecond] = {}
        self._seen: Counter[tuple[str, str]] = Counter()
        self._billed: Counter[tuple[str, str]] = Counter()

    def arrive(self, endpoint: str, now: float) -> None:
        """A request's headers are there."""
        self.requests += 1
        self.endpoints[endpoint] += 1
        self._arrivals.setdefault(endpoint, SlidingSecond()).add(now)
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)

    def leave(self) -> None:
        """It is answered, or its client has gone."""
        self.in_progress -= 1

    def admit(self, endpoint: str, quota: int, daily_quota: int, arrived: float) -> str:
        """The kind of error: "throttled" when the quota of the second is used up, "day_spent" for that of the day;
        empty for none. Refused calls use nothing up."""
        second = self._admissions.setdefault(endpoint, SlidingSecond())
        if quota and second.within(arrived) >= quota:
            self.refusals += 1
            return "throttled"
        if daily_quota and self.admitted >= daily_quota:
            self.daily_refusals += 1
            return "day_spent"
        second.add(arrived)
        self.admitted += 1
        return ""

    def read(self, endpoint: str, size: int, now: float) -> None:
        """Its body is there."""
        self.bytes_in += size
        self._endings.setdefault(endpoint, SlidingSecond()).add(now)

    def see(self, endpoint: str, digest: str) -> int:
        """Takes note of an image; gives how often it was seen before."""
        self._seen[endpoint, digest] += 1
        return self._seen[endpoint, digest] - 1

    def bill(self, endpoint: str, digest: str) -> None:
        """A good answer is given."""
        self.billed += 1
        self._billed[endpoint, digest] += 1

    def stats(self) -> dict[str, Any]:
        """All counts. ``worst_second`` is of one endpoint, as quotas are, and counts refused requests too."""
        worst = {endpoint: second.worst for endpoint, second in self._arrivals.items()}
        return {
            "requests": self.requests,
            "token_requests": self.token_requests,
            "tokens_issued": self.tokens_issued,
            "refused_tokens": self.refused_tokens,
            "endpoints": dict(self.endpoints),
            "worst_second": max(worst.values(), default=0),
            "worst_seconds": worst,
            "worst_second_by_body_end": max((second.worst for second in self._endings.values()), default=0),
            "refusals": self.refusals,
            "daily_refusals": self.daily_refusals,
            "errors": dict(self.errors),
            "faults": dict(self.faults),
            "images_seen": len(self._seen),
            "distinct_images": len(self._billed),
            "duplicates_billed": self.billed - len(self._billed),
            "billed_units": self.billed,
            "abandoned": self.abandoned,
            "in_progress": self.in_progress,
            "most_in_progress": self.most_in_progress,
            "bytes_in": self.bytes_in,
            "largest_batch": self.largest_batch,
        }
