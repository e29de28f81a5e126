"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import grpc

from ocrmux.gateway.v1.gateway_pb2 import ListProvidersRequest, ListProvidersResponse
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.ocr.v1.image_pb2 import ImagePayload
from ocrmux.ocr.v1.recognition_pb2 import PageAnswer
from ocrmux.preprocess.v1.preprocess_pb2 import (
    NormalizeRequest,
    NormalizeStreamConfig,
    RecognizeRequest,
    RecognizeStreamConfig,
    SourceItem,
)
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from ocrmux_client.backoff import Backoff
from ocrmux_client.errors import SOURCE_UNREADABLE, OcrMuxError
from ocrmux_client.item_stream import ItemStream
from ocrmux_client.items import Item, NormalizingConfig, ReadingConfig, Region
from ocrmux_client.normalized_image import NormalizedAnswer, NormalizedImage
from ocrmux_client.reading import Reading
from ocrmux_client.stream_dialect import NormalizeDialect, RecognizeDialect
from ocrmux_client.stream_policy import StreamPolicy

RECEIVE_MAX_BYTES = 64 << 20
UNARY_MAX_BYTES = 3 << 20
KEEPALIVE_S = 60
_LOOPBACK = ("127.", "localhost", "[::1]", "unix:")

T = TypeVar("T")


class OcrMuxClient:
    """Reads images and documents through an ocrmux server; for use on one event loop.

    ``target`` is ``host:port`` of a preprocess service; ``list_providers`` asks ``gateway_target``, or the same target
    where none is given. The connection is in the clear unless ``credentials`` are given; ``metadata`` goes with every
    call. Failures are OcrMuxError. Passing failures (UNAVAILABLE, SERVER_BUSY) are tried again with ``backoff``.
    """

    def __init__(
        self,
        target: str,
        *,
        gateway_target: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        backoff: Backoff | None = None,
    ) -> None:
        self._target = target
        self._metadata = tuple(metadata)
        self._backoff = backoff or Backoff(attempts=4)
        self._channel = _channel(target, credentials)
        self._gateway_channel = _channel(gateway_target, credentials) if gateway_target else self._channel
        self._preprocess = PreprocessServiceStub(self._channel)
        self._gateway = OcrGatewayServiceStub(self._gateway_channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; calls still running are cancelled."""
        await self._channel.close()
        await self._gateway_channel.close()

    async def wait_until_reachable(self, timeout_s: float = 10.0) -> None:
        """Returns once the target takes connections; OcrMuxError UNAVAILABLE if it does not within ``timeout_s``."""
        try:
            await asyncio.wait_for(self._channel.channel_ready(), timeout_s)
        except TimeoutError as error:
            message = f"nothing answers at {self._target} within {timeout_s:g} s"
            raise OcrMuxError(grpc.StatusCode.UNAVAILABLE, "", message) from error

    async def recognize(
        self,
        content: bytes | Path,
        config: ReadingConfig | None = None,
        *,
        regions: Sequence[Region] = (),
        password: str = "",
        timeout_s: float = 300.0,
    ) -> Reading:
        """Reads one image or document, waiting at most ``timeout_s`` seconds for each try.

        Raises OcrMuxError for an item that cannot be read as a whole; an error of a single page stands in the Reading.
        Content above 3 MiB, or above a server's lower limit on messages, goes in chunks over a stream.
        """
        config = config or ReadingConfig()
        data = content if isinstance(content, bytes) else await _file_content(content)
        if len(data) > UNARY_MAX_BYTES:
            return await self._recognize_in_chunks(data, config, regions, password, timeout_s)
        item = SourceItem(
            image=ImagePayload(content=data), regions=[region.to_proto() for region in regions], password=password
        )
        request = RecognizeRequest(recognition=config.recognition(), normalization=config.normalization(), item=item)
        try:
            response = await self._again(
                lambda: self._preprocess.Recognize(request, timeout=timeout_s, metadata=self._metadata)
            )
        except OcrMuxError as error:
            if not _is_message_limit(error):
                raise
            return await self._recognize_in_chunks(data, config, regions, password, timeout_s)
        return Reading(tuple(response.answers))

    async def stream_recognize(
        self,
        items: AsyncIterable[Item] | Iterable[Item],
        config: ReadingConfig | None = None,
        policy: StreamPolicy | None = None,
    ) -> AsyncGenerator[PageAnswer, None]:
        """Reads many items over one stream; gives one answer a page, each exactly once, the item's last one marked.

        Every item is answered: a document, or a Status, also for a path that cannot be read (NOT_FOUND,
        SOURCE_UNREADABLE). At most ``policy.concurrency`` items are on their way, fewer where the server's limits say
        so. Items without an answer are sent again after a break. Raises OcrMuxError when the server refuses the stream
        as a whole or stays away for longer than the backoff bears, ValueError when two items have one id. Close the
        generator (``contextlib.aclosing``) when leaving early.
        """
        config = config or ReadingConfig()
        policy = policy or StreamPolicy()
        stream_config = RecognizeStreamConfig(
            recognition=config.recognition(), normalization=config.normalization(), ordered=False, batched_answers=True
        )
        dialect = RecognizeDialect(stream_config)
        stream = ItemStream(lambda: self._preprocess.StreamRecognize(metadata=self._metadata), dialect, items, policy)
        async with aclosing(stream.answers()) as answers:
            async for answer in answers:
                yield answer

    async def normalize(
        self,
        content: bytes | Path,
        config: NormalizingConfig | None = None,
        *,
        page: int = 1,
        password: str = "",
        timeout_s: float = 120.0,
    ) -> NormalizedImage:
        """One page made fit for recognition, without reading it. Raises OcrMuxError.

        Content above the server's limit on messages goes in chunks over a stream, which makes the pages before this one
        too; ``timeout_s`` then holds for all of it.
        """
        config = config or NormalizingConfig()
        data = content if isinstance(content, bytes) else await _file_content(content)
        item = SourceItem(image=ImagePayload(content=data), password=password)
        request = NormalizeRequest(normalization=config.normalization(), item=item, page=page)
        try:
            response = await self._again(
                lambda: self._preprocess.Normalize(request, timeout=timeout_s, metadata=self._metadata)
            )
        except OcrMuxError as error:
            if not _is_message_limit(error):
                raise
            return await self._normalize_in_chunks(data, config, page, password, timeout_s)
        return NormalizedImage.of(response.page, page, response.page_count, content=response.page.content)

    async def stream_normalize(
        self,
        items: AsyncIterable[Item] | Iterable[Item],
        config: NormalizingConfig | None = None,
        policy: StreamPolicy | None = None,
    ) -> AsyncGenerator[NormalizedAnswer, None]:
        """Makes the pages of many items fit for recognition; gives one answer a page, each exactly once.

        Order, bounds, breaks and errors are those of ``stream_recognize``. ``policy.digest_first`` and the items'
        regions mean nothing here.
        """
        policy = replace(policy or StreamPolicy(), digest_first=False)
        stream_config = NormalizeStreamConfig(
            normalization=(config or NormalizingConfig()).normalization(),
            ordered=policy.ordered,  # pages wait at the server for their turn: here they would be held encoded
        )
        dialect = NormalizeDialect(stream_config)
        stream = ItemStream(lambda: self._preprocess.StreamNormalize(metadata=self._metadata), dialect, items, policy)
        async with aclosing(stream.answers()) as answers:
            async for answer in answers:
                yield answer

    async def list_providers(self, *, timeout_s: float = 30.0) -> ListProvidersResponse:
        """Every provider that the gateway knows, with its limits and its state now. Raises OcrMuxError."""
        request = ListProvidersRequest()
        return await self._again(
            lambda: self._gateway.ListProviders(request, timeout=timeout_s, metadata=self._metadata)
        )

    async def _recognize_in_chunks(
        self, data: bytes, config: ReadingConfig, regions: Sequence[Region], password: str, timeout_s: float
    ) -> Reading:
        item = Item("whole", data, tuple(regions), password)
        policy = StreamPolicy(concurrency=1, backoff=self._backoff)
        try:
            async with asyncio.timeout(timeout_s):
                reading = Reading(tuple([answer async for answer in self.stream_recognize([item], config, policy)]))
        except TimeoutError as error:
            raise _no_answer_within(timeout_s) from error
        if reading.errors and reading.errors[0][0] == 0:
            raise reading.errors[0][1]
        return reading

    async def _normalize_in_chunks(
        self, data: bytes, config: NormalizingConfig, page: int, password: str, timeout_s: float
    ) -> NormalizedImage:
        policy = StreamPolicy(concurrency=1, backoff=self._backoff)
        page_count = 0
        try:
            async with (
                asyncio.timeout(timeout_s),
                aclosing(self.stream_normalize([Item("whole", data, (), password)], config, policy)) as answers,
            ):
                async for answer in answers:
                    page_count = answer.page
                    if answer.error is not None and answer.page in {0, page}:
                        raise answer.error
                    if answer.image is not None and answer.page == page:
                        return answer.image
        except TimeoutError as error:
            raise _no_answer_within(timeout_s) from error
        message = f"there is no page {page} in a document of {page_count} pages"
        raise OcrMuxError(grpc.StatusCode.OUT_OF_RANGE, "PAGE_OUT_OF_DOCUMENT", message)

    async def _again(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's response; passing failures are tried again as the backoff says."""
        failures = 0
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                failure = OcrMuxError.from_rpc_error(error)
                failures += 1
                passing = failure.code is grpc.StatusCode.UNAVAILABLE or failure.reason == "SERVER_BUSY"
                if not passing or failures > self._backoff.attempts:
                    raise failure from error
                await asyncio.sleep(self._backoff.wait_s(failures, at_least_s=failure.retry_after_s))


def _no_answer_within(timeout_s: float) -> OcrMuxError:
    return OcrMuxError(grpc.StatusCode.DEADLINE_EXCEEDED, "", f"no answer within {timeout_s:g} s")


def _is_message_limit(error: OcrMuxError) -> bool:
    """Whether gRPC itself refused a message for its size, before any service saw it."""
    too_large = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and not error.reason
    return too_large and "larger than max" in error.message


async def _file_content(path: Path) -> bytes:
    try:
        return await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise OcrMuxError(grpc.StatusCode.NOT_FOUND, SOURCE_UNREADABLE, message) from error


def _channel(target: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    options: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", RECEIVE_MAX_BYTES),
        ("grpc.max_send_message_length", RECEIVE_MAX_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.enable_http_proxy", 0 if target.startswith(_LOOPBACK) else 1),
    ]
    if credentials is not None:
        return grpc.aio.secure_channel(target, credentials, options)
    return grpc.aio.insecure_channel(target, options)
