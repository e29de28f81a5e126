"""What a load sends when: decisions on a fake clock."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ocrmux_client.load.arrivals import Spacing, arrival_times
from ocrmux_client.load.send_plan import Finished, Send, SendPlan, WaitForRoom, WaitUntil

SPAN_S = 10.0
EPSILON_S = 1e-9


@dataclass
class Simulation:
    """A server that takes some time for each item, and a driver that asks a little late each time."""

    plan: SendPlan
    windows: dict[int, int]
    service_s: list[float]
    driver_lag_s: float
    now_s: float = 0.0
    sent: list[tuple[float, Send]] = field(default_factory=list)
    most: dict[int, int] = field(default_factory=dict)

    def run(self) -> None:
        for stream, window in self.windows.items():
            self.plan.opened(stream, window, 0.0)
        answers: list[tuple[float, int]] = []
        in_flight = dict.fromkeys(self.windows, 0)
        while True:
            while answers and answers[0][0] <= self.now_s:
                at_s, stream = heapq.heappop(answers)
                in_flight[stream] -= 1
                self.plan.answered(stream, at_s)
            match self.plan.next(self.now_s):
                case Send(arrival, stream, _) as send:
                    self.sent.append((self.now_s, send))
                    in_flight[stream] += 1
                    self.most[stream] = max(self.most.get(stream, 0), in_flight[stream])
                    took_s = self.service_s[arrival.number % len(self.service_s)]
                    heapq.heappush(answers, (self.now_s + took_s, stream))
                case WaitUntil(at_s):
                    assert at_s > self.now_s
                    self.advance(min([at_s, *(each[0] for each in answers[:1])]))
                case WaitForRoom(latest_s):
                    self.advance(min([each[0] for each in answers[:1]] + ([latest_s] if latest_s is not None else [])))
                case Finished():
                    return

    def advance(self, to_s: float) -> None:
        assert to_s >= self.now_s
        self.now_s = to_s + self.driver_lag_s


streams_with_windows = st.dictionaries(st.integers(0, 4), st.integers(1, 5), min_size=1, max_size=4)
services = st.lists(st.floats(0.01, 2.0), min_size=1, max_size=20)
spacings = st.sampled_from(list(Spacing))
rates = st.floats(0.5, 40.0)
lags = st.sampled_from([0.0, 0.003, 0.2])


@settings(max_examples=60, deadline=None)
@given(spacings, rates, st.integers(0, 1000), streams_with_windows, services, lags)
def test_an_open_loop_sends_every_arrival_once_in_order_and_never_early(
    spacing: Spacing, rate: float, seed: int, windows: dict[int, int], service_s: list[float], lag_s: float
) -> None:
    """Whatever the server does, each arrival goes out once, after it was due, in order, within the windows."""
    due = list(arrival_times(spacing, rate, SPAN_S, seed))
    simulation = Simulation(SendPlan(iter(due), SPAN_S), windows, service_s, lag_s)
    simulation.run()
    assert [send.arrival.due_s for _, send in simulation.sent] == due
    assert [send.arrival.number for _, send in simulation.sent] == list(range(len(due)))
    assert all(at_s >= send.arrival.due_s for at_s, send in simulation.sent)
    assert all(simulation.most[stream] <= windows[stream] for stream in simulation.most)


@settings(max_examples=60, deadline=None)
@given(spacings, rates, st.integers(0, 1000), streams_with_windows, services)
def test_a_prompt_driver_is_never_late(
    spacing: Spacing, rate: float, seed: int, windows: dict[int, int], service_s: list[float]
) -> None:
    """An arrival that waits for room is late for its caller, but not by the driver's fault."""
    due = arrival_times(spacing, rate, SPAN_S, seed)
    simulation = Simulation(SendPlan(due, SPAN_S), windows, service_s, 0.0)
    simulation.run()
    assert all(send.late_s <= EPSILON_S for _, send in simulation.sent)


@settings(max_examples=60, deadline=None)
@given(rates, streams_with_windows)
def test_a_slow_driver_is_told_so(rate: float, windows: dict[int, int]) -> None:
    """Where there is room all the time, what an arrival went out after it was due is the driver's lag."""
    simulation = Simulation(SendPlan(arrival_times(Spacing.UNIFORM, rate, SPAN_S, 0), SPAN_S), windows, [1e-6], 0.01)
    simulation.run()
    assert all(abs(send.late_s - (at_s - send.arrival.due_s)) < EPSILON_S for at_s, send in simulation.sent)
    assert any(send.late_s > 0 for _, send in simulation.sent[1:]) or len(simulation.sent) == 1


@settings(max_examples=60, deadline=None)
@given(streams_with_windows, services)
def test_a_closed_loop_keeps_the_windows_full(windows: dict[int, int], service_s: list[float]) -> None:
    """As long as it lasts, an item goes out whenever there is room, due at that very moment."""
    simulation = Simulation(SendPlan(None, 3.0), windows, service_s, 0.0)
    simulation.run()
    assert simulation.most == windows
    assert all(send.arrival.due_s == at_s < 3.0 for at_s, send in simulation.sent)


def test_the_freest_stream_is_taken() -> None:
    """Items spread over the streams by how many are in flight on each."""
    plan = SendPlan(iter([0.0] * 6), 1.0)
    for stream in (0, 1, 2):
        plan.opened(stream, 2, 0.0)
    sends = [plan.next(0.0) for _ in range(6)]
    assert [send.stream for send in sends if isinstance(send, Send)] == [0, 1, 2, 0, 1, 2]


def test_a_lost_stream_takes_nothing_until_it_is_open_again() -> None:
    """Its room goes with it, and what is overdue waits and can be told."""
    plan = SendPlan(iter([0.0, 0.1, 0.2]), 1.0)
    plan.opened(0, 2, 0.0)
    assert isinstance(plan.next(0.0), Send)
    plan.lost(0)
    assert plan.in_flight == 0
    assert plan.next(0.15) == WaitForRoom(None)
    plan.opened(0, 2, 0.15)
    send = plan.next(0.15)
    assert isinstance(send, Send)
    assert send.late_s == 0.0
    assert [arrival.number for arrival in plan.overdue(1.0)] == [2]
    assert plan.next(1.0) == Finished()


def test_uniform_arrivals_are_equally_far_apart() -> None:
    """Four a second for a second: at 0, 0.25, 0.5 and 0.75."""
    assert list(arrival_times(Spacing.UNIFORM, 4.0, 1.0, 9)) == [0.0, 0.25, 0.5, 0.75]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_random_arrivals_keep_the_mean_rate(seed: int) -> None:
    """Of 20 000 expected ones no seed misses by six standard deviations; equal seeds give equal ones."""
    times = list(arrival_times(Spacing.POISSON, 2000.0, SPAN_S, seed))
    assert abs(len(times) - 20_000) < 6 * 20_000**0.5
    assert times == sorted(times)
    assert times[:50] == list(arrival_times(Spacing.POISSON, 2000.0, SPAN_S, seed))[:50]
