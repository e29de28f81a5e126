"""Two gateways whose Redis stalls, dies, comes back empty, is full or loses a node: nobody loses an image by it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.fleet import Fleet, Load, images_of, running_fleet, stalls_of, steady_load, until
from tests.fakes.numbered_images import text_of
from tests.fakes.redis_server import RedisServer, redis_cluster, require_redis

pytestmark = pytest.mark.alone

COMPONENTS = ("cache.store", "quota.shared")
IMAGES = images_of(1500)
EVERY_S = 0.04
"""25 a second, which is within each replica's share: no item waits for the quota itself."""

ADDED_MS = 100.0
"""What a Redis that is away may cost an item."""
NOISE_MS = 150.0
"""What a busy machine may do to a single item besides."""


def overheads_ms(answers: Sequence[recognition_pb2.PageAnswer]) -> list[float]:
    """What the gateway needed for each item besides the provider's calls: the quota's waits count, too."""
    timings = [answer.provenance.timings for answer in answers]
    return [each.total_ms - each.provider_ms for each in timings]


@asynccontextmanager
async def under_load(folder: Path, redis: RedisServer | str, load: Load) -> AsyncIterator[Fleet]:
    """Two gateways that share the quota, under a steady load; in the end each image must have been read right."""
    standin = {"latency_s": 0.03}
    async with running_fleet(folder, replicas=2, redis=redis, standin=standin) as fleet:
        async with steady_load([g.address for g in fleet.gateways], IMAGES.items(), load, every_s=EVERY_S):
            await all_are(fleet, serving=True)
            await answered_more(load, 16)
            yield fleet
        stats = await fleet.standin.stats()
    assert len(load.sent_at) < len(IMAGES)
    assert load.answered == len(load.sent_at)
    assert load.outcomes() == {"OK": load.answered}
    assert not load.wrong(lambda request_id: text_of(IMAGES[request_id]))
    assert stats["duplicates_billed"] == 0
    assert stats["requests"] == load.attempts
    assert stats["billed_units"] == load.billed_units == load.answered


async def answered_more(load: Load, count: int) -> None:
    """Returns once so many more images have been answered."""
    await load.reaches(load.answered + count)


async def all_are(fleet: Fleet, *, serving: bool) -> None:
    """Returns once health and metrics of both gateways say so of the cache's store and of the shared quota."""

    async def say_so() -> bool:
        said = {await fleet.metric(name) for name in ("ocrmux_cache_store_in_use", "ocrmux_quota_shared")}
        return said == {2.0 * serving} and await fleet.components_are(*COMPONENTS, serving=serving)

    await until(say_so)


def assert_little_added(what: str, load: Load, calm: tuple[float, float], trouble: tuple[float, float]) -> None:
    """Items sent in the time of trouble waited at most ``ADDED_MS`` longer than those before."""
    before, during = overheads_ms(load.sent_between(*calm)), overheads_ms(load.sent_between(*trouble))
    usual_ms = statistics.median(before)
    added_ms = [each - usual_ms for each in during]
    print(f"{what}: {len(added_ms)} items, added {statistics.median(added_ms):.1f} ms, at most {max(added_ms):.1f} ms")
    assert len(added_ms) >= 10
    assert statistics.median(added_ms) <= ADDED_MS
    assert max(added_ms) <= ADDED_MS + NOISE_MS


async def test_redis_stalls_then_dies_then_is_empty(tmp_path: Path) -> None:
    """Each costs an item 100 ms at most and is told by health and metrics, and all goes on with Redis by itself."""
    require_redis()
    load = Load()
    async with RedisServer() as redis, under_load(tmp_path, redis, load) as fleet:
        calm_at = time.monotonic()
        await answered_more(load, 25)

        stopped_at = time.monotonic()
        redis.stop_signal()
        await all_are(fleet, serving=False)
        await asyncio.sleep(2.0)  # how long it stalls
        going_at = time.monotonic()
        redis.continue_signal()
        await all_are(fleet, serving=True)
        await answered_more(load, 16)

        killed_at = time.monotonic()
        await redis.kill()
        await all_are(fleet, serving=False)
        await answered_more(load, 16)
        started_at = time.monotonic()
        await redis.start()
        await all_are(fleet, serving=True)
        await answered_more(load, 16)
        assert "db0:" in await redis.command("INFO", "keyspace")  # results are kept in it again
    calm = (calm_at, stopped_at)
    assert_little_added("stalled", load, calm, (stopped_at, going_at))
    assert_little_added("going again", load, calm, (going_at, killed_at))
    assert_little_added("killed", load, calm, (killed_at, started_at))
    assert_little_added("empty", load, calm, (started_at, time.monotonic()))


async def test_redis_is_full(tmp_path: Path) -> None:
    """Results are not kept, which is counted; the quota stays shared, and results are kept again when there is room."""
    require_redis()
    load = Load()
    async with RedisServer() as redis, under_load(tmp_path, redis, load) as fleet:
        calm_at = time.monotonic()
        await answered_more(load, 25)
        full_at = time.monotonic()
        await redis.command("CONFIG", "SET", "maxmemory", 1)
        await answered_more(load, 10)
        kept = await results_in(redis)
        shared = await fleet.metric("ocrmux_lane_permits_total", source="shared")
        await answered_more(load, 40)
        assert await fleet.metric("ocrmux_lane_permits_total", source="shared") >= shared + 20
        assert await results_in(redis) <= kept
        assert await fleet.metric("ocrmux_cache_store_errors_total") >= 20
        await all_are(fleet, serving=True)
        room_at = time.monotonic()
        await redis.command("CONFIG", "SET", "maxmemory", 0)
        await answered_more(load, 16)
        assert await results_in(redis) > kept
    assert_little_added("full", load, (calm_at, full_at), (full_at, room_at))


async def results_in(redis: RedisServer) -> int:
    """How many results it keeps."""
    return len((await redis.command("KEYS", "ocrmux:result:*")).split())


async def test_a_cluster_loses_a_master(tmp_path: Path) -> None:
    """Three masters serve as one Redis does; with one killed the gateways go on, and share again with it back."""
    require_redis()
    load = Load()
    async with redis_cluster() as nodes:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        async with under_load(tmp_path, url, load) as fleet:
            calm_at = time.monotonic()
            await answered_more(load, 25)
            assert all([await results_in(node) for node in nodes])
            killed_at = time.monotonic()
            await nodes[1].kill()
            await all_are(fleet, serving=False)
            await answered_more(load, 16)
            started_at = time.monotonic()
            await nodes[1].start()
            await all_are(fleet, serving=True)
            await answered_more(load, 16)
    assert_little_added("a master killed", load, (calm_at, killed_at), (killed_at, started_at))
    assert_little_added("a master back", load, (calm_at, killed_at), (started_at, time.monotonic()))


async def test_the_quota_without_redis(tmp_path: Path) -> None:
    """Under full demand, a Redis that stalls and dies leads to no more calls than the replicas' shares allow."""
    require_redis()
    quota, replicas, load = 40, 2, Load()
    baidu = {"features": {"text": {"quota": {"requests_per_second": quota}}}}
    standin = {"latency_s": 0.05, "quota": quota}
    async with (
        RedisServer() as redis,
        running_fleet(tmp_path, replicas=replicas, redis=redis, standin=standin, baidu=baidu) as fleet,
    ):
        addresses = [gateway.address for gateway in fleet.gateways]
        async with (
            stalls_of(fleet.standin) as stalls,
            steady_load(addresses, IMAGES.items(), load, every_s=0.6 / quota),
        ):
            await answered_more(load, 50)
            redis.stop_signal()
            await all_are(fleet, serving=False)
            await answered_more(load, 50)
            redis.continue_signal()
            await all_are(fleet, serving=True)
            await answered_more(load, 40)
            await redis.kill()
            await all_are(fleet, serving=False)
            await answered_more(load, 50)
            await redis.start()
            await all_are(fleet, serving=True)
            await answered_more(load, 40)
        stats = await fleet.standin.stats()
    print(f"worst second {stats['worst_second']} of {quota}, {stats['refusals']} refusals, {stalls}")
    assert load.answered == len(load.sent_at) < len(IMAGES)
    assert load.outcomes() == {"OK": load.answered}
    assert not load.wrong(lambda request_id: text_of(IMAGES[request_id]))
    # At the worst one replica had the whole of the last second, and each other one begins its share at once.
    assert stats["worst_second"] <= quota + quota // replicas + quota * stalls.longest_s
    assert stats["requests"] == load.attempts == load.answered + stats["refusals"]
    assert stats["billed_units"] == load.billed_units == load.answered
    assert stats["duplicates_billed"] == 0
