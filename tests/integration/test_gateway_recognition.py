"""Unary Recognize over real gRPC: cache, one call for many, time limits, fallback, regions, provenance."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from ocr_gateway.errors import ProviderUnavailable
from ocr_gateway.model import Feature, ImageLimits, Page, ProviderCall, ProviderState
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.gateway_calls import recognize, refusal, request_for
from tests.fakes.gateway_messages import image, status_of
from tests.fakes.providers import Gate, ScriptedProvider, at_once, ink_of
from tests.fakes.servers import running_gateway

MISS = recognition_pb2.CACHE_OUTCOME_MISS
MEMORY = recognition_pb2.CACHE_OUTCOME_MEMORY
STORE = recognition_pb2.CACHE_OUTCOME_STORE
COALESCED = recognition_pb2.CACHE_OUTCOME_COALESCED


async def test_a_result_is_paid_for_once(tmp_path: Path) -> None:
    """The second time it comes from memory, after a restart from the store, and it is the same document."""
    provider = ScriptedProvider()
    async with running_gateway(provider, cache_dir=tmp_path) as gateway:
        first = await recognize(gateway, image(1))
        second = await recognize(gateway, image(1))
    async with running_gateway(provider, cache_dir=tmp_path) as gateway:
        third = await recognize(gateway, image(1))
    assert [a.provenance.cache for a in (first, second, third)] == [MISS, MEMORY, STORE]
    assert first.document == second.document == third.document
    assert [a.provenance.attempts for a in (first, second, third)] == [1, 0, 0]
    assert [a.provenance.billed_units for a in (first, second, third)] == [1, 0, 0]
    assert (third.provenance.provider, third.provenance.model) == ("scripted", "scripted-1")
    assert len(provider.calls) == 1


async def test_what_changes_the_answer_is_read_anew() -> None:
    """Another option, language, feature, preprocessing or region is another result; an equal one is not."""
    provider = ScriptedProvider(features=(Feature.TEXT, Feature.TABLE))
    variants: list[dict[str, Any]] = [
        {},
        {"provider_options": {"a": "1"}},
        {"languages": ["en"]},
        {"features": [recognition_pb2.FEATURE_TABLE], "provider": "scripted"},
        {"include_raw_response": True},
        {"item": {"preprocessing": "v1:auto"}},
        {"item": {"regions": [{"x": 0, "y": 0, "width": 8, "height": 8}]}},
    ]
    async with running_gateway(provider) as gateway:
        for _ in range(2):
            for fields in variants:
                await recognize(gateway, image(1), **fields)
        same = await recognize(gateway, image(1), provider="scripted", features=[recognition_pb2.FEATURE_TEXT])
    assert len(provider.calls) == len(variants)
    assert same.provenance.cache == MEMORY


async def test_cache_policies() -> None:
    """REFRESH asks and keeps, BYPASS asks and does not keep."""
    provider = ScriptedProvider()
    async with running_gateway(provider) as gateway:
        bypass = recognition_pb2.CACHE_POLICY_BYPASS
        assert (await recognize(gateway, image(1), cache_policy=bypass)).provenance.cache == MISS
        assert (await recognize(gateway, image(1))).provenance.cache == MISS
        refresh = recognition_pb2.CACHE_POLICY_REFRESH
        assert (await recognize(gateway, image(1), cache_policy=refresh)).provenance.cache == MISS
        assert (await recognize(gateway, image(1))).provenance.cache == MEMORY
    assert len(provider.calls) == 3


async def test_one_call_serves_all_who_ask_at_once() -> None:
    """50 callers of one image make one call; those that leave meanwhile cancel nobody; an error reaches them all."""
    gate = Gate()
    provider = ScriptedProvider(gate)
    async with running_gateway(provider) as gateway:
        calls = [gateway.stub.Recognize(request_for(image(1))) for _ in range(50)]
        await provider.until(lambda: len(provider.calls) == 1)
        leavers, stayers = calls[:10], calls[10:]
        waiting = [asyncio.ensure_future(call) for call in stayers]
        async with asyncio.timeout(20):
            while gateway.drain.active_calls < 50:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0)
        for call in leavers:
            call.cancel()
        gate.opened.set()
        answers = [response.answer for response in await asyncio.gather(*waiting)]
    outcomes = [answer.provenance.cache for answer in answers]
    assert len(provider.calls) == 1
    assert provider.cancelled == 0
    assert set(outcomes) <= {MISS, COALESCED}
    assert outcomes.count(MISS) <= 1
    assert sum(answer.provenance.billed_units for answer in answers) <= 1
    coalesced = [answer.provenance.timings for answer in answers if answer.provenance.cache == COALESCED]
    assert {(timings.queue_ms, timings.provider_ms) for timings in coalesced} == {(0.0, 0.0)}


async def test_errors_are_not_cached() -> None:
    """What failed is asked again."""

    async def once_down(call: ProviderCall) -> Page | None:
        if len(provider.calls) == 1:
            raise ProviderUnavailable("scripted", "down", retry_after_s=2.5)
        return await at_once(call)

    provider = ScriptedProvider(once_down)
    async with running_gateway(provider, retry={"max_attempts": 1}) as gateway:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await recognize(gateway, image(1))
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "RetryInfo" in str(status_of(failed.value))
        assert (await recognize(gateway, image(1))).provenance.cache == MISS


async def test_time_that_ends_in_the_queue_or_at_the_provider() -> None:
    """In the queue it is DEADLINE_UNREACHABLE and nothing was asked; at the provider it is PROVIDER_TIMEOUT."""
    gate = Gate()
    provider = ScriptedProvider(gate, max_concurrency=1)
    brief = {"item_timeout": {"nanos": 80_000_000}}
    async with running_gateway(provider) as gateway:
        holder = asyncio.ensure_future(gateway.stub.Recognize(request_for(image(1))))
        await provider.until(lambda: provider.in_progress == 1)
        assert await refusal(gateway, image(2), **brief) == (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "DEADLINE_UNREACHABLE",
        )
        assert len(provider.calls) == 1
        gate.opened.set()
        await holder
        gate.opened.clear()
        assert await refusal(gateway, image(3), **brief) == (grpc.StatusCode.DEADLINE_EXCEEDED, "PROVIDER_TIMEOUT")
        assert (provider.cancelled, provider.in_progress) == (1, 0)
        gate.opened.set()
        assert (await recognize(gateway, image(4))).provenance.cache == MISS


async def test_the_routes_next_provider_steps_in() -> None:
    """A provider that is down or not configured is passed over, and the answer says so."""

    async def down(call: ProviderCall) -> Page | None:
        raise ProviderUnavailable("first", "down")

    first = ScriptedProvider(down, name="first")
    missing = ScriptedProvider(name="missing", state=ProviderState.NOT_CONFIGURED)
    second = ScriptedProvider(name="second")
    route = ("missing", "first", "second")
    async with running_gateway(first, missing, second, default_route=route) as gateway:
        answer = await recognize(gateway, image(1))
        assert await refusal(gateway, image(2), provider="first") == (
            grpc.StatusCode.UNAVAILABLE,
            "PROVIDER_UNAVAILABLE",
        )
    assert answer.provenance.provider == "second"
    assert [(f.provider, f.reason) for f in answer.provenance.fallbacks] == [("first", "PROVIDER_UNAVAILABLE")]
    assert missing.calls == []


async def test_regions_are_read_by_themselves_and_placed_on_the_page() -> None:
    """Ink outside of the regions is not read, and places are those of the whole image."""
    page = Image.new("L", (300, 200), 255)
    for box in ((20, 30, 60, 50), (150, 100, 200, 130), (250, 170, 280, 190)):
        page.paste(0, box)
    out = io.BytesIO()
    page.save(out, "PNG")
    regions = [{"x": 10.5, "y": 20, "width": 80, "height": 60}, {"x": 120, "y": 80, "width": 100, "height": 80}]
    provider = ScriptedProvider(ink_of)
    async with running_gateway(provider) as gateway:
        answer = await recognize(gateway, out.getvalue(), item={"regions": regions})
        outside = {"regions": [{"x": 250, "y": 0, "width": 51, "height": 10}]}
        assert await refusal(gateway, out.getvalue(), item=outside) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "REGION_OUT_OF_IMAGE",
        )
    lines = [line for block in answer.document.pages[0].blocks for line in block.lines]
    corners = [[(point.x, point.y) for point in line.polygon.points] for line in lines]
    assert corners == [
        [(20, 30), (60, 30), (60, 50), (20, 50)],
        [(150, 100), (200, 100), (200, 130), (150, 130)],
    ]
    assert (answer.document.pages[0].size.width, answer.document.pages[0].size.height) == (300, 200)
    assert (len(provider.calls), answer.provenance.billed_units, answer.provenance.attempts) == (2, 2, 2)


async def test_what_a_provider_does_not_take_never_reaches_it() -> None:
    """An image outside of the provider's formats or limits is refused before a call."""
    limits = ImageLimits(max_bytes=4000, max_pixels=5000, media_types=("image/png",))
    provider = ScriptedProvider(limits=limits)
    out = io.BytesIO()
    Image.new("RGB", (10, 10)).save(out, "JPEG")
    async with running_gateway(provider) as gateway:
        assert (await refusal(gateway, out.getvalue()))[1] == "FORMAT_UNSUPPORTED"
        assert (await refusal(gateway, image(1, 80, 60)))[1] == "IMAGE_TOO_LARGE_BYTES"
        plain = io.BytesIO()
        Image.new("L", (100, 60)).save(plain, "PNG")
        assert (await refusal(gateway, plain.getvalue()))[1] == "IMAGE_TOO_LARGE_PIXELS"
    assert provider.calls == []


async def test_a_server_at_its_bound_says_when_to_come_again() -> None:
    """One call more than the bound gets SERVER_BUSY with RetryInfo, and health is answered all the same."""
    gate = Gate()
    provider = ScriptedProvider(gate)
    async with running_gateway(provider, max_calls=2) as gateway:
        held = [asyncio.ensure_future(gateway.stub.Recognize(request_for(image(i)))) for i in range(2)]
        await provider.until(lambda: provider.in_progress == 2)
        assert await refusal(gateway, image(3)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY")
        gate.opened.set()
        await asyncio.gather(*held)


async def test_unary_calls_count_in_what_the_server_holds() -> None:
    """When the images of the calls in progress fill the server, one more gets SERVER_BUSY."""
    gate = Gate()
    provider = ScriptedProvider(gate)
    size = len(image(1))
    async with running_gateway(provider, unary_max_bytes=size + size // 2) as gateway:
        held = asyncio.ensure_future(gateway.stub.Recognize(request_for(image(1))))
        await provider.until(lambda: provider.in_progress == 1)
        assert (await refusal(gateway, image(2)))[1] == "SERVER_BUSY"
        gate.opened.set()
        await held
        assert (await recognize(gateway, image(2))).provenance.cache == MISS


async def test_providers_are_listed_as_they_are_now() -> None:
    """ListProviders gives each with its features, limits, load and state, and the routes."""
    gate = Gate()
    limits = ImageLimits(max_bytes=10, media_types=("image/png",))
    busy = ScriptedProvider(gate, name="busy", max_concurrency=1, limits=limits)
    idle = ScriptedProvider(name="absent", state=ProviderState.NOT_CONFIGURED)
    async with running_gateway(busy, idle, default_route=("busy", "absent")) as gateway:
        listed = await gateway.stub.ListProviders(gateway_pb2.ListProvidersRequest(), timeout=10)
    by_name = {provider.name: provider for provider in listed.providers}
    assert list(by_name) == ["absent", "busy"]
    assert by_name["absent"].state == gateway_pb2.PROVIDER_STATE_NOT_CONFIGURED
    assert by_name["busy"].state == gateway_pb2.PROVIDER_STATE_SERVING
    (feature,) = by_name["busy"].features
    assert feature.feature == recognition_pb2.FEATURE_TEXT
    assert (feature.limits.max_bytes, list(feature.limits.media_types)) == (10, ["image/png"])
    assert (feature.quota.max_concurrency, feature.quota.in_progress) == (1, 0)
    assert [(route.name, list(route.providers)) for route in listed.routes] == [("default", ["busy", "absent"])]
