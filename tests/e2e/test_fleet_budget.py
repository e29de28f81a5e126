"""Two gateways on one Redis under a budget: the provider bills what it says, exactly, and every item is answered."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2

from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.fleet import Fleet, Load, images_of, running_fleet, stream_items, until
from tests.fakes.gateway_messages import outcome
from tests.fakes.numbered_images import text_of
from tests.fakes.redis_server import RedisServer, require_redis

pytestmark = pytest.mark.alone

ITEMS, UNITS, STREAMS = 10_000, 1_000, 8
FAST = {"latency_s": 0.0, "quota": 100_000}
QUOTA = {"requests_per_second": 20_000, "max_concurrency": 200}
PRICE = 0.003
LINK = {"timeout_s": 1.0, "replicas": 2}
"""A busy machine is not taken for a stalled Redis, and no gateway for the only one while it has not reached Redis."""


def priced(**more: Any) -> dict[str, Any]:
    """The provider's section: text at a price, without a quota that would be noticed."""
    return {"features": {"text": {"quota": QUOTA, "price_per_unit": PRICE}}, **more}


async def run(fleet: Fleet, images: dict[str, bytes], load: Load, **stream: Any) -> None:
    """Sends the images over eight streams, four to each gateway."""
    await until(lambda: fleet.components_are("quota.shared", serving=True))
    hands = [list(images.items())[hand::STREAMS] for hand in range(STREAMS)]
    async with asyncio.timeout(120):
        await asyncio.gather(
            *(stream_items(fleet.gateways[n % 2].address, hand, load, **stream) for n, hand in enumerate(hands))
        )


def details(answer: recognition_pb2.PageAnswer) -> tuple[str, float]:
    """The subject of the answer's QuotaFailure, and its RetryInfo in seconds."""
    quota, retry = error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    assert any(detail.Unpack(quota) for detail in answer.error.details)
    assert any(detail.Unpack(retry) for detail in answer.error.details)
    return quota.violations[0].subject, retry.retry_delay.ToTimedelta().total_seconds()


async def test_ten_thousand_calls_under_a_budget_of_a_thousand_units(tmp_path: Path) -> None:
    """The provider bills 1 000 units, not one more or less; each item has one answer, the rest RESOURCE_EXHAUSTED."""
    require_redis()
    images, load = images_of(ITEMS, size_bytes=1000), Load()
    began = time.monotonic()
    async with (
        RedisServer() as redis,
        running_fleet(
            tmp_path,
            replicas=2,
            redis=redis,
            standin=FAST,
            link=LINK,
            currency="CNY",
            baidu=priced(budget={"units_per_day": UNITS}),
        ) as fleet,
    ):
        started = time.monotonic()
        await run(fleet, images, load)
        took_s = time.monotonic() - started
        stats = await fleet.standin.stats()
        left = await fleet.metric("ocrmux_budget_left", account="provider:baidu")
        cost = await fleet.metric("ocrmux_cost_total", provider="baidu")
        shared = await fleet.components_are("quota.shared", serving=True)
    print(f"{ITEMS} items in {took_s:.1f} s, with the start {time.monotonic() - began:.1f} s")
    assert stats["billed_units"] == UNITS
    assert stats["requests"] == UNITS
    assert load.answered == len(load.answers) == ITEMS
    assert load.outcomes() == {"OK": UNITS, "PROVIDER_QUOTA": ITEMS - UNITS}
    read = [answer for answer in load.answers.values() if outcome(answer) == "OK"]
    assert not [a for a in read if a.document.pages[0].text != text_of(images[a.request_id])]
    assert load.billed_units == UNITS
    assert {(a.provenance.cost, a.provenance.currency) for a in read} == {(PRICE, "CNY")}
    assert round(cost, 6) == UNITS * PRICE
    refused = [answer for answer in load.answers.values() if outcome(answer) != "OK"]
    assert {details(answer)[0] for answer in refused} == {"provider:baidu"}
    assert all(0 < details(answer)[1] <= 86_400 for answer in refused)
    assert not any(answer.provenance.attempts or answer.provenance.cost for answer in refused)
    assert (left, shared) == (0.0, True)


async def test_what_the_budget_does_not_bear_goes_to_the_next_provider(tmp_path: Path) -> None:
    """After 200 units, and 0.6 in money, the route's next provider, which is free, answers, and says why it did."""
    require_redis()
    images, load = images_of(600, size_bytes=1000), Load()
    async with (
        RedisServer() as redis,
        running_fleet(
            tmp_path,
            replicas=2,
            redis=redis,
            standin=FAST,
            link=LINK,
            currency="CNY",
            baidu=priced(budget={"cost_per_day": 200 * PRICE}),
            more_providers={"baidu-free": {"features": {"text": {"quota": QUOTA}}}},
            routes={"default": {"providers": ["baidu", "baidu-free"]}},
        ) as fleet,
    ):
        await run(fleet, images, load)
        stats = await fleet.standin.stats()
    assert load.outcomes() == {"OK": 600}
    by: dict[str, list[recognition_pb2.PageAnswer]] = {}
    for answer in load.answers.values():
        by.setdefault(answer.provenance.provider, []).append(answer)
    assert {name: len(answers) for name, answers in by.items()} == {"baidu": 200, "baidu-free": 400}
    assert {answer.provenance.cost for answer in by["baidu-free"]} == {0.0}
    fallbacks = {(each.provider, each.reason) for answer in by["baidu-free"] for each in answer.provenance.fallbacks}
    assert fallbacks == {("baidu", "PROVIDER_QUOTA")}
    assert stats["billed_units"] == 600


async def test_each_tenant_spends_its_own_budget(tmp_path: Path) -> None:
    """A declared tenant has what is its own; all others together have the default one, under however many names."""
    require_redis()
    loads = {tenant: Load() for tenant in ("shop", "rich", "mallory", "mallory-2", "")}
    async with (
        RedisServer() as redis,
        running_fleet(
            tmp_path,
            replicas=2,
            redis=redis,
            standin=FAST,
            link=LINK,
            currency="CNY",
            baidu=priced(),
            tenants={"shop": {"budget": {"units_per_day": 40}}, "rich": {}},
            default_tenant_budget={"units_per_day": 25},
        ) as fleet,
    ):
        async with asyncio.TaskGroup() as tasks:
            for tenant, load in loads.items():
                metadata = [("ocrmux-tenant", tenant)] if tenant else []
                images = images_of(100, f"of-{tenant}", size_bytes=1000)
                tasks.create_task(run(fleet, images, load, metadata=metadata))
        stats = await fleet.standin.stats()
        counted = {
            tenant: await fleet.metric("ocrmux_tenant_billed_units_total", tenant=tenant)
            for tenant in ("shop", "rich", "mallory", "*")
        }
    outcomes = {tenant: load.outcomes() for tenant, load in loads.items()}
    assert outcomes["shop"] == {"OK": 40, "TENANT_QUOTA": 60}
    assert outcomes["rich"] == {"OK": 100}
    others = [outcomes[tenant] for tenant in ("mallory", "mallory-2", "")]
    assert sum(each.get("OK", 0) for each in others) == 25
    assert sum(each["TENANT_QUOTA"] for each in others) == 275
    assert counted == {"shop": 40, "rich": 100, "mallory": 0, "*": 25}
    assert stats["billed_units"] == 165
    refused = [a for a in loads["shop"].answers.values() if outcome(a) == "TENANT_QUOTA"]
    assert {details(answer)[0] for answer in refused} == {"tenant:shop"}
