"""Calls to a running pair, and what comes back."""

from __future__ import annotations

from typing import Any

from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.servers import RunningPair


async def answers_of(pair: RunningPair, requests: list[Any]) -> list[recognition_pb2.PageAnswer]:
    """All answers to a stream of these requests, its limits left out."""
    responses = [response async for response in pair.stub.StreamRecognize(iter(requests), timeout=60)]
    assert responses[0].WhichOneof("message") == "limits"
    return [response.answer for response in responses[1:]]


def unary(content: bytes) -> preprocess_pb2.RecognizeRequest:
    """A file for a unary call."""
    return preprocess_pb2.RecognizeRequest(
        item=preprocess_pb2.SourceItem(image=image_pb2.ImagePayload(content=content))
    )
