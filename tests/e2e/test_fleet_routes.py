"""A route of two cloud providers, each a process of its own: escalation, fallback, and deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.fleet import (
    Load,
    feature_at,
    gateway_with,
    images_of,
    recognize_one,
    running_fleet,
    settings_of,
    stream_items,
    stub_of,
)
from tests.fakes.gateway_messages import outcome
from tests.fakes.numbered_images import text_of
from tests.fakes.standin.process import StandInProcess, stand_in_process

pytestmark = pytest.mark.alone

CREDENTIALS = {"api_key": {"env": "BAIDU_API_KEY"}, "secret_key": {"env": "BAIDU_SECRET_KEY"}}
LOW, HIGH = 0.55, 0.95


@dataclass
class Pair:
    """A gateway whose route asks the provider a first, then b."""

    address: str
    a: StandInProcess
    b: StandInProcess


@asynccontextmanager
async def route_of_two(folder: Path, a: dict[str, Any], b: dict[str, Any], **route: Any) -> AsyncIterator[Pair]:
    """Starts the three processes."""
    for name in "ab":
        (folder / name).mkdir()
    async with stand_in_process(folder / "a", **a) as first, stand_in_process(folder / "b", **b) as second:
        off = {name: {"enabled": False} for name in ("rapidocr", "tesseract", "baidu")}
        cloud = {
            f"baidu-{name}": {"kind": "baidu", "endpoint": each.url, "timeout_s": 5.0, "credentials": CREDENTIALS}
            for name, each in (("a", first), ("b", second))
        }
        sections = {
            "providers": {**off, **cloud},
            "routes": {"cloud": {"providers": ["baidu-a", "baidu-b"], **route}},
        }
        settings = {**settings_of(first.address, None), **sections}
        async with gateway_with(folder, settings) as gateway:
            yield Pair(gateway.address, first, second)


def fallbacks_of(answer: recognition_pb2.PageAnswer) -> list[tuple[str, str]]:
    """Who was passed over, and why."""
    return [(each.provider, each.reason) for each in answer.provenance.fallbacks]


async def read_all(pair: Pair, images: dict[str, bytes]) -> Load:
    """The answers to the images, each of which must be right."""
    load = Load()
    async with asyncio.timeout(60):
        await stream_items(pair.address, list(images.items()), load, route="cloud")
    assert load.outcomes() == {"OK": len(images)}
    assert load.answered == len(images)
    assert not load.wrong(lambda request_id: text_of(images[request_id]))
    return load


async def test_low_confidence_goes_on_to_the_second(tmp_path: Path) -> None:
    """What the first provider is not sure of the second one reads; the route's second run costs nothing."""
    images = images_of(40)
    low = {request_id for request_id, image in images.items() if text_of(image)[0] in "01234567"}
    assert 5 < len(low) < 35
    unsure = {"confidences": dict.fromkeys("01234567", LOW), "confidence": HIGH}
    async with route_of_two(tmp_path, unsure, {"confidence": HIGH}, escalate_below=0.8) as pair:
        runs = [await read_all(pair, images), await read_all(pair, images)]
        calls = [(await each.stats())["requests"] for each in (pair.a, pair.b)]
        async with stub_of(pair.address) as stub:
            listed = await stub.ListProviders(gateway_pb2.ListProvidersRequest())
    [route] = [each for each in listed.routes if each.name == "cloud"]
    assert list(route.providers) == ["baidu-a", "baidu-b"]
    assert route.escalate_below == pytest.approx(0.8)
    assert calls == [40, len(low)]
    for run in runs:
        assert {request_id for request_id, each in run.answers.items() if each.provenance.provider == "baidu-b"} == low
        for request_id, answer in run.answers.items():
            expected = [("baidu-a", "CONFIDENCE_LOW")] if request_id in low else []
            assert fallbacks_of(answer) == expected
    assert {request_id: each.provenance.attempts for request_id, each in runs[0].answers.items()} == {
        request_id: 2 if request_id in low else 1 for request_id in images
    }
    assert runs[0].billed_units == 40 + len(low)
    assert runs[1].attempts == runs[1].billed_units == 0


async def test_a_provider_that_is_down_is_passed_over(tmp_path: Path) -> None:
    """The second provider reads what the first one, which is down, does not, and the provenance says so."""
    images = images_of(40)
    async with route_of_two(tmp_path, {}, {}) as pair:
        await pair.a.configure(down=True)
        load = await read_all(pair, images)
        wasted = (await pair.a.stats())["requests"]
        billed = (await pair.b.stats())["billed_units"]
        feature = await feature_at(pair.address, "baidu-a")
    print(f"{wasted} calls wasted on a provider that is down")
    assert {answer.provenance.provider for answer in load.answers.values()} == {"baidu-b"}
    assert {tuple(fallbacks_of(each)) for each in load.answers.values()} == {(("baidu-a", "PROVIDER_UNAVAILABLE"),)}
    assert feature.state == gateway_pb2.PROVIDER_STATE_RESTED
    assert feature.state_detail
    assert billed == load.billed_units == 40
    assert wasted + 40 <= load.attempts <= 80  # an attempt may end before its call: without a token
    assert wasted <= 40


async def test_a_provider_whose_day_is_spent_is_passed_over(tmp_path: Path) -> None:
    """From the first refusal on, the second provider reads; the first one is asked no more."""
    images = images_of(20)
    async with route_of_two(tmp_path, {"daily_quota": 5}, {}) as pair:
        load = Load()
        for request_id, image in images.items():
            async with stub_of(pair.address) as stub:
                answer = await recognize_one(stub, image, route="cloud")
            answer.request_id = request_id
            load.take(answer)
        stats = await pair.a.stats()
        feature = await feature_at(pair.address, "baidu-a")
    assert load.outcomes() == {"OK": 20}
    assert not load.wrong(lambda request_id: text_of(images[request_id]))
    answers = list(load.answers.values())
    assert [each.provenance.provider for each in answers] == ["baidu-a"] * 5 + ["baidu-b"] * 15
    assert [fallbacks_of(each) for each in answers] == [[]] * 5 + [[("baidu-a", "PROVIDER_QUOTA")]] * 15
    assert (stats["requests"], stats["daily_refusals"]) == (6, 1)
    assert [each.provenance.attempts for each in answers] == [1] * 5 + [2] + [1] * 14
    assert feature.state == gateway_pb2.PROVIDER_STATE_QUOTA_SPENT


async def test_a_deadline_that_cannot_be_met(tmp_path: Path) -> None:
    """Items that would be late are refused before anything is spent on them; the provider never sees them."""
    images, load = images_of(60), Load()
    quota = {"features": {"text": {"quota": {"requests_per_second": 10}}}}
    async with running_fleet(tmp_path, baidu=quota, standin={"quota": 10}, stream_max_items=100) as fleet:
        async with asyncio.timeout(60):
            await stream_items(fleet.gateways[0].address, list(images.items()), load, item_timeout=Duration(seconds=2))
        stats = await fleet.standin.stats()
    outcomes = load.outcomes()
    print(outcomes)
    assert load.answered == 60
    assert outcomes.keys() <= {"OK", "DEADLINE_UNREACHABLE", "PROVIDER_TIMEOUT"}
    refused = [each for each in load.answers.values() if outcome(each) == "DEADLINE_UNREACHABLE"]
    assert len(refused) >= 35  # of 10 a second, 2 s allow no more than 25
    assert outcomes["OK"] >= 5
    assert outcomes.get("PROVIDER_TIMEOUT", 0) <= 2  # on a busy machine, a last call that was thought to be in time
    assert not any(each.provenance.attempts or each.provenance.billed_units for each in refused)
    assert stats["requests"] == stats["images_seen"] == load.attempts == 60 - len(refused)
