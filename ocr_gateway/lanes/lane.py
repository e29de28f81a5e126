"""One provider's calls for one feature: turns, quota, concurrency, circuit and retries, put together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from ocr_gateway.errors import (
    DeadlineUnreachable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.lanes.circuit import Circuit, CircuitPolicy, CircuitState
from ocr_gateway.lanes.closure import Closure, ErrorOf
from ocr_gateway.lanes.lane_errors import TooLate, TurnedAway, is_repeatable, rejected_error, rested_error, spent_error
from ocr_gateway.lanes.lane_times import ShortestCall, Stopwatch
from ocr_gateway.lanes.rate_limit import QuotaExhausted, RateLimit
from ocr_gateway.lanes.retry import RetryBudget, RetryPolicy
from ocr_gateway.lanes.slowdown import Slowdown
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.lanes.waiting_room import Grant, Ticket, WaitingRoom
from ocr_gateway.metrics import LaneMetrics
from ocr_gateway.model import ProviderResult, ProviderState, Quota, Trail
from rpc_runtime.expected_error import ExpectedError

_log = structlog.get_logger("ocr_gateway.lanes")
_REJECTED_REST_S = 30.0
"""A provider that rejects our credentials is tried again after so long."""
_IMPATIENT_ATTEMPTS = 3
_THROTTLES_A_FAILURE = 3
"""So many throttled attempts count as one that failed: nothing is wrong but the moment."""

_LATE_S = 0.01
"""A call that would begin so long after its permit's moment gives the permit back and waits for another one: it would
be one too many in the second that it falls into. At most ``_LATE_TURNS`` times, so that a slow process gets on too."""
_LATE_TURNS = 2

Attempt = Callable[[Callable[[], None]], Awaitable[ProviderResult]]
"""Makes one call; what it is given is to be called at the last moment before the image is sent (ProviderCall.begin)."""


_NO_GRANT = Grant(0.0, probe=False)


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """How a lane deals with failures."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    circuit: CircuitPolicy = field(default_factory=CircuitPolicy)


class Lane:
    """Calls to one provider for one feature. Made inside a running event loop's thread; used from there only.

    ``call`` waits for the item's turn and makes the call, again where that may help. Nothing is polled: a lane acts
    when an item comes, a call ends, a permit falls due or a rest is over.
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
        self._circuit = Circuit(policy.circuit, random_source)
        self._budget = RetryBudget(policy.retry, clock())
        self._slowdown = Slowdown()
        self._shortest = ShortestCall()
        self._closure = Closure()
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rate_blocked = Stopwatch()
        self._backing_off = 0
        self.in_progress = 0
        rate.on_change(self._pump)
        metrics.depth_of(lambda: self.waiting)
        metrics.in_progress_of(lambda: self.in_progress)
        metrics.circuit(CircuitState.CLOSED.value)

    @property
    def waiting(self) -> int:
        """Items that wait: for their turn, or between two attempts."""
        return len(self._room) + self._backing_off

    @property
    def state(self) -> tuple[ProviderState, str]:
        """SERVING, or why no call goes now, with words for people."""
        now = self._clock()
        closed = self._closure.error(now)
        if closed is not None:
            return self._closure.state(now), str(closed)
        if self._circuit.state(now) is not CircuitState.CLOSED:
            return ProviderState.RESTED, str(rested_error(self.provider, self._circuit.retry_in(now)))
        return ProviderState.SERVING, ""

    def _closed_for(self, turn: Turn, now: float) -> ExpectedError | None:
        """Why an item is not taken now, or None."""
        closed = self._closure.error(now)
        if closed is not None:
            return closed
        if self._circuit.opens_in(now) == 0.0 or (turn.patient and not self._circuit.patience_over(now)):
            return None
        return rested_error(self.provider, self._circuit.retry_in(now))

    def expect(self) -> None:
        """An item is on its way, with a look-up to make first: its permit may be fetched meanwhile."""
        if not len(self._room) and self.state[0] is ProviderState.SERVING:
            self._rate.expect()

    async def call(self, turn: Turn, attempt: Attempt, trail: Trail) -> ProviderResult:
        """The result of ``attempt``, made when it is the item's turn and again while that may help.

        ``trail`` gets the attempts and the times. Raises what ``attempt`` raises for good, DeadlineUnreachable before
        quota is spent on what cannot be done in time, and the provider's error when retries are used up, or when the
        provider is rested and the item has another one to go to.
        """
        failures, strikes, late_turns, had_turn = 0, 0, 0, False
        failure: ExpectedError | None = None
        try:
            while True:
                grant = _NO_GRANT
                try:
                    await self._make_ready(trail)
                    grant = await self._wait_for_turn(turn, trail, again=had_turn)
                    if not had_turn:
                        self._budget.first_attempt()
                    had_turn = True
                    return await self._attempt(attempt, trail, grant, hurry=late_turns < _LATE_TURNS)
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
                    if not grant.probe or is_repeatable(error):
                        strikes += 1 if isinstance(error, ProviderThrottled) else _THROTTLES_A_FAILURE
                    given_up = grant.probe and self._circuit.patience_over(self._clock())
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
        began = self._clock()
        if self._closure.error(began) is not None or self._circuit.state(began) is not CircuitState.CLOSED:
            return
        try:
            await self._until_ready()
        except ProviderNotConfigured as error:
            self._close(_REJECTED_REST_S, ProviderState.NOT_CONFIGURED, rejected_error(self.provider, error.detail))
            raise
        except ProviderUnavailable:
            now = self._clock()
            if self._circuit.failed(now, probe=False):
                self._rested(now)
            raise
        finally:
            trail.queue_ms += (self._clock() - began) * 1000

    async def _wait_for_turn(self, turn: Turn, trail: Trail, *, again: bool) -> Grant:
        """Returns when a call may be made, with a place and a permit taken."""
        now = self._clock()
        refusal = self._closed_for(turn, now) or self._hopeless(turn, now, again=again)
        if refusal is not None:
            self._metrics.refused(type(refusal).__name__)
            raise TurnedAway(refusal)
        granted: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        ticket = Ticket(turn, granted, now, self._rate_blocked.total_s(now), again)
        self._room.enter(ticket)
        self._pump()
        try:
            grant = granted.result() if granted.done() else await granted
        except asyncio.CancelledError:
            self._give_up(ticket)
            raise
        finally:
            self._note_wait(ticket, trail)
        return grant

    def _hopeless(self, turn: Turn, now: float, *, again: bool) -> DeadlineUnreachable | None:
        """Whether the deadline passes before the item's turn, at the best, or before the fastest call could end."""
        calls = self._room.ahead_of(turn, again=again) + 1
        soonest = max(self._circuit.opens_in(now) or 0.0, self._paused_until - now, self._rate.wait_of(now, calls))
        if now + soonest + self._shortest.least_s <= turn.deadline:
            return None
        return DeadlineUnreachable(turn.timeout_s, f"would end before its turn, in {soonest:.1f} s at the earliest")

    def _give_up(self, ticket: Ticket) -> None:
        granted = ticket.granted
        if self._room.leave(ticket) or not granted.done() or granted.cancelled() or granted.exception() is not None:
            return
        # It was granted in the same instant.
        self._hand_back(granted.result())

    def _hand_back(self, grant: Grant) -> None:
        """The turn was not used: place and permit are for others."""
        self.in_progress -= 1
        self._rate.give_back(grant.permit_at)
        self._circuit.abandoned(probe=grant.probe)
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
        wait_s = self._circuit.opens_in(now)
        if wait_s == 0.0:
            wait_s = max(0.0, self._paused_until - now)
        if wait_s != 0.0:
            self._rate_blocked.stop(now)
        return wait_s

    def _take_permit(self, now: float) -> float | None:
        self._rate.slow_to(self._slowdown.factor(now))
        try:
            wait_s = self._rate.take(now, len(self._room))
        except QuotaExhausted as error:
            self._close(error.opens_in_s, ProviderState.QUOTA_SPENT, spent_error(self.provider, str(error)))
            return None
        if wait_s == 0.0:
            self._metrics.permit(self._rate.source)
            self._rate_blocked.stop(now)
        else:
            self._rate_blocked.start(now)
        return wait_s

    def _grant_next(self, now: float) -> None:
        """Gives the permit to the item whose turn it is and that can still be in time."""
        while len(self._room):
            ticket = self._room.next()
            if ticket.granted.done():
                continue
            if now + self._shortest.least_s > ticket.turn.deadline:
                self._metrics.refused("DeadlineUnreachable")
                ticket.granted.set_exception(TurnedAway(DeadlineUnreachable(ticket.turn.timeout_s)))
                continue
            self.in_progress += 1
            ticket.granted.set_result(Grant(self._rate.taken_at, self._circuit.begin()))
            return
        self._rate.give_back(self._rate.taken_at)

    def _turn_away(self, refusal_of: Callable[[Ticket], ExpectedError | None]) -> None:
        for ticket in self._room.tickets:
            if ticket.granted.done() or (refusal := refusal_of(ticket)) is None:
                continue
            self._room.leave(ticket)
            self._metrics.refused(type(refusal).__name__)
            ticket.granted.set_exception(TurnedAway(refusal))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Calling

    async def _attempt(self, attempt: Attempt, trail: Trail, grant: Grant, *, hurry: bool) -> ProviderResult:
        def begin() -> None:
            if hurry and self.quota.requests_per_second and self._clock() > grant.permit_at + _LATE_S:
                raise TooLate

        began = self._clock()
        trail.attempts += 1
        outcome = "abandoned"
        try:
            result = await attempt(begin)
            outcome = "ok"
            trail.billed_units += result.billed_units
            self._metrics.billed(result.billed_units)
            return result
        except TooLate:
            outcome = "late"
            trail.attempts -= 1
            raise
        except ProviderThrottled as error:
            outcome = "throttled"
            self._throttled(error)
            raise
        except ProviderUnavailable as error:
            outcome = "repeatable" if is_repeatable(error) else "failed"
            raise
        except ProviderNotConfigured as error:
            outcome = "rejected"
            if error.for_all:
                self._close(_REJECTED_REST_S, ProviderState.NOT_CONFIGURED, rejected_error(self.provider, error.detail))
            raise
        except ProviderQuotaSpent as error:
            outcome = "quota_spent"
            if error.for_all:
                self._close(
                    error.opens_in_s, ProviderState.QUOTA_SPENT, spent_error(self.provider, "the provider says so")
                )
            raise
        except ExpectedError:
            outcome = "refused"
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            seconds = self._clock() - began
            trail.provider_ms += seconds * 1000
            if outcome == "late":
                self._hand_back(grant)
            else:
                self._ended(outcome, seconds, probe=grant.probe)

    def _ended(self, outcome: str, seconds: float, *, probe: bool) -> None:
        self.in_progress -= 1
        self._metrics.attempt(outcome, seconds)
        now = self._clock()
        if outcome == "failed":
            if self._circuit.failed(now, probe=probe):
                self._rested(now)
        elif outcome in ("ok", "refused", "throttled"):
            self._circuit.succeeded(probe=probe)
            if outcome == "ok":
                self._shortest.note(seconds)
            if probe:
                _log.info("provider.back", provider=self.provider)
                self._metrics.circuit(CircuitState.CLOSED.value)
        else:
            self._circuit.abandoned(probe=probe)
        self._pump()

    def _rested(self, now: float) -> None:
        """The circuit has just opened: who can go elsewhere goes, and all when it has been so for too long."""
        _log.warning("provider.rested", provider=self.provider, rest_s=round(self._circuit.retry_in(now), 3))
        self._metrics.circuit(CircuitState.OPEN.value)
        nobody_waits = self._circuit.patience_over(now)
        self._turn_away(
            lambda t: (
                None
                if t.turn.patient and not nobody_waits
                else rested_error(self.provider, self._circuit.retry_in(now))
            )
        )

    def _close(self, rest_s: float, state: ProviderState, error_of: ErrorOf) -> None:
        """Closes the lane for everybody: no other item would fare better."""
        self._closure.close(self._clock() + rest_s, state, error_of)
        _log.warning("provider.closed", provider=self.provider, state=state.value, rest_s=round(rest_s, 1))
        self._turn_away(lambda _: error_of(rest_s))

    def _throttled(self, error: ProviderThrottled) -> None:
        now = self._clock()
        self._slowdown.throttled(now)
        if error.said_s:
            self._paused_until = max(self._paused_until, now + min(error.said_s, self._policy.retry.max_backoff_s))

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
