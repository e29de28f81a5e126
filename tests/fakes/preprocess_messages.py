"""Short forms of the preprocess service's stream messages."""

from __future__ import annotations

from typing import Any

from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2

Request = preprocess_pb2.StreamRecognizeRequest


def config(*, ordered: bool = False, profile: str = "", **recognition: Any) -> Request:
    """The first message."""
    return Request(
        config=preprocess_pb2.RecognizeStreamConfig(
            recognition=recognition_pb2.RecognitionConfig(**recognition),
            normalization=preprocess_pb2.NormalizationConfig(profile=profile),
            ordered=ordered,
        )
    )


def source(request_id: str, content: bytes, **fields: Any) -> Request:
    """A file, whole."""
    payload = image_pb2.ImagePayload(content=content)
    return Request(item=preprocess_pb2.SourceItem(request_id=request_id, image=payload, **fields))
