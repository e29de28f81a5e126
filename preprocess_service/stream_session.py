"""StreamRecognize and StreamNormalize: their messages, and the work on their items."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from preprocess_service.errors import ImageTooLargeBytes
from preprocess_service.model import NormalizedPage, PageFailure
from preprocess_service.page_relay import PageRelay, Preparation, made_pages
from preprocess_service.pipeline import Pipeline
from preprocess_service.translation import SourceSpec, announcement_of, limits_message, page_message
from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.faults import FaultTable
from rpc_runtime.stream_messages import Announcement, Answer, Batch, Chunk, Item, Opening, StreamLimits, batch_of

CHUNK_BYTES = 2 * 1024 * 1024
"""Content above this goes out in chunks of it: a client's default receive limit is 4 MiB."""

RecognizeAnswer = preprocess_pb2.StreamRecognizeResponse
NormalizeAnswer = preprocess_pb2.StreamNormalizeResponse
RequestT = TypeVar("RequestT", preprocess_pb2.StreamRecognizeRequest, preprocess_pb2.StreamNormalizeRequest)


class _SourceDialect(Generic[RequestT]):
    """What the two RPCs' requests have in common."""

    def __init__(self, faults: FaultTable) -> None:
        self._faults = faults

    def _item_or_chunk(self, request: RequestT) -> Announcement[SourceSpec] | Chunk | None:
        match request.WhichOneof("message"):
            case "item":
                return announcement_of(request.item)
            case "chunk":
                return Chunk(request.chunk.request_id, request.chunk.data)
            case _:
                return None

    def too_large(self, *, value: int, limit: int) -> ExpectedError:
        """The error for a file that is too large."""
        return ImageTooLargeBytes(value=value, limit=limit)


class RecognizeDialect(_SourceDialect[preprocess_pb2.StreamRecognizeRequest]):
    """Translates StreamRecognize's messages."""

    def read(
        self, request: preprocess_pb2.StreamRecognizeRequest
    ) -> Opening[preprocess_pb2.RecognizeStreamConfig] | Announcement[SourceSpec] | Batch[SourceSpec] | Chunk | None:
        """What a request is."""
        if request.HasField("config"):
            return Opening(request.config)
        if request.HasField("batch"):
            return batch_of(request.batch.items, announcement_of)
        return self._item_or_chunk(request)

    def limits(self, limits: StreamLimits) -> RecognizeAnswer:
        """The first answer."""
        return RecognizeAnswer(limits=_limits(limits))

    def failure(self, request_id: str, error: BaseException) -> RecognizeAnswer:
        """The answer of an item that failed as a whole."""
        status = self._faults.status_of(error)
        return RecognizeAnswer(answer=recognition_pb2.PageAnswer(request_id=request_id, last_page=True, error=status))


class NormalizeDialect(_SourceDialect[preprocess_pb2.StreamNormalizeRequest]):
    """Translates StreamNormalize's messages."""

    def read(
        self, request: preprocess_pb2.StreamNormalizeRequest
    ) -> Opening[preprocess_pb2.NormalizeStreamConfig] | Announcement[SourceSpec] | Chunk | None:
        """What a request is."""
        return Opening(request.config) if request.HasField("config") else self._item_or_chunk(request)

    def limits(self, limits: StreamLimits) -> NormalizeAnswer:
        """The first answer."""
        return NormalizeAnswer(limits=_limits(limits))

    def failure(self, request_id: str, error: BaseException) -> NormalizeAnswer:
        """The answer of an item that failed as a whole."""
        status = self._faults.status_of(error)
        return NormalizeAnswer(
            answer=preprocess_pb2.NormalizeAnswer(request_id=request_id, last_page=True, error=status)
        )


def _limits(limits: StreamLimits) -> recognition_pb2.StreamLimits:
    return limits_message(
        max_items=limits.max_items,
        max_bytes=limits.max_bytes,
        max_item_bytes=limits.max_item_bytes,
        max_message_bytes=limits.max_message_bytes,
    )


class RecognizeSession:
    """The whole way for one stream's items."""

    answer_now = None

    def __init__(self, relay: PageRelay, *, ordered: bool, batched: bool, item_timeout_s: float) -> None:
        self._relay = relay
        self.ordered = ordered
        self.together = _together if batched else None
        self.item_timeout_s = item_timeout_s

    async def handle(self, item: Item[SourceSpec]) -> AsyncGenerator[Answer[RecognizeAnswer], None]:
        """Answers one item of the stream."""
        async with aclosing(self._relay.answers(item)) as answers:
            async for answer in answers:
                size = answer.ByteSize() if self.together is not None else 0
                yield Answer(
                    (RecognizeAnswer(answer=answer),),
                    last=answer.last_page,
                    failed=answer.HasField("error"),
                    size=size,
                )

    async def aclose(self) -> None:
        """Ends the stream to the gateway."""
        await self._relay.aclose()


def _together(answers: Sequence[RecognizeAnswer]) -> RecognizeAnswer:
    batch = recognition_pb2.PageAnswerBatch(answers=[answer.answer for answer in answers])
    return RecognizeAnswer(batch=batch)


class NormalizeSession:
    """Normalisation alone for one stream's items."""

    together = None
    answer_now = None

    def __init__(
        self, pipeline: Pipeline, preparation: Preparation, faults: FaultTable, *, ordered: bool, item_timeout_s: float
    ) -> None:
        self._pipeline = pipeline
        self._preparation = preparation
        self._faults = faults
        self.ordered = ordered
        self.item_timeout_s = item_timeout_s

    async def handle(self, item: Item[SourceSpec]) -> AsyncGenerator[Answer[NormalizeAnswer], None]:
        """Answers one item of the stream."""
        how = await self._preparation.now()
        order = how.order(may_tile=False)
        async with aclosing(made_pages(self._pipeline, item, order, timeout_s=self.item_timeout_s)) as pages:
            async for page in pages:
                yield Answer(
                    self._messages(item.request_id, page),
                    last=page.number == page.page_count,
                    failed=isinstance(page, PageFailure),
                )

    def _messages(self, request_id: str, page: NormalizedPage | PageFailure) -> tuple[NormalizeAnswer, ...]:
        answer = preprocess_pb2.NormalizeAnswer(
            request_id=request_id,
            page_number=page.number,
            last_page=page.number == page.page_count,
            page_count=page.page_count,
        )
        if isinstance(page, PageFailure):
            answer.error.CopyFrom(self._faults.status_of(page.error))
            return (NormalizeAnswer(answer=answer),)
        content = page.parts[0].content
        inline = len(content) <= CHUNK_BYTES
        answer.page.CopyFrom(page_message(page, inline=inline))
        chunks = () if inline else range(0, len(content), CHUNK_BYTES)
        return (
            NormalizeAnswer(answer=answer),
            *(
                NormalizeAnswer(
                    chunk=image_pb2.ContentChunk(request_id=request_id, data=content[at : at + CHUNK_BYTES])
                )
                for at in chunks
            ),
        )

    async def aclose(self) -> None:
        """Nothing is held."""
