"""The second level in Redis, with leases: one holder at a time makes the value of a key, wherever it runs."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from ocr_gateway.cache.store import StoreRefused, StoreUnavailable, Turn
from ocr_gateway.redis_link import RedisLink, RedisRefused, RedisUnavailable, Script

ResultT = TypeVar("ResultT")

_log = structlog.get_logger("ocr_gateway.cache")
_PACKAGE = "ocr_gateway.cache"
_CHANNEL = "ocrmux:announced"
_PLAIN = b"\x01"
_DEFLATED = b"\x02"
_DEFLATED_FROM_BYTES = 512
_LARGE_BYTES = 128 * 1024
"""From here on values are packed and unpacked on a thread: 4 MiB take 30 ms and 15 ms."""
_LEASE_TTL_S = 2 * 3600.0
"""Only a bound: a lease is given up, or taken from a holder whose sign of life is gone."""
_JITTER = 0.1
"""Times to live vary by this share, so that what was read together does not expire together."""


class RedisStore:
    """Values of at most ``max_value_bytes``, each for about ``ttl_s`` seconds, deflated where that makes them smaller.

    Bounded in time and taken in and out of use by the link, which others use too and which is not closed here.
    Each method is one command.
    """

    def __init__(self, link: RedisLink, *, max_value_bytes: int, ttl_s: float, random_source: random.Random) -> None:
        self._link = link
        self._max_value_bytes = max_value_bytes
        self._ttl_s = ttl_s
        self._random = random_source
        self._closed = False
        self._look_or_lead = Script.load(_PACKAGE, "look_or_lead")
        self._put = Script.load(_PACKAGE, "put")
        self._renew = Script.load(_PACKAGE, "renew")
        self._release = Script.load(_PACKAGE, "release")
        self._sign = Script.load(_PACKAGE, "sign")
        self._life_left = Script.load(_PACKAGE, "life_left")

    def watch(self, tell: Callable[[bool, str], None]) -> None:
        """Has ``tell`` called at each change of the link, and at once where it is in use already."""
        self._link.watch(tell)
        if self._link.in_use:
            tell(True, "")

    async def open(self) -> None:
        """Nothing is to be done: the link is opened by its owner."""

    async def listen(self, heard: Callable[[str], None], resumed: Callable[[], None]) -> None:
        """Has ``heard`` called with each key that is announced, as far as Redis delivers."""
        await self._link.subscribe(_CHANNEL, heard, resumed)

    async def get(self, key: str) -> bytes | None:
        """The value; None also for one that this version did not write."""
        packed = await self._translated(lambda: self._link.get(_value_key(key)))
        return None if packed is None else await self._unpacked(key, packed)

    async def get_or_lead(self, key: str, holder: str, dead: str | None = None) -> bytes | Turn:
        """The value; where there is none, the lease, or who has it. From the ``dead`` holder it is taken."""
        keys = (_value_key(key), _lease_key(key))
        args = (holder, _ms(_LEASE_TTL_S)) if dead is None else (holder, _ms(_LEASE_TTL_S), dead)
        reply = await self._translated(lambda: self._link.run(self._look_or_lead, keys, args))
        if isinstance(reply, bytes):
            value = await self._unpacked(key, reply)
            return Turn(leads=True) if value is None else value
        return Turn(leads=False, holder=reply[0].decode("utf-8", "replace")) if reply else Turn(leads=True)

    async def put(self, key: str, value: bytes, holder: str = "") -> None:
        """Keeps the value, gives up the holder's lease and tells who waits. StoreRefused when Redis is full."""
        if len(value) > self._max_value_bytes:
            if holder:
                await self.release(key, holder)
            return
        ttl_s = self._ttl_s * self._random.uniform(1 - _JITTER, 1 + _JITTER)
        packed = _packed(value) if len(value) < _LARGE_BYTES else await asyncio.to_thread(_packed, value)
        keys, args = (_value_key(key), _lease_key(key)), (packed, _ms(ttl_s), holder, _CHANNEL, key)
        await self._translated(lambda: self._link.run(self._put, keys, args))

    async def renew(self, key: str, holder: str) -> bool:
        """Takes the lease again in a Redis that has forgotten it. False: another has it."""
        keys, args = (_lease_key(key),), (holder, _ms(_LEASE_TTL_S))
        return bool(await self._translated(lambda: self._link.run(self._renew, keys, args)))

    async def release(self, key: str, holder: str) -> None:
        """Gives the lease up and tells who waits."""
        keys, args = (_lease_key(key),), (holder, _CHANNEL, key)
        await self._translated(lambda: self._link.run(self._release, keys, args))

    async def sign(self, term: str, life_s: float) -> bool:
        """Says that the term lives, for so long. False: Redis did not have it from before."""
        return bool(await self._translated(lambda: self._link.run(self._sign, (_sign_key(term),), (_ms(life_s),))))

    async def life_left_s(self, term: str) -> float:
        """How long the last sign still holds; 0: no longer."""
        left_ms: int = await self._translated(lambda: self._link.run(self._life_left, (_sign_key(term),)))
        return left_ms / 1000

    async def close(self) -> None:
        """From now on it is unavailable; the link goes on for others."""
        self._closed = True

    async def _translated(self, command: Callable[[], Awaitable[ResultT]]) -> ResultT:
        if self._closed:
            raise StoreUnavailable("closed")
        try:
            return await command()
        except RedisUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        except RedisRefused as error:
            raise StoreRefused(str(error)) from error

    async def _unpacked(self, key: str, packed: bytes) -> bytes | None:
        kind, data = packed[:1], packed[1:]
        if kind == _PLAIN:
            return data
        if kind == _DEFLATED:
            try:
                small, most = len(data) < _LARGE_BYTES // 4, self._max_value_bytes
                value = _inflated(data, most) if small else await asyncio.to_thread(_inflated, data, most)
                if value is not None:
                    return value
            except zlib.error as error:
                _log.warning("cache.value_damaged", key=key, detail=str(error))
                return None
        _log.warning("cache.value_foreign", key=key, bytes=len(packed))
        return None


def _packed(value: bytes) -> bytes:
    if len(value) >= _DEFLATED_FROM_BYTES:
        deflated = zlib.compress(value, 1)
        if len(deflated) < len(value):
            return _DEFLATED + deflated
    return _PLAIN + value


def _inflated(data: bytes, max_bytes: int) -> bytes | None:
    """The value; None when it is not whole, or over the bound."""
    inflater = zlib.decompressobj()
    value = inflater.decompress(data, max_bytes + 1)
    return value if inflater.eof and len(value) <= max_bytes else None


def _value_key(key: str) -> str:
    return f"ocrmux:result:{{{key}}}"


def _lease_key(key: str) -> str:
    return f"ocrmux:lease:{{{key}}}"


def _sign_key(term: str) -> str:
    return f"ocrmux:alive:{term}"


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
