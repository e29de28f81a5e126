"""Latencies counted as HdrHistogram counts them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrmux_client.load.latency_histogram import HIGHEST_US, LatencyHistogram

values_us = st.lists(
    st.one_of(st.integers(0, 5000), st.integers(0, 10_000_000), st.integers(0, HIGHEST_US)), min_size=1, max_size=60
)
PERCENTS = (0.0, 1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 100.0)


def recorded(values: list[int]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value / 1e6)
    return histogram


@settings(max_examples=60, deadline=None)
@given(values_us)
def test_percentiles_are_right_to_three_digits(values: list[int]) -> None:
    """A percentile is the nearest rank's value, or above it by a thousandth at the most."""
    histogram, ranked = recorded(values), sorted(values)
    for percent in PERCENTS:
        exact = ranked[max(1, int(percent / 100 * len(values) + 0.5)) - 1]
        assert exact <= histogram.percentile_us(percent) <= exact * 1.001 + 1
    assert histogram.max_us == ranked[-1]
    assert histogram.percentile_ms(100) == ranked[-1] / 1000
    assert histogram.count == sum(count for _, count in histogram.buckets()) == len(values)
    assert math.isclose(histogram.mean_ms * 1000, sum(values) / len(values), rel_tol=1e-3, abs_tol=1)


@settings(max_examples=60, deadline=None)
@given(values_us)
def test_it_agrees_with_the_reference(values: list[int]) -> None:
    """The hdrhistogram package gives the same percentiles, counts and mean."""
    histogram_module: Any = pytest.importorskip("hdrh.histogram", reason="hdrhistogram has no wheel for this platform")
    reference = histogram_module.HdrHistogram(1, HIGHEST_US, 3)
    for value in values:
        reference.record_value(value)
    histogram = recorded(values)
    above = PERCENTS[1:]  # of 0 % the reference gives the lower end of the bucket
    assert [histogram.percentile_us(p) for p in above] == [reference.get_value_at_percentile(p) for p in above]
    assert sum(count for _, count in histogram.buckets()) == reference.get_total_count()
    assert math.isclose(histogram.mean_ms * 1000, reference.get_mean_value(), rel_tol=1e-9, abs_tol=1e-9)


def test_what_is_above_an_hour_counts_as_an_hour_and_below_nothing_as_nothing() -> None:
    """Neither is lost, and neither breaks the run."""
    histogram = LatencyHistogram()
    histogram.record(1e6)
    histogram.record(-0.001)
    assert (histogram.count, histogram.max_us) == (2, HIGHEST_US)
    assert next(histogram.buckets()) == (0, 1)


def test_without_values_everything_is_nothing() -> None:
    """Zeros, and a text without rows."""
    histogram = LatencyHistogram()
    assert (histogram.percentile_ms(99), histogram.mean_ms, histogram.max_ms) == (0.0, 0.0, 0.0)
    assert histogram.percentile_text().splitlines()[2].startswith("#[Mean")


@settings(max_examples=60, deadline=None)
@given(values_us)
def test_the_text_is_what_the_plotter_reads(values: list[int]) -> None:
    """Four columns that rise, from the least value to all of them at 1.0, in steps that halve towards it."""
    lines = recorded(values).percentile_text().splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = [line.split() for line in lines[2:] if not line.startswith("#")]
    columns = [[float(row[column]) for row in rows] for column in range(3)]
    assert all(column == sorted(column) for column in columns)
    assert columns[1][0] == 0.0
    assert (rows[-1][1], int(rows[-1][2]), len(rows[-1])) == ("1.000000000000", len(values), 3)
    assert all(math.isclose(float(row[3]), 1 / (1 - float(row[1])), rel_tol=0.01) for row in rows[:-1])
    assert sum(line.startswith("#[") for line in lines) == 3
