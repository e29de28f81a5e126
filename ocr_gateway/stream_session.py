"""One StreamRecognize: its messages, and the work on its items."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from ocr_gateway.answer_codec import batch_response, stream_response
from ocr_gateway.errors import ImageTooLargeBytes
from ocr_gateway.model import PageRequest, Recognition, RecognitionSpec, Trail
from ocr_gateway.recognizer import Recognizer
from ocr_gateway.translation import PageSpec, announcement_of, failed_answer, page_answer
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.faults import FaultTable
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


class GatewayDialect:
    """Translates StreamRecognize's messages. Answers are encoded StreamRecognizeResponses."""

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

    def limits(self, limits: StreamLimits) -> bytes:
        """The first answer."""
        message = recognition_pb2.StreamLimits(
            max_items_in_flight=limits.max_items,
            max_bytes_in_flight=limits.max_bytes,
            max_item_bytes=limits.max_item_bytes,
            max_message_bytes=limits.max_message_bytes,
        )
        return gateway_pb2.StreamRecognizeResponse(limits=message).SerializeToString()

    def failure(self, request_id: str, error: BaseException) -> bytes:
        """The answer of an item that failed."""
        return stream_response(failed_answer(request_id, self._faults.status_of(error)))

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
        self.together = batch_response if batched else None
        self.item_timeout_s = spec.timeout_s

    def answer_now(self, item: Item[PageSpec]) -> Answer[bytes] | Item[PageSpec]:
        """The answer from this process's memory; else the item, with its digest where that had to be found."""
        began = time.monotonic()
        request = self._recognizer.identified(_request(item))
        found = self._recognizer.recall_now(request, self._spec)
        if found is not None:
            return _answer(item.request_id, found, began)
        return item if request.digest is item.digest else replace(item, digest=request.digest)

    async def handle(self, item: Item[PageSpec]) -> AsyncGenerator[Answer[bytes], None]:
        """Reads one item."""
        began = time.monotonic()
        trail = Trail()
        try:
            recognition = await self._recognizer.recognize(_request(item), self._spec, trail)
        except Exception as error:
            total_ms = (time.monotonic() - began) * 1000
            failed = failed_answer(item.request_id, self._faults.status_of(error), trail, total_ms=total_ms)
            yield failure_answer(stream_response(failed), error)
            return
        yield _answer(item.request_id, recognition, began)

    async def aclose(self) -> None:
        """Nothing is held."""


def _request(item: Item[PageSpec]) -> PageRequest:
    return PageRequest(item.content, item.digest, item.spec.regions, item.spec.preprocessing)


def _answer(request_id: str, recognition: Recognition, began: float) -> Answer[bytes]:
    response = stream_response(page_answer(request_id, recognition, total_ms=(time.monotonic() - began) * 1000))
    return Answer((response,), size=len(response))
