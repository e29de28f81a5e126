"""Short forms of the gateway stream's messages, and of what its answers say."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from PIL import Image

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import image_pb2, recognition_pb2

Request = gateway_pb2.StreamRecognizeRequest


def config(*, ordered: bool = False, **recognition: Any) -> Request:
    """The first message."""
    return Request(
        config=gateway_pb2.GatewayStreamConfig(
            recognition=recognition_pb2.RecognitionConfig(**recognition), ordered=ordered
        )
    )


def item(request_id: str, content: bytes, **fields: Any) -> Request:
    """An image, whole."""
    payload = image_pb2.ImagePayload(content=content)
    return Request(item=gateway_pb2.GatewayItem(request_id=request_id, image=payload, **fields))


def by_digest(request_id: str, digest: bytes) -> Request:
    """A digest alone."""
    claimed = image_pb2.ContentDigest(algorithm=image_pb2.DIGEST_ALGORITHM_SHA256, value=digest)
    return Request(item=gateway_pb2.GatewayItem(request_id=request_id, image=image_pb2.ImagePayload(digest=claimed)))


def announced(request_id: str, total_bytes: int) -> Request:
    """The announcement of chunks."""
    payload = image_pb2.ImagePayload(chunked=image_pb2.ChunkedContent(total_bytes=total_bytes))
    return Request(item=gateway_pb2.GatewayItem(request_id=request_id, image=payload))


def chunk(request_id: str, data: bytes) -> Request:
    """The next bytes."""
    return Request(chunk=image_pb2.ContentChunk(request_id=request_id, data=data))


def image(number: int, width: int = 24, height: int = 16) -> bytes:
    """A small PNG that no other number gives."""
    pixels = np.random.default_rng(number).integers(0, 256, (height, width), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def status_of(error: BaseException) -> Any:
    """The google.rpc.Status that a call failed with, or None when it failed without one."""
    return rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError has all of a Call that is needed


def reason_of(status: Any) -> str:
    """The ErrorInfo's reason of a google.rpc.Status."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            assert info.domain == "ocrmux"
            return str(info.reason)
    return ""


def outcome(answer: recognition_pb2.PageAnswer) -> str:
    """OK, or the reason."""
    return "OK" if answer.HasField("document") else reason_of(answer.error)
