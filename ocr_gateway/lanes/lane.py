"""One provider's calls for one feature: turns, quota, concurrency, circuit and retries, put together."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from ocr_gateway.errors import (
    DeadlineUnreachable,
    ProviderNotConfigured,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.lanes.batch import Answer, Batch
from ocr_gateway.lanes.circuit import CircuitPolicy
from ocr_gateway.lanes.gathering import Gathering
from ocr_gateway.lanes.lane_errors import LATE, TooLate, TurnedAway, is_repeatable, outcome_of, soundest
from ocr_gateway.lanes.lane_times import ShortestCall, Stopwatch
from ocr_gateway.lanes.permit import Permit
from ocr_gateway.lanes.provider_health import ProviderHealth, RefusalOf
from ocr_gateway.lanes.rate_limit import QuotaExhausted, RateLimit
from ocr_gateway.lanes.retry import RetryBudget, RetryPolicy
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.lanes.waiting_room import Ticket, WaitingRoom
from ocr_gateway.metrics import LaneMetrics
from ocr_gateway.model import BatchLimits, ProviderResult, ProviderState, Quota, Trail
from rpc_runtime.expected_error import ExpectedError

_log = structlog.get_logger("ocr_gateway.lanes")
_IMPATIENT_ATTEMPTS = 3
_THROTTLES_A_FAILURE = 3
"""So many throttled attempts count as one that failed: nothing is wrong but the moment."""

_LATE_S = 0.01
"""A call that would begin so long after its permit's moment gives the permit back and waits for another one: it would
be one too many in the second that it falls into. At most ``_LATE_TURNS`` times, so that a slow process gets on too."""
_LATE_TURNS = 2

Attempt = Callable[[Permit], Awaitable[ProviderResult]]
"""Makes one call: calls the permit at the last moment before the image is sent, or joins its batch where it has one."""

_NO_PERMIT = Permit()
_ONE_BY_ONE = BatchLimits()


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """How a lane deals with failures; and for how many seconds an item waits for others that can go with it."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    circuit: CircuitPolicy = field(default_factory=CircuitPolicy)
    gather_s: float = 0.004


class Lane:
    """Calls to one provider for one feature. Made inside a running event loop's thread; used from there only.

    ``call`` waits for the item's turn and makes the call, again where that may help. Nothing is polled: a lane acts
    when an item comes, a call ends, a permit falls due or a rest is over. ``batch``: images that go in one call.
    """

    def __init__(
        self,
        provider: str,
        quota: Quota,
        rate: RateLimit,
        *,
        policy: LanePolicy,
        weight_of: Callable[[str], float],
        until_ready: Callable[[], Awaitable[None]],
        metrics: LaneMetrics,
        clock: Callable[[], float],
        random_source: random.Random,
        batch: BatchLimits = _ONE_BY_ONE,
    ) -> None:
        self.provider = provider
        self.quota = quota
        self._rate = rate
        self._policy = policy
        self._until_ready = until_ready
        self._metrics = metrics
        self._clock = clock
        self._random = random_source
        self._room = WaitingRoom(weight_of)
        self._gathering = Gathering(batch, policy.gather_s)
        self._health = ProviderHealth(
            provider,
            policy.circuit,
            max_pause_s=policy.retry.max_backoff_s,
            metrics=metrics,
            clock=clock,
            random_source=random_source,
            turn_away=self._turn_away,
        )
        self._budget = RetryBudget(policy.retry, clock())
        self._shortest = ShortestCall()
        self._timer: asyncio.TimerHandle | None = None
        self._rate_blocked = Stopwatch()
        self._backing_off = 0
        self.in_progress = 0
        rate.on_change(self._pump)
        metrics.depth_of(lambda: self.waiting)
        metrics.in_progress_of(lambda: self.in_progress)

    @property
    def waiting(self) -> int:
        """Items that wait: for their turn, or between two attempts."""
        return len(self._room) + self._backing_off

    @property
    def state(self) -> tuple[ProviderState, str]:
        """SERVING, or why no call goes now, with words for people."""
        return self._health.state

    def expect(self) -> None:
        """An item is on its way, with a look-up to make first: its permit may be fetched meanwhile."""
        if not len(self._room) and self._health.in_service:
            self._rate.expect()

    async def call(self, turn: Turn, attempt: Attempt, trail: Trail, *, size: int = 0) -> ProviderResult:
        """The result of ``attempt``, made when it is the item's turn and again while that may help.

        ``size`` is the image's, in bytes, which together bound a call for several. ``trail`` gets the attempts and the
        times. Raises what ``attempt`` raises for good, DeadlineUnreachable before quota is spent on what cannot be done
        in time, and the provider's error when retries are used up, or when the provider is rested and the item has
        another one to go to.
        """
        failures, strikes, late_turns, had_turn = 0, 0, 0, False
        failure: ExpectedError | None = None
        try:
            while True:
                permit = _NO_PERMIT
                try:
                    await self._make_ready(trail)
                    hurry = late_turns < _LATE_TURNS
                    permit = await self._wait_for_turn(turn, trail, size, again=had_turn, hurry=hurry)
                    if not had_turn:
                        self._budget.first_attempt()
                    had_turn = True
                    return await self._attempt(attempt, trail, permit)
                except TooLate:
                    late_turns += 1
                except TurnedAway as refusal:
                    if failure is not None and isinstance(refusal.error, DeadlineUnreachable):
                        raise failure from None  # a deadline is unreachable before anything was spent, not after
                    raise refusal.error from None
                except (ProviderThrottled, ProviderUnavailable) as error:
                    failure = error if had_turn else None
                    # Who tries a rested provider for all the others does not lose by it.
                    failures += 1
                    if not permit.probe or is_repeatable(error):
                        strikes += 1 if isinstance(error, ProviderThrottled) else _THROTTLES_A_FAILURE
                    given_up = permit.probe and self._health.patience_over
                    if given_up or strikes >= _THROTTLES_A_FAILURE * self._attempts_for(turn):
                        raise
                    await self._back_off(error, failures, turn)
        finally:
            del failure  # it refers to this frame, and the frame to the image

    def _attempts_for(self, turn: Turn) -> int:
        """Who has another provider to go to does not insist on this one."""
        most = self._policy.retry.max_attempts
        return most if turn.patient else min(most, _IMPATIENT_ATTEMPTS)

    async def open(self) -> None:
        """Begins to ask for permits where they are shared."""
        await self._rate.open()

    async def close(self) -> None:
        """Stops its timer and gives the rate limit's permits back."""
        self._cancel_timer()
        await self._rate.close()

    # Waiting

    async def _make_ready(self, trail: Trail) -> None:
        """Has the provider fetch what a call needs, before a permit is taken; a rested one does so when it is tried."""
        if not self._health.in_service:
            return
        began = self._clock()
        try:
            await self._until_ready()
        except (ProviderNotConfigured, ProviderUnavailable) as error:
            self._health.not_ready(error)
            raise
        finally:
            trail.queue_ms += (self._clock() - began) * 1000

    async def _wait_for_turn(self, turn: Turn, trail: Trail, size: int, *, again: bool, hurry: bool) -> Permit:
        """Returns when a call may be made, with a place and a permit taken."""
        now = self._clock()
        refusal = self._health.refusal(turn, now) or self._hopeless(turn, now, again=again)
        if refusal is not None:
            self._metrics.refused(type(refusal).__name__)
            raise TurnedAway(refusal)
        granted: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        ticket = Ticket(turn, granted, now, self._rate_blocked.total_s(now), size, again, hurry)
        self._room.enter(ticket)
        self._pump()
        try:
            return granted.result() if granted.done() else await granted
        except asyncio.CancelledError:
            self._give_up(ticket)
            raise
        finally:
            self._note_wait(ticket, trail)

    def _hopeless(self, turn: Turn, now: float, *, again: bool) -> DeadlineUnreachable | None:
        """Whether the deadline passes before the item's turn, at the best, or before the fastest call could end."""
        calls = self._gathering.calls(self._room.ahead_of(turn, again=again) + 1)
        soonest = max(self._health.least_wait_s(now), self._rate.wait_of(now, calls))
        if now + soonest + self._shortest.least_s <= turn.deadline:
            return None
        return DeadlineUnreachable(turn.timeout_s, f"would end before its turn, in {soonest:.1f} s at the earliest")

    def _give_up(self, ticket: Ticket) -> None:
        granted = ticket.granted
        if self._room.leave(ticket) or not granted.done() or granted.cancelled() or granted.exception() is not None:
            return
        # It was granted in the same instant.
        permit = granted.result()
        if permit.batch is None:
            self._hand_back(permit)
        else:
            permit.batch.leave()

    def _hand_back(self, permit: Permit) -> None:
        """The turn was not used: place and permit are for others."""
        self.in_progress -= 1
        self._rate.give_back(permit.at)
        self._health.abandoned(probe=permit.probe)
        self._pump()

    def _note_wait(self, ticket: Ticket, trail: Trail) -> None:
        now = self._clock()
        waited_s = max(0.0, now - ticket.began)
        rate_s = min(waited_s, max(0.0, self._rate_blocked.total_s(now) - ticket.rate_blocked_s))
        trail.rate_limit_ms += rate_s * 1000
        trail.queue_ms += (waited_s - rate_s) * 1000
        self._metrics.waited(waited_s - rate_s, rate_s)

    # Deciding

    def _pump(self) -> None:
        """Grants turns for as long as calls may go; else sets the timer for when the next one may."""
        self._cancel_timer()
        while len(self._room) and not (self._max_concurrency and self.in_progress >= self._max_concurrency):
            now = self._clock()
            wait_s = self._wait_before_permit(now)
            if wait_s == 0.0:
                wait_s = self._take_permit(now)
            if wait_s is None:
                return  # somebody pumps when it is known
            if wait_s > 0.0:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._pump)
                return
            self._grant_next(now)
        self._rate_blocked.stop(self._clock())

    @property
    def _max_concurrency(self) -> int:
        """Calls at one time of this replica: its share, where replicas share the quota."""
        most = self.quota.max_concurrency
        return max(1, most // self._rate.replicas) if most else 0

    def _wait_before_permit(self, now: float) -> float | None:
        wait_s = self._health.wait_s(now)
        if wait_s == 0.0 and (wait_s := self._gathering.wait_s(self._room, now)) > 0.0:
            self._rate.expect()
        if wait_s != 0.0:
            self._rate_blocked.stop(now)
        return wait_s

    def _take_permit(self, now: float) -> float | None:
        self._rate.slow_to(self._health.pace(now))
        try:
            wait_s = self._rate.take(now, self._gathering.calls(len(self._room)))
        except QuotaExhausted as error:
            self._health.spent(error)
            return None
        if wait_s == 0.0:
            self._metrics.permit(self._rate.source)
            self._rate_blocked.stop(now)
        else:
            self._rate_blocked.start(now)
        return wait_s

    def _grant_next(self, now: float) -> None:
        """Gives the permit to the item whose turn it is and that can still be in time, and to those that go with it."""
        tickets = self._gathering.take(self._room, lambda ticket: self._is_in_time(ticket, now))
        at = self._rate.taken_at
        if not tickets:
            self._rate.give_back(at)
            return
        self.in_progress += 1
        hurry = self.quota.requests_per_second and all(ticket.hurry for ticket in tickets)
        permit = Permit(at, at + _LATE_S if hurry else math.inf, self._health.begin(), self._clock)
        if len(tickets) == 1:
            tickets[0].granted.set_result(permit)
            return
        batch = Batch(len(tickets), clock=self._clock, ended=partial(self._batch_ended, permit))
        for ticket, seat in zip(tickets, batch.seats, strict=True):
            ticket.granted.set_result(replace(permit, batch=seat))

    def _is_in_time(self, ticket: Ticket, now: float) -> bool:
        """Whether it still waits; it is turned away where its deadline comes too soon."""
        if ticket.granted.done():
            return False
        if now + self._shortest.least_s <= ticket.turn.deadline:
            return True
        self._metrics.refused("DeadlineUnreachable")
        ticket.granted.set_exception(TurnedAway(DeadlineUnreachable(ticket.turn.timeout_s)))
        return False

    def _turn_away(self, refusal_of: RefusalOf) -> None:
        for ticket in self._room.tickets:
            if ticket.granted.done() or (refusal := refusal_of(ticket.turn)) is None:
                continue
            self._room.leave(ticket)
            self._metrics.refused(type(refusal).__name__)
            ticket.granted.set_exception(TurnedAway(refusal))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Calling

    async def _attempt(self, attempt: Attempt, trail: Trail, permit: Permit) -> ProviderResult:
        began = self._clock()
        trail.attempts += 1
        outcome = outcome_of(None)
        try:
            result = await attempt(permit)
            trail.billed_units += result.billed_units
            if permit.batch is None:
                self._metrics.billed(result.billed_units)
            return result
        except BaseException as error:
            outcome = outcome_of(error)
            if permit.batch is None:
                self._health.heed(error)
            raise
        finally:
            seconds = self._clock() - began
            trail.provider_ms += seconds * 1000
            if outcome == LATE:
                trail.attempts -= 1
            if permit.batch is None:
                self._ended(outcome, seconds, permit)
            else:
                permit.batch.leave()

    def _batch_ended(self, permit: Permit, answers: Sequence[Answer], seconds: float) -> None:
        """A call for several images is one call to the provider, whatever became of each of them."""
        if not answers:
            self._hand_back(permit)
            return
        errors = [answer for answer in answers if not isinstance(answer, ProviderResult)]
        for error in {type(error): error for error in errors}.values():
            self._health.heed(error)
        self._metrics.billed(sum(answer.billed_units for answer in answers if isinstance(answer, ProviderResult)))
        outcomes = [outcome_of(None)] if len(errors) < len(answers) else map(outcome_of, errors)
        self._ended(soundest(outcomes), seconds, permit, images=len(answers))

    def _ended(self, outcome: str, seconds: float, permit: Permit, *, images: int = 1) -> None:
        """A call has ended; one that was too late to be made, for others to make."""
        if outcome == LATE:
            self._hand_back(permit)
            return
        self.in_progress -= 1
        self._metrics.attempt(outcome, seconds)
        if self._gathering.several:
            self._metrics.images(images)
        self._health.ended(outcome, probe=permit.probe)
        if outcome == outcome_of(None):
            self._shortest.note(seconds)
        self._pump()

    async def _back_off(self, error: ProviderThrottled | ProviderUnavailable, failures: int, turn: Turn) -> None:
        """Waits before the next attempt. Raises ``error`` when the deadline does not allow another one."""
        now, retry = self._clock(), self._policy.retry
        wait_s, cost = 0.0, 0.0 if is_repeatable(error) else 1.0
        if cost:
            wait_s = max(retry.backoff_s(failures, self._random), self._budget.wait_s(now))
            wait_s = max(wait_s, min(error.said_s or 0.0, retry.max_backoff_s))
        if now + wait_s + self._shortest.least_s > turn.deadline:
            raise error
        self._budget.spend(cost)
        self._metrics.retry()
        _log.info("provider.retry_scheduled", provider=self.provider, wait_s=round(wait_s, 3), detail=str(error))
        self._backing_off += 1
        try:
            await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            self._budget.spend(-cost)
            raise
        finally:
            self._backing_off -= 1
