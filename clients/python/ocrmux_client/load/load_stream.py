"""One stream of a load: what it is told is written at once, and every answer is dated when it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import grpc

from ocrmux.ocr.v1.recognition_pb2 import StreamLimits
from ocrmux.preprocess.v1.preprocess_pb2 import StreamRecognizeRequest, StreamRecognizeResponse
from ocrmux_client import item_messages
from ocrmux_client.errors import CONNECTION_LOST, PROTOCOL_BROKEN, OcrMuxError
from ocrmux_client.item_stream import ending
from ocrmux_client.items import Item
from ocrmux_client.load.load_tally import ItemOutcome
from ocrmux_client.load.send_plan import Arrival
from ocrmux_client.stream_dialect import RecognizeDialect

OPENING_S = 30.0

Call = grpc.aio.StreamStreamCall[StreamRecognizeRequest, StreamRecognizeResponse]


class StreamListener(Protocol):
    """Who hears of a stream."""

    def opened(self, stream: int, limits: StreamLimits) -> None:
        """The server takes items now."""
        ...

    def answered(self, stream: int, item: ItemOnItsWay, at_s: float) -> None:
        """An item has its last answer."""
        ...


@dataclass(slots=True)
class ItemOnItsWay:
    """An item that a stream was told to send. ``sent_s``: when its first byte was written, or None so far."""

    arrival: Arrival
    item: Item
    sent_s: float | None = None
    outcome: ItemOutcome = field(default_factory=ItemOutcome)


class LoadStream:
    """Writes items in the order in which it is told, and reads; for one use.

    It never writes anything twice, and never opens itself anew: whoever runs it hears of each break.
    """

    def __init__(
        self, number: int, dialect: RecognizeDialect, listener: StreamListener, clock: Callable[[], float]
    ) -> None:
        self._number = number
        self._dialect = dialect
        self._listener = listener
        self._clock = clock
        self._outbox: asyncio.Queue[ItemOnItsWay | None] = asyncio.Queue()
        self._limits: asyncio.Future[StreamLimits] = asyncio.get_running_loop().create_future()
        self._half_closed = False
        self.on_its_way: dict[str, ItemOnItsWay] = {}

    def send(self, arrival: Arrival, item: Item) -> None:
        """The item is written as soon as those before it are."""
        entry = ItemOnItsWay(arrival, item)
        self.on_its_way[item.request_id] = entry
        self._outbox.put_nowait(entry)

    def half_close(self) -> None:
        """No item follows."""
        self._half_closed = True
        self._outbox.put_nowait(None)

    async def run(self, call: Call) -> None:
        """Returns once the stream was half-closed and every item is answered. Raises OcrMuxError when it breaks."""
        reader, writer = asyncio.create_task(self._read(call)), asyncio.create_task(self._write(call))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                writer.result()
                await asyncio.wait({reader})
            reader.result()
        except grpc.aio.AioRpcError as error:
            raise ending(error) from error
        finally:
            reader.cancel()
            writer.cancel()
            call.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        if self.on_its_way or not self._half_closed:
            raise _broken(f"the server ended the stream and left {len(self.on_its_way)} items without an answer")

    async def _write(self, call: Call) -> None:
        try:
            await call.write(self._dialect.opening())
            try:
                limits = await asyncio.wait_for(asyncio.shield(self._limits), OPENING_S)
            except TimeoutError as error:
                message = f"the server did not take the stream within {OPENING_S:g} s"
                raise OcrMuxError(grpc.StatusCode.UNAVAILABLE, CONNECTION_LOST, message) from error
            while (entry := await self._outbox.get()) is not None:
                await self._write_item(call, entry, limits)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the call has ended; the reader tells why

    async def _write_item(self, call: Call, entry: ItemOnItsWay, limits: StreamLimits) -> None:
        entry.sent_s = self._clock()
        content = item_messages.load(entry.item, limits)
        for piece in item_messages.content_pieces(entry.item, content, limits):
            if self.on_its_way.get(entry.item.request_id) is not entry:
                return  # answered already, refused by its announcement
            await call.write(self._dialect.request(piece))

    async def _read(self, call: Call) -> None:
        while isinstance(response := await call.read(), StreamRecognizeResponse):
            at_s = self._clock()
            limits = self._dialect.limits_in(response)
            if limits is not None:
                self._limits.set_result(limits)
                self._listener.opened(self._number, limits)
                continue
            for answer in self._dialect.answers_in(response):
                entry = self.on_its_way.get(answer.request_id)
                if entry is None:
                    raise _broken(f"the server answered {answer.request_id!r}, which waits for no answer")
                entry.outcome.take(answer)
                if answer.last_page:
                    del self.on_its_way[answer.request_id]
                    self._listener.answered(self._number, entry, at_s)


def _broken(message: str) -> OcrMuxError:
    return OcrMuxError(grpc.StatusCode.INTERNAL, PROTOCOL_BROKEN, message)
