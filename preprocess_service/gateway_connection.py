"""One StreamRecognize call to the gateway: pages asked side by side, small ones sent and answered several a message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import geometry_pb2, image_pb2, recognition_pb2
from preprocess_service.errors import GatewayRefusesService
from rpc_runtime.faults import StatusError

_CLOSE_WAIT_S = 2.0
_MESSAGE_OVERHEAD_BYTES = 16 * 1024
"""An item without its content takes less: its regions and texts are bounded."""
_SMALL_BYTES = 4096
_MAX_BATCH = 64
_MAX_BATCH_BYTES = 32 * 1024
_LOST_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)
_CALL_ENDED = (grpc.RpcError, asyncio.InvalidStateError)


@dataclass(slots=True)
class PageToRead:
    """A page for the gateway, by its content or by its SHA-256 alone, with regions in its own pixels and the
    fingerprint of what was done to it. ``sent`` says whether the gateway was ever asked for it."""

    content: bytes | None
    digest: bytes | None
    preprocessing: str
    regions: tuple[geometry_pb2.Rect, ...] = ()
    sent: bool = False


class ConnectionLost(Exception):
    """The stream ended, or the gateway drains, before the page was answered. It may be asked again on another one."""


class GatewayConnection:
    """One call. ``open`` it, ``ask`` on it until it is ``lost``, ``close`` it."""

    def __init__(self, call: grpc.aio.StreamStreamCall[Any, Any]) -> None:
        self._call = call
        self._ids = count(1)
        self._answers: dict[str, asyncio.Future[recognition_pb2.PageAnswer]] = {}
        self._unsent: list[tuple[str, PageToRead]] = []
        self._something_unsent = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._end: Exception | None = None
        self._draining = False
        self._abandoned = False
        self._room_bytes = 0
        self._window = asyncio.Semaphore(1)

    @property
    def lost(self) -> bool:
        """Whether nothing more can be asked on it."""
        return self._end is not None or self._draining

    @property
    def ended(self) -> bool:
        """Whether the call is over. One that is lost and not over is still answering what it accepted."""
        return self._end is not None

    async def open(self, config: recognition_pb2.RecognitionConfig) -> None:
        """Sends the config and waits for the limits. Raises ConnectionLost, StatusError when it is refused,
        or GatewayRefusesService.
        """
        opening = gateway_pb2.GatewayStreamConfig(recognition=config, batched_answers=True)
        try:
            await self._call.write(gateway_pb2.StreamRecognizeRequest(config=opening))
            first = await self._call.read()
        except _CALL_ENDED as error:
            raise await self._cause(error) from error
        if not isinstance(first, gateway_pb2.StreamRecognizeResponse) or not first.HasField("limits"):
            raise ConnectionLost("the gateway did not state its limits")
        self._window = asyncio.Semaphore(max(1, first.limits.max_items_in_flight))
        self._room_bytes = first.limits.max_message_bytes - _MESSAGE_OVERHEAD_BYTES
        self._tasks = (asyncio.create_task(self._read_all()), asyncio.create_task(self._write_all()))

    async def ask(self, page: PageToRead) -> recognition_pb2.PageAnswer:
        """The page's answer. Raises ConnectionLost, StatusError when the gateway ended the stream with one, or
        GatewayRefusesService.
        """
        async with self._window:  # what the gateway would not take yet waits here, and is not called asked
            return await self._ask(page)

    async def _ask(self, page: PageToRead) -> recognition_pb2.PageAnswer:
        if self._end is not None:
            raise self._end
        if self._draining:
            raise ConnectionLost("the gateway is stopping")
        request_id = str(next(self._ids))
        answer: asyncio.Future[recognition_pb2.PageAnswer] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        self._unsent.append((request_id, page))
        self._something_unsent.set()
        try:
            result = await answer
        except asyncio.CancelledError:
            self._abandoned = True
            raise
        finally:
            del self._answers[request_id]
        if result.HasField("error") and _reason(result) == "DRAINING":
            self._draining = True
            raise ConnectionLost("the gateway is stopping")
        return result

    async def close(self) -> None:
        """Ends the call: gracefully and within a bound when every page was answered, else by a cancel."""
        try:
            if self._tasks and not self._answers and not self._abandoned and self._end is None:
                with suppress(*_CALL_ENDED):
                    await self._call.done_writing()
                # Not asyncio.timeout: in a task that is being cancelled it ends nothing (Python 3.11).
                await asyncio.wait({self._tasks[0]}, timeout=_CLOSE_WAIT_S)
        finally:
            self.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """Ends the call at once. May be repeated."""
        self._call.cancel()
        for task in self._tasks:
            task.cancel()

    async def _write_all(self) -> None:
        """Sends what has been asked; what came while a message was on its way goes together in the next one."""
        try:
            while True:
                await self._something_unsent.wait()
                await asyncio.sleep(0)  # whoever is about to ask in this turn of the loop goes along
                self._something_unsent.clear()
                asked, self._unsent = self._unsent, []
                waited_for = [(request_id, page) for request_id, page in asked if request_id in self._answers]
                for _, page in waited_for:
                    page.sent = True
                for message in _messages(waited_for, self._room_bytes):
                    await self._call.write(message)
        except _CALL_ENDED as error:
            self._finish(await self._cause(error))

    async def _read_all(self) -> None:
        end: Exception = ConnectionLost("the gateway ended the stream")
        try:
            while isinstance(response := await self._call.read(), gateway_pb2.StreamRecognizeResponse):
                for answer in response.batch.answers if response.HasField("batch") else (response.answer,):
                    waiting = self._answers.get(answer.request_id)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)
        except _CALL_ENDED as error:
            end = await self._cause(error)
        finally:
            self._finish(end)

    def _finish(self, end: Exception) -> None:
        if self._end is None:
            self._end = end
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(self._end)

    async def _cause(self, error: Exception) -> Exception:
        """Why the call ended: ConnectionLost, or the status that the gateway ended it with on purpose. One that is
        about our own token is GatewayRefusesService: callers would take it for their own.
        """
        code = error.code() if isinstance(error, grpc.aio.AioRpcError) else await self._call.code()
        if code is grpc.StatusCode.UNAUTHENTICATED:
            return GatewayRefusesService()
        if not isinstance(error, grpc.aio.AioRpcError):
            return ConnectionLost(f"{code.name}: {await self._call.details()}")
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        if code in _LOST_CODES or status is None:
            return ConnectionLost(f"{code.name}: {error.details()}")
        return StatusError(status)


def _messages(asked: list[tuple[str, PageToRead]], room_bytes: int) -> Iterator[gateway_pb2.StreamRecognizeRequest]:
    """The requests for these pages, in order: small ones together, those over ``room_bytes`` in chunks."""
    batch: list[gateway_pb2.GatewayItem] = []
    batch_bytes = 0
    for request_id, page in asked:
        content = page.content or b""
        item = _item(request_id, page, chunked=len(content) > room_bytes)
        small = len(content) <= _SMALL_BYTES
        item_bytes = item.ByteSize() if small else 0
        if batch and (not small or len(batch) == _MAX_BATCH or batch_bytes + item_bytes > _MAX_BATCH_BYTES):
            yield _together(batch)
            batch, batch_bytes = [], 0
        if small:
            batch.append(item)
            batch_bytes += item_bytes
            continue
        yield gateway_pb2.StreamRecognizeRequest(item=item)
        if len(content) > room_bytes:
            for begin in range(0, len(content), room_bytes):
                chunk = image_pb2.ContentChunk(request_id=request_id, data=content[begin : begin + room_bytes])
                yield gateway_pb2.StreamRecognizeRequest(chunk=chunk)
    if batch:
        yield _together(batch)


def _together(items: list[gateway_pb2.GatewayItem]) -> gateway_pb2.StreamRecognizeRequest:
    if len(items) == 1:
        return gateway_pb2.StreamRecognizeRequest(item=items[0])
    return gateway_pb2.StreamRecognizeRequest(batch=gateway_pb2.GatewayItemBatch(items=items))


def _item(request_id: str, page: PageToRead, *, chunked: bool) -> gateway_pb2.GatewayItem:
    if page.digest is not None:
        claimed = image_pb2.ContentDigest(algorithm=image_pb2.DIGEST_ALGORITHM_SHA256, value=page.digest)
        image = image_pb2.ImagePayload(digest=claimed)
    elif chunked:
        image = image_pb2.ImagePayload(chunked=image_pb2.ChunkedContent(total_bytes=len(page.content or b"")))
    else:
        image = image_pb2.ImagePayload(content=page.content or b"")
    return gateway_pb2.GatewayItem(
        request_id=request_id, image=image, regions=page.regions, preprocessing=page.preprocessing
    )


def _reason(answer: recognition_pb2.PageAnswer) -> str:
    for detail in answer.error.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""
