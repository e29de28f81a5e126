"""A lane in virtual time whose calls are for several images, with a provider that does what it is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ocr_gateway.lanes.lane import Lane, LanePolicy
from ocr_gateway.lanes.local_rate import LocalRate
from ocr_gateway.lanes.permit import Permit
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.metrics import GatewayMetrics
from ocr_gateway.model import (
    BatchLimits,
    Caller,
    Feature,
    Page,
    Priority,
    ProviderCall,
    ProviderResult,
    Quota,
    Trail,
)
from tests.fakes.lane_bench import FOREVER_S
from tests.fakes.virtual_time import now

Answer = ProviderResult | Exception


def result_for(name: str) -> Answer:
    """A result by which its image can be told: as wide as the name says."""
    return ProviderResult(Page(int(name) if name.isdigit() else 1, 1), billed_units=1.0)


@dataclass
class BatchBench:
    """A lane and what its calls did: ``calls`` are their times and the names of their images, in order.

    ``whole`` is what concerns all images of a call, by its number; ``each`` answers one image. ``joins_after_s`` is how
    long an item takes before it joins its batch, ``begins_after_s`` how long the provider takes before it sends, and
    ``gives_up_s`` how long until it has given up a call. ``asked`` counts the provider's calls, sent or not.
    """

    limits: BatchLimits = field(default_factory=lambda: BatchLimits(4))
    quota: Quota = field(default_factory=Quota)
    policy: LanePolicy = field(default_factory=LanePolicy)
    latency_s: float = 0.1
    whole: Callable[[int], BaseException | None] = lambda _: None
    each: Callable[[str], Answer] = result_for
    joins_after_s: Callable[[str], float] = lambda _: 0.0
    begins_after_s: Callable[[int], float] = lambda _: 0.0
    gives_up_s: float = 0.0
    asked: int = 0
    calls: list[tuple[float, list[str]]] = field(default_factory=list)
    in_progress: int = 0
    most_in_progress: int = 0
    given_up: int = 0

    def __post_init__(self) -> None:
        self.metrics = GatewayMetrics()
        self.lane = Lane(
            "stub",
            self.quota,
            LocalRate(self.quota, clock=now, wall_clock=now),
            policy=self.policy,
            weight_of=lambda _: 1.0,
            until_ready=lambda: asyncio.sleep(0),
            metrics=self.metrics.lane("stub", Feature.TEXT),
            clock=now,
            random_source=random.Random(1),
            batch=self.limits,
        )

    @property
    def names(self) -> list[list[str]]:
        """The images of each call."""
        return [names for _, names in self.calls]

    @property
    def times(self) -> list[float]:
        """When each call began."""
        return [at for at, _ in self.calls]

    async def together(self, calls: Sequence[ProviderCall]) -> list[Answer]:
        """The provider's one call for all of them."""
        self.asked += 1
        if preparing_s := self.begins_after_s(len(self.calls)):
            await asyncio.sleep(preparing_s)
        calls[0].begin()
        names = [call.image.decode() for call in calls]
        self.calls.append((now(), names))
        number = len(self.calls)
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        try:
            await asyncio.sleep(self.latency_s)
            error = self.whole(number)
            if error is not None:
                raise error
            return [self.each(name) for name in names]
        except asyncio.CancelledError:
            await asyncio.sleep(self.gives_up_s)
            self.given_up += 1
            raise
        finally:
            self.in_progress -= 1

    async def attempt(self, name: str, permit: Permit) -> ProviderResult:
        if joining_s := self.joins_after_s(name):
            await asyncio.sleep(joining_s)
        call = ProviderCall(name.encode(), "image/png", 1, 1, Feature.TEXT, begin=permit)
        if permit.batch is not None:
            return await permit.batch.join(call, self.together)
        answer = (await self.together([call]))[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(
        self,
        name: str = "",
        *,
        tenant: str = "",
        source: str = "s",
        priority: Priority = Priority.NORMAL,
        timeout_s: float = FOREVER_S,
        patient: bool = True,
        trail: Trail | None = None,
        size: int = 0,
    ) -> asyncio.Task[ProviderResult]:
        """Sends an item off."""
        turn = Turn(Caller(tenant, source), priority, timeout_s, now() + timeout_s, patient)
        call = self.lane.call(turn, lambda permit: self.attempt(name, permit), trail or Trail(), size=size)
        return asyncio.ensure_future(call)

    def counted(self, metric: str, **labels: str) -> float:
        """A metric of the lane, as Prometheus would read it."""
        return self.metrics.registry.get_sample_value(metric, {"provider": "stub", "feature": "text", **labels}) or 0.0

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is left: of calls, of items, at the provider."""
        return (self.lane.in_progress, self.lane.waiting, self.in_progress) == (0, 0, 0)
