"""The budgets of a gateway with several replicas: one for all of them, kept in Redis 7 or later."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from ocr_gateway.budgets.account import Account, admit
from ocr_gateway.budgets.ledger import NOTHING, AccountSpent, AccountUse, Amount, Reservation
from ocr_gateway.budgets.spend_script import SpendAnswer, SpendReply, SpendRequest, SpendScript
from ocr_gateway.budgets.told_account import ToldAccount
from ocr_gateway.model import Budget
from ocr_gateway.redis_link import RedisLink, RedisRefused, RedisUnavailable

_MAX_BATCH = 256
"""Reservations that one call of the script decides on."""

_HELD_S = 0.1
"""Asked again after so long where Redis waits for other replicas before it grants anything."""

_log = structlog.get_logger("ocr_gateway.budgets")


@dataclass(slots=True, eq=False)
class _Ask:
    """A reservation that somebody waits for."""

    amount: Amount
    names: tuple[str, ...]
    granted: asyncio.Future[Reservation]


class SharedLedger:
    """Budgets, by the names of their accounts, shared exactly with all replicas that use the same Redis.

    One request is under way at a time, with all that is asked and told meanwhile in the next one: so a reservation
    waits for two round trips at most, and for the link's time-out where Redis fails. Without Redis this replica goes on
    at its part of what was left when Redis last told, some ``heartbeat_s`` ago at most: divided by the replicas seen
    then, or by ``replicas`` if that is more. What it spends so is told when Redis is back; until all known replicas
    have done so, at most for ``recovery_s``, each goes on at its part.

    Requests are numbered, so that what an unanswered one did is undone before it is told again. ``clock`` counts
    monotonic seconds; ``wall_clock`` (seconds since 1970) counts only while Redis was never reached.
    """

    def __init__(
        self,
        link: RedisLink,
        budgets: Mapping[str, Budget],
        *,
        replica: str,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        replicas: int = 1,
        heartbeat_s: float = 0.5,
        recovery_s: float = 2.5,
    ) -> None:
        self._link = link
        self._clock = clock
        self._wall_clock = wall_clock
        self._heartbeat_s = heartbeat_s
        self._min_replicas = max(1, replicas)
        self._script = SpendScript(link, replica=replica, recovery_s=recovery_s)
        self._entries = {name: ToldAccount(Account(name, budget)) for name, budget in budgets.items()}
        self._asks: deque[_Ask] = deque()
        self._under_way: list[_Ask] = []
        self._clock_ahead_s: float | None = None
        self._since_us = 0
        self._away = False
        self._at_share = False
        self._tells_all = True
        self._number = self._in_doubt_from = 0
        self._told_all_at = clock()
        self._refusal = ""
        self._tells: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self.sharing = False
        """Whether reservations are decided by Redis; False at this replica's part."""
        self.replicas = self._min_replicas
        """The replicas among which what is left is divided without Redis."""
        link.watch(self._link_changed)

    @property
    def accounts(self) -> frozenset[str]:
        """The names of all."""
        return frozenset(self._entries)

    @property
    def script_calls(self) -> int:
        """Calls of the script so far."""
        return self._script.calls

    async def open(self) -> None:
        """Begins to share the budgets, in the background. Never waits for Redis, never raises."""
        self._worker = asyncio.create_task(self._work(), name="shared-ledger")
        self._wake.set()

    def on_change(self, tell: Callable[[], None]) -> None:
        """Registers whom to tell when ``sharing`` has changed."""
        self._tells.append(tell)

    async def reserve(self, accounts: Sequence[str], amount: Amount) -> Reservation:
        """Sets the amount aside on all of the accounts, or on none. Raises AccountSpent."""
        ask = _Ask(amount, tuple(accounts), asyncio.get_running_loop().create_future())
        if self._at_share or self._worker is None or not self._link.in_use:
            self._decide_here(ask)
        else:
            self._asks.append(ask)
            self._wake.set()
        try:
            return await ask.granted
        except asyncio.CancelledError:
            if ask.granted.done() and not ask.granted.cancelled() and ask.granted.exception() is None:
                self.settle(ask.granted.result(), NOTHING)  # it was granted in the same instant
            raise

    def is_current(self, reservation: Reservation) -> bool:
        """Whether none of its days is over."""
        now = self._clock()
        return all(now < end for end in reservation.ends.values())

    def settle(self, reservation: Reservation, actual: Amount) -> None:
        """Has ``actual`` count as spent instead of what was reserved."""
        now, change = self._clock(), actual - reservation.amount
        current = [name for name, end in reservation.ends.items() if now < end]
        reservation.amount, reservation.ends = NOTHING, {}
        self.charge(current, change)

    def charge(self, accounts: Sequence[str], actual: Amount) -> None:
        """Counts as spent what nobody had reserved."""
        if not actual:
            return
        wall_s = self._wall()
        for name in accounts:
            self._entries[name].spend(actual, wall_s)
        self._wake.set()

    def use_of(self, account: str) -> AccountUse:
        """What is known of it now."""
        return self._entries[account].account.use(self._wall())

    async def close(self) -> None:
        """Tells what is to be told and signs off, as far as Redis is in use. Never raises."""
        sharing, away = self.sharing, self._away
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
            self._worker = None
        if sharing:
            self._away = away
            with suppress(RedisUnavailable, RedisRefused):
                await self._script.ask(self._request([], list(self._entries), leaving=True))

    # With Redis.

    async def _work(self) -> None:
        again_s = self._heartbeat_s
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(again_s):
                        await self._wake.wait()
                self._wake.clear()
                if self._link.in_use:
                    again_s = await self._exchange()
        except Exception:
            _log.exception("budget.bug")
            raise
        finally:
            self._leave("it was closed")

    async def _exchange(self) -> float:
        """Asks and tells once. Returns when to do so again at the latest, seconds."""
        asks = self._under_way = self._next_asks()
        sent = self._clock()
        tells_all = (
            self._tells_all
            or self._at_share
            or self._in_doubt_from > 0
            or sent - self._told_all_at >= self._heartbeat_s
        )
        names = list(self._entries) if tells_all else self._concerned(asks)
        request = self._request(asks, names, tells_all=tells_all)
        try:
            reply = await self._script.ask(request)
        except asyncio.CancelledError:
            self._restore(request, answered=False)
            raise
        except RedisUnavailable as error:
            self._restore(request, answered=False)
            self._leave(str(error))
        except RedisRefused as error:  # too old a Redis, or another's keys: tried again at each heartbeat
            self._restore(request, answered=False)
            self._leave(str(error))
            if self._refusal != str(error):
                self._refusal = str(error)
                _log.error("budget.script_refused", detail=self._refusal)
        else:
            if self._link.in_use:
                return self._heard(request, reply, asks, sent)
            self._restore(request, answered=False)  # it went out of use meanwhile, and all was decided here
        return self._heartbeat_s

    def _next_asks(self) -> list[_Ask]:
        taken: list[_Ask] = []
        while self._asks and len(taken) < _MAX_BATCH:
            ask = self._asks.popleft()
            if not ask.granted.done():
                taken.append(ask)
        if self._asks:
            self._wake.set()
        return taken

    def _concerned(self, asks: Sequence[_Ask]) -> list[str]:
        asked = {name for ask in asks for name in ask.names}
        return [name for name, entry in self._entries.items() if name in asked or entry.unreported]

    def _request(
        self, asks: Sequence[_Ask], names: Sequence[str], *, tells_all: bool = True, leaving: bool = False
    ) -> SpendRequest:
        place = {name: number for number, name in enumerate(names)}
        self._number += 1
        return SpendRequest(
            number=self._number,
            in_doubt_from=self._in_doubt_from,
            accounts=[self._entries[name].take_telling() for name in names],
            reservations=[(ask.amount, [place[name] for name in ask.names]) for ask in asks],
            since_us=self._since_us,
            returned=self._away,
            known_replicas=self.replicas,
            tells_all=tells_all,
            leaving=leaving,
        )

    def _restore(self, request: SpendRequest, *, answered: bool) -> None:
        """What was told is to be told again; where Redis may have heard it, it is undone there first."""
        if not answered:
            self._in_doubt_from = self._in_doubt_from or request.number
        for telling in request.accounts:
            self._entries[telling.name].restore(telling)

    def _heard(self, request: SpendRequest, reply: SpendReply, asks: list[_Ask], sent: float) -> float:
        if reply.answer in (SpendAnswer.TELL_ALL, SpendAnswer.TOO_LATE):
            self._restore(request, answered=True)
            self._asks.extendleft(reversed(asks))
            self._under_way = []
            self._tells_all = True
            self._wake.set()
            return self._heartbeat_s
        now = self._clock()
        self._clock_ahead_s = reply.clock_us / 1e6 - (sent + now) / 2
        self._since_us, self._away, self._in_doubt_from = reply.since_us, False, 0
        self.replicas = max(self._min_replicas, reply.replicas)
        for telling, use in zip(request.accounts, reply.uses, strict=True):
            self._entries[telling.name].told = use
        if request.tells_all:
            self._tells_all, self._told_all_at = False, now
        if reply.answer is SpendAnswer.HELD:
            self._leave("other replicas have not told what they spent yet", redis_heard=True)
            return _HELD_S
        for telling, use in zip(request.accounts, reply.uses, strict=True):
            self._entries[telling.name].learn(use, self._wall())
        self._decide(request, reply, asks)
        if not self.sharing:
            self.sharing = True
            _log.info("budget.shared", replicas=self.replicas)
            self._tell()
        self._at_share = False
        return self._heartbeat_s

    def _decide(self, request: SpendRequest, reply: SpendReply, asks: Sequence[_Ask]) -> None:
        self._under_way = []
        now, days = self._clock(), {t.name: u.day for t, u in zip(request.accounts, reply.uses, strict=True)}
        for ask, refusal in zip(asks, reply.refusals, strict=True):
            accounts = [self._entries[name].account for name in ask.names]
            ends_in_s = {a.name: a.begin_of(days[a.name] + 1) - reply.clock_us / 1e6 for a in accounts}
            if refusal is not None:
                name, what = request.accounts[refusal[0]].name, refusal[1]
                self._answer(ask, self._entries[name].account.spent(what, max(0.0, ends_in_s[name])))
            else:
                self._answer(ask, Reservation(ask.amount, {name: now + s for name, s in ends_in_s.items()}))

    def _answer(self, ask: _Ask, found: Reservation | AccountSpent) -> None:
        if ask.granted.done():  # who asked has left
            if isinstance(found, Reservation):
                self.settle(found, NOTHING)
        elif isinstance(found, Reservation):
            ask.granted.set_result(found)
        else:
            ask.granted.set_exception(found)

    # Without Redis.

    def _link_changed(self, in_use: bool, why: str) -> None:
        if in_use:
            self._wake.set()
        else:
            self._leave(why)

    def _leave(self, why: str, *, redis_heard: bool = False) -> None:
        """Goes on at this replica's part; ``redis_heard`` where Redis knows all that was spent until now."""
        self._at_share = True
        if not redis_heard:
            self._away = self._tells_all = True
        waiting, self._under_way, self._asks = [*self._under_way, *self._asks], [], deque()
        for ask in waiting:
            self._decide_here(ask)
        if self.sharing:
            self.sharing = False
            _log.warning("budget.at_share", replicas=self.replicas, why=why)
            self._tell()

    def _decide_here(self, ask: _Ask) -> None:
        if ask.granted.done():
            return
        now, wall_s = self._clock(), self._wall()
        entries = [self._entries[name] for name in ask.names]
        refusal = admit((e.account for e in entries), ask.amount, wall_s, self.replicas, self._heartbeat_s)
        if refusal is not None:
            self._answer(ask, refusal)
            return
        for entry in entries:
            entry.report(ask.amount, wall_s)
        ends = {entry.account.name: now + entry.account.ends_in_s(wall_s) for entry in entries}
        self._answer(ask, Reservation(ask.amount, ends))

    def _wall(self) -> float:
        return self._wall_clock() if self._clock_ahead_s is None else self._clock() + self._clock_ahead_s

    def _tell(self) -> None:
        for tell in self._tells:
            tell()
