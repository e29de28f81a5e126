"""Tokens of callers at both servers, over real gRPC: who is let in, and what the others take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from ocrmux.gateway.v1 import gateway_pb2
from rpc_runtime.drain import DrainSignal
from tests.fakes import gateway_messages, preprocess_messages
from tests.fakes.caller_tokens import BATCH, SHOP, UNKNOWN, bearer, tokens_file
from tests.fakes.gateway_calls import request_for
from tests.fakes.gateway_messages import image, outcome, reason_of, status_of
from tests.fakes.preprocess_calls import unary
from tests.fakes.providers import ScriptedProvider
from tests.fakes.servers import running_gateway, running_pair

TIMEOUT_S = 20
TRICKS: dict[str, tuple[tuple[str, str | bytes], ...]] = {
    "none": (),
    "unknown": bearer(UNKNOWN),
    "another scheme": (("authorization", f"Basic {SHOP}"),),
    "no scheme": (("authorization", SHOP),),
    "empty": (("authorization", "Bearer "),),
    "twice": (*bearer(SHOP), *bearer(SHOP)),
    "a known and an unknown one": (*bearer(SHOP), *bearer(UNKNOWN)),
    "joined": (("authorization", f"Bearer {SHOP},Bearer {SHOP}"),),
    "binary": (("authorization-bin", f"Bearer {SHOP}".encode()),),
    "bytes that are no text": (("authorization-bin", b"\xff\xfe\x00"),),
    "another key": (("proxy-authorization", f"Bearer {SHOP}"), ("token", SHOP)),
}


@dataclass(slots=True)
class Guarded:
    """A server with tokens, and what is sent to it."""

    stub: Any
    channel: grpc.aio.Channel
    drain: DrainSignal
    method: str
    request: Any
    stream: list[Any]


@asynccontextmanager
async def guarded(service: str, folder: Path, **settings: Any) -> AsyncIterator[Guarded]:
    """The gateway, or the preprocess service before a gateway that asks for nothing."""
    settings = {"tokens_file": tokens_file(folder, shop=SHOP, batch=BATCH), **settings}
    if service == "gateway":
        async with running_gateway(ScriptedProvider(), **settings) as gateway:
            messages: list[Any] = [gateway_messages.config(), gateway_messages.item("1", image(1))]
            method = "/ocrmux.gateway.v1.OcrGatewayService/Recognize"
            yield Guarded(gateway.stub, gateway.channel, gateway.drain, method, request_for(image(2)), messages)
    else:
        async with running_pair(ScriptedProvider(), **settings) as pair:
            messages = [preprocess_messages.config(), preprocess_messages.source("1", image(1))]
            method = "/ocrmux.preprocess.v1.PreprocessService/Recognize"
            yield Guarded(pair.stub, pair.channel, DrainSignal(), method, unary(image(2)), messages)


@pytest.fixture(params=["gateway", "preprocess"])
def service(request: pytest.FixtureRequest) -> str:
    """Which of the two is asked."""
    return str(request.param)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """The code and the reason that an awaitable call, or one's first answer, fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value.code(), reason_of(status_of(failed.value))


REFUSED = (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED")


async def test_a_known_token_is_let_in(tmp_path: Path, service: str) -> None:
    """In unary calls and streams, each of the file's tokens, whatever the case of the scheme; the log has the name."""
    with capture_logs() as lines:
        async with guarded(service, tmp_path) as server:
            for metadata in (bearer(SHOP), (("authorization", f"bearer {BATCH}"),)):
                await server.stub.Recognize(server.request, metadata=metadata, timeout=TIMEOUT_S)
                call = server.stub.StreamRecognize(iter(server.stream), metadata=metadata, timeout=TIMEOUT_S)
                answers = [response.answer async for response in call][1:]
                assert [outcome(answer) for answer in answers] == ["OK"]
    calls = [line for line in lines if line["event"] == "rpc.call" and line["caller"]]
    assert [(line["caller"], line["code"]) for line in calls] == [("shop", "OK")] * 2 + [("batch", "OK")] * 2


async def test_nobody_else_is_let_in(tmp_path: Path, service: str) -> None:
    """No token, a wrong one, two, or one in disguise: refused with the reason, unary and stream alike, and no token is
    repeated in the log.
    """
    with capture_logs() as lines:
        async with guarded(service, tmp_path) as server:
            for name, metadata in TRICKS.items():
                unary_call = server.stub.Recognize(server.request, metadata=metadata, timeout=TIMEOUT_S)
                assert await refusal(unary_call) == REFUSED, name
                stream = server.stub.StreamRecognize(metadata=metadata, timeout=TIMEOUT_S)
                assert await refusal(stream.read()) == REFUSED, name
    refused = [line for line in lines if line["event"] == "rpc.call" and line["code"] == "UNAUTHENTICATED"]
    assert len(refused) == 2 * len(TRICKS)
    assert {line["caller"] for line in refused} == {""}
    assert not any(token in str(lines) for token in (SHOP, BATCH, UNKNOWN))


async def test_nothing_of_a_refused_call_is_received(tmp_path: Path, service: str) -> None:
    """A request that could not even be read is refused for its token; with a token it fails for what it is."""
    async with guarded(service, tmp_path, max_message_bytes=64 * 1024) as server:
        raw: Any = server.channel.unary_unary(server.method)
        for content in (b"\xff" * 50, bytes(3 * 1024 * 1024)):
            assert await refusal(raw(content, timeout=TIMEOUT_S)) == REFUSED
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await raw(content, metadata=bearer(SHOP), timeout=TIMEOUT_S)
            assert failed.value.code() is not grpc.StatusCode.UNAUTHENTICATED


async def test_bad_tokens_take_no_slots(tmp_path: Path) -> None:
    """While the one call that the server takes is in progress, many without a token are refused for that, and a good
    one is told that the server is busy.
    """
    async with guarded("gateway", tmp_path, max_calls=1) as server:
        held = server.stub.StreamRecognize(metadata=bearer(SHOP), timeout=TIMEOUT_S)
        await held.write(server.stream[0])
        await held.read()
        flood = [server.stub.Recognize(server.request, metadata=bearer(UNKNOWN), timeout=TIMEOUT_S) for _ in range(200)]
        assert set(await asyncio.gather(*map(refusal, flood))) == {REFUSED}
        good = server.stub.Recognize(server.request, metadata=bearer(SHOP), timeout=TIMEOUT_S)
        assert await refusal(good) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY")
        assert server.drain.active_calls == 1
        await held.write(server.stream[1])
        await held.done_writing()
        assert outcome((await held.read()).answer) == "OK"
        assert await held.code() is grpc.StatusCode.OK
        await server.stub.Recognize(server.request, metadata=bearer(SHOP), timeout=TIMEOUT_S)


async def test_health_is_open_and_nothing_else(tmp_path: Path, service: str) -> None:
    """Check and Watch need no token; reflection does, and a method that nobody serves is not told apart."""
    async with guarded(service, tmp_path) as server:
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        request = health_pb2.HealthCheckRequest()
        assert (await health.Check(request, timeout=TIMEOUT_S)).status == health_pb2.HealthCheckResponse.SERVING
        assert (await health.Check(request, metadata=bearer(UNKNOWN), timeout=TIMEOUT_S)).status == 1
        watch = health.Watch(request, timeout=TIMEOUT_S)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()

        channel: Any = server.channel
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        assert await refusal(reflection.ServerReflectionInfo(timeout=TIMEOUT_S).read()) == REFUSED
        told = reflection.ServerReflectionInfo(iter(asked), metadata=bearer(SHOP), timeout=TIMEOUT_S)
        assert "grpc.health.v1.Health" in str(await told.read())
        told.cancel()

        for method in ("/grpc.health.v1.Healthy/Check", "/no.such.Service/Method"):
            unheard_of: Any = server.channel.unary_unary(method)
            assert await refusal(unheard_of(b"", timeout=TIMEOUT_S)) == REFUSED
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await unheard_of(b"", metadata=bearer(SHOP), timeout=TIMEOUT_S)
            assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_without_a_file_nobody_is_asked() -> None:
    """A token that is shown all the same does not matter."""
    async with running_gateway(ScriptedProvider()) as gateway:
        request = gateway_pb2.ListProvidersRequest()
        for metadata in ((), bearer(UNKNOWN)):
            assert (await gateway.stub.ListProviders(request, metadata=metadata, timeout=TIMEOUT_S)).providers
