"""The rate limit's arithmetic: never more than N calls in any window, and hardly fewer where more are wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocr_gateway.lanes.local_rate import LocalRate
from ocr_gateway.lanes.rate_limit import QuotaExhausted
from ocr_gateway.lanes.rate_window import RateWindow, Spacing, kept_slots, wait_until
from ocr_gateway.model import Quota
from ocr_gateway.periods import Period, PeriodCounter

ROUNDING_S = 1e-9
DAY_S = 86_400.0

RATES = st.one_of(st.integers(1, 120).map(float), st.sampled_from([0.5, 0.1, 0.01]))
STEPS = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 1.5), st.floats(-5, 0)), min_size=1, max_size=300
)


def worst_window(times: Sequence[float], window_s: float) -> int:
    """The most of the times that lie in any window, whose end does not belong to it."""
    ordered, worst, begin = sorted(times), 0, 0
    for end, at in enumerate(ordered):
        while at - ordered[begin] >= window_s - ROUNDING_S:
            begin += 1
        worst = max(worst, end - begin + 1)
    return worst


def clock_readings(steps: Sequence[float], start: float = 1_000.0) -> list[float]:
    """A clock that moves by these steps, forward, not at all, or back."""
    now, readings = start, []
    for step in steps:
        now += step
        readings.append(now)
    return readings


@given(rate=RATES, steps=STEPS, factor=st.sampled_from([1.0, 0.5, 0.05]), cold=st.booleans())
def test_no_window_holds_more_than_n_whatever_the_clock_does(
    rate: float, steps: list[float], factor: float, cold: bool
) -> None:
    """Calls taken where there is no wait are at most N in any window; the clock may stand still or be set back."""
    spacing = Spacing.of(rate)
    window = RateWindow(spacing)
    window.slow_to(factor)
    if cold:
        window.start_cold(1_000.0)
    taken = []
    for now in clock_readings(steps):
        while window.wait(now) == 0.0:
            assert window.take(now) == now
            taken.append(now)
    assert taken == sorted(taken)
    assert worst_window(taken, spacing.window_s) <= spacing.calls


@given(rate=RATES, steps=STEPS)
def test_a_clock_that_loses_time_admits_no_more_in_true_time(rate: float, steps: list[float]) -> None:
    """A clock that stands still or is set back, and never catches up, keeps the limit in every true second."""
    spacing = Spacing.of(rate)
    window = RateWindow(spacing)
    now, true, admitted = 1_000.0, 0.0, []
    for step in steps:
        true += abs(step)
        now += step
        while window.wait(now) == 0.0:
            window.take(now)
            admitted.append(true)
    assert worst_window(admitted, 1.0) <= spacing.calls


@given(
    rate=RATES,
    demands=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 40), st.sets(st.integers(0, 39))), max_size=40),
)
def test_slots_that_are_given_back_never_make_room_for_too_many(
    rate: float, demands: list[tuple[float, int, set[int]]]
) -> None:
    """Of the slots that are kept, at most N lie in any window, however many others were taken and given back."""
    spacing = Spacing.of(rate)
    window = RateWindow(spacing)
    now, kept = 0.0, []
    for step, count, unused in demands:
        now += step
        slots = window.next_slots(now, min(count, spacing.calls))
        assert all(slot >= now for slot in slots)
        for index, slot in enumerate(slots):
            if index in unused:
                window.give_back(slot)
            else:
                kept.append(slot)
    assert worst_window(kept, spacing.window_s) <= spacing.calls


@given(rate=RATES, steps=st.lists(st.floats(0, 0.5), min_size=1, max_size=200), cold=st.booleans())
@example(rate=1.0, steps=[0.1] * 3, cold=True)
def test_waits_are_exact(rate: float, steps: list[float], cold: bool) -> None:
    """After the wait that was told a call may begin, and just before it none may."""
    window = RateWindow(Spacing.of(rate))
    if cold:
        window.start_cold(0.0)
    now = 0.0
    for step in steps:
        now += step
        wait_s = window.wait(now)
        if wait_s > 1e-6:
            assert window.wait(now + wait_s - 5e-7) > 0.0
        now += wait_s
        assert window.wait(now) == 0.0
        window.take(now)


@given(rate=st.integers(1, 200), tick_s=st.sampled_from([0.0001, 0.001, 0.004]), cold=st.booleans())
def test_constant_demand_is_served_to_97_percent(rate: int, tick_s: float, cold: bool) -> None:
    """Where calls always wait and timers are late by up to a tick, 97 % of the quota is used after the first second."""
    window = RateWindow(Spacing.of(rate))
    if cold:
        window.start_cold(0.0)
    seconds, now, calls = 12.0, 0.0, 0
    while now < seconds:
        wait_s = window.wait(now)
        if wait_s > 0:
            now += math.ceil(wait_s / tick_s) * tick_s
            continue
        window.take(now)
        calls += 1
    assert calls >= 0.97 * rate * (seconds - 1)


@given(rate=RATES, steps=STEPS, calls=st.integers(1, 300))
def test_the_wait_of_many_is_never_overstated(rate: float, steps: list[float], calls: int) -> None:
    """The last one of so many calls begins no sooner than was said, even if nobody else calls."""
    window = RateWindow(Spacing.of(rate))
    now = 0.0
    for step in steps:
        now = max(now, now + step)
        if window.wait(now) == 0.0:
            window.take(now)
    said_s = window.wait_of(now, calls)
    at = now
    for _ in range(calls):
        at += window.wait(at)
        window.take(at)
    assert at - now >= said_s - 1e-6


def test_a_pause_allows_a_small_burst_and_a_cold_start_none() -> None:
    """After a pause a fifth of N goes back to back, then evenly; from a cold start all go evenly until W has passed."""
    spacing = Spacing.of(50)
    warm, cold = RateWindow(spacing), RateWindow(spacing)
    cold.start_cold(0.0)
    slots = warm.next_slots(0.0, 12)
    assert slots[:10] == [0.0] * 10
    assert slots[10:] == pytest.approx([spacing.interval_s, 2 * spacing.interval_s])
    assert cold.next_slots(0.0, 3) == pytest.approx([0.0, spacing.interval_s, 2 * spacing.interval_s])
    assert cold.next_slots(5.0, 10) == pytest.approx([5.0] * 10)


def test_slower_calls_are_spread_by_the_factor() -> None:
    """At a tenth of the rate calls are ten intervals apart."""
    window = RateWindow(Spacing.of(50))
    window.start_cold(0.0)
    window.slow_to(0.1)
    slots = window.next_slots(0.0, 5)
    assert [after - before for before, after in pairwise(slots)] == pytest.approx([0.204] * 4)


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.5])
def test_a_factor_outside_its_range_is_refused(factor: float) -> None:
    """A factor must be above 0 and at most 1."""
    with pytest.raises(ValueError, match="factor"):
        RateWindow(Spacing.of(1)).slow_to(factor)


@pytest.mark.parametrize(
    ("rate", "replicas", "share"),
    [
        (50.0, 1, Spacing(50, 1.02, 10)),
        (50.0, 3, Spacing(16, 1.02, 3)),
        (2.0, 3, Spacing(1, 1.53, 1)),
        (0.5, 4, Spacing(1, 8.16, 1)),
    ],
)
def test_shares_add_up_to_no_more_than_the_quota(rate: float, replicas: int, share: Spacing) -> None:
    """The share is N / replicas rounded down, or one call in a longer window."""
    spacing = Spacing.of(rate)
    got = spacing.share(replicas)
    assert (got.calls, got.burst) == (share.calls, share.burst)
    assert got.window_s == pytest.approx(share.window_s)
    assert replicas * got.calls / got.window_s <= spacing.calls / spacing.window_s + ROUNDING_S


def test_a_rate_of_nothing_is_refused() -> None:
    """There is no spacing for 0 calls a second."""
    with pytest.raises(ValueError, match="above 0"):
        Spacing.of(0)


@given(now=st.floats(0, 1e10), after_s=st.floats(0, 1e6))
def test_a_wait_reaches_its_time_in_spite_of_rounding(now: float, after_s: float) -> None:
    """Now plus the wait is never before the time that is waited for."""
    at = now + after_s
    assert now + wait_until(now, at) >= at


def test_more_slots_are_remembered_than_a_window_holds() -> None:
    """What is given back leaves a whole window's slots known."""
    assert kept_slots(1) > 1
    assert kept_slots(50) == 91


class _Clocks:
    """A lane's clock and a wall clock, set by hand."""

    def __init__(self, wall: datetime) -> None:
        self.now = 100.0
        self.wall_s = wall.timestamp()

    def clock(self) -> float:
        return self.now

    def wall_clock(self) -> float:
        return self.wall_s

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.wall_s += seconds


def _drain(take: Callable[[], float | None]) -> int:
    taken = 0
    while take() == 0.0:
        taken += 1
    return taken


def test_a_lane_without_limits_waits_for_nothing() -> None:
    """A quota of zeros gives a permit at once, always."""
    clocks = _Clocks(datetime(2026, 1, 1, tzinfo=UTC))
    rate = LocalRate(Quota(), clock=clocks.clock, wall_clock=clocks.wall_clock)
    assert [rate.take(100.0, 1) for _ in range(1_000)] == [0.0] * 1_000
    assert rate.wait_of(100.0, 10_000) == 0.0
    assert rate.permits_local == 1_000


def test_a_local_lane_keeps_to_its_rate_and_says_the_wait() -> None:
    """A second call of a fresh lane waits for its even turn, and waits are at least what a timer can do."""
    clocks = _Clocks(datetime(2026, 1, 1, tzinfo=UTC))
    rate = LocalRate(Quota(requests_per_second=10), clock=clocks.clock, wall_clock=clocks.wall_clock)
    assert rate.take(100.0, 2) == 0.0
    assert rate.take(100.0, 1) == pytest.approx(0.102)
    assert rate.take(100.1019, 1) == 0.001
    assert rate.take(100.103, 1) == 0.0


def _refusal(rate: LocalRate, now: float) -> QuotaExhausted | None:
    try:
        assert rate.take(now, 1) == 0.0
    except QuotaExhausted as spent:
        return spent
    return None


@given(steps=st.lists(st.floats(0, 20_000), max_size=60), day=st.integers(1, 5), month=st.integers(1, 40))
def test_no_day_and_no_month_holds_more_than_its_quota(steps: list[float], day: int, month: int) -> None:
    """However calls come, each UTC+8 day and month sees at most its quota, and a refusal says when it opens."""
    offset_s = 8 * 3600
    clocks = _Clocks(datetime(2026, 1, 29, tzinfo=UTC))
    rate = LocalRate(
        Quota(requests_per_day=day, requests_per_month=month, period_offset_s=offset_s),
        clock=clocks.clock,
        wall_clock=clocks.wall_clock,
    )
    days: dict[str, int] = {}
    months: dict[str, int] = {}
    for step in steps:
        clocks.pass_by(step)
        local = datetime.fromtimestamp(clocks.wall_s + offset_s, UTC)
        this_day, this_month = local.strftime("%Y-%m-%d"), local.strftime("%Y-%m")
        spent = _refusal(rate, clocks.now)
        if spent is None:
            days[this_day] = days.get(this_day, 0) + 1
            months[this_month] = months.get(this_month, 0) + 1
            continue
        counted, limit = (days[this_day], day) if spent.period == "day" else (months[this_month], month)
        assert counted == spent.limit == limit
        opens = datetime.fromtimestamp(clocks.wall_s + offset_s + spent.opens_in_s + 0.001, UTC)
        assert (opens.hour, opens.minute) == (0, 0)
        assert opens.day == 1 or spent.period == "day"
    assert all(count <= day for count in days.values())
    assert all(count <= month for count in months.values())


def test_a_spent_day_opens_at_its_midnight() -> None:
    """Once a day's calls are made, the next one is refused until the day that follows."""
    clocks = _Clocks(datetime(2026, 3, 31, 12, tzinfo=UTC))
    rate = LocalRate(Quota(requests_per_day=3), clock=clocks.clock, wall_clock=clocks.wall_clock)
    with pytest.raises(QuotaExhausted) as refused:
        _drain(lambda: rate.take(clocks.now, 1))
    assert refused.value.opens_in_s == pytest.approx(DAY_S / 2)
    clocks.pass_by(DAY_S / 2)
    assert rate.take(clocks.now, 1) == 0.0


def test_a_wall_clock_set_back_opens_no_period_again() -> None:
    """A clock that goes back to yesterday does not give yesterday's quota again."""
    counter = PeriodCounter(Period.DAY, limit=2)
    counter.add(5 * DAY_S, 2)
    assert counter.left(4.5 * DAY_S) == 0
    assert counter.left(6 * DAY_S) == 2


def test_replicas_divide_what_is_left() -> None:
    """Without Redis each replica makes its part of the calls that were left, and no more."""
    counter = PeriodCounter(Period.MONTH, limit=100)
    counter.learn(0.0, used=39)
    assert counter.left(0.0, replicas=3) == 20
    counter.add(0.0, 20)
    assert counter.left(0.0, replicas=3) == 0
    assert counter.left(0.0) == 41


@pytest.mark.parametrize("month", [datetime(2028, 2, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)])
def test_months_are_those_of_the_calendar(month: datetime) -> None:
    """A month ends where the next one begins, leap years and December included."""
    following = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    begin, end = Period.MONTH.bounds(month.timestamp() + 20 * DAY_S, 0)
    assert (begin, end) == (month.timestamp(), following.timestamp())
