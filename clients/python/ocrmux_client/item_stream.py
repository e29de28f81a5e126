"""One long run of many items over a stream that may break and be opened again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

import grpc
from google.rpc import status_pb2

from ocrmux.ocr.v1.recognition_pb2 import StreamLimits
from ocrmux.preprocess.v1.preprocess_pb2 import SourceItem
from ocrmux_client import item_messages
from ocrmux_client.answer_order import AnswerOrder
from ocrmux_client.errors import (
    CONNECTION_LOST,
    PROTOCOL_BROKEN,
    SEND_ELSEWHERE,
    OcrMuxError,
    client_closed,
    item_status,
)
from ocrmux_client.item_window import Entry, ItemWindow
from ocrmux_client.items import Item
from ocrmux_client.silence import Silence
from ocrmux_client.stream_dialect import AnswerT, RequestT, ResponseT, StreamDialect
from ocrmux_client.stream_policy import StreamPolicy
from ocrmux_client.stream_source import SourceFailed, StreamSource

_DIGESTS_TOGETHER_MAX = 32
_HASHED_TOGETHER_MAX_BYTES = 32 << 20  # a message of digests waits no longer than this takes to hash

T = TypeVar("T")


class ItemStream(Generic[RequestT, ResponseT, AnswerT]):
    """Sends items, gives their answers, each page of each item exactly once; for one use.

    Items without an answer are sent again, under the same ids, after a connection is lost or the server drains.
    ``answers`` raises OcrMuxError when the server refuses the stream as a whole or stays away longer than the backoff
    allows, or when the stream's time is over; what was given out until then stands.
    """

    def __init__(
        self,
        open_call: Callable[[], grpc.aio.StreamStreamCall[RequestT, ResponseT]],
        dialect: StreamDialect[RequestT, ResponseT, AnswerT],
        items: AsyncIterable[Item] | Iterable[Item],
        policy: StreamPolicy,
    ) -> None:
        self._open_call = open_call
        self._dialect = dialect
        self._source = StreamSource(items)
        self._policy = policy
        self._order = AnswerOrder[AnswerT](ordered=policy.ordered)
        self._out: asyncio.Queue[AnswerT | Exception | None] = asyncio.Queue()
        self._window = ItemWindow(policy.concurrency)
        self._moving_cause: OcrMuxError | None = None
        self._limits: asyncio.Future[StreamLimits] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._progress = False
        self._silence = Silence(policy.silence_s)

    async def answers(self) -> AsyncGenerator[AnswerT, None]:
        """The answers, as they come or in the order of the items. Leaving early stops the work on the server."""
        driver = asyncio.create_task(self._drive())
        try:
            while (event := await self._out.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                self._taken.set()
                self._changed.set()
                yield event
        finally:
            driver.cancel()
            await asyncio.gather(driver, return_exceptions=True)
            await self._source.close()

    async def _drive(self) -> None:
        """Puts the ending behind the answers that came before it."""
        limit = asyncio.timeout(self._policy.timeout_s)
        try:
            async with limit:
                await self._connections()
        except asyncio.CancelledError:
            self._out.put_nowait(client_closed())  # unless nobody listens any more, as when the caller leaves
            raise
        except SourceFailed as failure:
            self._out.put_nowait(failure.error)
        except Exception as error:
            if limit.expired():
                message = f"the stream was not read to its end within {self._policy.timeout_s:g} s"
                self._out.put_nowait(OcrMuxError(grpc.StatusCode.DEADLINE_EXCEEDED, "", message))
            else:
                self._out.put_nowait(error)
        else:
            self._out.put_nowait(None)

    async def _connections(self) -> None:
        failures, vain = 0, False
        while await self._has_work():
            if vain:
                await asyncio.sleep(self._policy.backoff.wait_s(failures + 1))
            self._progress = False
            failure = await self._connection()
            if self._progress:
                failures = 0
            vain = failure is None and not self._progress  # closed before there was anything for it to answer
            if failure is None:
                continue
            failures += 1
            if failures > self._policy.backoff.attempts:
                raise failure
            wait_s = self._policy.backoff.wait_s(failures, at_least_s=failure.retry_after_s)
            if self._policy.on_reconnect is not None:
                self._policy.on_reconnect(failures, wait_s, failure)
            await asyncio.sleep(wait_s)

    async def _has_work(self) -> bool:
        while not self._window.waiting:
            if self._source.exhausted:
                return False
            await self._source.wait()
            self._admit()
        return True

    def _admit(self) -> None:
        """Takes the item that the source has ready, if any, into the waiting line."""
        item = self._source.take()
        if item is None:
            return
        self._window.admit(item, self._order.start(), by_digest=self._policy.digest_first)

    async def _connection(self) -> OcrMuxError | None:
        """One stream from opening to end; gives what broke it, or None. Raises OcrMuxError if trying again is vain."""
        self._limits, self._moving_cause = asyncio.get_running_loop().create_future(), None
        self._silence.end()
        try:
            call = self._open_call()
        except grpc.aio.UsageError as error:
            raise client_closed() from error
        failure: OcrMuxError | None = None
        reader, writer = asyncio.create_task(self._read(call)), asyncio.create_task(self._write(call))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                writer.result()
                await asyncio.wait({reader})
            reader.result()
        except grpc.aio.AioRpcError as error:
            failure = ending(error)
        except OcrMuxError as error:
            failure = error
        finally:
            reader.cancel()
            writer.cancel()
            call.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        return self._settle(failure)

    def _settle(self, failure: OcrMuxError | None) -> OcrMuxError | None:
        """Puts unanswered items back into the waiting line, in order."""
        window, moved = self._window, self._moving_cause is not None
        unanswered = len(window.in_flight) + (0 if moved else len(window.waiting))
        if failure is None and unanswered:
            message = f"the server ended the stream with {unanswered} items unanswered"
            failure = OcrMuxError(grpc.StatusCode.UNAVAILABLE, CONNECTION_LOST, message)
        if failure is not None and not failure.is_passing:
            raise failure
        if failure is not None and self._limits.done() and not (unanswered or moved):
            failure = None  # an idle connection was closed; nothing is lost by it
        for entry in window.regather():
            entry.losses += 1
            if entry.losses >= self._policy.sends_per_item:
                window.waiting.remove(entry)
                message = f"the connection was lost {entry.losses} times while this item was with the server: {failure}"
                self._answer_here(entry, item_status(grpc.StatusCode.UNAVAILABLE, CONNECTION_LOST, message))
        return failure or self._moving_cause

    async def _read(self, call: grpc.aio.StreamStreamCall[RequestT, ResponseT]) -> None:
        while (response := await self._next_response(call)) is not None:
            limits = self._dialect.limits_in(response)
            if (limits is None) is not self._limits.done():
                message = "the server sent its limits twice" if limits else "the server answered before its limits"
                raise OcrMuxError(grpc.StatusCode.INTERNAL, PROTOCOL_BROKEN, message)
            if limits is not None:
                self._limits.set_result(limits)
                continue
            for answer in self._dialect.answers_in(response):
                self._take(answer)
            await self._until_taken()

    @property
    def _backed_up(self) -> bool:
        return self._out.qsize() >= self._policy.concurrency

    async def _until_taken(self) -> None:
        """Holds the reading up while the caller is behind, so that the server feels it too."""
        while self._backed_up:
            self._taken.clear()
            await self._taken.wait()

    async def _next_response(self, call: grpc.aio.StreamStreamCall[RequestT, ResponseT]) -> ResponseT | None:
        read = asyncio.ensure_future(call.read())
        try:
            while not (await asyncio.wait({read}, timeout=self._silence.slice_s))[0]:
                if self._limits.done() and not self._window.awaits_answers:
                    self._silence.end()
                elif self._silence.is_too_long():
                    message = f"no word from the server for {self._policy.silence_s:g} s"
                    raise OcrMuxError(grpc.StatusCode.UNAVAILABLE, CONNECTION_LOST, message)
            self._silence.end()
            response = read.result()
            if response is grpc.aio.EOF:
                return None
            if not isinstance(response, self._dialect.response_type):  # what gRPC makes of bytes that it cannot parse
                message = "the server sent what is no message of this stream"
                raise OcrMuxError(grpc.StatusCode.INTERNAL, PROTOCOL_BROKEN, message)
            return response
        finally:
            read.cancel()

    def _take(self, answer: AnswerT) -> None:
        entry = self._window.in_flight.get(answer.request_id)
        if entry is None:
            message = f"the server answered {answer.request_id!r}, which waits for no answer"
            raise OcrMuxError(grpc.StatusCode.INTERNAL, PROTOCOL_BROKEN, message)
        error = self._dialect.error_of(answer) if answer.last_page else None
        if error is None or error.reason not in SEND_ELSEWHERE:
            self._progress = True
        if answer.last_page:
            del self._window.in_flight[answer.request_id]
            self._changed.set()
            if error is not None and self._to_be_sent_again(entry, error):
                return
        if answer.page == 0 or answer.page > entry.pages_given:
            entry.pages_given = max(entry.pages_given, answer.page)
            self._give(entry, answer)
        elif answer.last_page:
            message = f"the item ended at page {answer.page}, after page {entry.pages_given} had been answered before"
            self._answer_here(entry, item_status(grpc.StatusCode.ABORTED, PROTOCOL_BROKEN, message))

    def _to_be_sent_again(self, entry: Entry, error: OcrMuxError) -> bool:
        if error.reason == "CONTENT_REQUIRED" and entry.by_digest:
            entry.by_digest = False
            self._window.again(entry)
            return True
        if error.reason in SEND_ELSEWHERE and entry.moves < self._policy.sends_per_item:
            entry.moves += 1
            self._window.moving.append(entry)
            self._moving_cause = error
            return True
        return False

    async def _write(self, call: grpc.aio.StreamStreamCall[RequestT, ResponseT]) -> None:
        try:
            await call.write(self._dialect.opening())
            limits = await self._limits
            while (entry := await self._next_entry(limits)) is not None:
                if entry.by_digest:
                    await self._send_digests(call, entry, limits)
                else:
                    await self._send(call, entry, limits)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the call has ended; the reader tells why

    async def _next_entry(self, limits: StreamLimits) -> Entry | None:
        """The next item, once there is room for it; None when this stream has nothing more to send."""
        while self._moving_cause is None:
            self._changed.clear()
            self._admit()
            if self._window.waiting:
                if (entry := self._with_room(limits)) is not None:
                    return entry
            elif self._source.exhausted and not self._window.may_ask_for_content:
                return None
            if self._window.waiting or self._backed_up or not self._may_draw(limits):
                await self._changed.wait()
            else:
                await _first(self._changed.wait(), self._source.wait())
        return None

    def _may_draw(self, limits: StreamLimits) -> bool:
        """Whether there is room for an item more than are on their way, so that none is held for nothing."""
        return self._window.has_place(limits) and self._order.lag < self._policy.reorder_span

    def _with_room(self, limits: StreamLimits, *, by_digest_only: bool = False) -> Entry | None:
        """The first waiting item if the window has room for it; answers here what cannot be sent at all."""
        waiting = self._window.waiting
        while waiting and not self._backed_up:
            entry = waiting[0]
            if by_digest_only and not entry.by_digest:
                return None
            try:
                entry.size_bytes = item_messages.size_bytes(entry.item, limits)
            except item_messages.ItemRefused as refusal:
                waiting.popleft()
                self._answer_here(entry, refusal.status)
                continue
            return self._window.take(limits)
        return None

    async def _send_digests(
        self, call: grpc.aio.StreamStreamCall[RequestT, ResponseT], first: Entry, limits: StreamLimits
    ) -> None:
        """Sends the digest of this item, and of those that are ready behind it, in one message."""
        hashed: list[tuple[Entry, SourceItem]] = []
        hashed_bytes, entry = 0, first
        while True:
            if self._may_draw(limits):
                self._source.look_ahead()
            if (item := await self._prepared(entry, limits, item_messages.by_digest)) is not None:
                hashed.append((entry, item))
            hashed_bytes += entry.size_bytes
            enough = len(hashed) == _DIGESTS_TOGETHER_MAX or hashed_bytes > _HASHED_TOGETHER_MAX_BYTES
            if enough or self._moving_cause is not None:
                break
            self._admit()
            if (after := self._with_room(limits, by_digest_only=True)) is None:
                break
            entry = after
        self._silence.end()
        for entry, _ in hashed:
            entry.is_sent = True
        for message in self._dialect.together([item for _, item in hashed], limits):
            await call.write(message)

    async def _send(
        self, call: grpc.aio.StreamStreamCall[RequestT, ResponseT], entry: Entry, limits: StreamLimits
    ) -> None:
        content = await self._prepared(entry, limits, item_messages.load)
        if content is None:
            return
        self._silence.end()
        entry.is_sent = True
        for piece in item_messages.content_pieces(entry.item, content, limits):
            if self._window.in_flight.get(entry.item.request_id) is not entry:
                return  # answered already, refused by its announcement
            await call.write(self._dialect.request(piece))

    async def _prepared(
        self, entry: Entry, limits: StreamLimits, prepare: Callable[[Item, StreamLimits], T]
    ) -> T | None:
        """What ``prepare`` makes of the item, on a thread; None if the item had to be answered here."""
        try:
            return await asyncio.to_thread(prepare, entry.item, limits)
        except item_messages.ItemRefused as refusal:
            del self._window.in_flight[entry.item.request_id]
            self._answer_here(entry, refusal.status)
            return None

    def _answer_here(self, entry: Entry, status: status_pb2.Status) -> None:
        self._give(entry, self._dialect.failure(entry.item.request_id, status))

    def _give(self, entry: Entry, answer: AnswerT) -> None:
        for ready in self._order.take(entry.place, answer):
            self._out.put_nowait(ready)
        self._changed.set()


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Returns once one of them has ended; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def ending(error: grpc.aio.AioRpcError) -> OcrMuxError:
    """What ended a call.

    A write that meets the end of its call makes grpc.aio put a status of its own over the server's, which is lost then:
    the next try hears it, if it was not a passing one.
    """
    if error.code() is grpc.StatusCode.INTERNAL and error.details() == "Internal error from Core":
        return OcrMuxError(grpc.StatusCode.UNAVAILABLE, CONNECTION_LOST, "the server ended the stream in mid-write")
    return OcrMuxError.from_rpc_error(error)
