"""Gateways as replicas on one Redis before a stand-in provider, each a process of its own, and streams into them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.baidu_standin.process import StandInProcess, stand_in_process
from tests.fakes.gateway_messages import config, item, outcome
from tests.fakes.processes import ServiceUnderTest, service
from tests.fakes.redis_server import RedisServer

KEYS = {"BAIDU_API_KEY": "standin-key", "BAIDU_SECRET_KEY": "standin-secret"}


@dataclass
class Fleet:
    """What runs."""

    gateways: list[ServiceUnderTest]
    standin: StandInProcess
    redis: RedisServer | None


@dataclass
class Load:
    """What came of a load: the last answer of each item by its id, and how often an item was answered."""

    answers: dict[str, recognition_pb2.PageAnswer] = field(default_factory=dict)
    answered: int = 0

    def take(self, answer: recognition_pb2.PageAnswer) -> None:
        """One more answer."""
        self.answered += 1
        self.answers[answer.request_id] = answer

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
    """The settings file: the stand-in as the one provider, no store but Redis."""
    baidu = {"endpoint": f"http://{standin}", "timeout_s": 10.0, **sections.pop("baidu", {})}
    settings: dict[str, Any] = {
        "cache": {"dir": "", **sections.pop("cache", {})},
        "providers": {"rapidocr": {"enabled": False}, "tesseract": {"enabled": False}, "baidu": baidu},
        "log_level": "warning",
        **sections,
    }
    if redis is not None:
        settings["redis"] = {"url": redis, **sections.get("redis", {})}
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
    ``baidu`` that of the provider, ``standin`` how the provider behaves."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(stand_in_process(folder, **(standin or {})))
        url = redis.url if isinstance(redis, RedisServer) else redis
        settings = settings_of(provider.address, url, **sections)
        gateways = [
            await stack.enter_async_context(gateway_with(folder, settings, f"gateway-{number}"))
            for number in range(replicas)
        ]
        yield Fleet(gateways, provider, redis if isinstance(redis, RedisServer) else None)


async def stream_items(
    address: str,
    images: Sequence[tuple[str, bytes]],
    load: Load,
    *,
    metadata: Sequence[tuple[str, str]] = (),
    **fields: Any,
) -> None:
    """Sends the images over one stream of its own connection, and waits for all answers."""
    async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = OcrGatewayServiceStub(channel).StreamRecognize(metadata=list(metadata))

        async def send() -> None:
            await call.write(config(**fields))
            for request_id, image in images:
                await call.write(item(request_id, image))
            await call.done_writing()

        sender = asyncio.create_task(send())
        async for response in call:
            if response.HasField("answer"):
                load.take(response.answer)
        await sender


async def recognize_one(stub: Any, image: bytes, **fields: Any) -> recognition_pb2.PageAnswer:
    """One unary call."""
    request = gateway_pb2.RecognizeRequest(
        config=recognition_pb2.RecognitionConfig(**fields), item=item("", image).item
    )
    response = await stub.Recognize(request, timeout=120)
    answer: recognition_pb2.PageAnswer = response.answer
    return answer
