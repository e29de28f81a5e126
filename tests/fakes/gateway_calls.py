"""Calls to a running gateway, and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import pytest

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from tests.fakes.gateway_messages import reason_of, status_of
from tests.fakes.servers import RunningGateway


async def answers_of(gateway: RunningGateway, requests: Iterable[Any]) -> list[Any]:
    """All answers to a stream of these requests, its limits left out."""
    responses = [response async for response in gateway.stub.StreamRecognize(iter_async(requests), timeout=30)]
    assert responses[0].WhichOneof("message") == "limits"
    return [response.answer for response in responses[1:]]


async def iter_async(requests: Iterable[Any]) -> AsyncIterator[Any]:
    for request in requests:
        yield request


async def gather_into(answers: list[Any], call: Any) -> None:
    async for response in call:
        answers += [response.answer] if response.HasField("answer") else []


async def failure_of(gateway: RunningGateway, requests: Iterable[Any]) -> tuple[list[Any], Any]:
    """The answers before the stream failed, and its google.rpc.Status.

    A grpc.aio client whose write meets the end of the stream loses the status in about one of a hundred cases
    ("Internal error from Core"): such a run tells nothing of the server and is made again.
    """
    for _ in range(10):
        answers: list[Any] = []
        call = gateway.stub.StreamRecognize(iter_async(requests), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await gather_into(answers, call)
        if failed.value.details() != "Internal error from Core":
            break
    return answers, status_of(failed.value)


def request_for(content: bytes, item: dict[str, Any] | None = None, **config: Any) -> gateway_pb2.RecognizeRequest:
    """One image, with fields of its item and of its config."""
    payload = image_pb2.ImagePayload(content=content)
    return gateway_pb2.RecognizeRequest(
        config=recognition_pb2.RecognitionConfig(**config),
        item=gateway_pb2.GatewayItem(image=payload, **(item or {})),
    )


async def recognize(gateway: RunningGateway, content: bytes, **fields: Any) -> recognition_pb2.PageAnswer:
    """The answer."""
    response = await gateway.stub.Recognize(request_for(content, **fields), timeout=30)
    answer: recognition_pb2.PageAnswer = response.answer
    return answer


async def refusal(gateway: RunningGateway, content: bytes, **fields: Any) -> tuple[grpc.StatusCode, str]:
    """The code and the reason that the call fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await recognize(gateway, content, **fields)
    return failed.value.code(), reason_of(status_of(failed.value))
