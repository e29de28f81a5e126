"""A recognizer in virtual time, with providers that read as they are told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.lanes.lane import Lane, LanePolicy
from ocr_gateway.lanes.local_rate import LocalRate
from ocr_gateway.metrics import GatewayMetrics
from ocr_gateway.model import (
    Block,
    Budget,
    Feature,
    FeatureSupport,
    ImageLimits,
    Line,
    Page,
    PagePreference,
    PageRequest,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
    ProviderState,
    ProviderStatus,
    Quota,
    Recognition,
    RecognitionSpec,
    Rect,
    Trail,
)
from ocr_gateway.page_reader import PageReader
from ocr_gateway.provider_calls import ProviderCalls
from ocr_gateway.recognizer import Recognizer
from ocr_gateway.routing import Route, RouteEntry, Router
from tests.fakes.gateway_messages import image
from tests.fakes.spendings import spending
from tests.fakes.virtual_time import now

Read = Callable[[ProviderCall], Awaitable[Page]]
Refuse = Callable[[ProviderCall], None]


def page(confidence: float = 0.9) -> Page:
    return Page(1, 1, (Block((Line("text", confidence, None),)),))


async def in_a_second(call: ProviderCall) -> Page:
    await asyncio.sleep(1)
    return page()


class Reader:
    """A provider that reads as it is told; ``units`` are expected to be billed for each page, and ``billed`` are."""

    def __init__(
        self,
        name: str = "first",
        read: Read = in_a_second,
        quota: Quota | None = None,
        *,
        features: tuple[Feature, ...] = (Feature.TEXT,),
        limits: ImageLimits | None = None,
        refuse: Refuse = lambda _: None,
        price: float = 0.0,
        units: float = 1.0,
        billed: float | None = None,
    ) -> None:
        self.calls: list[ProviderCall] = []
        self.times: list[float] = []
        self.quota = quota or Quota()
        self.read = read
        self._refuse = refuse
        self._billed = units if billed is None else billed
        support = FeatureSupport(
            limits or ImageLimits(), PagePreference.UNTOUCHED, self.quota, units_per_call=units, price_per_unit=price
        )
        self.description = ProviderDescription(name, name, ProviderKind.CLOUD, dict.fromkeys(features, support))
        self.status = ProviderStatus(ProviderState.SERVING, "1")

    async def start(self) -> None:
        """Ready at once."""

    async def until_ready(self) -> None:
        """At once."""

    def check(self, call: ProviderCall) -> None:
        self._refuse(call)

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        self.calls.append(call)
        self.times.append(now())
        return ProviderResult(await self.read(call), billed_units=self._billed)

    async def close(self) -> None:
        """Nothing is held."""


class Desk:
    """A recognizer with these providers as the one route; budgets by account."""

    def __init__(
        self, *readers: Reader, escalate_below: float = 0.0, budgets: Mapping[str, Budget] | None = None
    ) -> None:
        self.lanes = {(r.description.name, f): _lane(r) for r in readers for f in r.description.features}
        route = Route("all", Feature.TEXT, tuple(RouteEntry(r.description.name) for r in readers), escalate_below)
        self.router = Router(readers, [route], self.lanes)
        self.pool = ThreadPoolExecutor(1)
        self.spending = spending(budgets)
        self.recognizer = Recognizer(
            self.router,
            TwoLevelCache(MemoryCache(max_bytes=1 << 20, ttl_s=1e9, clock=now), None),
            PageReader(ProviderCalls(self.spending), max_pixels=10_000_000, cropping=self.pool),
            clock=now,
        )

    def ask(
        self, number: int = 1, trail: Trail | None = None, regions: tuple[Rect, ...] = (), **spec: Any
    ) -> asyncio.Task[Recognition]:
        """Asks for one of many images, at once."""
        request = PageRequest(image(number), regions=regions)
        return asyncio.create_task(self.recognizer.recognize(request, RecognitionSpec(**spec), trail))


def _lane(reader: Reader) -> Lane:
    name, quota = reader.description.name, reader.quota
    return Lane(
        name,
        quota,
        LocalRate(quota, clock=now, wall_clock=now),
        policy=LanePolicy(),
        weight_of=lambda _: 1.0,
        until_ready=reader.until_ready,
        metrics=GatewayMetrics().lane(name, Feature.TEXT),
        clock=now,
        random_source=random.Random(1),
    )
