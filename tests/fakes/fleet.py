"""Gateways as replicas on one Redis before a stand-in provider, each a process of its own, and streams into them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.gateway_messages import config, item, outcome
from tests.fakes.numbered_images import numbered, png_of_size
from tests.fakes.processes import ServiceUnderTest, service
from tests.fakes.redis_server import RedisServer, free_port
from tests.fakes.standin.process import StandInProcess, stand_in_process

KEYS = {"BAIDU_API_KEY": "standin-key", "BAIDU_SECRET_KEY": "standin-secret"}
CREDENTIALS = {"api_key": {"env": "BAIDU_API_KEY"}, "secret_key": {"env": "BAIDU_SECRET_KEY"}}
_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


@dataclass
class Fleet:
    """What runs."""

    gateways: list[ServiceUnderTest]
    standin: StandInProcess
    redis: RedisServer | None
    metrics: list[str]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over the gateways that run, of those of its series that have these labels."""
        return sum([await metric_at(address, name, **labels) for address in self._scraped()])

    async def components_are(self, *names: str, serving: bool) -> bool:
        """Whether the health of every gateway that runs says so of each of these components."""
        return all([await component_is(g.address, name, serving) for g in self._running() for name in names])

    def _running(self) -> list[ServiceUnderTest]:
        return [gateway for gateway in self.gateways if gateway.process.returncode is None]

    def _scraped(self) -> list[str]:
        return [at for at, gateway in zip(self.metrics, self.gateways, strict=True) if gateway in self._running()]


@dataclass
class Load:
    """What came of a load: the last answer of each item by its id, and how often an item was answered."""

    answers: dict[str, recognition_pb2.PageAnswer] = field(default_factory=dict)
    answered: int = 0
    sent_at: dict[str, float] = field(default_factory=dict)

    def send(self, request_id: str) -> None:
        """One more item is on its way."""
        self.sent_at[request_id] = time.monotonic()

    def take(self, answer: recognition_pb2.PageAnswer) -> None:
        """One more answer."""
        self.answered += 1
        self.answers[answer.request_id] = answer

    def sent_between(self, begin: float, end: float) -> list[recognition_pb2.PageAnswer]:
        """The answers of the items that were sent within this time, by the monotonic clock."""
        return [self.answers[request_id] for request_id, at in self.sent_at.items() if begin <= at < end]

    async def reaches(self, answers: int, timeout_s: float = 60.0) -> None:
        """Returns once there are so many."""
        await until(lambda: self.answered >= answers, timeout_s)

    def outcomes(self) -> dict[str, int]:
        """How many answers there are of each outcome: OK, or the reason."""
        counts: dict[str, int] = {}
        for answer in self.answers.values():
            counts[outcome(answer)] = counts.get(outcome(answer), 0) + 1
        return counts

    def wrong(self, text_of: Callable[[str], str]) -> list[str]:
        """The ids of items whose text is not the one that belongs to them."""
        return [
            request_id
            for request_id, answer in self.answers.items()
            if not answer.HasField("document") or not answer.document.pages[0].text.startswith(text_of(request_id))
        ]

    @property
    def attempts(self) -> int:
        """As the answers say."""
        return sum(answer.provenance.attempts for answer in self.answers.values())

    @property
    def billed_units(self) -> float:
        """As the answers say."""
        return sum(answer.provenance.billed_units for answer in self.answers.values())


def settings_of(standin: str, redis: str | None, **sections: Any) -> dict[str, Any]:
    """The settings file: the stand-in as the one provider, no store but Redis; ``link`` is the section ``redis``.

    ``more_providers`` are the sections, by name, of others that ask the same stand-in.
    """
    more = {
        name: {"kind": "baidu", "endpoint": f"http://{standin}", "credentials": CREDENTIALS, **section}
        for name, section in sections.pop("more_providers", {}).items()
    }
    baidu = {"endpoint": f"http://{standin}", "timeout_s": 10.0, **sections.pop("baidu", {})}
    link = sections.pop("link", {})
    settings: dict[str, Any] = {
        "cache": {"dir": "", **sections.pop("cache", {})},
        "providers": {"rapidocr": {"enabled": False}, "tesseract": {"enabled": False}, "baidu": baidu, **more},
        "log_level": "warning",
        **sections,
    }
    if redis is not None:
        settings["redis"] = {"url": redis, **link}
    return settings


@asynccontextmanager
async def gateway_with(
    folder: Path, settings: dict[str, Any], name: str = "gateway"
) -> AsyncIterator[ServiceUnderTest]:
    """One gateway with a settings file of its own."""
    place = folder / name
    place.mkdir(exist_ok=True)
    file = place / "gateway.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    async with service("ocr_gateway", "GATEWAY_", place, config_file=str(file), **KEYS) as gateway:
        yield gateway


@asynccontextmanager
async def running_fleet(
    folder: Path,
    *,
    replicas: int = 1,
    redis: RedisServer | str | None = None,
    standin: dict[str, Any] | None = None,
    **sections: Any,
) -> AsyncIterator[Fleet]:
    """``replicas`` gateways on a Redis that runs (or its address); ``sections`` are those of the settings file,
    ``baidu`` that of the provider, ``link`` that of Redis; ``standin`` is how the provider behaves."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(stand_in_process(folder, **(standin or {})))
        url = redis.url if isinstance(redis, RedisServer) else redis
        settings = settings_of(provider.address, url, **sections)
        metrics = [f"127.0.0.1:{free_port()}" for _ in range(replicas)]
        starting = [
            gateway_with(folder, {**settings, "metrics_listen": at}, f"gateway-{number}")
            for number, at in enumerate(metrics)
        ]
        gateways = await _enter_all(stack, starting)
        yield Fleet(gateways, provider, redis if isinstance(redis, RedisServer) else None, metrics)


async def _enter_all(
    stack: AsyncExitStack, starting: Sequence[AbstractAsyncContextManager[ServiceUnderTest]]
) -> list[ServiceUnderTest]:
    """Enters them at the same time; those that could be entered are left with the stack in every case."""
    entered = await asyncio.gather(*(each.__aenter__() for each in starting), return_exceptions=True)
    for each, result in zip(starting, entered, strict=True):
        if not isinstance(result, BaseException):
            stack.push_async_exit(each)
    failures = [result for result in entered if isinstance(result, BaseException)]
    if failures:
        raise failures[0]
    return [result for result in entered if not isinstance(result, BaseException)]


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Returns once the condition holds, which other processes bring about. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


async def component_is(address: str, name: str, serving: bool) -> bool:
    """Whether the gateway's health says so of one of its components; an unknown one is neither."""
    async with grpc.aio.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        try:
            health: Any = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return False
            raise
    status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
    return bool(answer.status == status)


async def metric_at(address: str, name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels, as Prometheus would scrape it."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), trust_env=False) as session,
        session.get(f"http://{address}/metrics", headers={"Connection": "close"}) as response,
    ):
        families = text_string_to_metric_families(await response.text())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return float(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))


async def feature_at(address: str, provider: str = "baidu") -> gateway_pb2.ProviderFeature:
    """What ListProviders says of a provider's text now."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = OcrGatewayServiceStub(channel)
        listed = await stub.ListProviders(gateway_pb2.ListProvidersRequest(), timeout=10)
    for each in listed.providers:
        for feature in each.features:
            if each.name == provider and feature.feature == recognition_pb2.FEATURE_TEXT:
                found: gateway_pb2.ProviderFeature = feature
                return found
    raise LookupError(provider)


@asynccontextmanager
async def stub_of(address: str) -> AsyncIterator[Any]:
    """The gateway's stub over a connection of its own, so a source of its own in the lanes' queues."""
    async with grpc.aio.insecure_channel(address, options=list(_OWN_CONNECTION)) as channel:
        yield OcrGatewayServiceStub(channel)


@dataclass
class Stalls:
    """How long the machine kept the stand-in from answering, at the most."""

    longest_s: float = 0.0


@asynccontextmanager
async def stalls_of(standin: StandInProcess) -> AsyncIterator[Stalls]:
    """Watches while the context lasts: calls that come during a stall are seen all at once, and so in one second."""
    stalls, over = Stalls(), asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            began = time.monotonic()
            await standin.stats()
            stalls.longest_s = max(stalls.longest_s, time.monotonic() - began)
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        try:
            yield stalls
        finally:
            over.set()


def images_of(count: int, name: str = "image", size_bytes: int = 2000) -> dict[str, bytes]:
    """Distinct images by their ids."""
    base = png_of_size(size_bytes)
    return {f"{name}-{number}": numbered(base, f"{name}-{number}") for number in range(count)}


@asynccontextmanager
async def steady_load(
    addresses: Sequence[str], images: Iterable[tuple[str, bytes]], load: Load, *, every_s: float
) -> AsyncIterator[None]:
    """Sends one image each ``every_s`` seconds over one stream to each gateway by turns, until the context is left.

    Then waits for all answers.
    """
    stop = asyncio.Event()

    async def send(calls: Sequence[Any]) -> None:
        for call in calls:
            await call.write(config())
        for (request_id, image), call in zip(images, itertools.cycle(calls), strict=False):
            load.send(request_id)
            await call.write(item(request_id, image))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await stop.wait()
                    break
        for call in calls:
            await call.done_writing()

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        calls = [(await stack.enter_async_context(stub_of(address))).StreamRecognize() for address in addresses]
        tasks.create_task(send(calls))
        for call in calls:
            tasks.create_task(_take_answers(call, load))
        try:
            yield
        finally:
            stop.set()


async def stream_items(
    address: str,
    images: Sequence[tuple[str, bytes]],
    load: Load,
    *,
    metadata: Sequence[tuple[str, str]] = (),
    **fields: Any,
) -> None:
    """Sends the images over one stream of its own connection, and waits for all answers."""
    async with stub_of(address) as stub, asyncio.TaskGroup() as tasks:
        call = stub.StreamRecognize(metadata=list(metadata))

        async def send() -> None:
            await call.write(config(**fields))
            for request_id, image in images:
                load.send(request_id)
                await call.write(item(request_id, image))
            await call.done_writing()

        tasks.create_task(send())
        await _take_answers(call, load)


async def _take_answers(call: Any, load: Load) -> None:
    async for response in call:
        if response.HasField("answer"):
            load.take(response.answer)


async def recognize_one(stub: Any, image: bytes, **fields: Any) -> recognition_pb2.PageAnswer:
    """One unary call."""
    request = gateway_pb2.RecognizeRequest(
        config=recognition_pb2.RecognitionConfig(**fields), item=item("", image).item
    )
    response = await stub.Recognize(request, timeout=120)
    answer: recognition_pb2.PageAnswer = response.answer
    return answer
