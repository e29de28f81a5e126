"""Two gateways on one Redis whose provider takes several images a call: the quota is of calls, errors are of images."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.fakes.fleet import CREDENTIALS, Load, images_of, running_fleet, stream_items
from tests.fakes.gateway_messages import outcome
from tests.fakes.numbered_images import text_of
from tests.fakes.redis_server import RedisServer, require_redis

pytestmark = pytest.mark.alone

ITEMS, STREAMS, RATE, IMAGES_A_CALL = 400, 4, 10, 16


async def test_calls_of_several_images_keep_the_quota_and_part_the_bad_from_the_good(tmp_path: Path) -> None:
    """400 images at ten calls a second are read in well under 40 s; each bad one has its own error and no other has."""
    require_redis()
    images, load = images_of(ITEMS, size_bytes=2000), Load()
    bad = {name for number, name in enumerate(images) if number % 40 == 7}
    standin = {
        "vendor": "google",
        "latency_s": 0.2,
        "quota": RATE,
        "image_errors": {hashlib.sha256(images[name]).hexdigest()[:20]: "undecodable" for name in bad},
    }
    google = {
        "kind": "google",
        "credentials": {"api_key": CREDENTIALS["api_key"]},
        "features": {"text": {"quota": {"requests_per_second": RATE}, "images_per_call": IMAGES_A_CALL}},
    }
    async with (
        RedisServer() as redis,
        running_fleet(
            tmp_path,
            replicas=2,
            redis=redis,
            standin=standin,
            baidu={"enabled": False},
            more_providers={"google": google},
        ) as fleet,
    ):
        hands = [list(images.items())[hand::STREAMS] for hand in range(STREAMS)]
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(stream_items(fleet.gateways[n % 2].address, hand, load) for n, hand in enumerate(hands))
            )
        stats = await fleet.standin.stats()
    print(f"{stats['requests']} calls for {ITEMS} images, at most {stats['largest_batch']} in one")
    assert load.answered == len(load.answers) == ITEMS
    assert {name: outcome(answer) for name, answer in load.answers.items()} == {
        name: "IMAGE_UNDECODABLE" if name in bad else "OK" for name in images
    }
    read = {name: answer for name, answer in load.answers.items() if name not in bad}
    assert not [name for name, a in read.items() if a.document.pages[0].text != text_of(images[name])]
    assert stats["refusals"] == 0
    assert stats["worst_second"] <= RATE
    assert 1 < stats["largest_batch"] <= IMAGES_A_CALL
    assert stats["requests"] < ITEMS / 2
    assert stats["duplicates_billed"] == 0
    assert load.billed_units == ITEMS - len(bad)
