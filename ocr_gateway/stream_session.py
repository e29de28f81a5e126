"""One StreamRecognize: its messages, and the work on its items."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence

from ocr_gateway.errors import ImageTooLargeBytes
from ocr_gateway.model import PageRequest, RecognitionSpec, Trail
from ocr_gateway.recognizer import Recognizer
from ocr_gateway.translation import PageSpec, announcement_of, failure_answer_message, page_answer
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from rpc_runtime.faults import ExpectedError, FaultTable
from rpc_runtime.stream_messages import (
    Announcement,
    Answer,
    Batch,
    Chunk,
    Item,
    Opening,
    StreamLimits,
    batch_of,
    failure_answer,
)

GatewayAnswer = gateway_pb2.StreamRecognizeResponse


class GatewayDialect:
    """Translates StreamRecognize's messages."""

    def __init__(self, faults: FaultTable) -> None:
        self._faults = faults

    def read(
        self, request: gateway_pb2.StreamRecognizeRequest
    ) -> Opening[gateway_pb2.GatewayStreamConfig] | Announcement[PageSpec] | Batch[PageSpec] | Chunk | None:
        """What a request is."""
        match request.WhichOneof("message"):
            case "item":
                return announcement_of(request.item)
            case "batch":
                return batch_of(request.batch.items, announcement_of)
            case "chunk":
                return Chunk(request.chunk.request_id, request.chunk.data)
            case "config":
                return Opening(request.config)
            case _:
                return None

    def limits(self, limits: StreamLimits) -> GatewayAnswer:
        """The first answer."""
        return GatewayAnswer(
            limits=recognition_pb2.StreamLimits(
                max_items_in_flight=limits.max_items,
                max_bytes_in_flight=limits.max_bytes,
                max_item_bytes=limits.max_item_bytes,
                max_message_bytes=limits.max_message_bytes,
            )
        )

    def failure(self, request_id: str, error: BaseException) -> GatewayAnswer:
        """The answer of an item that failed."""
        return GatewayAnswer(answer=failure_answer_message(request_id, self._faults.status_of(error)))

    def too_large(self, *, value: int, limit: int) -> ExpectedError:
        """The error for an image that is too large."""
        return ImageTooLargeBytes(value=value, limit=limit)


class GatewaySession:
    """The work on one stream's items."""

    def __init__(
        self, recognizer: Recognizer, spec: RecognitionSpec, faults: FaultTable, *, ordered: bool, batched: bool
    ) -> None:
        self._recognizer = recognizer
        self._spec = spec
        self._faults = faults
        self.ordered = ordered
        self.together = _together if batched else None
        self.item_timeout_s = spec.timeout_s

    async def handle(self, item: Item[PageSpec]) -> AsyncGenerator[Answer[GatewayAnswer], None]:
        """Reads one item."""
        began = time.monotonic()
        request = PageRequest(item.content, item.digest, item.spec.regions, item.spec.preprocessing)
        trail = Trail()
        try:
            recognition = await self._recognizer.recognize(request, self._spec, trail)
        except Exception as error:
            total_ms = (time.monotonic() - began) * 1000
            status = self._faults.status_of(error)
            failed = failure_answer_message(item.request_id, status, trail, total_ms=total_ms)
            yield failure_answer(GatewayAnswer(answer=failed), error)
            return
        total_ms = (time.monotonic() - began) * 1000
        answer = GatewayAnswer(answer=page_answer(item.request_id, recognition, total_ms=total_ms))
        yield Answer((answer,), size=len(recognition.document) + len(recognition.raw_response))

    async def aclose(self) -> None:
        """Nothing is held."""


def _together(answers: Sequence[GatewayAnswer]) -> GatewayAnswer:
    batch = recognition_pb2.PageAnswerBatch(answers=[answer.answer for answer in answers])
    return GatewayAnswer(batch=batch)
