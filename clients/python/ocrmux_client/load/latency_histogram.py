"""Latencies counted as HdrHistogram counts them: in buckets whose width is a thousandth of the value, or 1 µs.

Layout, percentiles and the text are those of http://hdrhistogram.org with 3 significant digits over 1 µs to 1 hour, so
that its plotter reads them. Recording takes about a microsecond, and memory does not grow.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

HIGHEST_US = 3_600_000_000
_SUB_BUCKETS = 2048  # the power of 2 above 2 * 10^3, so that values differ by a thousandth at most
_HALF = _SUB_BUCKETS // 2
_HALF_BITS = _HALF.bit_length() - 1
_BUCKETS = 1 + max(0, HIGHEST_US.bit_length() - _SUB_BUCKETS.bit_length() + 1)
_TICKS_PER_HALF = 5


class LatencyHistogram:
    """Counts of latencies. Values are whole microseconds; what is above an hour counts as an hour."""

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * (_BUCKETS + 1) * _HALF))
        self.count = 0
        self.max_us = 0

    def record(self, seconds: float) -> None:
        """One more latency; a negative one, of a clock that disagrees, is 0."""
        value = min(HIGHEST_US, max(0, round(seconds * 1e6)))
        self._counts[_index(value)] += 1
        self.count += 1
        self.max_us = max(self.max_us, value)

    def percentile_us(self, percent: float) -> int:
        """The value that so many percent (0..100) do not exceed, to 3 digits; 0 where there are none."""
        wanted = max(1, int(min(100.0, percent) / 100 * self.count + 0.5))
        seen = 0
        for value, count in self.buckets():
            seen += count
            if seen >= wanted:
                return highest_of_bucket(value)
        return 0

    def percentile_ms(self, percent: float) -> float:
        """The same in milliseconds, never above the largest value."""
        return min(self.percentile_us(percent), self.max_us) / 1000

    @property
    def max_ms(self) -> float:
        """The largest value, exactly."""
        return self.max_us / 1000

    @property
    def mean_ms(self) -> float:
        """Of the buckets' middles; 0 where there are none."""
        return self._mean_us() / 1000

    def above(self, seconds: float) -> int:
        """How many are above, give or take those of one bucket."""
        return sum(count for value, count in self.buckets() if value > seconds * 1e6)

    def buckets(self) -> Iterator[tuple[int, int]]:
        """Lowest value (µs) and count of each bucket that has any, rising."""
        return ((_value_at(index), count) for index, count in enumerate(self._counts) if count)

    def percentile_text(self) -> str:
        """The percentile distribution in milliseconds, as HdrHistogram's plotter reads it (.hgrm)."""
        head = f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}\n\n"
        rows = [
            f"{value / 1000:12.3f} {level / 100:2.12f} {seen:10d}"
            + (f" {1 / (1 - level / 100):14.2f}\n" if level < 100 else "\n")
            for value, level, seen in self._levels()
        ]
        mean, deviation = self._mean_us() / 1000, self._deviation_us() / 1000
        foot = (
            f"#[Mean    = {mean:12.3f}, StdDeviation   = {deviation:12.3f}]\n"
            f"#[Max     = {self.max_us / 1000:12.3f}, Total count    = {self.count:12d}]\n"
            f"#[Buckets = {_BUCKETS:12d}, SubBuckets     = {_SUB_BUCKETS:12d}]\n"
        )
        return head + "".join(rows) + foot

    def _levels(self) -> Iterator[tuple[int, float, int]]:
        """Value, percentile and count so far, in steps that halve with the distance to 100 %."""
        seen, level = 0, 0.0
        for value, count in self.buckets():
            seen += count
            while level <= 100.0 * seen / self.count:
                yield highest_of_bucket(value), level, seen
                halves = int(math.log2(100.0 / (100.0 - level)))
                level += 100.0 / (_TICKS_PER_HALF * 2 ** (halves + 1))
                if seen == self.count:
                    yield highest_of_bucket(value), 100.0, seen
                    return

    def _mean_us(self) -> float:
        total = sum(_middle_of_bucket(value) * count for value, count in self.buckets())
        return total / self.count if self.count else 0.0

    def _deviation_us(self) -> float:
        mean = self._mean_us()
        squares = sum((_middle_of_bucket(value) - mean) ** 2 * count for value, count in self.buckets())
        return math.sqrt(squares / self.count) if self.count else 0.0


def highest_of_bucket(value_us: int) -> int:
    """The largest value that cannot be told from this one."""
    width = _width_at(value_us)
    return value_us // width * width + width - 1


def _middle_of_bucket(value_us: int) -> int:
    width = _width_at(value_us)
    return value_us // width * width + width // 2


def _width_at(value_us: int) -> int:
    return 1 << _bucket_of(value_us)


def _bucket_of(value_us: int) -> int:
    return (value_us | (_SUB_BUCKETS - 1)).bit_length() - _SUB_BUCKETS.bit_length() + 1


def _index(value_us: int) -> int:
    bucket = _bucket_of(value_us)
    return (bucket << _HALF_BITS) + (value_us >> bucket)


def _value_at(index: int) -> int:
    bucket = max(0, (index >> _HALF_BITS) - 1)
    return (index - (bucket << _HALF_BITS)) << bucket
