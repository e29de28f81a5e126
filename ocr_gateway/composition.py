"""The one place that builds the gateway's objects and reads its settings."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import grpc

from ocr_gateway.budgets.ledger import Ledger
from ocr_gateway.budgets.local_ledger import LocalLedger
from ocr_gateway.budgets.shared_ledger import SharedLedger
from ocr_gateway.cache.embedded import EmbeddedStore
from ocr_gateway.cache.guarded_store import GuardedStore
from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.redis_store import RedisStore
from ocr_gateway.cache.store import Store
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.config_check import routes_of
from ocr_gateway.fault_table import FAULT_TABLE
from ocr_gateway.lanes.circuit import CircuitPolicy
from ocr_gateway.lanes.lane import Lane, LanePolicy
from ocr_gateway.lanes.local_rate import LocalRate
from ocr_gateway.lanes.rate_limit import RateLimit
from ocr_gateway.lanes.retry import RetryPolicy
from ocr_gateway.lanes.shared_rate import SharedRate
from ocr_gateway.metrics import GatewayMetrics
from ocr_gateway.model import Feature, ProviderKind, Quota
from ocr_gateway.money_check import budgets_of
from ocr_gateway.page_reader import PageReader
from ocr_gateway.provider_calls import ProviderCalls
from ocr_gateway.provider_settings import RapidOcrSettings, TesseractSettings
from ocr_gateway.providers.base import Provider
from ocr_gateway.providers.catalogue import REMOTE_KINDS
from ocr_gateway.providers.rapid_ocr import RapidOcrProvider
from ocr_gateway.providers.remote.settings import RemoteSettings
from ocr_gateway.providers.tesseract import TesseractProvider
from ocr_gateway.recognizer import Recognizer
from ocr_gateway.redis_link import RedisLink
from ocr_gateway.routing import LaneKey, Router
from ocr_gateway.servicer import OcrGatewayServicer
from ocr_gateway.settings import GatewaySettings
from ocr_gateway.spending import Spending
from ocrmux.gateway.v1 import gateway_pb2
from rpc_runtime.drain import DrainSignal
from rpc_runtime.faults import FaultTable
from rpc_runtime.health import HealthBoard
from rpc_runtime.metrics_endpoint import MetricsEndpoint
from rpc_runtime.server import stream_host

_CROPPING_THREADS = 2
_STORE_FILE = "results.sqlite3"


class GatewayService:
    """The gateway as the runtime runs it."""

    def __init__(
        self,
        servicer: OcrGatewayServicer,
        providers: Sequence[Provider],
        lanes: Sequence[Lane],
        ledger: Ledger,
        cache: TwoLevelCache,
        link: RedisLink | None,
        cropping: Executor,
        components: _Components,
        metrics_endpoint: MetricsEndpoint | None,
    ) -> None:
        self._servicer = servicer
        self._providers = providers
        self._lanes = lanes
        self._ledger = ledger
        self._cache = cache
        self._link = link
        self._cropping = cropping
        self._components = components
        self._metrics_endpoint = metrics_endpoint

    @property
    def names(self) -> tuple[str, ...]:
        """OcrGatewayService's full name."""
        return (gateway_pb2.DESCRIPTOR.services_by_name["OcrGatewayService"].full_name,)

    @property
    def faults(self) -> FaultTable:
        """The gateway's fault table."""
        return FAULT_TABLE

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicer."""
        self._servicer.register(server)

    async def start(self, health: HealthBoard) -> None:
        """Opens Redis and the cache and begins to make the providers ready. Raises OSError for a taken address."""
        self._components.report_to(health)
        if self._metrics_endpoint is not None:
            self._metrics_endpoint.start()
        if self._link is not None:
            await self._link.open()
        await asyncio.gather(
            self._cache.open(),
            self._ledger.open(),
            *(lane.open() for lane in self._lanes),
            *(provider.start() for provider in self._providers),
        )

    async def close(self) -> None:
        """Closes everything, each part within seconds."""
        await asyncio.gather(
            *(provider.close() for provider in self._providers), *(lane.close() for lane in self._lanes)
        )
        await asyncio.gather(self._ledger.close(), self._cache.close())
        if self._link is not None:
            await self._link.close()
        if self._metrics_endpoint is not None:
            await self._metrics_endpoint.close()
        self._cropping.shutdown(wait=False, cancel_futures=True)


class _Components:
    """Tells the metrics and the health board how the parts are that the gateway can do without."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._health: HealthBoard | None = None
        self._in_use: dict[str, bool] = {}
        self._reports: set[asyncio.Task[None]] = set()

    def report_to(self, health: HealthBoard) -> None:
        """From now on; and what was said before."""
        self._health = health
        for name in self._in_use:
            self._report(name)

    def cache_outcome(self, outcome: str) -> None:
        """For the cache."""
        self._metrics.cache_outcome(outcome)

    def store_error(self) -> None:
        """For the cache."""
        self._metrics.store_error()

    def store_in_use(self, in_use: bool) -> None:
        """For the cache."""
        self._metrics.store_in_use(in_use)
        self._note("cache.store", in_use)

    def quota_shared_by(self, parts: Sequence[SharedRate | SharedLedger]) -> None:
        """From now on: shared is what all of ``parts`` share. Where there are none, nothing is said."""
        for part in parts:
            part.on_change(lambda: self._note_quota(parts))
        if parts:
            self._note_quota(parts)

    def _note_quota(self, parts: Sequence[SharedRate | SharedLedger]) -> None:
        shared = all(part.sharing for part in parts)
        self._metrics.quota_shared(shared)
        self._note("quota.shared", shared)

    def _note(self, name: str, in_use: bool) -> None:
        if self._in_use.get(name) is not in_use:
            self._in_use[name] = in_use
            self._report(name)

    def _report(self, name: str) -> None:
        if self._health is not None:
            report = asyncio.get_running_loop().create_task(self._health.set_component(name, self._in_use[name]))
            self._reports.add(report)
            report.add_done_callback(self._reports.discard)


def build_providers(settings: GatewaySettings) -> list[Provider]:
    """The providers that the settings turn on."""
    providers: list[Provider] = []
    for name, provider in settings.providers_in_use.items():
        match provider:
            case RapidOcrSettings():
                providers.append(RapidOcrProvider(provider.workers))
            case TesseractSettings():
                providers.append(TesseractProvider(provider.workers, provider.binary))
            case RemoteSettings():
                providers.append(REMOTE_KINDS[provider.kind].build(name, provider))
    return providers


def build_gateway(
    settings: GatewaySettings, drain: DrainSignal, providers: Iterable[Provider] | None = None
) -> GatewayService:
    """The gateway; with other ``providers`` than the settings', for tests and benchmarks."""
    ready = list(build_providers(settings) if providers is None else providers)
    metrics = GatewayMetrics()
    components = _Components(metrics)
    link = _build_link(settings, metrics)
    ledger = _build_ledger(settings, link, metrics)
    lanes = _build_lanes(settings, ready, link, ledger, components, metrics)
    routes = routes_of(settings, {p.description.name: p.description.features for p in ready})
    router = Router(ready, routes, lanes)
    cache = TwoLevelCache(
        MemoryCache(max_bytes=settings.cache.memory_bytes, ttl_s=settings.cache.ttl_s, clock=time.monotonic),
        _build_store(settings, link),
        lease_s=settings.cache.lease_s,
        observer=components,
    )
    cropping = ThreadPoolExecutor(max_workers=_CROPPING_THREADS, thread_name_prefix="cropping")
    spending = Spending(ledger, metrics.spending, currency=settings.currency, tenants=settings.tenants)
    reader = PageReader(ProviderCalls(spending), max_pixels=settings.max_pixels, cropping=cropping)
    servicer = OcrGatewayServicer(
        Recognizer(router, cache, reader),
        router,
        spending,
        stream_host(settings, drain),
        FAULT_TABLE,
        item_timeout_s=settings.item_timeout_s,
        max_item_timeout_s=settings.max_item_timeout_s,
    )
    endpoint = MetricsEndpoint(metrics.registry, settings.metrics_listen) if settings.metrics_listen else None
    return GatewayService(servicer, ready, list(lanes.values()), ledger, cache, link, cropping, components, endpoint)


def _build_link(settings: GatewaySettings, metrics: GatewayMetrics) -> RedisLink | None:
    if settings.redis.url is None:
        return None
    link = RedisLink(
        settings.redis.url.get_secret_value(),
        timeout_s=settings.redis.timeout_s,
        rest_s=settings.redis.rest_s,
        max_connections=settings.redis.max_connections,
    )
    metrics.redis_commands_of(lambda: link.commands)
    return link


def _build_ledger(settings: GatewaySettings, link: RedisLink | None, metrics: GatewayMetrics) -> Ledger:
    """Budgets are shared where there is a Redis, and a budget."""
    budgets = budgets_of(settings)
    ledger: Ledger
    if link is None or not budgets:
        ledger = LocalLedger(budgets, clock=time.monotonic, wall_clock=time.time)
    else:
        ledger = SharedLedger(
            link,
            budgets,
            replica=secrets.token_hex(8),
            clock=time.monotonic,
            wall_clock=time.time,
            replicas=settings.redis.replicas or 1,
        )
    for name, budget in budgets.items():
        if budget.units_per_day:
            metrics.spending.left_of(name, "units", partial(_units_left, ledger, name))
        if budget.cost_per_day:
            metrics.spending.left_of(name, "cost", partial(_cost_left, ledger, name))
    return ledger


def _units_left(ledger: Ledger, account: str) -> float:
    return ledger.use_of(account).units_left or 0.0


def _cost_left(ledger: Ledger, account: str) -> float:
    return ledger.use_of(account).cost_left or 0.0


def _build_lanes(
    settings: GatewaySettings,
    providers: Iterable[Provider],
    link: RedisLink | None,
    ledger: Ledger,
    components: _Components,
    metrics: GatewayMetrics,
) -> dict[LaneKey, Lane]:
    retry, circuit = settings.retry, settings.circuit
    policy = LanePolicy(
        RetryPolicy(
            max_attempts=retry.max_attempts,
            first_backoff_s=retry.first_backoff_s,
            max_backoff_s=retry.max_backoff_s,
            budget_ratio=retry.budget_ratio,
            budget_per_s=retry.budget_per_s,
        ),
        CircuitPolicy(
            window=circuit.window,
            failure_share=circuit.failure_share,
            min_calls=circuit.min_calls,
            rest_s=circuit.rest_s,
            max_rest_s=circuit.max_rest_s,
            wait_s=circuit.wait_s,
        ),
    )
    replica = secrets.token_hex(8)
    chance = random.SystemRandom()
    lanes: dict[LaneKey, Lane] = {}
    rates: list[RateLimit] = []
    for provider in providers:
        description = provider.description
        for feature, support in description.features.items():
            rate = _build_rate(settings, description.name, description.kind, feature, support.quota, link, replica)
            rates.append(rate)
            lanes[description.name, feature] = Lane(
                description.name,
                support.quota,
                rate,
                policy=policy,
                weight_of=settings.tenant_weight,
                until_ready=provider.until_ready,
                metrics=metrics.lane(description.name, feature),
                clock=time.monotonic,
                random_source=chance,
                batch=support.batch,
            )
    shared = [rate for rate in rates if isinstance(rate, SharedRate)]
    components.quota_shared_by([*shared, ledger] if isinstance(ledger, SharedLedger) else shared)
    metrics.rate_commands_of(lambda: sum(rate.script_calls for rate in shared))
    return lanes


def _build_rate(
    settings: GatewaySettings,
    provider: str,
    kind: ProviderKind,
    feature: Feature,
    quota: Quota,
    link: RedisLink | None,
    replica: str,
) -> RateLimit:
    """An embedded engine's limits are of this process; all other quotas are shared where there is a Redis."""
    limited = quota.requests_per_second or quota.requests_per_day or quota.requests_per_month
    if link is None or kind is ProviderKind.EMBEDDED or not limited:
        return LocalRate(quota, clock=time.monotonic, wall_clock=time.time)
    return SharedRate(
        link,
        f"{provider}:{feature.value}",
        quota,
        replica=replica,
        clock=time.monotonic,
        wall_clock=time.time,
        replicas=settings.redis.replicas or 1,
    )


def _build_store(settings: GatewaySettings, link: RedisLink | None) -> Store | None:
    """Redis where there is one, else the SQLite file, or none."""
    cache = settings.cache
    if link is not None:
        return RedisStore(
            link, max_value_bytes=cache.max_value_bytes, ttl_s=cache.ttl_s, random_source=random.SystemRandom()
        )
    if cache.dir is None or not cache.store_bytes:
        return None
    file = EmbeddedStore(
        cache.dir / _STORE_FILE,
        max_bytes=cache.store_bytes,
        max_value_bytes=cache.max_value_bytes,
        ttl_s=cache.ttl_s,
        clock=time.time,
        random_source=random.SystemRandom(),
    )
    return GuardedStore(file, timeout_s=cache.store_timeout_s, rest_s=cache.store_rest_s, clock=time.monotonic)
