"""Answers that a session has at hand: without a task, and with every promise of the stream kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

import pytest

from rpc_runtime.capacity import Capacity
from rpc_runtime.drain import DrainSignal
from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.item_stream import ItemStream, StreamHost
from rpc_runtime.protocol_errors import Draining
from rpc_runtime.stream_messages import Announcement, Answer, Batch, Chunk, Item, Opening, StreamLimits

MAX_ITEMS = 4
Message = Opening[None] | Announcement[str] | Batch[str] | Chunk


class TooLarge(ExpectedError):
    """Over a limit."""


class Dialect:
    """Requests are what they mean, answers are texts."""

    def read(self, request: Message) -> Message:
        return request

    def limits(self, limits: StreamLimits) -> str:
        return f"limits {limits.max_items}"

    def failure(self, request_id: str, error: BaseException) -> str:
        if str(error) == "unspeakable":
            raise ValueError("no words for it")
        return f"{request_id} failed: {error}"

    def too_large(self, *, value: int, limit: int) -> ExpectedError:
        return TooLarge(f"{value} over {limit}")


class Memory:
    """A session that knows items of the spec "known", works on the others until told to end, and refuses "broken" and
    others of bad specs.
    """

    def __init__(self, *, ordered: bool = False) -> None:
        self.ordered = ordered
        self.together: Callable[[Sequence[str]], str] | None = None
        self.item_timeout_s = 5.0
        self.worked: list[Item[str]] = []
        self.may_end = asyncio.Event()

    def answer_now(self, item: Item[str]) -> Answer[str] | Item[str]:
        if item.spec in ("broken", "unspeakable"):
            raise TooLarge(item.spec)
        if item.spec == "known":
            return Answer((f"{item.request_id} at once",))
        return Item(item.request_id, item.spec, item.content, b"found on the way")

    async def handle(self, item: Item[str]) -> AsyncGenerator[Answer[str], None]:
        self.worked.append(item)
        await self.may_end.wait()
        yield Answer((f"{item.request_id} worked",))

    async def aclose(self) -> None:
        """Nothing is held."""


class Caller:
    """Sends requests, and takes answers as long as it is reading."""

    def __init__(self, session: Memory) -> None:
        self.session = session
        self.requests: asyncio.Queue[Message | None] = asyncio.Queue()
        self.answers: list[str] = []
        self.news = asyncio.Condition()
        self.reads = asyncio.Event()
        self.reads.set()
        self.requests_taken = 0
        self.drain = DrainSignal()
        self.capacity = Capacity(max_items=100, max_bytes=1000)
        limits = StreamLimits(MAX_ITEMS, max_bytes=100, max_item_bytes=50, max_message_bytes=1000)
        host = StreamHost(limits, self.capacity, self.capacity, self.drain, drain_linger_s=0.01)
        self.send(Opening(None))
        stream: ItemStream[Message, str, None, str] = ItemStream(host, Dialect(), self._open)
        self.ended = asyncio.create_task(stream.run(self._requests(), self._write))

    def send(self, *requests: Message | None) -> None:
        """None is the half-close."""
        for request in requests:
            self.requests.put_nowait(request)

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(5), self.news:
            await self.news.wait_for(reached)

    async def end(self) -> list[str]:
        """Half-closes and gives all answers but the limits."""
        self.send(None)
        async with asyncio.timeout(5):
            await self.ended
        return self.answers[1:]

    async def _open(self, _config: None) -> Memory:
        return self.session

    async def _requests(self) -> AsyncIterator[Message]:
        while (request := await self.requests.get()) is not None:
            self.requests_taken += 1
            yield request
            await self._tell()

    async def _write(self, answer: str) -> None:
        await self.reads.wait()
        self.answers.append(answer)
        await self._tell()

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()


def item(request_id: str, spec: str = "known", content: bytes = b"x") -> Announcement[str]:
    return Announcement(request_id, spec, content=content)


async def test_an_answer_at_hand_overtakes_the_work_on_others() -> None:
    """What memory has is answered while earlier items are still being worked on, each exactly once."""
    caller = Caller(Memory())
    caller.send(item("1", "new"), item("2"), item("3"))
    await caller.until(lambda: len(caller.answers) == 3)
    assert caller.answers[1:] == ["2 at once", "3 at once"]
    caller.session.may_end.set()
    assert await caller.end() == ["2 at once", "3 at once", "1 worked"]


async def test_an_ordered_stream_keeps_its_order() -> None:
    """An answer at hand waits for those before it, worked on or at hand."""
    caller = Caller(Memory(ordered=True))
    caller.send(item("1"), item("2", "new"), item("3"), item("4"))
    await caller.until(lambda: caller.requests_taken == 5 and len(caller.answers) == 2)
    assert caller.answers[1:] == ["1 at once"]
    caller.session.may_end.set()
    assert await caller.end() == ["1 at once", "2 worked", "3 at once", "4 at once"]
    assert caller.capacity.items == 0


async def test_what_was_found_out_goes_along_to_the_work() -> None:
    """The item that ``answer_now`` gives back is the one that is worked on."""
    caller = Caller(Memory())
    caller.session.may_end.set()
    caller.send(item("1", "new"))
    assert await caller.end() == ["1 worked"]
    assert caller.session.worked == [Item("1", "new", b"x", b"found on the way")]


async def test_what_the_look_raises_is_the_items_answer() -> None:
    """An error of the look at hand concerns its item alone."""
    caller = Caller(Memory())
    caller.send(item("1", "broken"), item("2"))
    assert sorted(await caller.end()) == ["1 failed: broken", "2 at once"]


async def test_an_error_of_which_no_answer_can_be_made_is_its_items_alone() -> None:
    """Its item fails with what was raised over the answer, and the stream goes on."""
    caller = Caller(Memory())
    caller.send(item("1", "unspeakable"), item("2"))
    assert sorted(await caller.end()) == ["1 failed: no words for it", "2 at once"]


async def test_a_caller_that_does_not_read_fills_its_window_and_no_more() -> None:
    """Answers at hand take room like others: beyond the window no request is taken."""
    caller = Caller(Memory())
    await caller.until(lambda: len(caller.answers) == 1)
    caller.reads.clear()
    caller.send(*(item(str(number)) for number in range(20)))
    await caller.until(lambda: caller.requests_taken == 1 + MAX_ITEMS + 1)  # the last one waits for room
    for _ in range(20):
        await asyncio.sleep(0)
    assert caller.requests_taken == 1 + MAX_ITEMS + 1
    assert caller.capacity.items == MAX_ITEMS
    caller.reads.set()
    assert await caller.end() == [f"{number} at once" for number in range(20)]
    assert caller.capacity.items == 0


async def test_an_id_that_is_in_use_is_refused() -> None:
    """A second item under the id of one that was answered at once gets a refusal, and the first keeps its answer."""
    caller = Caller(Memory())
    caller.send(item("1"), item("1"))
    first, second = await caller.end()
    assert first == "1 at once"
    assert second.startswith("1 failed:")


async def test_batches_and_chunks_are_looked_at_too() -> None:
    """Items of a batch, and one that came in chunks, are answered at once like any other."""
    caller = Caller(Memory())
    caller.send(Batch((item("1"), item("2"))), Announcement("3", "known", chunked_bytes=2), Chunk("3", b"ab"))
    assert sorted(await caller.end()) == ["1 at once", "2 at once", "3 at once"]


async def test_answers_of_a_batch_go_together() -> None:
    """Where the caller takes several answers in one message, those of one request come in one."""
    session = Memory()
    session.together = " + ".join
    caller = Caller(session)
    caller.send(Batch((item("1"), item("2"), item("3"))))
    answers = await caller.end()
    assert " + ".join(answers) == "1 at once + 2 at once + 3 at once"
    assert len(answers) < 3


async def test_a_drained_stream_has_its_answers_first() -> None:
    """What was accepted before the drain is answered, and then the stream ends with Draining."""
    caller = Caller(Memory())
    caller.send(item("1"), item("2", "new"))
    await caller.until(lambda: len(caller.answers) == 2)
    caller.drain.begin()
    caller.session.may_end.set()
    with pytest.raises(Draining):
        async with asyncio.timeout(5):
            await caller.ended
    assert caller.answers[1:] == ["1 at once", "2 worked"]


async def test_a_cancelled_stream_gives_its_room_back() -> None:
    """After a cancel in the middle of a write nothing is held."""
    caller = Caller(Memory())
    await caller.until(lambda: len(caller.answers) == 1)
    caller.reads.clear()
    caller.send(*(item(str(number)) for number in range(3)))
    await caller.until(lambda: caller.requests_taken == 4)
    assert caller.capacity.items
    caller.ended.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.ended
    assert (caller.capacity.items, caller.capacity.bytes) == (0, 0)
