"""How long a single image waits while another caller's stream holds thousands, and whether weights show."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from ocr_gateway.translation import TENANT_KEY
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from tests.bench.measures import goal_line, percentile, scaled
from tests.bench.numbered_load import NumberedPages, TimedLoad
from tests.fakes.fleet import Fleet, recognize_one, running_fleet, stream_items
from tests.fakes.redis_server import RedisServer

QUOTA = 50
QUEUED = 20_000
TRIES = 200
WEIGHT = 3
WEIGHED_ANSWERS = 600
IMAGE_BYTES = 1_500
MOST_PAUSE_S = 0.04
"""Tries come at no fixed moment of the lane's rhythm, which is 20 ms."""
_FILL_TIMEOUT_S = 300.0
_SETTINGS: dict[str, Any] = {
    "stream_max_items": 2 * QUEUED,
    "total_max_items": 4 * QUEUED,
    "item_timeout_s": 3600.0,
    "tenants": {"heavy": {"weight": WEIGHT}},
}


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    async with (
        RedisServer() as redis,
        running_fleet(folder, redis=redis, standin={"quota": QUOTA}, **_SETTINGS) as fleet,
        grpc.aio.insecure_channel(fleet.gateways[0].address) as channel,
    ):
        stub = OcrGatewayServiceStub(channel)
        tries = scaled(TRIES, 20)
        idle = await _try_single_images(stub, NumberedPages.of_size(IMAGE_BYTES, range(tries)), TimedLoad())
        async with _backlog(fleet, stub, scaled(QUEUED, 1_000)) as load:
            queued = await _waiting(stub)
            numbers = range(QUEUED, QUEUED + tries)
            busy = await _try_single_images(stub, NumberedPages.of_size(IMAGE_BYTES, numbers), load)
            left = await _waiting(stub)
        heavy, light = await _weighed(fleet, stub)
    more = percentile([turns for turns, _ in busy], 0.99) - percentile([turns for turns, _ in idle], 0.99)
    ratio = heavy / max(1, light)
    return [
        (
            f"Fair turns: one gateway, {QUOTA} calls a second. One stream holds {queued} queued images ({left} at the "
            f"end), and another caller sends {tries} single images, one after the other."
        ),
        "",
        "| gateway | turns of others before its own: p50, p99, most | ms to the answer: p50, p99 |",
        "|---|---|---|",
        _row("idle", idle),
        _row("with the queue", busy),
        "",
        goal_line("p99 of turns more than on an idle gateway", f"{more:.0f}", "≤ 5", reached=more <= 5),
        goal_line(
            f"tenants of weights {WEIGHT} and 1, calls of one for one of the other",
            f"{ratio:.2f} ({heavy} and {light})",
            f"{WEIGHT} within 10 %",
            reached=abs(ratio / WEIGHT - 1) <= 0.1,
        ),
    ]


async def _try_single_images(stub: Any, pages: NumberedPages, others: TimedLoad) -> list[tuple[int, float]]:
    """For each image the answers that others got between its sending and its own answer, and the milliseconds.

    The provider answers at once, so that answers are turns; one that was on its way already counts against us.
    """
    chance = random.Random(7)
    found: list[tuple[int, float]] = []
    for _, image in pages:
        await asyncio.sleep(chance.uniform(0, MOST_PAUSE_S))
        before, began = others.answered, time.perf_counter()
        answer = await recognize_one(stub, image)
        found.append((others.answered - before, (time.perf_counter() - began) * 1000))
        if not answer.HasField("document"):
            raise RuntimeError(f"not read: {answer}")
    return found


@asynccontextmanager
async def _backlog(fleet: Fleet, stub: Any, count: int) -> AsyncIterator[TimedLoad]:
    """A stream of so many images, nearly all of which wait in the gateway; dropped in the end."""
    load = TimedLoad()
    pages = NumberedPages.of_size(IMAGE_BYTES, range(10 * QUEUED, 10 * QUEUED + count))
    stream = asyncio.create_task(stream_items(fleet.gateways[0].address, pages, load))
    try:
        async with asyncio.timeout(_FILL_TIMEOUT_S):
            while await _waiting(stub) + load.answered < count - 1:
                if stream.done():
                    stream.result()
                await asyncio.sleep(0.2)
        yield load
    finally:
        stream.cancel()
        await asyncio.wait([stream])


async def _weighed(fleet: Fleet, stub: Any) -> tuple[int, int]:
    """Calls of a tenant of weight 3 and of one of weight 1 while both have images waiting."""
    wanted = scaled(WEIGHED_ANSWERS, 80)
    loads: dict[str, TimedLoad] = {"heavy": TimedLoad(), "light": TimedLoad()}
    streams = []
    for number, (tenant, load) in enumerate(loads.items()):
        first = (100 + number) * QUEUED
        pages = NumberedPages.of_size(IMAGE_BYTES, range(first, first + wanted + QUOTA))
        sending = stream_items(fleet.gateways[0].address, pages, load, metadata=[(TENANT_KEY, tenant)])
        streams.append(asyncio.create_task(sending))
    try:
        async with asyncio.timeout(_FILL_TIMEOUT_S):
            while await _waiting(stub) < wanted or not all(load.answered for load in loads.values()):  # noqa: ASYNC110 - a server's state
                await asyncio.sleep(0.05)
            before = {tenant: load.answered for tenant, load in loads.items()}
            while sum(load.answered for load in loads.values()) - sum(before.values()) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.wait(streams)
    return loads["heavy"].answered - before["heavy"], loads["light"].answered - before["light"]


async def _waiting(stub: Any) -> int:
    """Items that wait for their turn at the gateway."""
    listed = await stub.ListProviders(gateway_pb2.ListProvidersRequest())
    return sum(feature.quota.waiting for provider in listed.providers for feature in provider.features)


def _row(name: str, tries: list[tuple[int, float]]) -> str:
    turns, waits = [turn for turn, _ in tries], [wait for _, wait in tries]
    return (
        f"| {name} | {percentile(turns, 0.5):.0f}, {percentile(turns, 0.99):.0f}, {max(turns)} "
        f"| {percentile(waits, 0.5):.1f}, {percentile(waits, 0.99):.1f} |"
    )


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
