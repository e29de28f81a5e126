"""The stand-ins' common part: its counting, its faults, and its settings."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.standin.fault_plan import ThrottleBursts, fault_of, latency_of
from tests.fakes.standin.ledger import Ledger, SlidingSecond
from tests.fakes.standin.process import stand_in_process
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import KINDS
from tests.fakes.standin.vendors.every import VENDORS, vendor_of


@given(st.lists(st.floats(0, 5), max_size=60))
def test_the_worst_second_is_the_fullest_of_all(times: list[float]) -> None:
    """As counting every second that begins right after an event or at it would find."""
    second = SlidingSecond()
    for moment in sorted(times):
        second.add(moment)
    assert second.worst == max((sum(end - 1 < other <= end for other in times) for end in times), default=0)


def test_the_quota_lets_in_so_many_a_second_and_no_more() -> None:
    """Refused calls use nothing up; a second later there is room again."""
    ledger = Ledger()
    codes = [ledger.admit("general", 3, 0, moment) for moment in (0.0, 0.1, 0.2, 0.3, 0.99, 1.0, 1.05, 1.1)]
    assert codes == ["", "", "", "throttled", "throttled", "", "throttled", ""]
    assert ledger.stats()["refusals"] == 3


def test_the_quota_of_a_day_is_kept() -> None:
    """By the calls that were let in, whatever the endpoint."""
    ledger = Ledger()
    assert [ledger.admit("general", 0, 2, 0.0) for _ in range(3)] == ["", "", "day_spent"]


def test_duplicates_are_counted_by_endpoint_and_image() -> None:
    """An image billed twice on one endpoint is a duplicate, on two it is not."""
    ledger = Ledger()
    for endpoint, digest in (("general", "a"), ("general", "b"), ("general", "a"), ("table", "a")):
        ledger.see(endpoint, digest)
        ledger.bill(endpoint, digest)
    stats = ledger.stats()
    assert (stats["billed_units"], stats["distinct_images"], stats["duplicates_billed"]) == (4, 3, 1)


def test_faults_come_in_their_shares_and_the_same_in_every_run() -> None:
    """Whatever the order of arrival; and an image that failed may succeed when it comes again."""
    settings = StandInSettings(share_500=0.05, share_reset=0.02, share_hang=0.01, share_malformed=0.02)
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(10_000)]
    faults = Counter(fault_of(settings, digest, 0) for digest in digests)
    for name, share in (("500", 500), ("reset", 200), ("hang", 100), ("malformed", 200)):
        assert abs(faults[name] - share) < 75
    assert faults == Counter(fault_of(settings, digest, 0) for digest in reversed(digests))
    failing = [digest for digest in digests if fault_of(settings, digest, 0)]
    assert sum(bool(fault_of(settings, digest, 1)) for digest in failing) < len(failing) / 5


def test_latencies_lie_within_their_jitter() -> None:
    """To both sides, and never below 0."""
    settings = StandInSettings(latency_s=0.3, latency_jitter_s=0.1)
    latencies = [latency_of(settings, str(number), 0) for number in range(1000)]
    assert 0.2 <= min(latencies) < 0.22
    assert 0.38 < max(latencies) <= 0.4
    assert latency_of(StandInSettings(latency_s=0.3), "a", 0) == 0.3


def test_bursts_begin_at_every_so_manieth_request() -> None:
    """And take a number of requests, or a time."""
    bursts, settings = ThrottleBursts(), StandInSettings(throttle_every=3, throttle_burst=2)
    assert [bursts.strikes(settings, 0.0) for _ in range(8)] == [False, False, True, True, False, False, True, True]
    bursts, settings = ThrottleBursts(), StandInSettings(throttle_every=2, throttle_for_s=1.0)
    assert [bursts.strikes(settings, now) for now in (0.0, 0.1, 0.2, 1.0, 1.2, 1.3)] == [
        False, True, True, True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("changes", [{"nothing": 1}, {"latency_s": "1"}, {"down": 1}, {"seed": 1.5}, {"quota": [1]}])
def test_settings_that_there_are_not_are_refused(changes: dict[str, Any]) -> None:
    """By name and by type."""
    with pytest.raises(ValueError, match=next(iter(changes))):
        StandInSettings().changed(changes)


async def test_it_runs_as_a_process(tmp_path: Path) -> None:
    """It tells its address, takes commands, and ends when it is told to."""
    async with stand_in_process(tmp_path, lines=8) as stand_in:
        await stand_in.configure(seed=3)
        with pytest.raises(ValueError, match="nothing"):
            await stand_in.configure(nothing=1)
        assert (await stand_in.stats())["requests"] == 0
    assert stand_in.process.returncode == 0
    assert stand_in.log.read_text() == ""


@pytest.mark.parametrize("name", VENDORS)
def test_every_vendor_has_codes_of_known_kinds(name: str) -> None:
    """So that a test may ask for an error by its kind, and none is misspelt."""
    vendor = vendor_of(name)
    assert set(vendor.codes) <= set(KINDS)
    assert vendor.name
