"""The gateway's metrics, all of them in one list, for Prometheus.

Lanes and cache tell what happens; a call of theirs costs about a microsecond, since what it changes is looked up once.
What is read off (depths, commands) is asked for when somebody scrapes, in the scraper's thread.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from ocr_gateway.model import Feature

_LANE = ("provider", "feature")
_WAIT_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ATTEMPT_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_IMAGES_BUCKETS = (1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 32.0)
_CIRCUIT_STATES = ("closed", "half_open", "open")


class MetricKind(enum.Enum):
    """What Prometheus takes it for."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as Prometheus knows it; the unit is the end of its name, where it has one."""

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    meaning: str


_C, _G, _H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
LANE_DEPTH = Metric("ocrmux_lane_depth", _G, _LANE, "Items that wait for their turn")
LANE_IN_PROGRESS = Metric("ocrmux_lane_in_progress", _G, _LANE, "Calls that the provider has not answered yet")
LANE_QUEUE = Metric("ocrmux_lane_queue_seconds", _H, _LANE, "Wait of an item for its turn, the rate limit left out")
LANE_RATE_LIMIT = Metric("ocrmux_lane_rate_limit_seconds", _H, _LANE, "Wait of an item for the rate limit")
LANE_PERMITS = Metric(
    "ocrmux_lane_permits_total",
    _C,
    (*_LANE, "source"),
    "Permits for calls: local (no Redis), shared (by Redis), share (Redis is gone)",
)
LANE_REFUSALS = Metric(
    "ocrmux_lane_refusals_total", _C, (*_LANE, "reason"), "Items turned away before a call, by error"
)
ATTEMPTS = Metric("ocrmux_provider_attempts_total", _C, (*_LANE, "outcome"), "Calls that have ended, by how")
ATTEMPT_TIME = Metric("ocrmux_provider_attempt_seconds", _H, _LANE, "Time of one call")
CALL_IMAGES = Metric(
    "ocrmux_provider_call_images", _H, _LANE, "Images of one call, where a call may be for more than one"
)
RETRIES = Metric("ocrmux_provider_retries_total", _C, _LANE, "Calls that were scheduled to be made again")
BILLED = Metric("ocrmux_billed_units_total", _C, _LANE, "What providers bill for, by their answers")
COST = Metric("ocrmux_cost_total", _C, _LANE, "Price of the billed units, in the currency of the configuration")
TENANT_UNITS = Metric(
    "ocrmux_tenant_billed_units_total", _C, ("tenant",), "Billed units by tenant; * is all that are not declared"
)
TENANT_COST = Metric("ocrmux_tenant_cost_total", _C, ("tenant",), "Their price")
BUDGET_LEFT = Metric(
    "ocrmux_budget_left", _G, ("account", "measure"), "What is left of a budget today, in units or as cost"
)
BUDGET_REFUSALS = Metric("ocrmux_budget_refusals_total", _C, ("account",), "Calls not made for want of budget")
CIRCUIT = Metric("ocrmux_circuit_state", _G, (*_LANE, "state"), "1 for the state now: closed, half_open or open")
CACHE_LOOKUPS = Metric(
    "ocrmux_cache_lookups_total", _C, ("outcome",), "Results asked for: memory, store, coalesced (with others), miss"
)
STORE_ERRORS = Metric("ocrmux_cache_store_errors_total", _C, (), "Failures and time-outs of the cache's second level")
STORE_IN_USE = Metric("ocrmux_cache_store_in_use", _G, (), "1 while the cache's second level is in use")
QUOTA_SHARED = Metric("ocrmux_quota_shared", _G, (), "1 while quotas are shared through Redis")
REDIS_COMMANDS = Metric("ocrmux_redis_commands_total", _C, (), "Commands sent to Redis")
RATE_COMMANDS = Metric("ocrmux_rate_commands_total", _C, (), "Those of them that were for the rate limits")

METRICS: tuple[Metric, ...] = (
    *(LANE_DEPTH, LANE_IN_PROGRESS, LANE_QUEUE, LANE_RATE_LIMIT, LANE_PERMITS, LANE_REFUSALS),
    *(ATTEMPTS, ATTEMPT_TIME, CALL_IMAGES, RETRIES, BILLED),
    *(COST, TENANT_UNITS, TENANT_COST, BUDGET_LEFT, BUDGET_REFUSALS, CIRCUIT),
    *(CACHE_LOOKUPS, STORE_ERRORS, STORE_IN_USE, QUOTA_SHARED, REDIS_COMMANDS, RATE_COMMANDS),
)
"""All of them, in the order of docs/operations.md."""


class GatewayMetrics:
    """The metrics of one gateway, in a registry of their own, with the process's memory and processor time."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series and say little
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._depth = _gauge(LANE_DEPTH, self.registry)
        self._in_progress = _gauge(LANE_IN_PROGRESS, self.registry)
        self._queue = _histogram(LANE_QUEUE, _WAIT_BUCKETS_S, self.registry)
        self._rate_limit = _histogram(LANE_RATE_LIMIT, _WAIT_BUCKETS_S, self.registry)
        self._permits = _counter(LANE_PERMITS, self.registry)
        self._refusals = _counter(LANE_REFUSALS, self.registry)
        self._attempts = _counter(ATTEMPTS, self.registry)
        self._attempt_time = _histogram(ATTEMPT_TIME, _ATTEMPT_BUCKETS_S, self.registry)
        self._images = _histogram(CALL_IMAGES, _IMAGES_BUCKETS, self.registry)
        self._retries = _counter(RETRIES, self.registry)
        self._billed = _counter(BILLED, self.registry)
        self._circuit = _gauge(CIRCUIT, self.registry)
        self._lookups = _Children(_counter(CACHE_LOOKUPS, self.registry), ())
        self._store_errors = _counter(STORE_ERRORS, self.registry)
        self._store_in_use = _gauge(STORE_IN_USE, self.registry)
        self._quota_shared = _gauge(QUOTA_SHARED, self.registry)
        self.spending = SpendingMetrics(self.registry)
        self._commands = _CountElsewhere(REDIS_COMMANDS)
        self._rate_commands = _CountElsewhere(RATE_COMMANDS)
        self.registry.register(self._commands)
        self.registry.register(self._rate_commands)

    def lane(self, provider: str, feature: Feature) -> LaneMetrics:
        """Those of one lane; its labels are looked up here, once."""
        labels = (provider, feature.value)
        return LaneMetrics(
            depth=self._depth.labels(*labels),
            in_progress=self._in_progress.labels(*labels),
            queue=self._queue.labels(*labels),
            rate_limit=self._rate_limit.labels(*labels),
            attempt_time=self._attempt_time.labels(*labels),
            images=self._images.labels(*labels),
            retries=self._retries.labels(*labels),
            billed=self._billed.labels(*labels),
            circuit={state: self._circuit.labels(*labels, state) for state in _CIRCUIT_STATES},
            attempts=_Children(self._attempts, labels),
            refusals=_Children(self._refusals, labels),
            permits=_Children(self._permits, labels),
        )

    def cache_outcome(self, outcome: str) -> None:
        """A result was asked for: ``memory``, ``store``, ``coalesced`` or ``miss``."""
        self._lookups.of(outcome).inc()

    def store_error(self) -> None:
        """The cache's second level failed or took too long."""
        self._store_errors.inc()

    def store_in_use(self, in_use: bool) -> None:
        """Whether the cache's second level is in use from now on."""
        self._store_in_use.set(in_use)

    def quota_shared(self, shared: bool) -> None:
        """Whether quotas are shared through Redis from now on."""
        self._quota_shared.set(shared)

    def redis_commands_of(self, commands: Callable[[], int]) -> None:
        """Where the number of commands sent so far is read off; it must not fall."""
        self._commands.count = commands

    def rate_commands_of(self, commands: Callable[[], int]) -> None:
        """Where the number of those for the rate limits is read off; it must not fall."""
        self._rate_commands.count = commands


class LaneMetrics:
    """What one lane tells, times in seconds. No method raises or waits."""

    def __init__(
        self,
        *,
        depth: Gauge,
        in_progress: Gauge,
        queue: Histogram,
        rate_limit: Histogram,
        attempt_time: Histogram,
        images: Histogram,
        retries: Counter,
        billed: Counter,
        circuit: dict[str, Gauge],
        attempts: _Children,
        refusals: _Children,
        permits: _Children,
    ) -> None:
        self._depth = depth
        self._in_progress = in_progress
        self._queue = queue
        self._rate_limit = rate_limit
        self._attempt_time = attempt_time
        self._images = images
        self._retries = retries
        self._billed = billed
        self._circuit = circuit
        self._attempts = attempts
        self._refusals = refusals
        self._permits = permits

    def depth_of(self, waiting: Callable[[], float]) -> None:
        """Where the number of waiting items is read off, in another thread."""
        self._depth.set_function(waiting)

    def in_progress_of(self, in_progress: Callable[[], float]) -> None:
        """Where the number of calls in progress is read off, in another thread."""
        self._in_progress.set_function(in_progress)

    def waited(self, queue_s: float, rate_limit_s: float) -> None:
        """An item's turn has come, after so long."""
        self._queue.observe(queue_s)
        self._rate_limit.observe(rate_limit_s)

    def attempt(self, outcome: str, seconds: float) -> None:
        """A call has ended."""
        self._attempts.of(outcome).inc()
        self._attempt_time.observe(seconds)

    def images(self, count: int) -> None:
        """A call was for so many images."""
        self._images.observe(count)

    def retry(self) -> None:
        """A call is to be made again."""
        self._retries.inc()

    def refused(self, reason: str) -> None:
        """An item was turned away before a call."""
        self._refusals.of(reason).inc()

    def circuit(self, state: str) -> None:
        """The circuit is ``closed``, ``half_open`` or ``open`` from now on."""
        for name, gauge in self._circuit.items():
            gauge.set(name == state)

    def billed(self, units: float) -> None:
        """A call was billed; ``units`` below 0 count as 0."""
        self._billed.inc(max(0.0, units))

    def permit(self, source: str) -> None:
        """A permit for a call was given: ``local``, ``shared`` or ``share``."""
        self._permits.of(source).inc()


class SpendingMetrics:
    """What money tells. Tenants are to be of a bounded number. No method raises or waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._cost = _counter(COST, registry)
        self._tenant_units = _Children(_counter(TENANT_UNITS, registry), ())
        self._tenant_cost = _Children(_counter(TENANT_COST, registry), ())
        self._left = _gauge(BUDGET_LEFT, registry)
        self._refusals = _Children(_counter(BUDGET_REFUSALS, registry), ())

    def spent(self, provider: str, feature: Feature, tenant: str, units: float, cost: float) -> None:
        """A call of the tenant's was billed; what is below 0 counts as 0."""
        if cost > 0.0:
            self._cost.labels(provider, feature.value).inc(cost)
            self._tenant_cost.of(tenant).inc(cost)
        if units > 0.0:
            self._tenant_units.of(tenant).inc(units)

    def refused(self, account: str) -> None:
        """A call was not made, as this account has too little left."""
        self._refusals.of(account).inc()

    def left_of(self, account: str, measure: str, left: Callable[[], float]) -> None:
        """Where the rest of a budget, of ``units`` or ``cost``, is read off, in another thread."""
        self._left.labels(account, measure).set_function(left)


class _Children:
    """The counters of one metric whose last label is named by whoever counts; each is looked up once."""

    def __init__(self, counter: Counter, labels: tuple[str, ...]) -> None:
        self._counter = counter
        self._labels = labels
        self._known: dict[str, Counter] = {}

    def of(self, last: str) -> Counter:
        child = self._known.get(last)
        if child is None:
            child = self._known[last] = self._counter.labels(*self._labels, last)
        return child


class _CountElsewhere(Collector):
    """A counter that somebody else keeps."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.count: Callable[[], int] = lambda: 0

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The count now."""
        yield CounterMetricFamily(_stem(self._metric), self._metric.meaning, value=self.count())


def _stem(metric: Metric) -> str:
    return metric.name.removesuffix("_total")


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(_stem(metric), metric.meaning, metric.labels, registry=registry)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.meaning, metric.labels, registry=registry)


def _histogram(metric: Metric, buckets: tuple[float, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(metric.name, metric.meaning, metric.labels, buckets=buckets, registry=registry)
