"""A lane in virtual time, with a provider that does what it is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ocr_gateway.errors import ProviderUnavailable
from ocr_gateway.lanes.lane import Lane, LanePolicy
from ocr_gateway.lanes.local_rate import LocalRate
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.metrics import GatewayMetrics
from ocr_gateway.model import Caller, Feature, Page, Priority, ProviderResult, Quota, Trail
from tests.fakes.virtual_time import now

FOREVER_S = 1e6
BILLED = ProviderResult(Page(1, 1), billed_units=1.0)


@dataclass
class Bench:
    """A lane, and what its calls did: ``calls`` are the times at which they began."""

    quota: Quota = field(default_factory=Quota)
    policy: LanePolicy = field(default_factory=LanePolicy)
    weights: dict[str, float] = field(default_factory=dict)
    latency_s: float = 0.1
    behave: Callable[[int], Exception | None] = lambda _: None
    preparing_s: Callable[[int], float] = lambda _: 0.0
    readying: Callable[[], Exception | None] = lambda: None
    calls: list[float] = field(default_factory=list)
    in_progress: int = 0
    most_in_progress: int = 0
    order: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rate = LocalRate(self.quota, clock=now, wall_clock=now)
        self.lane = Lane(
            "stub",
            self.quota,
            rate,
            policy=self.policy,
            weight_of=lambda tenant: self.weights.get(tenant, 1.0),
            until_ready=self.make_ready,
            metrics=GatewayMetrics().lane("stub", Feature.TEXT),
            clock=now,
            random_source=random.Random(1),
        )

    async def make_ready(self) -> None:
        await asyncio.sleep(0)
        error = self.readying()
        if error is not None:
            raise error

    async def attempt(self, name: str, begin: Callable[[], None]) -> ProviderResult:
        if preparing := self.preparing_s(len(self.calls)):
            await asyncio.sleep(preparing)
        begin()
        self.calls.append(now())
        self.order.append(name)
        number = len(self.calls)
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        try:
            await asyncio.sleep(self.latency_s)
            error = self.behave(number)
            if error is not None:
                raise error
            return BILLED
        finally:
            self.in_progress -= 1

    def call(
        self,
        name: str = "",
        *,
        tenant: str = "",
        source: str = "s",
        priority: Priority = Priority.NORMAL,
        timeout_s: float = FOREVER_S,
        patient: bool = True,
        trail: Trail | None = None,
    ) -> Awaitable[ProviderResult]:
        turn = Turn(Caller(tenant, source), priority, timeout_s, now() + timeout_s, patient)
        return self.lane.call(turn, lambda begin: self.attempt(name, begin), trail or Trail())

    async def all(self, count: int) -> None:
        await asyncio.gather(*(self.call() for _ in range(count)))


def most_in_any_window(times: list[float], window_s: float) -> int:
    """The most times in any window, its later end left out."""
    ordered, most, first = sorted(times), 0, 0
    for last, time in enumerate(ordered):
        while ordered[first] <= time - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def down_between(begin: float, end: float) -> Callable[[int], Exception | None]:
    return lambda _: ProviderUnavailable("stub", "down") if begin <= now() < end else None
