"""A long queue of one caller does not delay another one, and tenants have turns by their weights."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

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

pytestmark = pytest.mark.alone

QUEUED = 20_000
TRIES = 40
BURST = 10
"""What may go at once under a quota of 50 a second."""

ROOM: dict[str, Any] = {"stream_max_items": QUEUED, "total_max_items": QUEUED + 100, "item_timeout_s": 900.0}


async def waiting(fleet: Fleet) -> int:
    """The items that wait in the gateway."""
    count: int = (await feature_at(fleet.gateways[0].address)).quota.waiting
    return count


async def turns_of(fleet: Fleet, stub: Any, image: bytes) -> int:
    """How many other images the provider was given from before this one was sent until it was answered."""
    before = await calls(fleet)
    answer = await recognize_one(stub, image)
    assert answer.document.pages[0].text == text_of(image)
    return await calls(fleet) - before - 1


async def calls(fleet: Fleet) -> int:
    """How many calls the provider has had."""
    return int((await fleet.standin.stats())["requests"])


async def test_a_single_image_beside_20_000(tmp_path: Path) -> None:
    """It waits for 5 turns at most more than on an idle gateway; the queue goes when its caller goes."""
    singles = list(images_of(2 * TRIES, "single").values())
    bulk = images_of(QUEUED, "bulk", size_bytes=1000)
    load = Load()
    async with running_fleet(tmp_path, **ROOM) as fleet, stub_of(fleet.gateways[0].address) as stub:
        idle = [await turns_of(fleet, stub, image) for image in singles[TRIES:][:10]]
        stream = asyncio.create_task(stream_items(fleet.gateways[0].address, list(bulk.items()), load))
        async with asyncio.timeout(120):
            while await waiting(fleet) < QUEUED - 1000:  # the first ones are being read meanwhile
                assert not stream.done()
                await asyncio.sleep(0.05)
        beside = [await turns_of(fleet, stub, image) for image in singles[:TRIES]]
        left = await waiting(fleet)
        stream.cancel()
        await asyncio.wait({stream})
        await until(lambda: none_waits(fleet))
    print(f"turns beside {left} queued: {beside}; idle: {sorted(idle)}")
    assert max(idle) == 0
    assert left >= QUEUED - 2000
    # A burst, which takes a moment, may be over by the time at which the provider is asked how many came.
    assert max(beside) <= max(idle) + 5 + BURST
    assert sum(turns <= max(idle) + 5 for turns in beside) >= 0.75 * TRIES


async def none_waits(fleet: Fleet) -> bool:
    """Whether the gateway has nothing left to do."""
    return await waiting(fleet) == 0


async def test_tenants_of_weights_3_and_1(tmp_path: Path) -> None:
    """While both have images waiting, 200 calls are 3 to 1, within 10 %."""
    images = {name: images_of(250, name) for name in ("heavy", "light")}
    quota = 100
    load = Load()
    async with running_fleet(
        tmp_path,
        standin={"quota": quota, "latency_s": 0.02},
        baidu={"features": {"text": {"quota": {"requests_per_second": quota}}}},
        tenants={"heavy": {"weight": 3.0}, "light": {"weight": 1.0}},
        stream_max_items=250,
    ) as fleet:
        streams = [
            asyncio.create_task(
                stream_items(
                    fleet.gateways[0].address, list(images[name].items()), load, metadata=[("ocrmux-tenant", name)]
                )
            )
            for name in images
        ]
        await load.reaches(240)
        for stream in streams:
            stream.cancel()
        await asyncio.wait(streams)
    served = [request_id.partition("-")[0] for request_id in islice(load.answers, 40, 240)]
    heavy, light = served.count("heavy"), served.count("light")
    print(f"heavy {heavy}, light {light}")
    assert 2.7 <= heavy / light <= 3.3
