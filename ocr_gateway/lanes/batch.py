"""One call for the images of several items, each of which goes its own way before and after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from ocr_gateway.lanes.lane_errors import copy_of
from ocr_gateway.model import ProviderCall, ProviderResult

Answer = ProviderResult | BaseException
Together = Callable[[Sequence[ProviderCall]], Awaitable[Sequence[ProviderResult | Exception]]]
"""BatchProvider.recognize_together."""
Ended = Callable[[Sequence[Answer], float], None]
"""Told once of each batch, before its items are: an answer for each image that was in the call, none when there was no
call; and the seconds that it took."""


class Batch:
    """The call is made once each of the items that have a seat has joined or left, for those that have joined.

    An item that leaves does not end the call for the others; when all have left, the call is cancelled. What the
    provider raises for all of them each gets as an exception of its own.
    """

    def __init__(self, seats: int, *, clock: Callable[[], float], ended: Ended) -> None:
        self.seats = tuple(Seat(self) for _ in range(seats))
        self._awaited = set(self.seats)
        self._aboard: list[Seat] = []
        self._clock = clock
        self._ended = ended
        self._together: Together | None = None
        self._call: asyncio.Task[None] | None = None
        self._in_flight = False
        self._landings: list[Callable[[], None]] = []

    async def join(self, seat: Seat, call: ProviderCall, together: Together) -> ProviderResult:
        """For the seat; see there."""
        seat.call, seat.answer = call, asyncio.get_running_loop().create_future()
        self._together = together
        self._aboard.append(seat)
        self._settle(seat)
        try:
            return await seat.answer
        except asyncio.CancelledError:
            await self._disembark(seat)
            raise

    def leave(self, seat: Seat) -> None:
        """For the seat; see there."""
        if seat in self._awaited:
            self._settle(seat)

    def when_over(self, tell: Callable[[], None]) -> None:
        """For a seat; see there."""
        if self._in_flight:
            self._landings.append(tell)
        else:
            tell()

    def _settle(self, seat: Seat) -> None:
        """The seat's item has made up its mind; the last one's has the call made."""
        self._awaited.discard(seat)
        if self._awaited:
            return
        if self._aboard:
            self._call = asyncio.get_running_loop().create_task(self._make_call(), name="batch")
        else:
            self._ended((), 0.0)

    async def _disembark(self, seat: Seat) -> None:
        """An item that had joined leaves. The last one waits until the call has been given up."""
        seat.call = None
        if seat in self._aboard:
            self._aboard.remove(seat)
        if self._call is not None and self._in_flight and not self._aboard:
            self._call.cancel()
            await asyncio.wait([self._call])

    async def _make_call(self) -> None:
        structlog.contextvars.unbind_contextvars("call_id")  # it is not for the last one's alone
        aboard = tuple(seat for seat in self.seats if seat.is_awaited)  # in the order of their turns
        if not aboard or self._together is None:  # they left before it began
            self._ended((), 0.0)
            return
        self._in_flight = True
        began = self._clock()
        answers: Sequence[Answer] = ()
        try:
            answers = await self._answers(aboard, self._together)
        except BaseException as error:  # a cancel, as a rule
            answers = [error] * len(aboard)
            raise
        finally:
            self._in_flight = False
            self._ended(answers, self._clock() - began)
            for seat, answer in zip(aboard, answers, strict=True):
                seat.take(answer)
            for tell in self._landings:
                tell()

    async def _answers(self, aboard: Sequence[Seat], together: Together) -> Sequence[Answer]:
        calls = [seat.call for seat in aboard if seat.call is not None]
        try:
            answers = await together(calls)
            if len(answers) != len(calls):
                raise RuntimeError(f"a provider gave {len(answers)} answers for {len(calls)} images")
            if strange := [answer for answer in answers if not isinstance(answer, ProviderResult | Exception)]:
                raise RuntimeError(f"a provider gave {type(strange[0]).__name__} for an image")
        except Exception as error:
            return [copy_of(error) for _ in calls]
        return answers


class Seat:
    """One item's place in a batch."""

    __slots__ = ("_batch", "answer", "call")

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.call: ProviderCall | None = None
        self.answer: asyncio.Future[ProviderResult] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether its item has joined and waits for an answer."""
        return self.answer is not None and not self.answer.done()

    async def join(self, call: ProviderCall, together: Together) -> ProviderResult:
        """The result for the image, which goes with those of the other seats. To be awaited once at the most.

        Raises what is wrong with this image, or with the whole call.
        """
        return await self._batch.join(self, call, together)

    def leave(self) -> None:
        """The item does not join, and nobody waits for it any more; nothing where it has joined or left before."""
        self._batch.leave(self)

    def when_over(self, tell: Callable[[], None]) -> None:
        """Tells when the call has ended in which the image of an item that has left may still be sent; at once where
        there is none in flight."""
        self._batch.when_over(tell)

    def take(self, answer: Answer) -> None:
        """Its answer, where the item is still there to have it."""
        self.call = None
        if self.answer is None or self.answer.done():
            return
        if isinstance(answer, ProviderResult):
            self.answer.set_result(answer)
        elif isinstance(answer, asyncio.CancelledError):
            self.answer.cancel()
        else:
            self.answer.set_exception(answer)
