"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from ocrmux.gateway.v1.gateway_pb2 import ListProvidersRequest, ListProvidersResponse
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.ocr.v1.image_pb2 import ImagePayload
from ocrmux.ocr.v1.recognition_pb2 import PageAnswer, StreamLimits
from ocrmux.preprocess.v1.preprocess_pb2 import (
    NormalizeRequest,
    NormalizeStreamConfig,
    RecognizeRequest,
    RecognizeStreamConfig,
    SourceItem,
)
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from ocrmux_client import item_messages
from ocrmux_client.attempts import Attempts
from ocrmux_client.backoff import Backoff
from ocrmux_client.channel import (
    GATEWAY_SERVICE,
    PREPROCESS_SERVICE,
    call_metadata,
    check_token_is_safe,
    open_channel,
)
from ocrmux_client.errors import OcrMuxError
from ocrmux_client.item_stream import ItemStream
from ocrmux_client.items import Item, NormalizingConfig, ReadingConfig, Region
from ocrmux_client.normalized_image import NormalizedAnswer, NormalizedImage
from ocrmux_client.reachability import until_serving
from ocrmux_client.reading import Reading
from ocrmux_client.stream_dialect import NormalizeDialect, RecognizeDialect
from ocrmux_client.stream_policy import StreamPolicy
from ocrmux_client.tls import Tls

UNARY_MAX_BYTES = 3 << 20
_ONE_CONNECTION = StreamPolicy(concurrency=1, sends_per_item=1, backoff=Backoff(attempts=0))
"""For one item whose tries are counted elsewhere."""


class OcrMuxClient:
    """Reads images and documents through an ocrmux server; for use on one event loop.

    ``target`` is ``host:port`` of a preprocess service, or any name that gRPC resolves; calls go round robin to all of
    its addresses that are SERVING. ``list_providers`` asks ``gateway_target``, or the same target where none is given.
    Nothing is connected to before the first call.

    The connection is in the clear unless there is ``tls``, or ``credentials`` of gRPC's own. ``token`` goes with every
    call as ``authorization: Bearer``, ``tenant`` as ``ocrmux-tenant``, ``metadata`` as it is. Raises ValueError for a
    token in the clear to anywhere but this machine, and for TLS files that are not what they should be; OSError for
    files that cannot be read.

    Failures of calls are OcrMuxError. Passing failures (UNAVAILABLE, SERVER_BUSY) are tried again with ``backoff``, by
    default after up to four failures.
    """

    def __init__(
        self,
        target: str,
        *,
        gateway_target: str | None = None,
        tls: Tls | None = None,
        token: str | None = None,
        tenant: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        backoff: Backoff | None = None,
    ) -> None:
        if tls is not None and credentials is not None:
            raise ValueError("tls and credentials say the same thing: give one of them")
        if tls is not None:
            credentials = tls.credentials()
        if token is not None:
            for address in filter(None, (target, gateway_target)):
                check_token_is_safe(address, is_encrypted=credentials is not None)
        self._target = target
        self._credentials = credentials
        self._metadata = call_metadata(token, tenant, metadata)
        self._backoff = backoff or Backoff(attempts=4)
        self._channel = open_channel(target, credentials, PREPROCESS_SERVICE)
        self._gateway_channel = open_channel(
            gateway_target or target, credentials, GATEWAY_SERVICE if gateway_target else ""
        )
        self._preprocess = PreprocessServiceStub(self._channel)
        self._gateway = OcrGatewayServiceStub(self._gateway_channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; calls and streams still running end with OcrMuxError CANCELLED, as later ones do."""
        await self._channel.close()
        await self._gateway_channel.close()

    async def wait_until_reachable(self, timeout_s: float = 10.0) -> None:
        """Returns once a server at the target serves.

        Raises OcrMuxError: UNAVAILABLE with the cause if none does within ``timeout_s``, UNIMPLEMENTED at once where a
        server answers that is no preprocess service.
        """
        async with open_channel(self._target, self._credentials, "") as plain:
            await until_serving(self._channel, plain, self._target, PREPROCESS_SERVICE, timeout_s)

    async def recognize(
        self,
        content: bytes | Path,
        config: ReadingConfig | None = None,
        *,
        regions: Sequence[Region] = (),
        password: str = "",
        timeout_s: float = 300.0,
    ) -> Reading:
        """Reads one image or document within ``timeout_s`` seconds, all tries together.

        Raises OcrMuxError for an item that cannot be read as a whole, or whose only page cannot; an error of one page
        of several stands in the Reading. Content above 3 MiB, or above a server's lower limit on messages, goes in
        chunks over a stream.
        """
        config = config or ReadingConfig()
        async with Attempts(self._backoff, timeout_s) as attempts:
            data = await _loaded(content)
            if len(data) <= UNARY_MAX_BYTES:
                item = SourceItem(
                    image=ImagePayload(content=data),
                    regions=[region.to_proto() for region in regions],
                    password=password,
                )
                request = RecognizeRequest(
                    recognition=config.recognition(), normalization=config.normalization(), item=item
                )
                try:
                    response = await attempts.result(
                        lambda: self._preprocess.Recognize(request, timeout=attempts.left_s, metadata=self._metadata)
                    )
                    return _whole(response.answers)
                except OcrMuxError as error:
                    if not _is_message_limit(error):
                        raise
            whole = Item("whole", data, tuple(regions), password)
            return await attempts.result(lambda: self._recognize_in_chunks(whole, config))

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
        """One page made fit for recognition, without reading it, within ``timeout_s`` seconds. Raises OcrMuxError.

        Content above the server's limit on messages goes in chunks over a stream, which makes the pages before this one
        too.
        """
        config = config or NormalizingConfig()
        async with Attempts(self._backoff, timeout_s) as attempts:
            data = await _loaded(content)
            item = SourceItem(image=ImagePayload(content=data), password=password)
            request = NormalizeRequest(normalization=config.normalization(), item=item, page=page)
            try:
                response = await attempts.result(
                    lambda: self._preprocess.Normalize(request, timeout=attempts.left_s, metadata=self._metadata)
                )
                return NormalizedImage.of(response.page, page, response.page_count, content=response.page.content)
            except OcrMuxError as error:
                if not _is_message_limit(error):
                    raise
            whole = Item("whole", data, (), password)
            return await attempts.result(lambda: self._normalize_in_chunks(whole, config, page))

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
        async with Attempts(self._backoff, timeout_s) as attempts:
            return await attempts.result(
                lambda: self._gateway.ListProviders(
                    ListProvidersRequest(), timeout=attempts.left_s, metadata=self._metadata
                )
            )

    async def _recognize_in_chunks(self, item: Item, config: ReadingConfig) -> Reading:
        async with aclosing(self.stream_recognize([item], config, _ONE_CONNECTION)) as answers:
            return _whole([answer async for answer in answers])

    async def _normalize_in_chunks(self, item: Item, config: NormalizingConfig, page: int) -> NormalizedImage:
        page_count = 0
        async with aclosing(self.stream_normalize([item], config, _ONE_CONNECTION)) as answers:
            async for answer in answers:
                page_count = answer.page
                if answer.error is not None and answer.page in {0, page}:
                    raise answer.error
                if answer.image is not None and answer.page == page:
                    return answer.image
        message = f"there is no page {page} in a document of {page_count} pages"
        raise OcrMuxError(grpc.StatusCode.OUT_OF_RANGE, "PAGE_OUT_OF_DOCUMENT", message)


def _is_message_limit(error: OcrMuxError) -> bool:
    """Whether gRPC itself refused a message for its size, before any service saw it."""
    too_large = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and not error.reason
    return too_large and "larger than max" in error.message


async def _loaded(content: bytes | Path) -> bytes:
    try:
        return await asyncio.to_thread(item_messages.load, Item("whole", content), StreamLimits())
    except item_messages.ItemRefused as refusal:
        raise OcrMuxError.from_status(refusal.status) from refusal


def _whole(answers: Sequence[PageAnswer]) -> Reading:
    """The Reading of one item. Raises OcrMuxError for the error of the item as a whole, or of its only page."""
    reading = Reading(tuple(answers))
    for page, error in reading.errors:
        if page == 0 or len(answers) == 1:
            raise error
    return reading
