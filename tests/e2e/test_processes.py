"""The two services as processes: broken items, memory, stopping, reflection and health."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from PIL import Image, ImageDraw, ImageFont

from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from tests.fakes import gateway_messages as gateway_side
from tests.fakes.fleet import until
from tests.fakes.gateway_messages import image, outcome
from tests.fakes.images import png_bomb
from tests.fakes.preprocess_messages import config, source
from tests.fakes.processes import ServiceUnderTest, pair, service

FAKE_GATEWAY = "tests.fakes.gateway_process"


def label(text: str) -> bytes:
    """A small picture of one word, a PNG."""
    picture = Image.new("RGB", (150, 48), "white")
    ImageDraw.Draw(picture).text((12, 6), text, fill="black", font=ImageFont.load_default(28))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


async def test_200_items_of_which_20_are_broken(tmp_path: Path) -> None:
    """With the embedded engine: 180 right results, 20 Statuses with the contract's reasons, stream status OK."""
    whole = label("whole")
    broken = {
        "empty": (b"", "IMAGE_EMPTY"),
        "truncated": (whole[: len(whole) // 2], "IMAGE_UNDECODABLE"),
        "text": (b"this is a text file named .png\n" * 4, "IMAGE_UNDECODABLE"),
        "bomb": (png_bomb(60_000), "IMAGE_TOO_LARGE_PIXELS"),
        "format": (b"8BPS\0\1" + bytes(20), "FORMAT_UNSUPPORTED"),
    }
    items = {f"good {n}": (label(f"N{n:04d}"), "OK") for n in range(180)}
    items |= {f"{kind} {n}": broken[kind] for n in range(4) for kind in broken}
    names = sorted(items, key=lambda name: (hash_of(name), name))
    async with pair(tmp_path) as (gateway, preprocess), grpc.aio.insecure_channel(preprocess.address) as channel:

        async def requests() -> AsyncIterator[Any]:
            yield config(provider="rapidocr")
            for name in names:
                yield source(name, items[name][0])

        call = PreprocessServiceStub(channel).StreamRecognize(requests(), timeout=280)
        answers = [response.answer async for response in call if response.HasField("answer")]
        assert await call.code() is grpc.StatusCode.OK
        rss_mb = (gateway.rss_mb, preprocess.rss_mb)
    print(f"RSS after 200 items: gateway {rss_mb[0]:.0f} MB, preprocess {rss_mb[1]:.0f} MB")
    assert {answer.request_id: outcome(answer) for answer in answers} == {
        name: expected for name, (_, expected) in items.items()
    }
    assert len(answers) == 200
    texts = {answer.request_id: answer.document.pages[0].text for answer in answers if answer.HasField("document")}
    right = sum(texts[f"good {n}"].replace(" ", "") == f"N{n:04d}" for n in range(180))
    assert right >= 179
    assert rss_mb[0] < 2_000
    assert rss_mb[1] < 400


def hash_of(name: str) -> int:
    """An order that mixes good and broken items and is the same in every run."""
    return int.from_bytes(np.frombuffer(name.encode(), np.uint8)[::-1].tobytes()[:4].ljust(4, b"\0"), "big")


async def _answers(stub: Any, items: int) -> bool:
    """Whether so many items without an image are each answered."""
    bad = [source(f"bad {number}", b"no image") for number in range(items)]
    call = stub.StreamRecognize(iter([config(), *bad]), timeout=30)
    return len([response async for response in call if response.HasField("answer")]) == items


async def test_500_images_of_a_caller_that_does_not_read(tmp_path: Path) -> None:
    """500 images of 1 MB whose answers nobody takes leave both services small; another caller is served meanwhile."""
    noise = np.random.default_rng(1).integers(0, 256, (1_050_000,), dtype=np.uint8).tobytes()

    def large(number: int) -> bytes:
        out = io.BytesIO()
        picture = Image.frombytes("L", (1050, 1000), noise)
        picture.putpixel((0, 0), number % 256)
        picture.putpixel((1, 0), number // 256)
        picture.save(out, "PNG", compress_level=0)
        return out.getvalue()

    env = {"FAKE_PROVIDER_DELAY_S": "3600"}
    async with (
        pair(tmp_path, gateway_module=FAKE_GATEWAY, gateway=env, stream_max_items="16", workers="2") as (
            gateway,
            preprocess,
        ),
        grpc.aio.insecure_channel(preprocess.address) as channel,
    ):
        stub = PreprocessServiceStub(channel)
        # Its workers count, and start while it serves.
        await until(lambda: len(psutil.Process(preprocess.process.pid).children()) == 2)
        assert await _answers(stub, 8)
        before_mb = (gateway.rss_mb, preprocess.rss_mb)
        sent = 0

        async def send(call: Any) -> None:
            nonlocal sent
            await call.write(config())
            for number in range(500):
                await call.write(source(str(number), large(number)))
                sent += 1

        call = stub.StreamRecognize()
        sender = asyncio.create_task(send(call))
        for number in range(40):
            other = stub.StreamRecognize(iter([config(), source(f"bad {number}", b"no image")]), timeout=30)
            answers = [response.answer async for response in other if response.HasField("answer")]
            assert [outcome(answer) for answer in answers] == ["IMAGE_UNDECODABLE"]
        after_mb = (gateway.rss_mb, preprocess.rss_mb)
        print(f"sent {sent} of 500; RSS before {before_mb}, after {after_mb} MB")
        assert not sender.done()
        assert sent < 60
        assert after_mb[0] - before_mb[0] < 150
        assert after_mb[1] - before_mb[1] < 150
        sender.cancel()
        call.cancel()


@pytest.mark.parametrize("stopped", ["gateway", "preprocess"])
async def test_sigterm_in_mid_stream(tmp_path: Path, stopped: str) -> None:
    """Accepted items finish, new ones get DRAINING, health says NOT_SERVING, the exit status is 0 within the grace."""
    env = {"FAKE_PROVIDER_DELAY_S": "1.5"}
    async with pair(tmp_path, gateway_module=FAKE_GATEWAY, gateway=env) as (gateway, preprocess):
        target = gateway if stopped == "gateway" else preprocess
        async with grpc.aio.insecure_channel(target.address) as channel:
            call, make = _stream_to(target, channel, stopped)
            await call.read()
            for number in range(8):
                await call.write(make(str(number), image(number)))
            refused = make("early", b"")  # answered at once: all before it have been accepted
            await call.write(refused)
            assert (await call.read()).answer.request_id == "early"
            watch = health_stub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            target.process.send_signal(signal.SIGTERM)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            await call.write(make("new", image(99)))
            answers = [(await call.read()).answer for _ in range(9)]
            assert Counter(outcome(answer) for answer in answers) == {"OK": 8, "DRAINING": 1}
            assert [a.request_id for a in answers if outcome(a) == "DRAINING"] == ["new"]
            watch.cancel()
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call.read()
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await target.ended() == 0
    assert "server.drain_cut_short" not in target.log.read_text()


def health_stub(channel: grpc.aio.Channel) -> Any:
    """The stub, whose published types leave its methods out."""
    return health_pb2_grpc.HealthStub(channel)


def _stream_to(target: ServiceUnderTest, channel: grpc.aio.Channel, kind: str) -> tuple[Any, Any]:
    assert target.address
    if kind == "gateway":

        async def first() -> None:
            await call.write(gateway_side.config())

        call: Any = OcrGatewayServiceStub(channel).StreamRecognize(timeout=60)
        return _Opened(call, first), gateway_side.item

    async def first_above() -> None:
        await call.write(config())

    call = PreprocessServiceStub(channel).StreamRecognize(timeout=60)
    return _Opened(call, first_above), source


class _Opened:
    """A call that sends its config before its first read."""

    def __init__(self, call: Any, first: Any) -> None:
        self._call = call
        self._first = first

    async def read(self) -> Any:
        if self._first is not None:
            first, self._first = self._first, None
            await first()
        return await self._call.read()

    async def write(self, message: Any) -> None:
        await self._call.write(message)


async def test_calls_by_reflection_need_no_proto(tmp_path: Path) -> None:
    """As grpcurl does: services, methods and messages come from the server alone, and a call made of them works."""
    async with pair(tmp_path, gateway_module=FAKE_GATEWAY) as (gateway, preprocess):
        answer = await asyncio.to_thread(_call_by_reflection, gateway.address)
        with grpc.insecure_channel(preprocess.address) as channel:
            names = await asyncio.to_thread(lambda: set(ProtoReflectionDescriptorDatabase(channel).get_services()))
        assert "ocrmux.preprocess.v1.PreprocessService" in names
    assert answer["providers"][0]["name"] == "scripted"
    assert answer["providers"][0]["state"] == "PROVIDER_STATE_SERVING"


def _call_by_reflection(address: str) -> Any:
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) >= {"ocrmux.gateway.v1.OcrGatewayService", "grpc.health.v1.Health"}
        method = (
            DescriptorPool(database)
            .FindServiceByName("ocrmux.gateway.v1.OcrGatewayService")
            .FindMethodByName("ListProviders")
        )
        call = channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return json_format.MessageToDict(call(GetMessageClass(method.input_type)(), timeout=20))


async def test_health_is_answered_for_the_service_names(tmp_path: Path) -> None:
    """Check gives SERVING for the empty name and both service names, and NOT_FOUND for a name that nobody has."""
    async with pair(tmp_path, gateway_module=FAKE_GATEWAY) as (gateway, preprocess):
        for target, name in (
            (gateway, "ocrmux.gateway.v1.OcrGatewayService"),
            (preprocess, "ocrmux.preprocess.v1.PreprocessService"),
        ):
            async with grpc.aio.insecure_channel(target.address) as channel:
                check = health_stub(channel).Check
                for service_name in ("", name):
                    answer = await check(health_pb2.HealthCheckRequest(service=service_name), timeout=10)
                    assert answer.status == health_pb2.HealthCheckResponse.SERVING
                with pytest.raises(grpc.aio.AioRpcError) as failed:
                    await check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
                assert failed.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"GATEWAY_MAX_PIXELS": "many"}, "ocr_gateway: setting max_pixels"),
        ({"GATEWAY_LISTEN": "256.0.0.1:1"}, "cannot listen on 256.0.0.1:1"),
        ({"GATEWAY_TLS_CERT_FILE": "/nowhere/cert.pem"}, "tls_cert_file and tls_key_file belong together"),
    ],
)
async def test_a_wrong_setting_is_one_clear_line(tmp_path: Path, env: dict[str, str], words: str) -> None:
    """A process that cannot start says why, without a trace, and ends with exit status 2."""

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", FAKE_GATEWAY),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "GATEWAY_CACHE__DIR": str(tmp_path), **env},
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert words in said.decode()
    assert "Traceback" not in said.decode()


async def test_sigterm_while_the_engine_is_being_loaded(tmp_path: Path) -> None:
    """A gateway that is told to stop the moment it serves ends cleanly, with its engines in the middle of loading."""
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        async with service("ocr_gateway", "GATEWAY_", folder, cache__dir=str(folder / "cache")) as gateway:
            gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.ended() == 0
            lines = gateway.log.read_text().splitlines()
        assert [line for line in lines if not line.startswith("{")] == []
