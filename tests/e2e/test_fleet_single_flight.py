"""Requests for one image over two gateways: one call to the provider, whoever leaves and whoever dies."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.fleet import (
    Fleet,
    Load,
    feature_at,
    images_of,
    recognize_one,
    running_fleet,
    stream_items,
    stub_of,
    until,
)
from tests.fakes.numbered_images import text_of
from tests.fakes.redis_server import RedisServer, require_redis

pytestmark = pytest.mark.alone

LEASE_S = 2.0
WINDOW: dict[str, Any] = {"stream_max_items": 300}
PATIENT = {"timeout_s": 2.0}
"""With Redis: on a busy machine it would else be out of use at times, and each replica make its own call."""


async def one_call(fleet: Fleet) -> bool:
    """Whether the provider is reading one image now."""
    return bool((await fleet.standin.stats())["in_progress"] == 1)


async def failed(fleet: Fleet) -> bool:
    """Whether the provider has refused a call as told."""
    return bool((await fleet.standin.stats())["errors"])


async def idle(fleet: Fleet) -> bool:
    """Whether nothing waits in a gateway and nothing is being read."""
    features = [await feature_at(gateway.address) for gateway in fleet.gateways]
    return not any(feature.quota.waiting or feature.quota.in_progress for feature in features)


async def waited_for(redis: RedisServer) -> bool:
    """Whether some replica waits for another's lease: Redis marks such a lease."""
    keys = (await redis.command("KEYS", "ocrmux:lease:*")).split()
    return any([(await redis.command("GET", key)).endswith("+") for key in keys])


async def test_a_thousand_requests_for_one_image(tmp_path: Path) -> None:
    """1000 unary and streamed ones at both replicas make one call; one answer says MISS, and the rest cost nothing."""
    require_redis()
    [image] = images_of(1).values()
    load = Load()
    async with (
        RedisServer() as redis,
        running_fleet(tmp_path, replicas=2, redis=redis, standin={"latency_s": 1.5}, link=PATIENT, **WINDOW) as fleet,
        AsyncExitStack() as stack,
    ):
        addresses = [gateway.address for gateway in fleet.gateways]
        stubs = [await stack.enter_async_context(stub_of(address)) for address in addresses for _ in range(4)]
        streams = [
            stream_items(addresses[n % 2], [(f"{n}-{each}", image) for each in range(150)], load) for n in range(4)
        ]
        async with asyncio.timeout(60):
            sent = [asyncio.create_task(recognize_one(stubs[n % 8], image)) for n in range(400)]
            await asyncio.gather(*streams)
            unary = await asyncio.gather(*sent)
        stats = await fleet.standin.stats()
    answers = [*unary, *load.answers.values()]
    outcomes = Counter(recognition_pb2.CacheOutcome.Name(a.provenance.cache)[14:] for a in answers)
    print(dict(outcomes))
    assert len(answers) == 1000
    assert load.answered == 600
    assert {answer.document.pages[0].text for answer in answers} == {text_of(image)}
    assert stats["requests"] == stats["billed_units"] == 1
    assert outcomes["MISS"] == 1
    assert outcomes.keys() <= {"MISS", "COALESCED", "STORE", "MEMORY"}
    assert outcomes["COALESCED"] >= 500  # the call takes so long that most come while it is made
    for answer in answers:
        paid = int(answer.provenance.cache == recognition_pb2.CACHE_OUTCOME_MISS)
        assert (answer.provenance.attempts, answer.provenance.billed_units) == (paid, paid)


async def test_the_leader_dies(tmp_path: Path) -> None:
    """Those who wait for a replica that is killed are answered after no more than its lease and one call."""
    require_redis()
    [image] = images_of(1).values()
    call_s = 0.2
    async with (
        RedisServer() as redis,
        running_fleet(
            tmp_path, replicas=2, redis=redis, standin={"latency_s": 60.0}, link=PATIENT, cache={"lease_s": LEASE_S}
        ) as fleet,
        stub_of(fleet.gateways[0].address) as leader,
        stub_of(fleet.gateways[1].address) as follower,
    ):
        led = asyncio.create_task(recognize_one(leader, image))
        await until(lambda: one_call(fleet))
        waiting = [asyncio.create_task(recognize_one(follower, image)) for _ in range(20)]
        await until(lambda: waited_for(redis))
        # The lease is renewed for as long as the leader lives: nobody else calls, however long it takes.
        await asyncio.sleep(1.25 * LEASE_S)
        assert (await fleet.standin.stats())["requests"] == 1
        await fleet.standin.configure(latency_s=call_s)
        fleet.gateways[0].process.send_signal(signal.SIGKILL)
        began = time.monotonic()
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*waiting)
        took_s = time.monotonic() - began
        assert isinstance((await asyncio.gather(led, return_exceptions=True))[0], grpc.aio.AioRpcError)
        stats = await fleet.standin.stats()
    print(f"answered {took_s:.2f} s after the leader's death")
    assert {answer.document.pages[0].text for answer in answers} == {text_of(image)}
    assert took_s <= LEASE_S + call_s + 1.0
    assert stats["requests"] == 2
    assert stats["billed_units"] == sum(answer.provenance.billed_units for answer in answers) == 1


async def test_waiters_leave(tmp_path: Path) -> None:
    """Who leaves, the first one included, takes nothing from the others; with the last one gone the call is ended."""
    images = list(images_of(3).values())
    async with (
        running_fleet(tmp_path, standin={"latency_s": 1.0}, retry={"first_backoff_s": 0.5}) as fleet,
        stub_of(fleet.gateways[0].address) as stub,
    ):
        first, *rest = await started(fleet, stub, images[0], 5)
        first.cancel()
        rest[0].cancel()
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*rest[1:])
        assert {answer.document.pages[0].text for answer in answers} == {text_of(images[0])}
        # One of those that stay accounts for the call.
        assert sorted(answer.provenance.attempts for answer in answers) == [0, 0, 1]
        assert sum(answer.provenance.billed_units for answer in answers) == 1
        assert {answer.provenance.cache for answer in answers} == {
            recognition_pb2.CACHE_OUTCOME_MISS,
            recognition_pb2.CACHE_OUTCOME_COALESCED,
        }
        assert (await fleet.standin.stats())["requests"] == 1

        for call in await started(fleet, stub, images[1], 3):
            call.cancel()
        await until(lambda: idle(fleet))
        stats = await fleet.standin.stats()
        assert (stats["requests"], stats["abandoned"], stats["billed_units"]) == (2, 1, 1)

        # Between two attempts: the one that was to come is not made.
        await fleet.standin.configure(status=500, latency_s=0.0)
        calls = [asyncio.create_task(recognize_one(stub, images[2])) for _ in range(3)]
        await until(lambda: failed(fleet))
        for call in calls:
            call.cancel()
        await until(lambda: idle(fleet))
        attempts = (await fleet.standin.stats())["requests"]
        await fleet.standin.configure(fresh=True, latency_s=0.0)
        await recognize_one(stub, images_of(1, "another")["another-0"])
        assert (await fleet.standin.stats())["requests"] == attempts + 1
        assert await idle(fleet)


async def started(fleet: Fleet, stub: Any, image: bytes, count: int) -> list[asyncio.Task[Any]]:
    """So many requests for the image, in this order: the provider is asked, and the others have come after that."""
    first = asyncio.create_task(recognize_one(stub, image))
    await until(lambda: one_call(fleet))
    others = [asyncio.create_task(recognize_one(stub, image)) for _ in range(count - 1)]
    for _ in range(2):  # by the same connection: the second one is sent after the others, and so answered after them
        await stub.ListProviders(gateway_pb2.ListProvidersRequest())
    return [first, *others]
