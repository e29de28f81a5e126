"""The script that counts what is spent, ``lua/spend.lua``, in the ledger's terms."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ocr_gateway.budgets.ledger import NOTHING, Amount
from ocr_gateway.redis_link import RedisLink, Script

KEY_PREFIX = "ocrmux:{budget}:"


class SpendAnswer(enum.Enum):
    """What became of a request."""

    DONE = 0
    HELD = 1
    TELL_ALL = 2
    TOO_LATE = 3


@dataclass(frozen=True, slots=True)
class DayUse:
    """What all replicas have spent in a day, which Redis numbers."""

    day: int = 0
    used: Amount = NOTHING


@dataclass(frozen=True, slots=True)
class AccountTelling:
    """One account: its limits (0 for none), what the replica was told last, and what it has to tell: ``unreported``, of
    ``day``, to count besides."""

    name: str
    limit: Amount
    period_offset_s: int
    told: DayUse = DayUse()
    day: int = 0
    unreported: Amount = NOTHING


@dataclass(frozen=True, slots=True)
class SpendRequest:
    """What a replica tells and asks. ``reservations`` are amounts with the places of their accounts in ``accounts``.

    ``since_us`` is the state that the replica knows, 0 for none; ``returned`` says that it may have spent something
    without Redis; ``tells_all`` that ``accounts`` are all that it has. ``number`` rises with each request;
    ``in_doubt_from`` is that of the first one since the last that was answered, 0 for none: what these have counted is
    undone, and to be told again.
    """

    number: int
    accounts: Sequence[AccountTelling]
    reservations: Sequence[tuple[Amount, Sequence[int]]] = ()
    since_us: int = 0
    returned: bool = False
    known_replicas: int = 1
    tells_all: bool = True
    in_doubt_from: int = 0
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class SpendReply:
    """What Redis knows; ``clock_us`` is its clock, microseconds since 1970.

    ``refusals`` are those of the reservations that were looked at, in their order: None where one is granted, else the
    account's place and whether units or cost are wanting.
    """

    clock_us: int
    since_us: int
    replicas: int
    answer: SpendAnswer
    uses: tuple[DayUse, ...]
    refusals: tuple[tuple[int, str] | None, ...]


class SpendScript:
    """Tells and asks as ``replica``. Needs Redis 7.

    ``recovery_s`` is how long, after a time without Redis, nothing is granted unless all known replicas are back.
    """

    def __init__(self, link: RedisLink, *, replica: str, recovery_s: float) -> None:
        self._link = link
        self._script = Script.load("ocr_gateway.budgets", "spend")
        self._replica = replica
        self._recovery_s = recovery_s
        self.calls = 0

    async def ask(self, request: SpendRequest) -> SpendReply:
        """One call of the script. Raises RedisUnavailable, RedisRefused."""
        self.calls += 1
        keys = [f"{KEY_PREFIX}state", f"{KEY_PREFIX}replicas", f"{KEY_PREFIX}last:{self._replica}"]
        keys += [f"{KEY_PREFIX}of:{account.name}" for account in request.accounts]
        clock_us, since_us, replicas, answer, uses, results = await self._link.run(
            self._script, keys, list(self._arguments(request))
        )
        return SpendReply(
            clock_us,
            since_us,
            replicas,
            SpendAnswer(answer),
            tuple(DayUse(uses[at], Amount(uses[at + 1], uses[at + 2])) for at in range(0, len(uses), 3)),
            tuple(_refusal(result) for result in results),
        )

    def _arguments(self, request: SpendRequest) -> Iterator[str | bytes | int | float]:
        yield from (self._replica, int(request.leaving), request.since_us, int(request.returned))
        yield from (request.known_replicas, math.ceil(self._recovery_s * 1e6), int(request.tells_all))
        yield from (request.number, request.in_doubt_from)
        for account in request.accounts:
            yield from (account.limit.units, account.limit.cost, account.period_offset_s)
            yield from (account.told.day, account.told.used.units, account.told.used.cost)
            yield from (account.day, account.unreported.units, account.unreported.cost)
        for amount, places in request.reservations:
            yield from (amount.units, amount.cost, len(places))
            yield from (place + 1 for place in places)


def _refusal(result: int) -> tuple[int, str] | None:
    return None if result == 0 else (abs(result) - 1, "units" if result > 0 else "cost")
