"""The rate limit of a gateway with several replicas: one quota for all of them, kept in Redis 7 or later."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from ocr_gateway.lanes.period_counter import period_counters
from ocr_gateway.lanes.rate_window import MIN_WAIT_S, RateWindow, Spacing, checked_factor, wait_until
from ocr_gateway.lanes.server_clock import ServerClock
from ocr_gateway.lanes.slot_script import LEAVE, PeriodUse, SlotGrant, SlotRequest, SlotScript
from ocr_gateway.model import Quota
from ocr_gateway.periods import Period
from ocr_gateway.redis_link import RedisLink, RedisRefused, RedisUnavailable

_LEASE_OF_ANY_RATE = 32
"""Permits asked for at once where only days or months are limited."""

_ANSWER_WITHIN_S = 0.25
"""A request that Redis comes to later than this is not carried out: nobody waits for its slots any more."""

_HELD_S = 0.1
"""Asked again after so long where Redis waits for other replicas before it grants anything."""

_MAX_LEAD_S = 0.1
_MAX_READINGS = 4
_ARRIVALS = 3
"""Where answers come late so often in a row, slots are asked for later by the least of it: else none could be used."""

_log = structlog.get_logger("ocr_gateway.lanes")


@dataclass(frozen=True, slots=True)
class _Slot:
    """A call may begin at ``at``, local time; ``server_us`` is the same by Redis's clock."""

    at: float
    server_us: int


class SharedRate:
    """Permits under ``quota`` for the lane ``name``, shared exactly with all replicas that use the same Redis.

    Permits are leased in advance, for ``lease_s`` at most: absolute times, each used at most ``late_tolerance_s`` late
    or given back. Without Redis this replica goes on at its share: the quota divided by the replicas seen last, or by
    ``replicas`` if that is more; ``link`` says when. Until ``open`` it is so, too.

    A Redis that was emptied is told how many calls it had counted of a day and a month; where these are limited it
    grants none until all replicas have told, at most for ``recovery_s``.

    A step forward of Redis's clock counts as time that has passed; all else that its clock does never admits more.
    ``clock`` is the lane's; ``wall_clock`` (seconds since 1970) counts only while Redis was never reached.
    """

    def __init__(
        self,
        link: RedisLink,
        name: str,
        quota: Quota,
        *,
        replica: str,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        replicas: int = 1,
        late_tolerance_s: float = 0.008,
        lease_s: float = 0.25,
        heartbeat_s: float = 2.0,
        recovery_s: float = 2.5,
    ) -> None:
        rate = quota.requests_per_second
        if not (rate or quota.requests_per_day or quota.requests_per_month):
            raise ValueError("no limit that could be shared")
        self._link = link
        self._name = name
        self._clock = clock
        self._wall_clock = wall_clock
        self._late_tolerance_s = late_tolerance_s if rate else math.inf
        self._lease_s = lease_s
        self._heartbeat_s = heartbeat_s
        self._min_replicas = max(1, replicas)
        self._script = SlotScript(link, name, quota, replica=replica, recovery_s=recovery_s)
        self._spacing = Spacing.of(rate, quota.margin) if rate else None
        self._own = RateWindow(self._spacing) if self._spacing else None
        self._counters = period_counters(quota)
        self._server_clock = ServerClock()
        self._slots: deque[_Slot] = deque()
        self._unused: list[_Slot] = []
        self._taken: deque[_Slot] = deque(maxlen=self._spacing.calls if self._spacing else _LEASE_OF_ANY_RATE)
        self._unreported: deque[float] = deque(maxlen=self._spacing.calls if self._spacing else 0)
        self._correction = 0
        self._use = PeriodUse()
        self._held_until = -math.inf
        self._wanted = 0
        self._factor = 1.0
        self._arrivals_s: deque[float] = deque([0.0] * _ARRIVALS, maxlen=_ARRIVALS)
        self._readings = 0
        self._refusal = ""
        self._since_us = 0
        self._away = False
        self._tells: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self.sharing = False
        """Whether permits come from Redis; False at this replica's share."""
        self.replicas = self._min_replicas
        """The replicas among which the quota is divided without Redis."""
        self.taken_at = 0.0
        """The moment that the last permit is for."""
        self.permits_shared = 0
        self.permits_share = 0
        self.late_slots = 0
        self._share = self._share_window(clock())
        link.watch(self._link_changed)

    @property
    def script_calls(self) -> int:
        """Calls of the script so far."""
        return self._script.calls

    @property
    def source(self) -> str:
        """Redis, or this replica's share."""
        return "shared" if self.sharing else "share"

    async def open(self) -> None:
        """Begins to share the quota, in the background. Never waits for Redis, never raises."""
        self._worker = asyncio.create_task(self._work(), name=f"shared-rate {self._name}")
        self._wake.set()

    def on_change(self, tell: Callable[[], None]) -> None:
        """Registers whom to tell when permits have come, or come from elsewhere than before."""
        self._tells.append(tell)

    def expect(self) -> None:
        """Asks for one permit, unless there is one; nobody may come for it, then it goes back with the next request."""
        if self.sharing and not self._slots and not self._wanted and self._clock() >= self._held_until:
            self._wanted = 1
            self._wake.set()

    def take(self, now: float, wanted: int) -> float | None:
        """Takes a permit: 0.0. Or the seconds to the next one; or None while Redis is asked. Raises QuotaExhausted."""
        self._drop_late(now)
        if self._slots:
            wait_s = wait_until(now, self._slots[0].at)
            if wait_s > 0:
                return max(wait_s, MIN_WAIT_S)
            slot = self._slots.popleft()
            self._taken.append(slot)
            self.taken_at = slot.at
            self.permits_shared += 1
            return 0.0
        if not self.sharing:
            return self._take_of_share(now)
        self._check_periods(now)
        if now < self._held_until:
            return max(self._held_until - now, MIN_WAIT_S)
        self._wanted = max(1, wanted)
        self._wake.set()
        return None

    def give_back(self, taken_at: float) -> None:
        """Lets others have a permit whose call was not made. One that is long past stays counted."""
        slot = next((slot for slot in self._taken if slot.at == taken_at), None)
        if slot is not None:
            self._taken.remove(slot)
            self.permits_shared -= 1
            self._return(slot)
        elif taken_at in self._unreported:
            self._unreported.remove(taken_at)
            self._correction -= 1
            self.permits_share -= 1
            for window in (self._own, self._share):
                if window is not None:
                    window.give_back(taken_at)
            for counter in self._counters:
                counter.add(self._wall(taken_at), -1)

    def wait_of(self, now: float, calls: int) -> float:
        """At least so many seconds pass before the last one of ``calls`` calls can begin; days and months left out."""
        window = self._own if self.sharing else self._share
        if calls <= len(self._slots):
            return wait_until(now, self._slots[calls - 1].at)
        return 0.0 if window is None else window.wait_of(now, calls - len(self._slots))

    def slow_to(self, factor: float) -> None:
        """Spreads this replica's further permits as if the quota were this share of it."""
        self._factor = checked_factor(factor)
        for window in (self._own, self._share):
            if window is not None:
                window.slow_to(factor)

    async def close(self) -> None:
        """Gives unused slots back and signs off, as far as Redis is in use. Never raises."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
            self._worker = None
        if self.sharing:
            self._give_back(len(self._slots))
            leaving = self._request(LEAVE, self._clock())
            self.sharing = False
            with suppress(RedisUnavailable, RedisRefused):
                await self._script.ask(leaving)

    # With Redis.

    async def _work(self) -> None:
        while True:
            due = True
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat_s):
                    await self._wake.wait()
                    due = False
            self._wake.clear()
            if self._link.in_use and (due or self._wanted or not self.sharing or not self._since_us):
                await self._ask()

    async def _ask(self) -> None:
        sent = self._clock()
        self._drop_late(sent)
        request = self._request(min(self._wanted, self._max_lease) if self.sharing else 0, sent)
        self._wanted = 0
        try:
            grant = await self._script.ask(request)
        except RedisUnavailable as error:
            self._leave(str(error))
        except RedisRefused as error:  # too old a Redis, or another's keys: tried again at each heartbeat
            self._leave(str(error))
            if self._refusal != str(error):
                self._refusal = str(error)
                _log.error("rate.script_refused", lane=self._name, detail=self._refusal)
        else:
            self._server_clock.heard(sent, self._clock(), grant.now_us / 1e6)
            if not self._link.in_use:
                return  # it went out of use meanwhile, and all goes on at the share
            if grant.done:
                self._reported(request, sent)
                self._receive(request, grant, self._clock())
            elif grant.since_us != self._since_us:
                self._since_us = 0
                self._wanted = max(self._wanted, request.wanted)
                self._wake.set()
        self._tell()

    def _request(self, wanted: int, now: float) -> SlotRequest:
        clock, returned = self._server_clock, self._away or bool(self._unreported)
        tells = returned or not self._since_us
        held = set(self._own.recent(now)).difference(self._unreported) if self._own and tells else ()
        return SlotRequest(
            wanted=wanted,
            factor=self._factor,
            lead_s=min(_MAX_LEAD_S, max(0.0, min(self._arrivals_s) - self._late_tolerance_s / 2)),
            deadline_us=round(clock.server(now + _ANSWER_WITHIN_S) * 1e6) if clock.known else 0,
            correction=self._correction if self._counters else 0,
            returned=returned,
            known_replicas=self.replicas,
            unused_us=tuple(slot.server_us for slot in self._unused),
            since_us=self._since_us,
            sent_ages_s=tuple(now - at for at in self._unreported),
            held_ages_s=tuple(now - at for at in held),
            use=self._use if tells else PeriodUse(),
        )

    def _reported(self, request: SlotRequest, sent: float) -> None:
        del self._unused[: len(request.unused_us)]
        while self._unreported and self._unreported[0] < sent:
            self._unreported.popleft()
        self._correction -= request.correction

    def _receive(self, request: SlotRequest, grant: SlotGrant, received: float) -> None:
        clock = self._server_clock
        self._since_us, self._use = grant.since_us, grant.use
        if not self.sharing and self._worth_another_reading(received):
            self._wake.set()
            return
        self._arrivals_s.append(received - clock.local(grant.now_us / 1e6))
        self.replicas = max(self._min_replicas, grant.replicas)
        for counter in self._counters:
            used = grant.use.day_used if counter.period is Period.DAY else grant.use.month_used
            counter.learn(self._wall(received), used)
        for server_us in grant.slots_us:
            slot = _Slot(clock.local(server_us / 1e6), server_us)
            self._slots.append(slot)
            if self._own is not None:
                self._own.record(slot.at)
        if request.wanted and not grant.slots_us:
            self._held_until = received + _HELD_S
            self._wanted = 0
        if self._slots:
            self._wanted = 0  # who asked meanwhile is told, and asks again where these do not suffice
        self._away = False
        if not self.sharing:
            self.sharing = True
            _log.info("rate.shared", lane=self._name, replicas=self.replicas)

    def _worth_another_reading(self, now: float) -> bool:
        """Whether to ask for the time once more before slots are asked for: first round trips are slow."""
        self._readings += 1
        coarse = self._server_clock.error_s(now) > self._late_tolerance_s / 8
        if coarse and self._readings < _MAX_READINGS:
            return True
        self._readings = 0
        return False

    @property
    def _max_lease(self) -> int:
        if self._spacing is None:
            return _LEASE_OF_ANY_RATE
        return max(1, math.ceil(self._spacing.calls * self._factor * self._lease_s / self._spacing.window_s))

    def _drop_late(self, now: float) -> None:
        late = 0
        while late < len(self._slots) and self._slots[late].at + self._late_tolerance_s < now:
            late += 1
        self.late_slots += late
        self._give_back(late)

    def _give_back(self, count: int) -> None:
        for _ in range(count):
            self._return(self._slots.popleft())

    def _return(self, slot: _Slot) -> None:
        self._correction -= 1
        if self.sharing:
            self._unused.append(slot)
        if self._own is not None:
            self._own.give_back(slot.at)

    # Without Redis.

    def _link_changed(self, in_use: bool, why: str) -> None:
        if in_use:
            self._wake.set()
        else:
            self._leave(why)
            self._tell()

    def _leave(self, why: str) -> None:
        if not self.sharing:
            return
        self.sharing, self._away = False, True
        self._unused.clear()  # whether Redis still knows these slots is not known, so they count as used
        self._correction = max(0, self._correction)
        self._share = self._share_window(self._clock())
        _log.warning("rate.at_share", lane=self._name, replicas=self.replicas, why=why)

    def _share_window(self, now: float) -> RateWindow | None:
        if self._spacing is None or self._own is None:
            return None
        window = RateWindow(self._spacing.share(self.replicas))
        window.start_cold(now)
        window.slow_to(self._factor)
        window.record_all(self._own.recent(now))
        return window

    def _take_of_share(self, now: float) -> float:
        self._check_periods(now)
        if self._share is not None and self._own is not None:
            wait_s = self._share.wait(now)
            if wait_s > 0:
                return max(wait_s, MIN_WAIT_S)
            self._share.take(now)
            self._own.record(now)
            self._unreported.append(now)
        self.taken_at = now
        for counter in self._counters:
            counter.add(self._wall(now), 1)
        self._correction += 1
        self.permits_share += 1
        return 0.0

    def _check_periods(self, now: float) -> None:
        for counter in self._counters:
            counter.check(self._wall(now), 1 if self.sharing else self.replicas, self._heartbeat_s)

    def _wall(self, now: float) -> float:
        return self._server_clock.server(now) if self._server_clock.known else self._wall_clock()

    def _tell(self) -> None:
        for tell in self._tells:
            tell()
