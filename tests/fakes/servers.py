"""The two services on free loopback ports, in this process, over real gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ocr_gateway.composition import build_gateway
from ocr_gateway.providers.base import Provider
from ocr_gateway.settings import GatewaySettings
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from preprocess_service.composition import PreprocessProcess
from preprocess_service.settings import PreprocessSettings
from rpc_runtime.drain import DrainSignal
from rpc_runtime.server import RpcServer

STOP_S = 5.0


@dataclass(slots=True)
class RunningGateway:
    """A gateway that serves, and a channel to it."""

    server: RpcServer
    channel: grpc.aio.Channel
    stub: Any
    drain: DrainSignal


@dataclass(slots=True)
class RunningPair:
    """Both services, and a channel to the preprocess service."""

    gateway: RunningGateway
    server: RpcServer
    channel: grpc.aio.Channel
    stub: Any


@asynccontextmanager
async def running_gateway(
    *providers: Provider, cache_dir: Path | str | None = None, default_route: Sequence[str] = (), **settings: Any
) -> AsyncIterator[RunningGateway]:
    """A gateway with these providers. Without ``cache_dir`` it has no second level."""
    settings = {"listen": "127.0.0.1:0", "drain_linger_s": 0.05, **settings}
    settings["cache"] = {"dir": cache_dir, "store_timeout_s": 5.0, **settings.get("cache", {})}
    if default_route:
        settings["routes"] = {"default": {"providers": default_route}}
    configured = GatewaySettings(**settings)
    drain = DrainSignal()
    server = RpcServer(build_gateway(configured, drain, _or_none(providers)), configured, drain)
    async with AsyncExitStack() as stack:
        address = await server.start()
        stack.push_async_callback(_stop, server, drain)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        yield RunningGateway(server, channel, OcrGatewayServiceStub(channel), drain)


@asynccontextmanager
async def running_pair(
    *providers: Provider, gateway: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[RunningPair]:
    """Both services; ``settings`` are those of the preprocess service."""
    async with AsyncExitStack() as stack:
        below = await stack.enter_async_context(running_gateway(*providers, **(gateway or {})))
        settings = {"gateway_target": below.server.address, **settings}
        settings = {"listen": "127.0.0.1:0", "drain_linger_s": 0.05, **settings}
        configured = PreprocessSettings(**settings)
        drain = DrainSignal()
        server = RpcServer(PreprocessProcess(configured, drain), configured, drain)
        address = await server.start()
        stack.push_async_callback(_stop, server, drain)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        yield RunningPair(below, server, channel, PreprocessServiceStub(channel))


async def _stop(server: RpcServer, drain: DrainSignal) -> None:
    if not drain.begun:
        await server.stop(STOP_S)


def _or_none(providers: Iterable[Provider]) -> list[Provider] | None:
    return list(providers) or None
