"""Where Redis is: one server, the master that sentinels name, or a cluster's masters by slot; and connections to it."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio.connection import Connection, parse_url
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, ReadOnlyError, RedisError, ResponseError

_LATE_S = 0.02
"""An event loop that is later than this was busy itself; replies that lie in the socket get as long to be read."""
_SENTINEL_PORT = 26379
_URL = re.compile(r"(?P<scheme>[a-z+]+)://(?P<netloc>[^/?#]*)(?P<path>[^?#]*)(\?(?P<query>[^#]*))?")
_PROBE_KEY = "ocrmux:probe"
_OURS = {"socket_timeout": None, "socket_connect_timeout": None, "protocol": 2, "driver_info": None}

Argument = str | bytes | int | float


class RedisUnavailable(Exception):
    """Redis cannot be used now. Its message says why."""


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


class Node:
    """One server and the connections to it that nobody uses now."""

    def __init__(self, address: Address, options: dict[str, Any]) -> None:
        self.address = address
        self._options = options
        self._idle: list[Connection] = []
        self._epoch = 0

    def connection(self) -> Connection:
        """A new one, not connected yet: no retries, no greetings, no time-outs of its own."""
        options = {**self._options, **_OURS, "host": self.address.host, "port": self.address.port}
        kind = options.pop("connection_class", Connection)
        made: Connection = kind(**options)
        return made

    async def execute(self, *args: Argument, asking: bool = False) -> Any:
        """The reply. A connection is used again only after its reply has been read to the end."""
        epoch, connection = self._epoch, await self._take()
        try:
            if asking:
                await connection.send_command("ASKING")
                await connection.read_response()
            await connection.send_command(*args)
            reply = await connection.read_response(disable_decoding=True)
        except ResponseError:
            await self._give_back(connection, epoch)
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        await self._give_back(connection, epoch)
        return reply

    async def drop(self) -> None:
        """Closes what is idle, and has closed what is in use as soon as it is given back."""
        self._epoch += 1
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=True)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            with contextlib.suppress(RedisError, OSError):
                if not await connection.can_read():  # neither closed by the server nor left with something unread
                    return connection
            await connection.disconnect(nowait=True)
        connection = self.connection()
        try:
            await connect(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _give_back(self, connection: Connection, epoch: int) -> None:
        if epoch == self._epoch:
            self._idle.append(connection)
        else:
            await connection.disconnect(nowait=True)


class Nodes:
    """One server; the base of what has more of them. ``find`` and the proofs raise, each question within its time."""

    def __init__(self, seeds: Sequence[Address], options: dict[str, Any], timeout_s: float) -> None:
        self.stale = False
        self._seeds = tuple(seeds)
        self._options = options
        self._timeout_s = timeout_s
        self._known: dict[Address, Node] = {}

    def node_at(self, address: Address) -> Node:
        """The node there."""
        node = self._known.get(address)
        if node is None:
            node = self._known[address] = Node(address, self._options)
        return node

    def node_for(self, key: str) -> Node:  # noqa: ARG002 - only in a cluster it matters
        """The node that has the key."""
        return self.node_at(self._seeds[0])

    async def find(self) -> None:
        """Learns where what lies."""

    async def ping(self) -> None:
        """Raises unless every node that is needed answers."""
        await self._ask(self.node_for(""), "PING")

    async def prove(self) -> None:
        """Raises unless Redis can be used for reading and writing; a full memory is no hindrance."""
        await self.ping()
        try:
            await self._ask(self.node_for(_PROBE_KEY), "SET", _PROBE_KEY, 1, "PX", 1000)
        except ResponseError as error:
            if is_outage(error):
                raise

    async def drop(self) -> None:
        """Closes all connections."""
        for node in self._known.values():
            await node.drop()

    async def _ask(self, node: Node, *args: Argument) -> Any:
        async with bounded(self._timeout_s):
            return await node.execute(*args)


class _Sentinel(Nodes):
    """The master of a name, as the first sentinel that answers says."""

    def __init__(self, seeds: Sequence[Address], options: dict[str, Any], timeout_s: float, master: str) -> None:
        super().__init__(seeds, options, timeout_s)
        self._master_name = master
        self._master = Address("", 0)
        ours = {name: value for name, value in options.items() if name not in ("username", "password", "db")}
        self._sentinels = [Node(seed, ours) for seed in seeds]

    def node_for(self, key: str) -> Node:  # noqa: ARG002 - the master has them all
        return self.node_at(self._master)

    async def find(self) -> None:
        for sentinel in _each(self._sentinels):
            with contextlib.suppress(RedisError, OSError):
                said = await self._ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master_name)
                if said:
                    self._master = Address(said[0].decode(), int(said[1]))
                    return
        raise RedisUnavailable(f"no sentinel names the master of {self._master_name!r}")

    async def drop(self) -> None:
        await super().drop()
        for sentinel in self._sentinels:
            await sentinel.drop()


class _Cluster(Nodes):
    """The masters of a cluster by slot."""

    def __init__(self, seeds: Sequence[Address], options: dict[str, Any], timeout_s: float) -> None:
        super().__init__(seeds, options, timeout_s)
        self._starts: list[int] = [0]
        self._masters: list[Address] = [seeds[0]]

    def node_for(self, key: str) -> Node:
        return self.node_at(self._masters[bisect.bisect_right(self._starts, key_slot(key.encode())) - 1])

    async def find(self) -> None:
        why = "no node answers"
        for address in dict.fromkeys((*self._masters, *self._seeds)):
            node = self.node_at(address)
            try:
                state: bytes = await self._ask(node, "CLUSTER INFO")
                ranges = sorted(await self._ask(node, "CLUSTER SLOTS"))
            except (RedisError, OSError) as error:
                why = f"{address.host}:{address.port}: {text_of(error)}"
                continue
            if b"cluster_state:ok" not in state:
                why = f"{address.host}:{address.port}: the cluster is down"
                continue
            self._starts = [first for first, *_ in ranges]
            self._masters = [
                Address((host or b"").decode() or address.host, port) for _, _, (host, port, *_), *_ in ranges
            ]
            self.stale = False
            return
        raise RedisUnavailable(why)

    async def ping(self) -> None:
        for master in set(self._masters):
            await self._ask(self.node_at(master), "PING")

    async def prove(self) -> None:
        await self.ping()


def _each(sentinels: list[Node]) -> Iterator[Node]:
    """Each in turn; the one that is found good goes first the next time."""
    for position, sentinel in enumerate(list(sentinels)):
        yield sentinel
        sentinels.insert(0, sentinels.pop(position))


def nodes_of(url: str, timeout_s: float) -> Nodes:
    """What the address names; nothing is asked yet. Raises ValueError for an address that is none."""
    parts = _URL.fullmatch(url)
    scheme, _, kind = parts["scheme"].partition("+") if parts else ("", "", "")
    if parts is None or scheme not in ("redis", "rediss") or kind not in ("", "cluster", "sentinel"):
        raise ValueError("this is no way to Redis; known are redis://, redis+cluster://, redis+sentinel://")
    login, at, places = parts["netloc"].rpartition("@")
    port = _SENTINEL_PORT if kind == "sentinel" else 6379
    seeds = [_address(place, port) for place in places.split(",")]
    path, master = ("", parts["path"].strip("/")) if kind == "sentinel" else (parts["path"], "")
    options: dict[str, Any] = dict(
        parse_url(urlunsplit((scheme, f"{login}{at}localhost", path, parts["query"] or "", "")))
    )
    try:
        Node(seeds[0], options).connection()
    except TypeError as error:
        raise ValueError(f"an option of the address is unknown: {error}") from error
    if kind == "cluster":
        return _Cluster(seeds, options, timeout_s)
    if kind == "sentinel":
        if not master:
            raise ValueError("redis+sentinel needs the master's name as its path: redis+sentinel://host:26379/name")
        return _Sentinel(seeds, options, timeout_s, master)
    if len(seeds) > 1:
        raise ValueError("one server has one address; several are redis+cluster or redis+sentinel")
    return Nodes(seeds, options, timeout_s)


def _address(place: str, port: int) -> Address:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError(f"{place!r} is no host[:port] of Redis")
    return Address(parts.hostname, parts.port or port)


@contextlib.asynccontextmanager
async def bounded(timeout_s: float) -> AsyncIterator[None]:
    """Raises TimeoutError after ``timeout_s``. An event loop that was held up itself is not taken for a slow Redis."""
    loop = asyncio.get_running_loop()
    due = loop.time() + timeout_s
    scope = asyncio.timeout(None)

    def over() -> None:
        now = loop.time()
        scope.reschedule(now + _LATE_S if now > due + _LATE_S else now)

    try:
        async with scope:
            timer = loop.call_at(due, over)
            try:
                yield
            finally:
                timer.cancel()
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {timeout_s:g} s") from error


async def connect(connection: Connection) -> None:
    """Connects it."""
    await connection.connect()  # type: ignore[no-untyped-call]


def is_outage(error: ResponseError) -> bool:
    """Whether Redis says by this error that nobody can use it now."""
    return isinstance(error, ReadOnlyError | ClusterDownError) or str(error).startswith("BUSY ")


def text_of(error: BaseException) -> str:
    """What it says, or its name."""
    return str(error) or type(error).__name__
