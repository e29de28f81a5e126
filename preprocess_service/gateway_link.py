"""The way to the gateway: one channel, and on it a stream for each caller's config."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import grpc
import structlog
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ocrmux.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from ocrmux.ocr.v1 import geometry_pb2, image_pb2, recognition_pb2
from preprocess_service.errors import GatewayUnavailable
from rpc_runtime.faults import StatusError

ResultT = TypeVar("ResultT")

_log = structlog.get_logger("preprocess_service.gateway_link")
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_CLOSE_WAIT_S = 2.0
_CHUNK_OVERHEAD_BYTES = 4096
_LOST_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)


@dataclass(frozen=True, slots=True)
class PageToRead:
    """A page for the gateway, by its content or by its SHA-256 alone, with regions in its own pixels and the
    fingerprint of what was done to it."""

    content: bytes | None
    digest: bytes | None
    preprocessing: str
    regions: tuple[geometry_pb2.Rect, ...] = ()


class ConnectionLost(Exception):
    """The stream ended, or the gateway drains, before the page was answered. It may be asked again on another one."""


class GatewayLink:
    """The channel. A page that a lost stream left unanswered is asked again for ``retry_s`` seconds, which costs
    nothing where the gateway has kept the result. ``on_state`` is told when the gateway comes in reach or goes out.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        retry_s: float,
        connect_timeout_s: float,
        on_state: Callable[[bool], Awaitable[None]],
        random_source: random.Random,
    ) -> None:
        self._channel = channel
        self._stub = gateway_pb2_grpc.OcrGatewayServiceStub(channel)
        self._on_state = on_state
        self.retry_s = retry_s
        self.connect_timeout_s = connect_timeout_s
        self.random = random_source
        self._reachable: bool | None = None

    async def open_stream(self, config: recognition_pb2.RecognitionConfig) -> GatewayStream:
        """A stream for the config, connected. Raises StatusError when the gateway refuses it, GatewayUnavailable."""
        stream = GatewayStream(self, config)
        try:
            await stream.connect()
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def call(self, config: recognition_pb2.RecognitionConfig) -> _Connection:
        """One connected call. Raises ConnectionLost or StatusError."""
        connection = _Connection(self._stub.StreamRecognize())
        try:
            async with asyncio.timeout(self.connect_timeout_s):
                await connection.open(config)
        except BaseException as error:
            await connection.close()
            if isinstance(error, TimeoutError):
                raise ConnectionLost(f"no answer within {self.connect_timeout_s:g} s") from None
            raise
        return connection

    async def tell(self, reachable: bool) -> None:
        """Takes note of how the gateway is."""
        if reachable is not self._reachable:
            self._reachable = reachable
            _log.info("gateway.state", reachable=reachable)
            await self._on_state(reachable)

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()


class GatewayStream:
    """Asks pages of one config; connects anew when the stream is lost."""

    def __init__(self, link: GatewayLink, config: recognition_pb2.RecognitionConfig) -> None:
        self._link = link
        self._config = config
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None

    async def connect(self) -> None:
        """Returns when connected. Raises StatusError when the gateway refuses the config, GatewayUnavailable."""
        await self._persist(self._connected)

    async def ask(self, page: PageToRead) -> recognition_pb2.PageAnswer:
        """The page's answer, a document or an error. Raises GatewayUnavailable when there is none to be had.

        A cancelled ask is forgotten; the caller bounds the wait.
        """

        connection = self._connection
        if connection is not None and not connection.lost:
            try:
                return await connection.ask(page)
            except ConnectionLost:
                _log.info("gateway.asking_again")

        async def again() -> recognition_pb2.PageAnswer:
            return await (await self._connected()).ask(page)

        return await self._persist(again)

    async def aclose(self) -> None:
        """Ends the stream; what the gateway still has of it is cancelled there."""
        if self._connection is not None:
            await self._connection.close()

    async def _persist(self, attempt: Callable[[], Awaitable[ResultT]]) -> ResultT:
        clock = asyncio.get_running_loop().time
        give_up_at: float | None = None
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                result = await attempt()
            except ConnectionLost as lost:
                await self._link.tell(False)
                if give_up_at is None:
                    give_up_at = clock() + self._link.retry_s
                if clock() + wait_s > give_up_at:
                    raise GatewayUnavailable(str(lost)) from lost
                await asyncio.sleep(wait_s * self._link.random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                await self._link.tell(True)
                return result

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or self._connection.lost:
                if self._connection is not None:
                    await self._connection.close()
                self._connection = None
                self._connection = await self._link.call(self._config)
            return self._connection


class _Connection:
    """One StreamRecognize call."""

    def __init__(self, call: grpc.aio.StreamStreamCall[Any, Any]) -> None:
        self._call = call
        self._pending: dict[str, asyncio.Future[recognition_pb2.PageAnswer]] = {}
        self._ids = count(1)
        self._writing = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._end: Exception | None = None
        self._draining = False
        self._abandoned = False
        self._max_message_bytes = 0

    @property
    def lost(self) -> bool:
        """Whether nothing more can be asked on it."""
        return self._end is not None or self._draining

    async def open(self, config: recognition_pb2.RecognitionConfig) -> None:
        """Sends the config and waits for the limits."""
        try:
            await self._call.write(
                gateway_pb2.StreamRecognizeRequest(config=gateway_pb2.GatewayStreamConfig(recognition=config))
            )
            first = await self._call.read()
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            raise await self._cause(error) from error
        if not isinstance(first, gateway_pb2.StreamRecognizeResponse) or not first.HasField("limits"):
            raise ConnectionLost("the gateway did not state its limits")
        self._max_message_bytes = first.limits.max_message_bytes
        self._reader = asyncio.create_task(self._read_all())

    async def ask(self, page: PageToRead) -> recognition_pb2.PageAnswer:
        """The page's answer. Raises ConnectionLost, or StatusError when the gateway ended the stream with one."""
        if self._end is not None:
            raise self._end
        request_id = str(next(self._ids))
        answer: asyncio.Future[recognition_pb2.PageAnswer] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = answer
        try:
            await self._write(_messages(request_id, page, self._max_message_bytes))
            result = await answer
        except asyncio.CancelledError:
            self._abandoned = True
            raise
        finally:
            del self._pending[request_id]
        if _reason(result) == "DRAINING":
            self._draining = True
            raise ConnectionLost("the gateway is stopping")
        return result

    async def close(self) -> None:
        """Ends the call: gracefully and within a bound when every page was answered, else by a cancel."""
        if self._reader is not None and not self._pending and not self._abandoned and self._end is None:
            with suppress(grpc.RpcError, asyncio.InvalidStateError):
                await self._call.done_writing()
            # Not asyncio.timeout: in a task that is being cancelled it ends nothing (Python 3.11).
            await asyncio.wait({self._reader}, timeout=_CLOSE_WAIT_S)
        self._call.cancel()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})

    async def _write(self, messages: Iterable[gateway_pb2.StreamRecognizeRequest]) -> None:
        try:
            async with self._writing:
                for message in messages:
                    await self._call.write(message)
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            raise await self._cause(error) from error

    async def _read_all(self) -> None:
        end: Exception = ConnectionLost("the gateway ended the stream")
        try:
            while isinstance(response := await self._call.read(), gateway_pb2.StreamRecognizeResponse):
                answer = response.answer
                waiting = self._pending.get(answer.request_id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            end = await self._cause(error)
        finally:
            self._end = end
            for waiting in self._pending.values():
                if not waiting.done():
                    waiting.set_exception(end)

    async def _cause(self, error: Exception) -> Exception:
        """Why the call ended: ConnectionLost, or the status that the gateway ended it with on purpose."""
        if not isinstance(error, grpc.aio.AioRpcError):
            code = await self._call.code()
            return ConnectionLost(f"{code.name}: {await self._call.details()}")
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        if error.code() in _LOST_CODES or status is None:
            return ConnectionLost(f"{error.code().name}: {error.details()}")
        return StatusError(status)


def _messages(
    request_id: str, page: PageToRead, max_message_bytes: int
) -> Iterable[gateway_pb2.StreamRecognizeRequest]:
    room = max_message_bytes - _CHUNK_OVERHEAD_BYTES
    content = page.content or b""
    whole = len(content) <= room
    if page.digest is not None:
        image = image_pb2.ImagePayload(
            digest=image_pb2.ContentDigest(algorithm=image_pb2.DIGEST_ALGORITHM_SHA256, value=page.digest)
        )
    elif whole:
        image = image_pb2.ImagePayload(content=content)
    else:
        image = image_pb2.ImagePayload(chunked=image_pb2.ChunkedContent(total_bytes=len(content)))
    yield gateway_pb2.StreamRecognizeRequest(
        item=gateway_pb2.GatewayItem(
            request_id=request_id, image=image, regions=page.regions, preprocessing=page.preprocessing
        )
    )
    if not whole:
        for begin in range(0, len(content), room):
            chunk = image_pb2.ContentChunk(request_id=request_id, data=content[begin : begin + room])
            yield gateway_pb2.StreamRecognizeRequest(chunk=chunk)


def _reason(answer: recognition_pb2.PageAnswer) -> str:
    if answer.HasField("error"):
        for detail in answer.error.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                return str(info.reason)
    return ""
