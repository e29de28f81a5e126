"""Drives a load: does what the plan decides, and counts what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc

from ocrmux.ocr.v1.recognition_pb2 import StreamLimits
from ocrmux.preprocess.v1.preprocess_pb2 import RecognizeStreamConfig
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from ocrmux_client.backoff import Backoff
from ocrmux_client.errors import OcrMuxError
from ocrmux_client.items import Item, ReadingConfig, Region
from ocrmux_client.load.load_images import LoadImages
from ocrmux_client.load.load_stream import ItemOnItsWay, LoadStream
from ocrmux_client.load.load_tally import LoadTally
from ocrmux_client.load.load_target import LoadTarget
from ocrmux_client.load.send_plan import Finished, Send, SendPlan, WaitForRoom, WaitUntil
from ocrmux_client.stream_dialect import RecognizeDialect

REOPENING = Backoff(attempts=6, longest_s=2.0)


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """What is sent, and over what. ``window``: items in flight a stream at most, fewer where the server says so.

    ``drain_s``: seconds after the last item was due in which what is still waiting may be sent and answered.
    """

    config: ReadingConfig
    images: LoadImages
    streams: int
    window: int
    drain_s: float
    regions: tuple[Region, ...] = ()
    password: str = ""

    def stream_config(self) -> RecognizeStreamConfig:
        """As the server reads it."""
        return RecognizeStreamConfig(
            recognition=self.config.recognition(),
            normalization=self.config.normalization(),
            batched_answers=True,
        )

    def item(self, arrival_number: int) -> Item:
        """The file of an arrival. Its id is unique in the whole run."""
        content = self.images.content(arrival_number)
        return Item(f"{arrival_number:08d}", content, self.regions, self.password)


@dataclass(slots=True)
class LoadRun:
    """One load over streams of its own; for one use.

    ``tally`` is right at any time. A stream that breaks fails what was on it, is told to ``on_break`` and opened anew:
    nothing is sent twice. ``reopening``: how long, and how often.
    """

    target: LoadTarget
    order: LoadOrder
    plan: SendPlan
    tally: LoadTally
    on_break: Callable[[OcrMuxError], None] = lambda _: None
    reopening: Backoff = REOPENING
    _began_s: float = 0.0
    _streams: dict[int, LoadStream] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[int] = field(default_factory=set)
    _all_sent: bool = False

    async def run(self) -> None:
        """Returns once everything that was due is answered, or the time to drain is over.

        Raises OcrMuxError when a stream cannot be opened, at first or anew. Cancelled, it leaves the tally as it is
        then, with the measured time cut.
        """
        async with AsyncExitStack() as stack:
            channels = [await stack.enter_async_context(self.target.open_channel()) for _ in range(self.order.streams)]
            keepers = [asyncio.create_task(self._keep(number, channel)) for number, channel in enumerate(channels)]
            try:
                await self._drive(keepers)
            except BaseException:
                self.tally.cut(self._now())
                raise
            finally:
                for keeper in keepers:
                    keeper.cancel()
                await asyncio.gather(*keepers, return_exceptions=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first item could be sent; 0 before."""
        return self._now()

    @property
    def in_flight(self) -> int:
        """Items sent and not answered."""
        return self.plan.in_flight

    def opened(self, stream: int, limits: StreamLimits) -> None:
        """A stream takes items."""
        most = limits.max_items_in_flight or self.order.window
        self.plan.opened(stream, min(self.order.window, most), self._now())
        self._open.add(stream)
        self._changed.set()

    def answered(self, stream: int, item: ItemOnItsWay, at_s: float) -> None:
        """An item has its last answer."""
        self.plan.answered(stream, at_s)
        sent_s = item.sent_s if item.sent_s is not None else at_s
        self.tally.taken(item.arrival, sent_s, at_s, item.outcome)
        self._changed.set()

    async def _drive(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        sending = asyncio.create_task(self._send_all(keepers))
        try:
            await _first_failure({sending, *keepers}, until=sending)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send_all(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        while len(self._open) < self.order.streams:
            await self._change(None)
        self._began_s = asyncio.get_running_loop().time()
        ends_s = self.tally.ends_s + self.order.drain_s
        number, item = 0, self.order.item(0)  # made before it is due
        while self._now() < ends_s:
            match self.plan.next(self._now()):
                case Send(arrival, stream, late_s):
                    self.tally.sent(arrival, self._now(), late_s)
                    self._streams[stream].send(arrival, item)
                    number += 1
                    item = self.order.item(number)
                    await asyncio.sleep(0)  # answers are read meanwhile
                case WaitUntil(at_s):
                    await self._change(at_s)
                case WaitForRoom(at_s):
                    await self._change(min(ends_s, at_s) if at_s is not None else ends_s)
                case Finished():
                    break
        await self._drain(keepers, ends_s)

    async def _drain(self, keepers: Sequence[asyncio.Task[None]], ends_s: float) -> None:
        self._all_sent = True
        for stream in self._streams.values():
            stream.half_close()
        await asyncio.wait(keepers, timeout=max(0.0, ends_s - self._now()))
        now_s = self._now()
        for arrival in self.plan.overdue(now_s):
            self.tally.left_over(arrival, now_s, was_sent=False)
        for stream in self._streams.values():
            for entry in stream.on_its_way.values():
                self.tally.left_over(entry.arrival, now_s, was_sent=True)
            stream.on_its_way.clear()

    async def _keep(self, number: int, channel: grpc.aio.Channel) -> None:
        """Holds a stream open until everything is sent and answered. Raises OcrMuxError where it cannot be opened."""
        failures = 0
        while not self._all_sent:
            self._streams[number] = stream = LoadStream(
                number, RecognizeDialect(self.order.stream_config()), self, self._now
            )
            try:
                await stream.run(PreprocessServiceStub(channel).StreamRecognize(metadata=self.target.metadata))
            except OcrMuxError as error:
                failures = 1 if number in self._open else failures + 1
                self._lose(number, stream, error)
                if not self._began_s or failures > self.reopening.attempts:
                    raise
                await asyncio.sleep(self.reopening.wait_s(failures, at_least_s=error.retry_after_s))

    def _lose(self, number: int, stream: LoadStream, error: OcrMuxError) -> None:
        self.plan.lost(number)
        if self._began_s:
            self.tally.reconnects += 1
            self.on_break(error)
        self._open.discard(number)
        now_s = self._now()
        for entry in stream.on_its_way.values():
            self.tally.failed_with(entry.arrival, now_s, error.reason or error.code.name)
        stream.on_its_way.clear()

    async def _change(self, until_s: float | None) -> None:
        """Returns at the time, or when a stream was opened or an item answered."""
        self._changed.clear()
        try:
            async with asyncio.timeout(None if until_s is None else max(0.0, until_s - self._now())):
                await self._changed.wait()
        except TimeoutError:
            return

    def _now(self) -> float:
        """Seconds since the run began; 0 before."""
        return asyncio.get_running_loop().time() - self._began_s if self._began_s else 0.0


async def _first_failure(tasks: set[asyncio.Task[None]], *, until: asyncio.Task[None]) -> None:
    """Returns when ``until`` is done; raises what any of them raises before."""
    left = set(tasks)
    while not until.done():
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
