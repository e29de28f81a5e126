"""The script that grants slots, ``lua/take_slots.lua``, in the lanes' terms: what it is asked and what it answers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ocr_gateway.lanes.rate_window import Spacing
from ocr_gateway.model import Quota
from ocr_gateway.redis_link import RedisLink, Script

LEAVE = -1
"""As the number of slots that are wanted: none, and the replica goes away."""

_ANY_RATE = Spacing(calls=0, window_s=1.0, burst=1)


@dataclass(frozen=True, slots=True)
class PeriodUse:
    """The calls that all replicas have made in a day and in a month, which Redis numbers; 0 where it is not known."""

    day: int = 0
    day_used: int = 0
    month: int = 0
    month_used: int = 0


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """What a replica asks and tells; ages are seconds before the request, negative for what is to come.

    ``correction`` is what days and months are to count besides. ``returned`` says that calls may have been made without
    Redis; ``sent_ages_s`` are this replica's. ``unused_us`` are slots of earlier grants. ``since_us`` is the state that
    the replica knows, 0 for none; where it is 0, or returned, ``held_ages_s`` are its calls with slots of Redis, and
    ``use`` is what it was told last. No slot is granted before ``lead_s`` from now, and nothing is done after
    ``deadline_us``.
    """

    wanted: int
    factor: float = 1.0
    lead_s: float = 0.0
    deadline_us: int = 0
    correction: int = 0
    returned: bool = False
    known_replicas: int = 1
    unused_us: tuple[int, ...] = ()
    sent_ages_s: tuple[float, ...] = ()
    since_us: int = 0
    held_ages_s: tuple[float, ...] = ()
    use: PeriodUse = PeriodUse()


@dataclass(frozen=True, slots=True)
class SlotGrant:
    """What Redis grants, in microseconds of its clock, and what it knows; ``since_us`` is when it began to.

    Without slots although some are left of the day and the month, it waits for other replicas to tell what they know.
    """

    now_us: int
    since_us: int
    replicas: int
    use: PeriodUse
    slots_us: tuple[int, ...]

    @property
    def done(self) -> bool:
        """False where nothing was done: it was too late, or Redis was emptied and is to be told of what is held."""
        return self.replicas > 0


class SlotScript:
    """Asks for the slots of the lane ``name`` under ``quota``, as ``replica``. Needs Redis 7.

    ``recovery_s`` is how long, after a time without Redis, those that are back keep to their shares at most, as those
    that are not do.
    """

    def __init__(self, link: RedisLink, name: str, quota: Quota, *, replica: str, recovery_s: float) -> None:
        rate = quota.requests_per_second
        self._link = link
        self._script = Script.load("ocr_gateway.lanes", "take_slots")
        self._spacing = Spacing.of(rate, quota.margin) if rate else _ANY_RATE
        self._keys = [f"ocrmux:rate:{{{name}}}:{part}" for part in ("state", "slots", "replicas", "used")]
        self._quota = quota
        self._replica = replica
        self._period_offset_s = quota.period_offset_s
        self._recovery_s = recovery_s
        self.calls = 0

    async def ask(self, request: SlotRequest) -> SlotGrant:
        """One call of the script. Raises RedisUnavailable, RedisRefused."""
        self.calls += 1
        now_us, since_us, replicas, *use, slots_us = await self._link.run(
            self._script, self._keys, self._arguments(request)
        )
        return SlotGrant(now_us, since_us, replicas, PeriodUse(*use), tuple(slots_us))

    def _arguments(self, request: SlotRequest) -> list[str | bytes | int | float]:
        spacing = self._spacing
        interval_s = spacing.interval_s / request.factor if spacing.calls else 0.0
        return [
            self._replica,
            request.wanted,
            spacing.calls,
            _us(spacing.window_s),
            spacing.burst,
            f"{interval_s * 1e6:.3f}",
            _us(request.lead_s),
            request.deadline_us,
            self._quota.requests_per_day,
            self._quota.requests_per_month,
            self._period_offset_s,
            request.correction,
            int(request.returned),
            request.known_replicas,
            _us(self._recovery_s),
            " ".join(map(str, request.unused_us)),
            _ages(request.sent_ages_s),
            request.since_us,
            _ages(request.held_ages_s),
            request.use.day,
            request.use.day_used,
            request.use.month,
            request.use.month_used,
        ]


def _us(seconds: float) -> int:
    return math.ceil(seconds * 1e6)


def _ages(ages_s: Iterable[float]) -> str:
    return " ".join(str(math.floor(age_s * 1e6)) for age_s in ages_s)
