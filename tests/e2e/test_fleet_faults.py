"""A provider that fails in every way, and one that goes down for a while: nothing is lost, nothing is paid twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ocrmux.gateway.v1 import gateway_pb2
from tests.fakes.fleet import Load, feature_at, images_of, running_fleet, stream_items, until
from tests.fakes.numbered_images import text_of
from tests.fakes.redis_server import RedisServer, require_redis

pytestmark = pytest.mark.alone

QUOTA = 100
"""Of the gateways alone: what the provider refuses is refused on command, and not since a busy machine was late."""

BAIDU = {"timeout_s": 1.5, "features": {"text": {"quota": {"requests_per_second": QUOTA}}}}


async def test_every_kind_of_fault(tmp_path: Path) -> None:
    """300 of 300 images are read right, and attempts and bills are reported exactly as the provider counts them."""
    require_redis()
    images, load = images_of(300), Load()
    faults = {"share_500": 0.05, "share_reset": 0.02, "share_hang": 0.01, "share_malformed": 0.02}
    standin = {"latency_s": 0.05, "quota": 0, "throttle_every": 40, "throttle_burst": 5, **faults}
    async with (
        RedisServer() as redis,
        running_fleet(tmp_path, replicas=2, redis=redis, standin=standin, baidu=BAIDU) as fleet,
    ):
        items = list(images.items())
        async with asyncio.timeout(120):
            await asyncio.gather(*(stream_items(fleet.gateways[n % 2].address, items[n::4], load) for n in range(4)))
        stats = await fleet.standin.stats()
        attempts = await fleet.metric("ocrmux_provider_attempts_total", feature="text")
        billed = await fleet.metric("ocrmux_billed_units_total", feature="text")
        retries = await fleet.metric("ocrmux_provider_retries_total", feature="text")
    print(f"{stats['requests']} calls for 300 images, faults {stats['faults']}")
    assert load.outcomes() == {"OK": 300}
    assert load.answered == 300
    assert not load.wrong(lambda request_id: text_of(images[request_id]))
    assert set(stats["faults"]) == {"500", "reset", "hang", "malformed", "throttled"}
    failed = sum(stats["faults"].values())
    assert stats["requests"] == load.attempts == attempts == 300 + failed
    assert retries == failed
    assert stats["billed_units"] == load.billed_units == billed == 300
    assert stats["duplicates_billed"] == 0


async def test_a_provider_that_goes_down(tmp_path: Path) -> None:
    """It is rested while it is down, few calls are wasted on it, and each image is read once it is back."""
    images, load = images_of(300), Load()
    circuit = {"rest_s": 0.5, "max_rest_s": 1.0}
    standin = {"latency_s": 0.05, "quota": 0}
    async with running_fleet(tmp_path, standin=standin, baidu=BAIDU, circuit=circuit) as fleet:
        address = fleet.gateways[0].address

        async def rested() -> bool:
            feature = await feature_at(address)
            return feature.state == gateway_pb2.PROVIDER_STATE_RESTED

        async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
            tasks.create_task(stream_items(address, list(images.items()), load))
            await load.reaches(100)
            await fleet.standin.configure(down=True)
            await until(rested)
            assert await fleet.metric("ocrmux_circuit_state", feature="text", state="open") == 1
            answered = load.answered
            await asyncio.sleep(5.0)  # how long it is down
            assert load.answered <= answered + QUOTA * 0.2  # those that had been called for
            assert await rested()
            await fleet.standin.configure(fresh=True)
        stats = await fleet.standin.stats()
        assert not await rested()
    print(f"{stats['faults']['down']} calls wasted in 5 s at {QUOTA} a second")
    assert load.outcomes() == {"OK": 300}
    assert load.answered == 300
    assert not load.wrong(lambda request_id: text_of(images[request_id]))
    assert stats["faults"]["down"] <= 40
    assert stats["requests"] == load.attempts == 300 + stats["faults"]["down"]
    assert stats["billed_units"] == load.billed_units == 300
    assert stats["duplicates_billed"] == 0
