"""The second level without Redis: an SQLite file that the processes of one machine share and a restart survives."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from ocr_gateway.cache.store import StoreUnavailable

ResultT = TypeVar("ResultT")

_SQL = files("ocr_gateway.cache") / "sql"
_USER_VERSION = 2
_BUSY_TIMEOUT_S = 0.1
_PUTS_BETWEEN_SWEEPS = 200
_JITTER = 0.1
"""Times to live vary by this share, so that what was read together does not expire together."""


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


class EmbeddedStore:
    """Values by key in ``path``, at most ``max_bytes`` of them (swept now and then), each for about ``ttl_s`` seconds.

    SQLite runs on one thread of its own. A file that is damaged or of another version is begun anew.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        max_value_bytes: int,
        ttl_s: float,
        clock: Callable[[], float],
        random_source: random.Random,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_value_bytes = max_value_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._random = random_source
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-store")
        self._connection: sqlite3.Connection | None = None
        self._puts = 0
        self._closed = False
        self._statements = {name: _sql(name) for name in ("get", "put", "expire", "total", "evict")}

    async def open(self) -> None:
        """Opens or makes the file."""
        await self._run(self._open)

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        return await self._run(lambda: self._get(key))

    async def put(self, key: str, value: bytes) -> None:
        """Keeps the value unless it is over the bound."""
        if len(value) <= self._max_value_bytes:
            await self._run(lambda: self._put(key, value))

    async def close(self) -> None:
        """Closes the file. May be repeated."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError, RuntimeError) as error:  # RuntimeError: the thread has been shut down
            raise StoreUnavailable(f"{self._path}: {error}") from error

    # On the store's own thread

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, read-only, no room: the file itself is sound
            self._path.unlink(missing_ok=True)
            self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if connection.execute("PRAGMA user_version").fetchone()[0] != _USER_VERSION:
                connection.execute("DROP TABLE IF EXISTS result")
                connection.execute(f"PRAGMA user_version = {_USER_VERSION}")
            connection.executescript(_sql("schema"))
        except BaseException:
            connection.close()
            raise
        return connection

    def _get(self, key: str) -> bytes | None:
        row = self._opened().execute(self._statements["get"], {"key": key, "now": self._clock()}).fetchone()
        return bytes(row[0]) if row is not None else None

    def _put(self, key: str, value: bytes) -> None:
        ttl_s = self._ttl_s * self._random.uniform(1 - _JITTER, 1 + _JITTER)
        row = {"key": key, "value": value, "bytes": len(value), "expires_at": self._clock() + ttl_s}
        self._opened().execute(self._statements["put"], row)
        self._puts += 1
        if self._puts % _PUTS_BETWEEN_SWEEPS == 1:
            self._sweep()

    def _sweep(self) -> None:
        connection = self._opened()
        connection.execute(self._statements["expire"], {"now": self._clock()})
        excess = connection.execute(self._statements["total"]).fetchone()[0] - self._max_bytes
        if excess > 0:
            connection.execute(self._statements["evict"], {"excess": excess})

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._open()
        if self._connection is None:
            raise sqlite3.OperationalError("not open")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
