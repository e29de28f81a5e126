"""What reaches a provider and what comes back from it: shapes, languages, raw responses, load."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import pytest

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import ImageLimits, Page, ProviderCall
from ocrmux.gateway.v1 import gateway_pb2
from tests.fakes.gateway_calls import recognize, refusal
from tests.fakes.gateway_messages import image
from tests.fakes.providers import Gate, ScriptedProvider
from tests.fakes.servers import running_gateway


async def test_an_image_of_a_shape_that_a_provider_does_not_take() -> None:
    """Too small, too long a side, too long for its width: refused before a call, with the limit."""
    limits = ImageLimits(min_side_px=8, max_side_px=100, max_aspect=5)
    provider = ScriptedProvider(limits=limits)
    async with running_gateway(provider) as gateway:
        assert (await refusal(gateway, image(1, 20, 7)))[1] == "IMAGE_SHAPE_UNSUPPORTED"
        assert (await refusal(gateway, image(1, 90, 10)))[1] == "IMAGE_SHAPE_UNSUPPORTED"
        assert await refusal(gateway, image(1, 101, 90)) == (grpc.StatusCode.OUT_OF_RANGE, "IMAGE_TOO_LARGE_PIXELS")
    assert provider.calls == []


async def test_limits_hold_for_what_is_sent() -> None:
    """For the regions that a provider gets, not for the image that they are cut from; all before the first is read."""
    provider = ScriptedProvider(limits=ImageLimits(max_side_px=16, min_side_px=8))
    fits, narrow = {"width": 12, "height": 12}, {"width": 4, "height": 12}
    async with running_gateway(provider) as gateway:
        await recognize(gateway, image(1), item={"regions": [fits]})
        assert (await refusal(gateway, image(1)))[1] == "IMAGE_TOO_LARGE_PIXELS"
        assert (await refusal(gateway, image(1), item={"regions": [fits, narrow]}))[1] == "IMAGE_SHAPE_UNSUPPORTED"
    assert len(provider.calls) == 1


async def test_a_language_that_the_first_provider_lacks_goes_to_the_next() -> None:
    """A route is for who can read it: a refused language is not the end while another provider is left."""

    async def no_german(call: ProviderCall) -> Page | None:
        raise FieldInvalid("recognition.languages", "no German here")

    first, second = ScriptedProvider(no_german, name="first"), ScriptedProvider(name="second")
    async with running_gateway(first, second, default_route=("first", "second")) as gateway:
        answer = await recognize(gateway, image(1), languages=["de"])
        assert (await refusal(gateway, image(2), languages=["de"], provider="first"))[1] == "FIELD_INVALID"
    assert (answer.provenance.provider, answer.provenance.attempts) == ("second", 2)


async def test_the_raw_response_comes_when_it_is_wanted() -> None:
    """From the provider and from the cache; of one region, and not of several, which have no one raw response."""
    one = {"regions": [{"x": 0, "y": 0, "width": 8, "height": 8}]}
    two = {"regions": one["regions"] * 2}
    async with running_gateway(ScriptedProvider()) as gateway:
        assert (await recognize(gateway, image(1))).raw_response == b""
        for _ in range(2):
            assert (await recognize(gateway, image(1), include_raw_response=True)).raw_response == b"raw"
        assert (await recognize(gateway, image(1), item=one, include_raw_response=True)).raw_response == b"raw"
        assert (await refusal(gateway, image(1), item=two, include_raw_response=True))[1] == "FIELD_INVALID"


async def test_waiting_and_reading_are_told_apart() -> None:
    """While one image is being read another waits: ListProviders shows both, and the answer how long it waited."""
    gate = Gate()
    provider = ScriptedProvider(gate, max_concurrency=1)
    async with running_gateway(provider) as gateway:
        calls = [asyncio.ensure_future(recognize(gateway, image(i))) for i in range(2)]
        await provider.until(lambda: provider.in_progress == 1)
        async with asyncio.timeout(20):
            while True:
                listed = await gateway.stub.ListProviders(gateway_pb2.ListProvidersRequest(), timeout=10)
                quota = listed.providers[0].features[0].quota
                if quota.waiting == 1:
                    break
        assert quota.in_progress == 1
        began = time.monotonic()
        for _ in range(5):
            await gateway.stub.ListProviders(gateway_pb2.ListProvidersRequest(), timeout=10)
        waited_ms = (time.monotonic() - began) * 1000
        gate.opened.set()
        timings = [answer.provenance.timings for answer in await asyncio.gather(*calls)]
    assert max(each.provider_ms for each in timings) >= waited_ms
    assert max(each.queue_ms for each in timings) >= waited_ms
    assert all(each.total_ms >= each.queue_ms + each.provider_ms for each in timings)


@pytest.mark.parametrize("cache_dir", ["", None])
async def test_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: str | None
) -> None:
    """An empty setting means no second level, and no file in the working directory."""
    monkeypatch.chdir(tmp_path)
    async with running_gateway(ScriptedProvider(), cache_dir=cache_dir) as gateway:
        await recognize(gateway, image(1))
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []
