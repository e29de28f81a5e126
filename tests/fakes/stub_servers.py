"""A preprocess service and a gateway on the generated stubs, as strict as the contract, that read nothing.

What an item's answer is, its content says: see ``pages_of``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ocrmux.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from ocrmux.ocr.v1 import recognition_pb2
from ocrmux.ocr.v1.document_pb2 import Block, Document, Line, Page
from ocrmux.ocr.v1.geometry_pb2 import Point, Polygon, Size
from ocrmux.preprocess.v1 import preprocess_pb2, preprocess_pb2_grpc

PREPROCESS = "ocrmux.preprocess.v1.PreprocessService"
GATEWAY = "ocrmux.gateway.v1.OcrGatewayService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
PageAnswer = recognition_pb2.PageAnswer
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
PagesOf = Callable[[str, bytes], list[PageAnswer]]
PagesBy = Callable[[str, str, bytes], list[PageAnswer]]
"""Of the provider that the stream asks for, a request_id and the content."""


def item_error(code: grpc.StatusCode, reason: str, message: str = "as the test wants it") -> status_pb2.Status:
    """A Status as the services make it."""
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="ocrmux"))
    return status_pb2.Status(code=code.value[0], message=message, details=[packed])


def text_page(number: int, text: str) -> Page:
    """A page of 100 x 40 pixels with one line."""
    corners = [Point(x=10, y=10), Point(x=90, y=10), Point(x=90, y=30), Point(x=10, y=30)]
    line = Line(text=text, confidence=0.9, polygon=Polygon(points=corners))
    blocks = [Block(lines=[line], polygon=line.polygon)]
    return Page(number=number, size=Size(width=100, height=40), text=text, confidence=0.9, blocks=blocks)


def pages_of(request_id: str, content: bytes) -> list[PageAnswer]:
    """``pages=N`` gives N pages, ``error=REASON`` a refusal, else one page with the content's digest as its text."""
    if content.startswith(b"error="):
        status = item_error(grpc.StatusCode.INVALID_ARGUMENT, content.removeprefix(b"error=").decode())
        return [PageAnswer(request_id=request_id, last_page=True, error=status)]
    count = int(content.removeprefix(b"pages=")) if content.startswith(b"pages=") else 1
    digest = hashlib.sha256(content).hexdigest()[:16]
    return [
        PageAnswer(
            request_id=request_id,
            page=number,
            page_count=count,
            last_page=number == count,
            document=Document(pages=[text_page(number, digest)]),
            provenance=recognition_pb2.Provenance(
                provider="stub",
                model="stub-1",
                cache=recognition_pb2.CACHE_OUTCOME_MISS,
                attempts=1,
                timings=recognition_pb2.Timings(total_ms=12.0),
            ),
        )
        for number in range(1, count + 1)
    ]


_NOT_HERE = item_error(grpc.StatusCode.UNIMPLEMENTED, "INTERNAL", "the stub has no such call")


@dataclass(slots=True)
class StubPlan:
    """How the stub behaves, and what it has seen."""

    limits: recognition_pb2.StreamLimits = field(
        default_factory=lambda: recognition_pb2.StreamLimits(
            max_items_in_flight=16, max_bytes_in_flight=64 << 20, max_item_bytes=32 << 20, max_message_bytes=2 << 20
        )
    )
    pages_of: PagesOf = pages_of
    pages_by: PagesBy | None = None
    backwards: bool = False
    breaks_after: list[int] = field(default_factory=list)
    breaks_with: status_pb2.Status | None = field(
        default_factory=lambda: item_error(grpc.StatusCode.UNAVAILABLE, "DRAINING")
    )
    unary_failures: list[status_pb2.Status] = field(default_factory=list)
    unary_gate: asyncio.Event | None = None
    moves: dict[str, int] = field(default_factory=dict)
    knows_digests: set[bytes] = field(default_factory=set)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    gated_after: int | None = None
    refuses_stream: status_pb2.Status | None = None
    answers_together: int = 1
    health: health.aio.HealthServicer = field(default_factory=health.aio.HealthServicer)

    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    unary_calls: int = 0
    received: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    chunked: list[str] = field(default_factory=list)
    streams: int = 0
    was_cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    most_in_flight: int = 0
    largest_message_bytes: int = 0
    configs: list[preprocess_pb2.RecognizeStreamConfig] = field(default_factory=list)
    items: list[preprocess_pb2.SourceItem] = field(default_factory=list)
    items_together: list[int] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)

    def note_end(self, context: Any) -> None:
        """A stream is over. Where no status was sent, the caller left; a handler in mid-write may never hear."""
        if not context.done():
            self.was_cancelled.set()


class StubPreprocess(preprocess_pb2_grpc.PreprocessServiceServicer):
    """Keeps the stream rules, aborts on any breach of them, and answers as the plan says."""

    def __init__(self, plan: StubPlan) -> None:
        self.plan = plan

    async def Recognize(
        self, request: preprocess_pb2.RecognizeRequest, context: Context
    ) -> preprocess_pb2.RecognizeResponse:
        self.plan.unary_calls += 1
        self.plan.metadata.append(dict(context.invocation_metadata() or ()))
        if self.plan.unary_gate is not None:
            await self.plan.unary_gate.wait()
        if self.plan.unary_failures:
            await _abort(context, self.plan.unary_failures.pop(0))
        answers = self.plan.pages_of("", request.item.image.content)
        if answers[0].page == 0:
            await _abort(context, answers[0].error)
        return preprocess_pb2.RecognizeResponse(answers=answers)

    async def Normalize(
        self, request: preprocess_pb2.NormalizeRequest, context: Context
    ) -> preprocess_pb2.NormalizeResponse:
        page = preprocess_pb2.NormalizedPage(content=request.item.image.content, media_type="image/png")
        return preprocess_pb2.NormalizeResponse(page=page, page_count=1)

    async def StreamNormalize(
        self,
        request_iterator: AsyncIterator[preprocess_pb2.StreamNormalizeRequest],
        context: Context,
    ) -> AsyncIterator[preprocess_pb2.StreamNormalizeResponse]:
        await _abort(context, _NOT_HERE)
        yield preprocess_pb2.StreamNormalizeResponse()

    async def StreamRecognize(
        self,
        request_iterator: AsyncIterator[preprocess_pb2.StreamRecognizeRequest],
        context: Context,
    ) -> AsyncIterator[preprocess_pb2.StreamRecognizeResponse]:
        plan = self.plan
        plan.streams += 1
        plan.metadata.append(dict(context.invocation_metadata() or ()))
        if plan.refuses_stream is not None:
            await _abort(context, plan.refuses_stream)
        stream = _StubStream(plan, context, plan.breaks_after.pop(0) if plan.breaks_after else None)
        context.add_done_callback(plan.note_end)  # type: ignore[arg-type]  # the stubs want a class of their own
        reader = asyncio.create_task(stream.read(request_iterator))
        try:
            yield preprocess_pb2.StreamRecognizeResponse(limits=plan.limits)
            async for answers in stream.answers_together(reader):
                yield _response(answers)
            await reader
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


def _response(answers: list[PageAnswer]) -> preprocess_pb2.StreamRecognizeResponse:
    if len(answers) == 1:
        return preprocess_pb2.StreamRecognizeResponse(answer=answers[0])
    return preprocess_pb2.StreamRecognizeResponse(batch=recognition_pb2.PageAnswerBatch(answers=answers))


class _StubStream:
    """The state of one stream."""

    def __init__(self, plan: StubPlan, context: Context, breaks_after: int | None) -> None:
        self._plan = plan
        self._context = context
        self._breaks_after = breaks_after
        self._provider = ""
        self._ready: asyncio.Queue[tuple[str, bytes | None] | None] = asyncio.Queue()
        self._open: dict[str, bytearray] = {}
        self._lengths: dict[str, int] = {}
        self._known: set[str] = set()
        self._in_flight: set[str] = set()

    async def read(self, requests: AsyncIterator[preprocess_pb2.StreamRecognizeRequest]) -> None:
        configured = False
        try:
            async for request in requests:
                kind = request.WhichOneof("message")
                self._plan.largest_message_bytes = max(self._plan.largest_message_bytes, request.ByteSize())
                if (kind == "config") is configured:
                    await _abort(self._context, item_error(grpc.StatusCode.INVALID_ARGUMENT, "CONFIG_MISSING"))
                configured = True
                if kind == "config":
                    self._plan.configs.append(request.config)
                    self._provider = request.config.recognition.provider
                elif request.ByteSize() > self._plan.limits.max_message_bytes:
                    await _abort(self._context, item_error(grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_UNEXPECTED"))
                elif kind == "item":
                    await self._item(request.item)
                elif kind == "batch":
                    self._plan.items_together.append(len(request.batch.items))
                    for item in request.batch.items:
                        await self._item(item)
                else:
                    await self._chunk(request.chunk.request_id, request.chunk.data)
            if self._open:
                await _abort(self._context, item_error(grpc.StatusCode.INVALID_ARGUMENT, "CHUNKS_MISMATCHED"))
        finally:
            self._ready.put_nowait(None)

    async def answers_together(self, reader: asyncio.Task[None]) -> AsyncGenerator[list[PageAnswer], None]:
        """As many as the plan says, fewer where no more are ready; one at a time where the config asks for no more."""
        gathered: list[PageAnswer] = []
        async for answer in self.answers(reader):
            gathered.append(answer)
            wanted = self._plan.answers_together if self._plan.configs[-1].batched_answers else 1
            if len(gathered) >= wanted or (answer.last_page and self._ready.empty()):
                self._plan.batch_sizes.append(len(gathered))
                yield gathered
                gathered = []
        if gathered:
            yield gathered

    async def answers(self, reader: asyncio.Task[None]) -> AsyncGenerator[PageAnswer, None]:
        given = 0
        async for request_id, content in self._backwards() if self._plan.backwards else self._forwards():
            if self._plan.gated_after is not None and len(self._plan.answered) >= self._plan.gated_after:
                await self._plan.gate.wait()
            for answer in self._answers_for(request_id, content):
                if self._breaks_after is not None and given >= self._breaks_after:
                    if self._plan.breaks_with is None:
                        return
                    await _abort(self._context, self._plan.breaks_with)
                given += 1
                if answer.last_page:
                    self._in_flight.discard(request_id)
                yield answer
                self._plan.answered.append(request_id)
        if reader.done():
            reader.result()

    async def _forwards(self) -> AsyncGenerator[tuple[str, bytes | None], None]:
        while (event := await self._ready.get()) is not None:
            yield event

    async def _backwards(self) -> AsyncGenerator[tuple[str, bytes | None], None]:
        """After the half-close, the last item first."""
        for event in reversed([event async for event in self._forwards()]):
            yield event

    def _answers_for(self, request_id: str, content: bytes | None) -> list[PageAnswer]:
        if content is None:
            status = item_error(grpc.StatusCode.NOT_FOUND, "CONTENT_REQUIRED")
            self._known.discard(request_id)
            return [PageAnswer(request_id=request_id, last_page=True, error=status)]
        if self._plan.moves.get(request_id, 0) > 0:
            self._plan.moves[request_id] -= 1
            status = item_error(grpc.StatusCode.UNAVAILABLE, "DRAINING")
            return [PageAnswer(request_id=request_id, last_page=True, error=status)]
        if self._plan.pages_by is not None:
            return self._plan.pages_by(self._provider, request_id, content)
        return self._plan.pages_of(request_id, content)

    async def _item(self, item: preprocess_pb2.SourceItem) -> None:
        if not item.request_id or item.request_id in self._known:
            await _abort(self._context, item_error(grpc.StatusCode.INVALID_ARGUMENT, "DUPLICATE_REQUEST_ID"))
        self._known.add(item.request_id)
        self._plan.received.append(item.request_id)
        self._in_flight.add(item.request_id)
        self._plan.most_in_flight = max(self._plan.most_in_flight, len(self._in_flight))
        if len(self._in_flight) > self._plan.limits.max_items_in_flight:
            await _abort(self._context, item_error(grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_UNEXPECTED"))
        way = item.image.WhichOneof("source")
        if way == "chunked":
            self._plan.chunked.append(item.request_id)
            self._open[item.request_id] = bytearray()
            self._lengths[item.request_id] = item.image.chunked.total_bytes
        elif way == "digest":
            known = item.image.digest.value in self._plan.knows_digests
            self._ready.put_nowait((item.request_id, b"known" if known else None))
        else:
            self._plan.items.append(item)
            self._ready.put_nowait((item.request_id, item.image.content))

    async def _chunk(self, request_id: str, data: bytes) -> None:
        if request_id not in self._open:
            await _abort(self._context, item_error(grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_UNEXPECTED"))
        self._open[request_id] += data
        if len(self._open[request_id]) >= self._lengths[request_id]:
            self._ready.put_nowait((request_id, bytes(self._open.pop(request_id))))


class StubGateway(gateway_pb2_grpc.OcrGatewayServiceServicer):
    """Lists two providers, reads nothing."""

    async def Recognize(self, request: gateway_pb2.RecognizeRequest, context: Context) -> gateway_pb2.RecognizeResponse:
        await _abort(context, _NOT_HERE)
        return gateway_pb2.RecognizeResponse()

    async def StreamRecognize(
        self, request_iterator: AsyncIterator[gateway_pb2.StreamRecognizeRequest], context: Context
    ) -> AsyncIterator[gateway_pb2.StreamRecognizeResponse]:
        await _abort(context, _NOT_HERE)
        yield gateway_pb2.StreamRecognizeResponse()

    async def ListProviders(
        self, request: gateway_pb2.ListProvidersRequest, context: Context
    ) -> gateway_pb2.ListProvidersResponse:
        text = gateway_pb2.ProviderFeature(
            feature=recognition_pb2.FEATURE_TEXT,
            limits=gateway_pb2.ImageLimits(max_bytes=4 << 20, max_side_px=4096, min_side_px=15),
            quota=gateway_pb2.Quota(requests_per_second=50, max_concurrency=4, waiting=2),
        )
        provider = gateway_pb2.Provider(
            name="stub",
            display_name="The stub",
            kind=gateway_pb2.PROVIDER_KIND_EMBEDDED,
            model="stub-1",
            state=gateway_pb2.PROVIDER_STATE_SERVING,
            features=[text],
            languages=[f"l{index}" for index in range(12)],
        )
        bare = gateway_pb2.Provider(
            name="bare", state=gateway_pb2.PROVIDER_STATE_NOT_CONFIGURED, state_detail="no [credentials]"
        )
        route = gateway_pb2.Route(name="default", feature=recognition_pb2.FEATURE_TEXT, providers=["stub", "bare"])
        return gateway_pb2.ListProvidersResponse(providers=[provider, bare], routes=[route])


@contextlib.asynccontextmanager
async def stub_preprocess(
    plan: StubPlan,
    address: str = "127.0.0.1:0",
    *,
    max_message_bytes: int = 4 << 20,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[str]:
    """Serves the stub preprocess service; gives its ``host:port``."""
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", max_message_bytes)]
    server = grpc.aio.server(options=options)
    preprocess_pb2_grpc.add_PreprocessServiceServicer_to_server(StubPreprocess(plan), server)
    async with _serving(server, address, PREPROCESS, health_of=plan.health, credentials=credentials) as target:
        yield target


@contextlib.asynccontextmanager
async def stub_gateway(credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[str]:
    """Serves the stub gateway; gives its ``host:port``."""
    server = grpc.aio.server()
    gateway_pb2_grpc.add_OcrGatewayServiceServicer_to_server(StubGateway(), server)
    board = health.aio.HealthServicer()
    async with _serving(server, "127.0.0.1:0", GATEWAY, health_of=board, credentials=credentials) as target:
        yield target


@contextlib.asynccontextmanager
async def _serving(
    server: grpc.aio.Server,
    address: str,
    name: str,
    *,
    health_of: health.aio.HealthServicer,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[str]:
    await health_of.set("", SERVING)
    await health_of.set(name, SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health_of, server)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def _abort(context: Context, status: status_pb2.Status) -> None:
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, status.message, trailing_metadata=details)
