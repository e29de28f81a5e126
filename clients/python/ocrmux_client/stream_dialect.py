"""What differs between the streams of StreamRecognize and StreamNormalize: their messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from ocrmux.ocr.v1.image_pb2 import ContentChunk
from ocrmux.ocr.v1.recognition_pb2 import PageAnswer, StreamLimits
from ocrmux.preprocess.v1.preprocess_pb2 import (
    NormalizeAnswer,
    NormalizeStreamConfig,
    RecognizeStreamConfig,
    SourceItem,
    SourceItemBatch,
    StreamNormalizeRequest,
    StreamNormalizeResponse,
    StreamRecognizeRequest,
    StreamRecognizeResponse,
)
from ocrmux_client.errors import PROTOCOL_BROKEN, OcrMuxError
from ocrmux_client.normalized_image import NormalizedAnswer, NormalizedImage


class StreamAnswer(Protocol):
    """The answer for one page of an item; ``page`` is 0 where it is for the item as a whole."""

    @property
    def request_id(self) -> str:
        """The item's id."""
        ...

    @property
    def page(self) -> int:
        """Counted from 1."""
        ...

    @property
    def last_page(self) -> bool:
        """Whether the item has no further answer."""
        ...


RequestT = TypeVar("RequestT", bound=Message)
MadeT_co = TypeVar("MadeT_co", bound=Message, covariant=True)
ResponseT = TypeVar("ResponseT", bound=Message)
AnswerT = TypeVar("AnswerT", bound=StreamAnswer)


class StreamDialect(Protocol[MadeT_co, ResponseT, AnswerT]):
    """Makes requests and reads responses, of one stream after the other."""

    @property
    def response_type(self) -> type[ResponseT]:
        """The class of the responses."""
        ...

    def opening(self) -> MadeT_co:
        """The first request of a new connection; what was half received on the one before is forgotten."""
        ...

    def request(self, piece: SourceItem | ContentChunk) -> MadeT_co:
        """The request for an item, or for a chunk of one."""
        ...

    def together(self, items: Sequence[SourceItem], limits: StreamLimits) -> Iterator[MadeT_co]:
        """The items in one request where the stream has that, it fits, and it saves any; else each in its own."""
        ...

    def limits_in(self, response: ResponseT) -> StreamLimits | None:
        """The limits that the response announces, or None if it is of another kind."""
        ...

    def answers_in(self, response: ResponseT) -> Sequence[AnswerT]:
        """The answers that are whole with this response. Raises OcrMuxError for a breach of protocol."""
        ...

    def failure(self, request_id: str, status: status_pb2.Status) -> AnswerT:
        """An answer that the client itself gives to an item as a whole."""
        ...

    def error_of(self, answer: AnswerT) -> OcrMuxError | None:
        """The error that an answer tells, if any."""
        ...


class RecognizeDialect:
    """StreamRecognize's messages."""

    response_type = StreamRecognizeResponse

    def __init__(self, config: RecognizeStreamConfig) -> None:
        self._config = config

    def opening(self) -> StreamRecognizeRequest:
        """The config."""
        return StreamRecognizeRequest(config=self._config)

    def request(self, piece: SourceItem | ContentChunk) -> StreamRecognizeRequest:
        """One item or chunk."""
        if isinstance(piece, SourceItem):
            return StreamRecognizeRequest(item=piece)
        return StreamRecognizeRequest(chunk=piece)

    def together(self, items: Sequence[SourceItem], limits: StreamLimits) -> Iterator[StreamRecognizeRequest]:
        """One batch where it fits."""
        batch = StreamRecognizeRequest(batch=SourceItemBatch(items=items))
        if len(items) > 1 and not 0 < limits.max_message_bytes < batch.ByteSize():
            yield batch
        else:
            yield from map(self.request, items)

    def limits_in(self, response: StreamRecognizeResponse) -> StreamLimits | None:
        """The stream's limits."""
        return response.limits if response.HasField("limits") else None

    def answers_in(self, response: StreamRecognizeResponse) -> Sequence[PageAnswer]:
        """One answer, or a batch of them."""
        match response.WhichOneof("message"):
            case "answer":
                return (response.answer,)
            case "batch":
                return response.batch.answers
            case _:
                raise _broken("the server sent a message that is neither an answer nor a batch of them")

    def failure(self, request_id: str, status: status_pb2.Status) -> PageAnswer:
        """An error of the item as a whole."""
        return PageAnswer(request_id=request_id, last_page=True, error=status)

    def error_of(self, answer: PageAnswer) -> OcrMuxError | None:
        """The error that stands for the document."""
        return OcrMuxError.from_status(answer.error) if answer.WhichOneof("outcome") == "error" else None


class NormalizeDialect:
    """StreamNormalize's messages; pages that come in chunks are put together."""

    response_type = StreamNormalizeResponse

    def __init__(self, config: NormalizeStreamConfig) -> None:
        self._config = config
        self._begun: dict[str, tuple[NormalizeAnswer, bytearray]] = {}

    def opening(self) -> StreamNormalizeRequest:
        """The config."""
        self._begun.clear()
        return StreamNormalizeRequest(config=self._config)

    def request(self, piece: SourceItem | ContentChunk) -> StreamNormalizeRequest:
        """One item or chunk."""
        if isinstance(piece, SourceItem):
            return StreamNormalizeRequest(item=piece)
        return StreamNormalizeRequest(chunk=piece)

    def together(self, items: Sequence[SourceItem], _limits: StreamLimits) -> Iterator[StreamNormalizeRequest]:
        """Each by itself."""
        yield from map(self.request, items)

    def limits_in(self, response: StreamNormalizeResponse) -> StreamLimits | None:
        """The stream's limits."""
        return response.limits if response.HasField("limits") else None

    def answers_in(self, response: StreamNormalizeResponse) -> Sequence[NormalizedAnswer]:
        """The answer whose last bytes came, if they did."""
        match response.WhichOneof("message"):
            case "answer":
                return self._answered(response.answer)
            case "chunk":
                return self._continued(response.chunk)
            case _:
                raise _broken("the server sent a message that is neither an answer nor a chunk of one")

    def failure(self, request_id: str, status: status_pb2.Status) -> NormalizedAnswer:
        """An error of the item as a whole."""
        return NormalizedAnswer(request_id, 0, None, last_page=True, outcome=OcrMuxError.from_status(status))

    def error_of(self, answer: NormalizedAnswer) -> OcrMuxError | None:
        """The error that stands for the page."""
        return answer.error

    def _answered(self, answer: NormalizeAnswer) -> Sequence[NormalizedAnswer]:
        if answer.request_id in self._begun:
            raise _broken(f"the server left a page of {answer.request_id!r} unfinished")
        if answer.HasField("page") and answer.page.chunked_bytes:
            self._begun[answer.request_id] = (answer, bytearray())
            return ()
        return (_normalized(answer, answer.page.content),)

    def _continued(self, chunk: ContentChunk) -> Sequence[NormalizedAnswer]:
        if chunk.request_id not in self._begun:
            raise _broken(f"the server sent a chunk of {chunk.request_id!r} that it had not announced")
        answer, content = self._begun[chunk.request_id]
        content += chunk.data
        if len(content) > answer.page.chunked_bytes:
            raise _broken(f"the server sent more of {chunk.request_id!r} than it had announced")
        if len(content) < answer.page.chunked_bytes:
            return ()
        del self._begun[chunk.request_id]
        return (_normalized(answer, bytes(content)),)


def _normalized(answer: NormalizeAnswer, content: bytes) -> NormalizedAnswer:
    outcome: NormalizedImage | OcrMuxError
    if answer.HasField("page"):
        outcome = NormalizedImage.of(answer.page, answer.page_number, answer.page_count, content=content)
    else:
        outcome = OcrMuxError.from_status(answer.error)
    return NormalizedAnswer(
        answer.request_id, answer.page_number, answer.page_count or None, last_page=answer.last_page, outcome=outcome
    )


def _broken(message: str) -> OcrMuxError:
    return OcrMuxError(grpc.StatusCode.INTERNAL, PROTOCOL_BROKEN, message)
