"""The gateway's metrics, in its registry, over HTTP and in the documentation."""

from __future__ import annotations

import asyncio
import re
import threading
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from ocr_gateway.metrics import METRICS, GatewayMetrics, MetricKind
from ocr_gateway.model import Feature
from rpc_runtime.metrics_endpoint import MetricsEndpoint

OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"
LANE = {"provider": "baidu", "feature": "text"}


def told() -> GatewayMetrics:
    """Metrics of a gateway that has done one of everything, and more of some."""
    metrics = GatewayMetrics()
    lane = metrics.lane("baidu", Feature.TEXT)
    lane.depth_of(lambda: 5)
    lane.in_progress_of(lambda: 2)
    lane.waited(0.02, 0.3)
    lane.attempt("ok", 0.25)
    lane.attempt("throttled", 0.01)
    lane.attempt("ok", 0.35)
    lane.images(16)
    lane.images(3)
    lane.retry()
    lane.refused("DeadlineUnreachable")
    lane.circuit("closed")
    lane.circuit("open")
    lane.billed(1.0)
    lane.billed(0.5)
    lane.billed(-1.0)
    metrics.spending.spent("baidu", Feature.TEXT, "shop", 2.0, 0.5)
    metrics.spending.spent("baidu", Feature.TEXT, "*", 1.0, 0.25)
    metrics.spending.spent("baidu", Feature.TEXT, "*", -1.0, -0.25)
    metrics.spending.left_of("tenant:shop", "units", lambda: 7.0)
    metrics.spending.refused("tenant:shop")
    lane.permit("shared")
    for outcome in ("memory", "store", "coalesced", "miss", "memory"):
        metrics.cache_outcome(outcome)
    metrics.store_error()
    metrics.store_in_use(True)
    metrics.quota_shared(True)
    metrics.quota_shared(False)
    metrics.redis_commands_of(lambda: 17)
    metrics.rate_commands_of(lambda: 7)
    return metrics


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("ocrmux_lane_depth", LANE, 5),
        ("ocrmux_lane_in_progress", LANE, 2),
        ("ocrmux_lane_queue_seconds_sum", LANE, 0.02),
        ("ocrmux_lane_rate_limit_seconds_sum", LANE, 0.3),
        ("ocrmux_lane_rate_limit_seconds_bucket", {**LANE, "le": "0.25"}, 0),
        ("ocrmux_lane_rate_limit_seconds_bucket", {**LANE, "le": "0.5"}, 1),
        ("ocrmux_provider_attempts_total", {**LANE, "outcome": "ok"}, 2),
        ("ocrmux_provider_attempts_total", {**LANE, "outcome": "throttled"}, 1),
        ("ocrmux_provider_attempt_seconds_count", LANE, 3),
        ("ocrmux_provider_call_images_count", LANE, 2),
        ("ocrmux_provider_call_images_sum", LANE, 19),
        ("ocrmux_provider_retries_total", LANE, 1),
        ("ocrmux_lane_refusals_total", {**LANE, "reason": "DeadlineUnreachable"}, 1),
        ("ocrmux_circuit_state", {**LANE, "state": "open"}, 1),
        ("ocrmux_circuit_state", {**LANE, "state": "closed"}, 0),
        ("ocrmux_circuit_state", {**LANE, "state": "half_open"}, 0),
        ("ocrmux_billed_units_total", LANE, 1.5),
        ("ocrmux_cost_total", LANE, 0.75),
        ("ocrmux_tenant_billed_units_total", {"tenant": "shop"}, 2),
        ("ocrmux_tenant_billed_units_total", {"tenant": "*"}, 1),
        ("ocrmux_tenant_cost_total", {"tenant": "*"}, 0.25),
        ("ocrmux_budget_left", {"account": "tenant:shop", "measure": "units"}, 7),
        ("ocrmux_budget_refusals_total", {"account": "tenant:shop"}, 1),
        ("ocrmux_lane_permits_total", {**LANE, "source": "shared"}, 1),
        ("ocrmux_cache_lookups_total", {"outcome": "memory"}, 2),
        ("ocrmux_cache_lookups_total", {"outcome": "miss"}, 1),
        ("ocrmux_cache_store_errors_total", {}, 1),
        ("ocrmux_cache_store_in_use", {}, 1),
        ("ocrmux_quota_shared", {}, 0),
        ("ocrmux_redis_commands_total", {}, 17),
    ],
)
def test_what_was_told_can_be_read(name: str, labels: dict[str, str], value: float) -> None:
    """Each under its name and labels, of which a lane's are bound once."""
    assert told().registry.get_sample_value(name, labels) == pytest.approx(value)


def test_two_gateways_do_not_share_metrics() -> None:
    """Each has a registry of its own."""
    told()
    assert GatewayMetrics().registry.get_sample_value("ocrmux_cache_store_errors_total") == 0


def test_the_documentation_lists_the_metrics_that_there_are() -> None:
    """Name, kind and labels of each, in the order of the code, and nothing else."""
    rows = re.findall(r"^\| `(ocrmux_\w+)` \| (\w+) \| (.*?) \|", OPERATIONS.read_text(), re.MULTILINE)
    assert rows == [
        (metric.name, metric.kind.value, ", ".join(f"`{label}`" for label in metric.labels)) for metric in METRICS
    ]


def test_the_registry_holds_the_metrics_of_the_list() -> None:
    """All of them and no other, by their own kind; besides them, only the process's own."""
    families = {
        family.name: family.type for family in told().registry.collect() if not family.name.startswith("process_")
    }
    assert families == {metric.name.removesuffix("_total"): metric.kind.value for metric in METRICS}


def test_names_carry_their_units() -> None:
    """Counters end in _total, times in _seconds, as Prometheus's conventions say."""
    for metric in METRICS:
        assert (metric.kind is MetricKind.COUNTER) == metric.name.endswith("_total")
        if metric.kind is MetricKind.HISTOGRAM:
            assert metric.name.endswith(("_seconds", "_images"))


def scrape(address: str) -> dict[str, float]:
    """What the endpoint answers: the samples without labels, by name."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name: sample.value for sample in samples if not sample.labels}


async def test_the_endpoint_answers_and_stops() -> None:
    """A scrape sees the values of now; after the close nobody listens and no thread is left."""
    before = set(threading.enumerate())
    metrics = told()
    endpoint = MetricsEndpoint(metrics.registry, "127.0.0.1:0")
    address = endpoint.start()
    assert not address.endswith(":0")
    assert (await asyncio.to_thread(scrape, address))["ocrmux_redis_commands_total"] == 17
    metrics.redis_commands_of(lambda: 18)
    assert (await asyncio.to_thread(scrape, address))["ocrmux_redis_commands_total"] == 18
    await endpoint.close()
    await endpoint.close()
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(scrape, address)
    left = {thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio_")}
    assert left == set()


async def test_a_taken_address_is_said_clearly() -> None:
    """The second endpoint on one address does not start, and says which address it was."""
    registry = CollectorRegistry()
    Gauge("x", "x", registry=registry)
    first = MetricsEndpoint(registry, "127.0.0.1:0")
    address = first.start()
    try:
        with pytest.raises(OSError, match=rf"cannot listen on {address} for metrics: .*in use"):
            MetricsEndpoint(registry, address).start()
        with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:99999 for metrics"):
            MetricsEndpoint(registry, "127.0.0.1:99999").start()
    finally:
        await first.close()
