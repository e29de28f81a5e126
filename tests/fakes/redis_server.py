"""Real Redis servers on free loopback ports: one, its sentinel, or a cluster of masters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

BINARY = "redis-server"
SLOTS = 16384
_READY_S = 15.0
_STOP_S = 5.0
_PORTS = (11_000, 21_000)


async def eventually(condition: Callable[[], object], timeout_s: float = _READY_S) -> None:
    """Returns once the condition holds; raises TimeoutError where it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.005)


def require_redis() -> None:
    """Skips the test where there is no redis-server; where CI is set, fails it."""
    if shutil.which(BINARY) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{BINARY} is not installed, and CI is set")
        pytest.skip(f"{BINARY} is not installed")


def free_port() -> int:
    """A loopback port that nobody listens on, nor 10 000 above it.

    Both lie below the ports that the system gives to outgoing connections, one of which could take it meanwhile.
    """
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe, socket.socket() as bus, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            return port


class RedisServer:
    """One redis-server, without persistence. ``options`` are its own: ``{"maxmemory": "2mb"}``.

    Use it as an async context manager; it is ended in every case, stopped by a signal or not.
    """

    def __init__(self, options: dict[str, str] | None = None, *, sentinel_config: str = "") -> None:
        self.port = free_port()
        self._options = options or {}
        self._sentinel_config = sentinel_config
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> RedisServer:
        require_redis()
        try:
            await self.start()
        except BaseException:
            await self.kill()
            self._folder.cleanup()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self._folder.cleanup()

    async def start(self) -> None:
        """Starts it, empty, on its port, and waits until it answers."""
        assert self._process is None
        self._process = await asyncio.create_subprocess_exec(
            BINARY, *self._arguments(), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(_READY_S):
            while await self._ping() != "PONG":
                if self._process.returncode is not None:
                    raise RuntimeError(f"{BINARY} ended with {self._process.returncode}")
                await asyncio.sleep(0.02)

    def stop_signal(self) -> None:
        """SIGSTOP: it stalls, its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def continue_signal(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL, which ends a stopped one, too. Nothing where it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        async with asyncio.timeout(_STOP_S):
            await process.wait()

    async def restart(self) -> None:
        """Killed and started again: the same port, empty."""
        await self.kill()
        await self.start()

    async def command(self, *words: str | int) -> str:
        """What redis-server answers to one command, over a connection of its own, as redis-cli would print it raw."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            encoded = [str(word).encode() for word in words]
            writer.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in encoded))
            async with asyncio.timeout(_STOP_S):
                return await _read_reply(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _arguments(self) -> list[str]:
        folder = self._folder.name
        if self._sentinel_config:
            config = Path(folder) / "sentinel.conf"
            config.write_text(self._sentinel_config, encoding="utf-8")
            return [str(config), "--sentinel", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", folder]
        fixed = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
        return [word for name, value in (fixed | self._options).items() for word in (f"--{name}", value)]

    async def _ping(self) -> str:
        try:
            return await self.command("PING")
        except OSError:
            return ""


@contextlib.asynccontextmanager
async def redis_cluster(masters: int = 3) -> AsyncIterator[list[RedisServer]]:
    """A cluster of masters without replicas, ready for use."""
    options = {"cluster-enabled": "yes", "cluster-node-timeout": "1000"}
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(RedisServer(options)) for _ in range(masters)]
        for number, node in enumerate(nodes):
            first, last = SLOTS * number // masters, SLOTS * (number + 1) // masters - 1
            await node.command("CLUSTER", "ADDSLOTSRANGE", first, last)
            await node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            await nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port)
        async with asyncio.timeout(_READY_S):
            while not await _agree(nodes):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.05)
        yield nodes


async def _agree(nodes: list[RedisServer]) -> bool:
    infos = [await node.command("CLUSTER", "INFO") for node in nodes]
    return all("cluster_state:ok" in info and f"cluster_known_nodes:{len(nodes)}" in info for info in infos)


async def _read_reply(reader: asyncio.StreamReader) -> str:
    line = (await reader.readline()).decode().rstrip("\r\n")
    if not line:
        raise ConnectionError("redis-server closed the connection")
    kind, rest = line[0], line[1:]
    if kind == "$":
        return "" if rest == "-1" else (await reader.readexactly(int(rest) + 2))[:-2].decode("utf-8", "replace")
    if kind == "*":
        return "\n".join([await _read_reply(reader) for _ in range(int(rest))])
    return rest
