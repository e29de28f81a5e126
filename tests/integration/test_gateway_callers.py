"""Whose call it is: the tenant of the metadata and the source, as they reach the recognizer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.fault_table import FAULT_TABLE
from ocr_gateway.model import CacheOutcome, Caller, PageRequest, Priority, Recognition, RecognitionSpec
from ocr_gateway.servicer import OcrGatewayServicer
from ocr_gateway.translation import caller_of
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.ocr.v1 import recognition_pb2
from rpc_runtime.capacity import Capacity
from rpc_runtime.drain import DrainSignal
from rpc_runtime.item_stream import StreamHost
from rpc_runtime.stream_messages import StreamLimits
from tests.fakes.gateway_calls import iter_async, request_for
from tests.fakes.gateway_messages import config, image, item, reason_of, status_of
from tests.fakes.providers import ScriptedProvider
from tests.fakes.servers import running_gateway


class RecordingRecognizer:
    """Knows no page, reads every page as an empty one, and keeps the specs."""

    def __init__(self) -> None:
        self.specs: list[RecognitionSpec] = []

    def check(self, spec: RecognitionSpec) -> None:
        """Everything can be served."""

    def identified(self, request: PageRequest) -> PageRequest:
        return request

    def recall_now(self, request: PageRequest, spec: RecognitionSpec) -> None:
        return None

    async def recognize(self, request: PageRequest, spec: RecognitionSpec, trail: object = None) -> Recognition:
        self.specs.append(spec)
        return Recognition(b"", "recording", "1", CacheOutcome.MISS)


@asynccontextmanager
async def recording_gateway() -> AsyncIterator[tuple[Any, RecordingRecognizer]]:
    recognizer = RecordingRecognizer()
    capacity = Capacity(max_items=100, max_bytes=10**6)
    host = StreamHost(StreamLimits(10, 10**6, 10**6, 10**6), capacity, capacity, DrainSignal())
    everything: Any = recognizer
    servicer = OcrGatewayServicer(
        everything, everything, everything, host, FAULT_TABLE, item_timeout_s=5.0, max_item_timeout_s=10.0
    )
    server = grpc.aio.server()
    servicer.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield OcrGatewayServiceStub(channel), recognizer
    finally:
        await server.stop(0)


async def test_each_stream_is_a_source_of_its_tenant() -> None:
    """Items carry the tenant of their call and a source that no other stream has, and the priority of the config."""
    async with recording_gateway() as (stub, recognizer):
        for _ in range(2):
            requests = [config(priority=recognition_pb2.PRIORITY_HIGH), item("1", b"a"), item("2", b"b")]
            call = stub.StreamRecognize(iter_async(requests), metadata=(("ocrmux-tenant", "Acme.eu-1_a"),), timeout=20)
            assert len([answer async for answer in call]) == 3
        await stub.Recognize(request_for(b"c"), timeout=20)
    tenants = [spec.caller.tenant for spec in recognizer.specs]
    sources = [spec.caller.source for spec in recognizer.specs]
    assert tenants == ["Acme.eu-1_a"] * 4 + [""]
    assert sources[0] == sources[1] != sources[2] == sources[3]
    assert sources[4].startswith("unary:ipv4:127.0.0.1:")
    assert [spec.priority for spec in recognizer.specs] == [Priority.HIGH] * 4 + [Priority.NORMAL]


@pytest.mark.parametrize("tenant", ["", "a b", "a" * 65, "ä", "a\n", "../x", b"raw"])
def test_a_tenant_is_a_plain_name(tenant: str | bytes) -> None:
    """Anything but 1 to 64 letters, digits, dots, underscores and hyphens is refused by its field."""
    with pytest.raises(FieldInvalid) as refused:
        caller_of([("ocrmux-tenant", tenant)], "stream:1")
    assert refused.value.field == "metadata.ocrmux-tenant"


def test_a_caller_has_one_tenant_or_none() -> None:
    """Without the key the tenant is nobody; with it twice nobody can tell."""
    assert caller_of([("user-agent", "x")], "stream:1") == Caller("", "stream:1")
    assert caller_of([("ocrmux-tenant", "a" * 64)], "stream:1") == Caller("a" * 64, "stream:1")
    with pytest.raises(FieldInvalid):
        caller_of([("ocrmux-tenant", "a"), ("ocrmux-tenant", "b")], "stream:1")


async def test_a_wrong_tenant_ends_the_call() -> None:
    """The gateway refuses it, by INVALID_ARGUMENT, in a unary call and on a stream."""
    wrong = (("ocrmux-tenant", "no names with spaces"),)
    async with running_gateway(ScriptedProvider()) as gateway:
        for call in (
            gateway.stub.Recognize(request_for(image(1)), metadata=wrong, timeout=20),
            gateway.stub.StreamRecognize(iter_async([config()]), metadata=wrong, timeout=20).read(),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call
            assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert reason_of(status_of(failed.value)) == "FIELD_INVALID"
