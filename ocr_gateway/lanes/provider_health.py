"""What a lane knows of its provider: whether calls may go to it now, and what their ends say of that."""

from __future__ import annotations

import random
from collections.abc import Callable

import structlog

from ocr_gateway.errors import ProviderNotConfigured, ProviderQuotaSpent, ProviderThrottled, ProviderUnavailable
from ocr_gateway.lanes.circuit import Circuit, CircuitPolicy, CircuitState
from ocr_gateway.lanes.closure import Closure, ErrorOf
from ocr_gateway.lanes.lane_errors import rejected_error, rested_error, spent_error
from ocr_gateway.lanes.rate_limit import QuotaExhausted
from ocr_gateway.lanes.slowdown import Slowdown
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.metrics import LaneMetrics
from ocr_gateway.model import ProviderState
from rpc_runtime.expected_error import ExpectedError

_log = structlog.get_logger("ocr_gateway.lanes")
_REJECTED_REST_S = 30.0
"""A provider that rejects our credentials is tried again after so long."""

RefusalOf = Callable[[Turn], ExpectedError | None]


class ProviderHealth:
    """Circuit, closure, pause and slowdown of one lane, in seconds of its clock.

    ``turn_away`` is told when some of those that wait are not to wait any more: for each the error, or None. A pause
    that the provider asks for is at most ``max_pause_s`` long.
    """

    def __init__(
        self,
        provider: str,
        policy: CircuitPolicy,
        *,
        max_pause_s: float,
        metrics: LaneMetrics,
        clock: Callable[[], float],
        random_source: random.Random,
        turn_away: Callable[[RefusalOf], None],
    ) -> None:
        self._provider = provider
        self._max_pause_s = max_pause_s
        self._metrics = metrics
        self._clock = clock
        self._turn_away = turn_away
        self._circuit = Circuit(policy, random_source)
        self._slowdown = Slowdown()
        self._closure = Closure()
        self._paused_until = 0.0
        metrics.circuit(CircuitState.CLOSED.value)

    @property
    def state(self) -> tuple[ProviderState, str]:
        """SERVING, or why no call goes now, with words for people."""
        now = self._clock()
        closed = self._closure.error(now)
        if closed is not None:
            return self._closure.state(now), str(closed)
        if self._circuit.state(now) is not CircuitState.CLOSED:
            return ProviderState.RESTED, str(rested_error(self._provider, self._circuit.retry_in(now)))
        return ProviderState.SERVING, ""

    @property
    def in_service(self) -> bool:
        """Whether it is neither closed nor rested nor being tried."""
        now = self._clock()
        return self._closure.error(now) is None and self._circuit.state(now) is CircuitState.CLOSED

    @property
    def patience_over(self) -> bool:
        """Whether it has failed for so long that nobody is kept waiting for it any more."""
        return self._circuit.patience_over(self._clock())

    def refusal(self, turn: Turn, now: float) -> ExpectedError | None:
        """Why an item is not taken now, or None."""
        closed = self._closure.error(now)
        if closed is not None:
            return closed
        if self._circuit.opens_in(now) == 0.0 or (turn.patient and not self._circuit.patience_over(now)):
            return None
        return rested_error(self._provider, self._circuit.retry_in(now))

    def wait_s(self, now: float) -> float | None:
        """Seconds until a call may go, 0.0 when it may now; None while another call is trying the provider."""
        wait_s = self._circuit.opens_in(now)
        return max(0.0, self._paused_until - now) if wait_s == 0.0 else wait_s

    def least_wait_s(self, now: float) -> float:
        """At least so many seconds pass before a call may go; may be below 0."""
        return max(self._circuit.opens_in(now) or 0.0, self._paused_until - now)

    def pace(self, now: float) -> float:
        """The share of the quota to keep to, above 0 and at most 1."""
        return self._slowdown.factor(now)

    def begin(self) -> bool:
        """Notes that a call begins; True when it is the one that tries a rested provider."""
        return self._circuit.begin()

    def abandoned(self, *, probe: bool) -> None:
        """The call was not made after all."""
        self._circuit.abandoned(probe=probe)

    def heed(self, error: BaseException) -> None:
        """What an attempt raised, where that concerns other items too."""
        match error:
            case ProviderThrottled():
                self._throttled(error)
            case ProviderNotConfigured() if error.for_all:
                self._rejected(error)
            case ProviderQuotaSpent() if error.for_all:
                self._close(
                    error.opens_in_s, ProviderState.QUOTA_SPENT, spent_error(self._provider, "the provider says so")
                )
            case _:
                pass

    def not_ready(self, error: ProviderNotConfigured | ProviderUnavailable) -> None:
        """What a call needs could not be had; no permit was taken for it."""
        if isinstance(error, ProviderNotConfigured):
            self._rejected(error)
        elif self._circuit.failed(self._clock(), probe=False):
            self._rested()

    def spent(self, error: QuotaExhausted) -> None:
        """The configured quota of a day or a month is used up."""
        self._close(error.opens_in_s, ProviderState.QUOTA_SPENT, spent_error(self._provider, str(error)))

    def ended(self, outcome: str, *, probe: bool) -> None:
        """A call has ended, as ``outcome_of`` says."""
        if outcome == "failed":
            if self._circuit.failed(self._clock(), probe=probe):
                self._rested()
        elif outcome in ("ok", "refused", "throttled"):
            self._circuit.succeeded(probe=probe)
            if probe:
                _log.info("provider.back", provider=self._provider)
                self._metrics.circuit(CircuitState.CLOSED.value)
        else:
            self._circuit.abandoned(probe=probe)

    def _rested(self) -> None:
        """The circuit has just opened: who can go elsewhere goes, and all when it has been so for too long."""
        rest_s = self._circuit.retry_in(self._clock())
        _log.warning("provider.rested", provider=self._provider, rest_s=round(rest_s, 3))
        self._metrics.circuit(CircuitState.OPEN.value)
        nobody_waits = self.patience_over
        self._turn_away(
            lambda turn: None if turn.patient and not nobody_waits else rested_error(self._provider, rest_s)
        )

    def _rejected(self, error: ProviderNotConfigured) -> None:
        self._close(_REJECTED_REST_S, ProviderState.NOT_CONFIGURED, rejected_error(self._provider, error.detail))

    def _close(self, rest_s: float, state: ProviderState, error_of: ErrorOf) -> None:
        """Closes the lane for everybody: no other item would fare better."""
        self._closure.close(self._clock() + rest_s, state, error_of)
        _log.warning("provider.closed", provider=self._provider, state=state.value, rest_s=round(rest_s, 1))
        self._turn_away(lambda _: error_of(rest_s))

    def _throttled(self, error: ProviderThrottled) -> None:
        now = self._clock()
        self._slowdown.throttled(now)
        if error.said_s:
            self._paused_until = max(self._paused_until, now + min(error.said_s, self._max_pause_s))
