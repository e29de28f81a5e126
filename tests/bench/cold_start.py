"""From the start of a gateway's process to SERVING, and its resident memory then, without the embedded engines."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ocrmux.gateway.v1 import gateway_pb2
from tests.bench.measures import goal_line
from tests.fakes.fleet import gateway_with, settings_of
from tests.fakes.redis_server import RedisServer
from tests.fakes.standin.process import stand_in_process

STARTS = 5
_SERVICE = gateway_pb2.DESCRIPTOR.services_by_name["OcrGatewayService"].full_name
_TIMEOUT_S = 30.0


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    found: dict[str, list[tuple[float, float]]] = {}
    async with RedisServer() as redis, stand_in_process(folder) as provider:
        subjects = {"with Redis": redis.url, "without": None}
        for number in range(STARTS + 1):
            for name, url in subjects.items():
                start = await _start(folder, f"{number}-{url is None}", settings_of(provider.address, url))
                if number:  # the first one warms the page cache
                    found.setdefault(name, []).append(start)
    took_s = statistics.median(seconds for seconds, _ in found["with Redis"])
    rss_mb = statistics.median(rss for _, rss in found["with Redis"])
    return [
        f"Cold start without the embedded engines: {STARTS} starts each, in turn; its files are in the page cache.",
        "",
        "| gateway | seconds to SERVING: best, median, worst | RSS then, MB: median |",
        "|---|---|---|",
        *(_row(name, starts) for name, starts in found.items()),
        "",
        goal_line("start to SERVING, with Redis, median", f"{took_s:.2f} s", "≤ 2 s", reached=took_s <= 2),
        goal_line("RSS then", f"{rss_mb:.0f} MB", "≤ 120 MB", reached=rss_mb <= 120),
    ]


async def _start(folder: Path, name: str, settings: dict[str, Any]) -> tuple[float, float]:
    """Seconds to SERVING, and MB then."""
    began = time.perf_counter()
    async with gateway_with(folder, settings, name) as gateway:
        async with grpc.aio.insecure_channel(gateway.address) as channel, asyncio.timeout(_TIMEOUT_S):
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while await _status(stub) != health_pb2.HealthCheckResponse.SERVING:  # noqa: ASYNC110 - a server's state
                await asyncio.sleep(0.005)
        return time.perf_counter() - began, gateway.rss_mb


async def _status(stub: Any) -> int:
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=_SERVICE), timeout=5)
    return int(answer.status)


def _row(name: str, starts: list[tuple[float, float]]) -> str:
    seconds = [each for each, _ in starts]
    return (
        f"| {name} | {min(seconds):.2f}, {statistics.median(seconds):.2f}, {max(seconds):.2f} "
        f"| {statistics.median(rss for _, rss in starts):.0f} |"
    )


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
