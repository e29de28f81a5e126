"""What the gateway adds to a call's latency at a steady rate, against calling the provider directly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import yarl

from ocr_gateway.providers.baidu.form import encode_form
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from tests.bench.measures import goal_line, percentile, scaled
from tests.fakes.fleet import KEYS, recognize_one, running_fleet
from tests.fakes.gateway_messages import config, item
from tests.fakes.numbered_images import numbered, png_of_size, text_of
from tests.fakes.processes import service
from tests.fakes.redis_server import RedisServer
from tests.fakes.standin.process import StandInProcess

RATE = 40
QUOTA = 50
CALLS = 1_200
ROUNDS = 4
WARM_UP = 80
IMAGE_BYTES = 100_000
LATENCY_S = 0.1
_OPTIONS = {"detect_direction": "true", "probability": "true", "vertexes_location": "true"}
"""What the gateway asks for."""
_FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_MAX_FORM_BYTES = 8_000_000
_ECHO_BYTES = 500
"""About an answer of one line."""
_ECHO = "a bare grpc.aio stream that echoes, no provider"

Call = Callable[[bytes], Awaitable[str | None]]
"""Sends an image; gives the text that was read on it, None where nobody reads."""


async def measure(folder: Path) -> list[str]:
    """Markdown."""
    png, numbers = png_of_size(IMAGE_BYTES), count()
    standin = {"latency_s": LATENCY_S, "quota": 0}
    found: dict[str, list[float]] = {}
    async with (
        RedisServer() as redis,
        running_fleet(folder, redis=redis, standin=standin) as fleet,
        service("tests.bench.echo_server", "ECHO_", folder, ECHO_ANSWER_BYTES=str(_ECHO_BYTES)) as echo,
        grpc.aio.insecure_channel(fleet.gateways[0].address) as channel,
        grpc.aio.insecure_channel(echo.address) as echo_channel,
        aiohttp.ClientSession(trust_env=False, connector=aiohttp.TCPConnector(keepalive_timeout=15.0)) as session,
    ):
        stub = OcrGatewayServiceStub(channel)
        stream = _Stream(stub)
        subjects: dict[str, Call] = {
            "the provider directly": await _direct(session, fleet.standin),
            "through the gateway, unary": lambda image: _unary(stub, image),
            "through the gateway, a stream": stream.recognize,
            _ECHO: _Echo(echo_channel).send,
        }
        async with stream:
            for number in range(ROUNDS + 1):
                for name, call in subjects.items():
                    calls = scaled(CALLS // ROUNDS, RATE) if number else scaled(WARM_UP, RATE)
                    took_ms = await _at_fixed_times(call, png, [next(numbers) for _ in range(calls)])
                    if number:  # the first round warms up
                        found.setdefault(name, []).extend(took_ms)
    direct, *served, _ = found
    return [
        (
            f"Added latency: {RATE} calls a second at fixed times (open loop), {len(found[direct])} each "
            f"in {ROUNDS} rounds in turn, images of {len(png) / 1000:.0f} KB, a provider that takes "
            f"{LATENCY_S * 1000:.0f} ms, the gateway's quota {QUOTA} a second by Redis."
        ),
        "",
        "| way | p50, ms | p90, ms | p99, ms | most, ms |",
        "|---|---|---|---|---|",
        *(_row(name, values) for name, values in found.items()),
        "",
        *(line for name in served for line in _goals(name, found[name], found[direct])),
    ]


def _goals(name: str, ours: list[float], direct: list[float]) -> list[str]:
    lines = []
    for label, share, most in (("p50", 0.5, 3), ("p99", 0.99, 15)):
        added = percentile(ours, share) - percentile(direct, share)
        lines.append(goal_line(f"{label} added {name}", f"{added:.1f} ms", f"≤ {most} ms", reached=added <= most))
    return lines


async def _at_fixed_times(call: Call, png: bytes, numbers: list[int]) -> list[float]:
    """Milliseconds of each call from when it was due, whatever became of the ones before it."""
    images = [numbered(png, number) for number in numbers]
    wanted = [text_of(image) for image in images]
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.2

    async def at(due: float, image: bytes, text: str) -> float:
        await asyncio.sleep(due - loop.time())
        read = await call(image)
        if read not in (text, None):
            raise RuntimeError(f"read {read!r}, not {text!r}")
        return (loop.time() - due) * 1000

    pairs = enumerate(zip(images, wanted, strict=True))
    return await asyncio.gather(*(at(begin + place / RATE, image, text) for place, (image, text) in pairs))


async def _direct(session: aiohttp.ClientSession, provider: StandInProcess) -> Call:
    keys = {"client_id": KEYS["BAIDU_API_KEY"], "client_secret": KEYS["BAIDU_SECRET_KEY"]}
    query = {"grant_type": "client_credentials", **keys}
    async with session.post(f"{provider.url}/oauth/2.0/token", params=query) as response:
        token = (await response.json())["access_token"]
    url = yarl.URL(f"{provider.url}/rest/2.0/ocr/v1/general?access_token={token}", encoded=True)

    async def recognize(image: bytes) -> str:
        form = encode_form(image, _OPTIONS, _MAX_FORM_BYTES)
        async with session.post(url, data=form, headers=_FORM_HEADERS) as answer:
            said: dict[str, Any] = json.loads(await answer.read())
        return str(said["words_result"][0]["words"])

    return recognize


async def _unary(stub: Any, image: bytes) -> str:
    answer = await recognize_one(stub, image)
    return str(answer.document.pages[0].text)


class _Echo:
    """One stream of the bare echo; one call at a time, which take far less than what lies between them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call: Any = channel.stream_stream("/bench.Echo/Stream")()
        self._one_at_a_time = asyncio.Lock()

    async def send(self, image: bytes) -> None:
        """Sends an image, and waits for as many bytes as an answer has."""
        async with self._one_at_a_time:
            await self._call.write(image)
            await self._call.read()


class _Stream:
    """One stream, over which any number of calls go."""

    def __init__(self, stub: Any) -> None:
        self._call = stub.StreamRecognize()
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._ids = count()
        self._writing = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Stream:
        await self._call.write(config())
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._call.done_writing()
        if self._reader is not None:
            await self._reader

    async def recognize(self, image: bytes) -> str:
        """The text of one image."""
        request_id = str(next(self._ids))
        answered = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        async with self._writing:  # a stream takes one message at a time
            await self._call.write(item(request_id, image))
        text: str = await answered
        return text

    async def _read(self) -> None:
        async for response in self._call:
            if response.HasField("answer"):
                answer = response.answer
                text = answer.document.pages[0].text if answer.HasField("document") else str(answer.error)
                self._waiting.pop(answer.request_id).set_result(text)


def _row(name: str, values: list[float]) -> str:
    shares = " | ".join(f"{percentile(values, share):.1f}" for share in (0.5, 0.9, 0.99))
    return f"| {name} | {shares} | {max(values):.1f} |"


def run(folder: Path) -> list[str]:
    """The benchmark, in an event loop of its own."""
    return asyncio.run(measure(folder))
