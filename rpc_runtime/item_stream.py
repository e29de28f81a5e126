"""One bidirectional stream of items: a window, back-pressure, order, and exactly one last answer an item.

The stream's first request is its config and its first answer states the limits. Each later request is an item, whole or
announced and followed by its chunks. The reader takes the next request only while the stream's window and the server's
capacity have room; room is given back when an item's last answer has been taken by the transport. So a caller that does
not read stops the work that is done for it, and nothing else.

It knows nothing of what the items are: a ``StreamDialect`` translates messages, a ``Session`` does the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from rpc_runtime.call_context import current_call
from rpc_runtime.capacity import Capacity
from rpc_runtime.drain import DrainSignal
from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.item_acceptance import MAX_REQUEST_ID_LENGTH, payload_refusal
from rpc_runtime.outbox import Outbox
from rpc_runtime.protocol_errors import (
    CallerGone,
    ChunksLate,
    ChunksMismatched,
    ConfigMissing,
    ConfigRepeated,
    Draining,
    DuplicateRequestId,
    MessageUnexpected,
    ProtocolBreach,
    RequestIdInvalid,
)
from rpc_runtime.stream_messages import (
    Announcement,
    Answer,
    Batch,
    Chunk,
    Item,
    Opening,
    Session,
    StreamDialect,
    StreamLimits,
    failure_answer,
)
from rpc_runtime.stream_window import Assembly, SeenIds, Window

REMEMBERED_IDS = 16_384
MAX_BATCH_ANSWERS = 64
MAX_BATCH_BYTES = 1024 * 1024
"""Of several answers in one message; a caller's default limit is 4 MiB."""
CONFIG_TIMEOUT_S = 30.0
CHUNK_TIMEOUT_S = 30.0

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
ConfigT = TypeVar("ConfigT")
SpecT = TypeVar("SpecT")

_log = structlog.get_logger("rpc_runtime.item_stream")


@dataclass(frozen=True, slots=True)
class StreamHost:
    """What all calls of a server share. A drained stream is ended once it was idle for ``drain_linger_s``.

    Unary calls have a capacity of their own: streams may hold theirs for as long as their callers are slow.
    """

    limits: StreamLimits
    capacity: Capacity
    unary_capacity: Capacity
    drain: DrainSignal
    drain_linger_s: float = 0.5


@dataclass(slots=True, eq=False)
class _Flight:
    """An item between its acceptance and its last answer. With order, its turn comes when the one before is done."""

    request_id: str
    size: int
    unique: bool
    turn: asyncio.Event | None
    done: asyncio.Event | None


class ItemStream(Generic[RequestT, AnswerT, ConfigT, SpecT]):
    """Serves one stream: made for it, run once."""

    def __init__(
        self,
        host: StreamHost,
        dialect: StreamDialect[RequestT, AnswerT, ConfigT, SpecT],
        open_session: Callable[[ConfigT], Awaitable[Session[AnswerT, SpecT]]],
    ) -> None:
        self._host = host
        self._dialect = dialect
        self._open_session = open_session
        self._window = Window(host.limits, host.capacity)
        self._seen = SeenIds(REMEMBERED_IDS)
        self._outbox: Outbox[tuple[_Flight, Answer[AnswerT]]] = Outbox(host.limits.max_items)
        self._assembly: tuple[_Flight, Assembly[SpecT], asyncio.TimerHandle] | None = None
        self._upload_ends_at = 0.0
        self._discarded_id: str | None = None
        self._last_done: asyncio.Event | None = None
        self._facts = current_call()
        self._requests_read = 0
        self._reading_over = False
        self._ending: ProtocolBreach | Draining | None = None

    async def run(self, requests: AsyncIterator[RequestT], write: Callable[[AnswerT], Awaitable[None]]) -> None:
        """Reads, works and writes until all is answered after the caller's half-close. Cancelling it stops all work.

        Raises what ``open_session`` raises for a refused config; and, after every accepted item was answered, a
        ``ProtocolBreach``, or ``Draining`` when the server stops.
        """
        session = await self._open(requests)
        try:
            await write(self._dialect.limits(self._host.limits))
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read_all(requests, session, tasks))
                watcher = tasks.create_task(self._end_when_drained(reader))
                await self._write_all(write, session.together)
                watcher.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the siblings were cancelled for it
        finally:
            self._window.release_all()
            if self._assembly is not None:
                self._assembly[2].cancel()
                self._assembly = None
            await session.aclose()
        if self._ending is not None:
            raise self._ending

    async def _open(self, requests: AsyncIterator[RequestT]) -> Session[AnswerT, SpecT]:
        """Waits for the config: a bounded time, and not at all once the server drains."""
        first = asyncio.ensure_future(anext(requests, None))
        drained = asyncio.create_task(self._host.drain.wait_begun())
        try:
            await asyncio.wait({first, drained}, timeout=CONFIG_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if self._host.drain.begun:
                raise Draining
            if not first.done():
                raise ConfigMissing
            request = first.result()
        finally:
            first.cancel()
            drained.cancel()
        opening = None if request is None else self._dialect.read(request)
        if not isinstance(opening, Opening):
            raise ConfigMissing
        return await self._open_session(opening.config)

    # Reading

    async def _read_all(
        self, requests: AsyncIterator[RequestT], session: Session[AnswerT, SpecT], tasks: asyncio.TaskGroup
    ) -> None:
        try:
            async for request in requests:
                self._requests_read += 1
                message = self._dialect.read(request)
                del request  # an image's bytes are held once
                match message:
                    case Announcement():
                        await self._take_item(message, session, tasks)
                    case Batch():
                        for announced in message.announcements:
                            await self._take_item(announced, session, tasks)
                            if announced.size:
                                await asyncio.sleep(0)  # each may have cost a look at its content
                    case Chunk():
                        self._take_chunk(message, session, tasks)
                    case Opening():
                        raise ConfigRepeated
                    case _:
                        raise MessageUnexpected("a message that is neither an item nor a chunk")
                del message
        except ProtocolBreach as breach:
            self._ending = breach
        except asyncio.CancelledError:
            if self._ending is None:
                raise
        self._give_up_assembly(lambda of: ChunksMismatched(of.total_bytes, of.received_bytes), tasks)
        self._reading_over = True
        if self._window.items == 0:
            self._outbox.close()

    async def _take_item(
        self, announced: Announcement[SpecT], session: Session[AnswerT, SpecT], tasks: asyncio.TaskGroup
    ) -> None:
        if self._assembly is not None:
            raise MessageUnexpected(
                f"an item came before the chunks of the item {self._assembly[0].request_id!r} were complete"
            )
        self._discarded_id = None
        refusal = self._refusal_of(announced)
        size = announced.size if refusal is None else 0
        if not self._window.acquire_now(size):
            await self._window.acquire(size)
        flight = self._take_off(announced.request_id, size, session.ordered, unique=refusal is None)
        if refusal is not None:
            if announced.follows_in_chunks:
                self._discarded_id = announced.request_id
            tasks.create_task(self._refuse(flight, refusal))
        elif announced.follows_in_chunks:
            self._upload_ends_at = asyncio.get_running_loop().time() + session.item_timeout_s
            self._assembly = (flight, Assembly(announced, announced.size), self._chunk_timer(tasks))
        else:
            item = Item(announced.request_id, announced.spec, announced.whole_content, announced.digest)
            self._begin(flight, item, session, tasks)

    def _refusal_of(self, announced: Announcement[SpecT]) -> ExpectedError | None:
        length = len(announced.request_id)
        if not 1 <= length <= MAX_REQUEST_ID_LENGTH:
            return RequestIdInvalid(length, MAX_REQUEST_ID_LENGTH)
        if announced.request_id in self._seen:
            return DuplicateRequestId(announced.request_id)
        if self._host.drain.begun:
            return Draining()
        return payload_refusal(announced, self._host.limits, self._dialect)

    def _take_off(self, request_id: str, size: int, ordered: bool, *, unique: bool) -> _Flight:
        done = asyncio.Event() if ordered else None
        flight = _Flight(request_id[:MAX_REQUEST_ID_LENGTH], size, unique, self._last_done, done)
        self._last_done = done
        if unique:
            self._seen.add(request_id)
        self._facts.items += 1
        return flight

    def _take_chunk(self, chunk: Chunk, session: Session[AnswerT, SpecT], tasks: asyncio.TaskGroup) -> None:
        if self._assembly is None or chunk.request_id != self._assembly[0].request_id:
            if chunk.request_id == self._discarded_id:
                return
            raise MessageUnexpected(f"a chunk came for {chunk.request_id!r}, which was not announced")
        flight, assembly, late = self._assembly
        late.cancel()
        if not assembly.add(chunk.data):
            self._assembly = (flight, assembly, self._chunk_timer(tasks))
            return
        if assembly.received_bytes > assembly.total_bytes:
            self._give_up_assembly(lambda of: ChunksMismatched(of.total_bytes, of.received_bytes), tasks)
            return
        self._assembly = None
        item = Item(flight.request_id, assembly.announced.spec, assembly.content())
        self._begin(flight, item, session, tasks)

    def _chunk_timer(self, tasks: asyncio.TaskGroup) -> asyncio.TimerHandle:
        """Gives the item up when the next chunk stays away, or the last one: its room is kept from other callers."""
        loop = asyncio.get_running_loop()
        timeout_s = min(CHUNK_TIMEOUT_S, self._upload_ends_at - loop.time())
        return loop.call_later(timeout_s, self._give_up_assembly, lambda _: ChunksLate(), tasks)

    def _give_up_assembly(self, error_of: Callable[[Assembly[SpecT]], ExpectedError], tasks: asyncio.TaskGroup) -> None:
        if self._assembly is None:
            return
        flight, assembly, late = self._assembly
        late.cancel()
        self._assembly = None
        self._discarded_id = flight.request_id
        tasks.create_task(self._refuse(flight, error_of(assembly)))

    # Working

    def _begin(
        self, flight: _Flight, item: Item[SpecT], session: Session[AnswerT, SpecT], tasks: asyncio.TaskGroup
    ) -> None:
        """Answers the item on the spot where the session can, which needs no task; else begins the work on it."""
        try:
            found = item if session.answer_now is None else session.answer_now(item)
        except Exception as error:
            tasks.create_task(self._refuse(flight, error))
            return
        if isinstance(found, Item):
            tasks.create_task(self._work(flight, found, session))
        elif (flight.turn is None or flight.turn.is_set()) and self._outbox.offer((flight, found)):
            self._note_emitted(flight, found)
        else:
            tasks.create_task(self._emit(flight, found))

    async def _work(self, flight: _Flight, item: Item[SpecT], session: Session[AnswerT, SpecT]) -> None:
        answered = False
        try:
            async with aclosing(session.handle(item)) as answers:
                del item
                async for answer in answers:
                    await self._emit(flight, answer)
                    if answer.last:
                        answered = True
                        return
            raise RuntimeError("the session ended an item without a last answer")
        except Exception as error:
            if answered:
                _log.error("stream.bug_after_last_answer", request_id=flight.request_id, exc_info=True)
            else:
                await self._refuse(flight, error)

    async def _refuse(self, flight: _Flight, error: Exception) -> None:
        """Answers with the error; where no answer can be made of it, with what was raised at that, which is a bug."""
        try:
            message = self._dialect.failure(flight.request_id, error)
        except Exception as bug:
            message = self._dialect.failure(flight.request_id, bug)
        await self._emit(flight, failure_answer(message, error))

    async def _emit(self, flight: _Flight, answer: Answer[AnswerT]) -> None:
        if flight.turn is not None:
            await flight.turn.wait()
        await self._outbox.put((flight, answer))
        self._note_emitted(flight, answer)

    def _note_emitted(self, flight: _Flight, answer: Answer[AnswerT]) -> None:
        self._facts.failed_items += answer.failed
        if answer.last and flight.done is not None:
            flight.done.set()

    # Writing

    async def _write_all(
        self, write: Callable[[AnswerT], Awaitable[None]], together: Callable[[Sequence[AnswerT]], AnswerT] | None
    ) -> None:
        while await self._outbox.wait():
            if together is None:
                flight, answer = self._outbox.take()
                entries = [(flight, answer)]
                messages: Sequence[AnswerT] = answer.messages
            else:
                await asyncio.sleep(0)  # what becomes ready in this turn of the loop goes along
                entries = self._ready()
                messages = [message for _, answer in entries for message in answer.messages]
                if len(messages) > 1:
                    messages = [together(messages)]
            for flight, answer in entries:
                if answer.last and flight.unique:
                    # Before it is written: the caller may use a freed id the moment it has the answer.
                    self._seen.settle(flight.request_id, frees_id=answer.frees_id)
            try:
                for message in messages:
                    await write(message)
            except Exception as error:
                raise CallerGone from error
            for flight, answer in entries:
                if answer.last:
                    self._window.release(flight.size)
            if self._reading_over and self._window.items == 0:
                return

    def _ready(self) -> list[tuple[_Flight, Answer[AnswerT]]]:
        """The entries that are ready, up to a bound on their number and on their bytes; one at least."""
        entries = [self._outbox.take()]
        size = entries[0][1].size
        while len(entries) < MAX_BATCH_ANSWERS and self._outbox:
            size += self._outbox.peek()[1].size
            if size > MAX_BATCH_BYTES:
                break
            entries.append(self._outbox.take())
        return entries

    async def _end_when_drained(self, reader: asyncio.Task[None]) -> None:
        await self._host.drain.wait_begun()
        read_before = -1
        while self._window.items or self._requests_read != read_before:
            read_before = self._requests_read
            await asyncio.sleep(self._host.drain_linger_s)
        self._ending = Draining()
        reader.cancel()
