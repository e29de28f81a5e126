"""Commands, scripts and subscriptions over the nodes that Redis has, and whether it is in use."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import Any

import structlog
from redis.asyncio.connection import Connection
from redis.exceptions import AskError, MovedError, NoScriptError, RedisError, ResponseError

from ocr_gateway.redis_link.nodes import (
    Address,
    Argument,
    RedisUnavailable,
    bounded,
    connect,
    is_outage,
    nodes_of,
    text_of,
)

_log = structlog.get_logger("ocr_gateway.redis")

_KEEP_ALIVE_S = 15.0
_MAX_REDIRECTS = 3
_OPEN_TIMEOUT_S = 2.0


class RedisRefused(Exception):
    """Redis is well and refuses this command: memory full, a wrong type, a script's own error. The message says why."""


class Script:
    """A Lua script, known to Redis by its SHA-1 after its first run."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def load(cls, package: str, name: str) -> Script:
        """The script in a package's own folder ``lua``; ``name`` is without its ``.lua``."""
        return cls((files(package) / "lua" / f"{name}.lua").read_text(encoding="utf-8"))


class RedisLink:
    """Commands to Redis, each within ``timeout_s`` seconds, connecting included, over at most ``max_connections``.

    The first failure takes Redis out of use for everybody: from then on every command raises RedisUnavailable at once.
    A task in the background looks each ``rest_s`` seconds whether it can be used again; no caller pays for that.
    Raises ValueError for an address that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 0.1,
        rest_s: float = 1.0,
        max_connections: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.commands = 0
        self._nodes = nodes_of(url, timeout_s)
        self._timeout_s = timeout_s
        self._rest_s = rest_s
        self._clock = clock
        self._max_connections = max_connections
        self._slots = asyncio.Semaphore(max_connections)
        self._watchers: list[Callable[[bool, str], None]] = []
        self._generation = 0
        self._in_use = False
        self._in_use_since = 0.0
        self._answered_at = 0.0
        self._why = "not open"
        self._alarm = asyncio.Event()
        self._usable = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._subscriptions: set[Connection] = set()

    @property
    def in_use(self) -> bool:
        """Whether commands are sent at all."""
        return self._in_use

    def watch(self, tell: Callable[[bool, str], None]) -> None:
        """Has ``tell`` called at each change, and where ``open`` finds no Redis: in use or not, and why not.

        It must not raise or take long.
        """
        self._watchers.append(tell)

    async def open(self) -> None:
        """Tries Redis once and begins to look after it. Never raises; a Redis that is away is tried again and again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                await self._probe()
        if not self._in_use:
            self._tell(False)
        self._tasks.append(asyncio.create_task(self._look_after(), name="redis-link"))

    async def close(self) -> None:
        """Ends everything, within seconds. May be repeated."""
        tasks, self._tasks = self._tasks, []
        self._set_in_use(False, "closed")
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._nodes.drop()
        await asyncio.sleep(0)  # the transports' own last step

    async def get(self, key: str) -> bytes | None:
        """The key's value, or None. Raises RedisUnavailable, RedisRefused."""
        value: bytes | None = await self._ask(key, lambda: self._execute(key, "GET", key))
        return value

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:
        """What the script returns, strings as bytes. All ``keys``, at least one, are of one hash slot.

        Raises RedisUnavailable, RedisRefused. Whether the script ran is unknown after RedisUnavailable.
        """

        async def evaluate() -> Any:
            try:
                return await self._execute(keys[0], "EVALSHA", script.sha, len(keys), *keys, *args)
            except NoScriptError:
                return await self._execute(keys[0], "EVAL", script.source, len(keys), *keys, *args)

        return await self._ask(keys[0], evaluate)

    async def subscribe(
        self, channel: str, heard: Callable[[str], None], resumed: Callable[[], None] = lambda: None
    ) -> None:
        """Has ``heard`` called with each message from now on, as far as Redis delivers; returns at once.

        ``resumed`` is called each time that it listens (again): what was said in between was missed. Neither may raise.
        """
        self._tasks.append(asyncio.create_task(self._listen(channel, heard, resumed), name=f"redis-{channel}"))

    # Commands

    async def _ask(self, key: str, command: Callable[[], Awaitable[Any]]) -> Any:
        if not self._in_use:
            raise RedisUnavailable(self._why)
        generation, began = self._generation, False
        try:
            async with bounded(self._timeout_s), self._slots:
                if generation != self._generation:
                    raise RedisUnavailable(self._why)
                began = True
                reply = await command()
        except TimeoutError as error:
            if not began:
                raise RedisUnavailable(f"its {self._max_connections} connections are all busy") from error
            raise self._failed(generation, text_of(error)) from error
        except ResponseError as error:
            self._answered_at = self._clock()
            if is_outage(error):
                raise self._failed(generation, text_of(error)) from error
            raise RedisRefused(f"{key}: {text_of(error)}") from error
        except (RedisError, OSError) as error:
            raise self._failed(generation, text_of(error)) from error
        self._answered_at = self._clock()
        return reply

    async def _execute(self, key: str, *args: Argument) -> Any:
        """One command to the node of the key, following a cluster whose slots move."""
        node, asking = self._nodes.node_for(key), False
        for _ in range(_MAX_REDIRECTS):
            self.commands += 1
            try:
                return await node.execute(*args, asking=asking)
            except AskError as error:  # MovedError is one, too
                asking = not isinstance(error, MovedError)
                node = self._nodes.node_at(Address(error.host or node.address.host, int(error.port)))
                if not asking:
                    self._nodes.stale = True
                    self._alarm.set()
        raise ResponseError("TRYAGAIN the slot moves too often")

    # State

    def _failed(self, generation: int, why: str) -> RedisUnavailable:
        """Takes Redis out of use, unless that failed which was asked before it came back."""
        if generation == self._generation:
            self._set_in_use(False, why)
        return RedisUnavailable(why)

    def _set_in_use(self, in_use: bool, why: str = "") -> None:
        changed, self._in_use, self._why = in_use is not self._in_use, in_use, why
        if not changed:
            return
        self._generation += 1
        if in_use:
            self._in_use_since = self._answered_at = self._clock()
            self._usable.set()
            _log.info("redis.in_use")
        else:
            self._usable.clear()
            self._alarm.set()
            if self._tasks:
                _log.warning("redis.out_of_use", why=why, rest_s=self._rest_s)
        self._tell(in_use)

    def _tell(self, in_use: bool) -> None:
        for tell in self._watchers:
            tell(in_use, self._why)

    async def _look_after(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rest_s):
                    await self._alarm.wait()
            self._alarm.clear()
            if self._in_use:
                await self._check()
                continue
            for connection in list(self._subscriptions):
                await connection.disconnect(nowait=True)
            await self._nodes.drop()
            if self._clock() - self._in_use_since < self._rest_s:
                await asyncio.sleep(self._rest_s)  # it comes and goes, or was tried just now
            await self._probe()
            self._in_use_since = self._clock()

    async def _check(self) -> None:
        """While in use: finds a cluster's slots anew where that is due, and notices an outage that nobody met."""
        generation = self._generation
        try:
            if self._nodes.stale:
                await self._nodes.find()
            if self._clock() - self._answered_at >= self._rest_s:
                self.commands += 1
                await self._nodes.ping()
        except Exception as error:  # whatever it is, it must not end the looking after
            self._failed(generation, text_of(error))

    async def _probe(self) -> None:
        try:
            await self._nodes.find()
            await self._nodes.prove()
        except Exception as error:
            if self._why != text_of(error):
                self._why = text_of(error)
                _log.warning("redis.still_out_of_use", why=self._why)
        else:
            self._set_in_use(True)

    async def _listen(self, channel: str, heard: Callable[[str], None], resumed: Callable[[], None]) -> None:
        while True:
            await self._usable.wait()
            connection = self._nodes.node_for(channel).connection()
            self._subscriptions.add(connection)
            try:
                async with asyncio.timeout(self._timeout_s + self._rest_s):
                    await connect(connection)
                    await connection.send_command("SUBSCRIBE", channel)
                    await connection.read_response(disable_decoding=True)
                resumed()
                await _hear(connection, heard)
            except (RedisError, OSError) as error:  # a TimeoutError is an OSError
                _log.info("redis.subscription_lost", channel=channel, detail=text_of(error))
            finally:
                self._subscriptions.discard(connection)
                await connection.disconnect(nowait=True)
            await asyncio.sleep(self._rest_s if self._in_use else 0)


async def _hear(connection: Connection, heard: Callable[[str], None]) -> None:
    """Calls ``heard`` until the connection ends or does not even answer a PING any more."""
    asked = False
    while True:
        said = await connection.read_response(disable_decoding=True, timeout=_KEEP_ALIVE_S)
        if said is None and asked:
            raise ConnectionError(f"silent for {2 * _KEEP_ALIVE_S:g} s")
        asked = said is None
        if said is None:
            await connection.send_command("PING")
        elif said[0] == b"message":
            heard(said[2].decode("utf-8", "replace"))
