"""The pair behind a scenario: processes at fixed addresses, so that one that was killed can come back where it was."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.clients.conformance.scenario import Servers
from tests.fakes.certificates import Certificate, CertificateAuthority
from tests.fakes.fleet import KEYS, settings_of, until
from tests.fakes.processes import ServiceUnderTest, service
from tests.fakes.redis_server import RedisServer, free_port
from tests.fakes.standin.process import StandInProcess, stand_in_process

_UNLIMITED = {"requests_per_second": 0, "max_concurrency": 0}
_NEVER_RESTED = {"window": 10_000, "min_calls": 10_000}
_STORE_S = 5.0
"""A slow machine must not make the gateway bypass its store, which then counts as paid twice."""
_SETTLED_S = 60.0
_LOOKS = 25
"""So often in a row, a hundredth of a second apart, the provider must be found idle to count as asked nothing more."""


@dataclass
class LivePair:
    """A gateway, one or two preprocess services, and the stand-in provider."""

    servers: Servers
    folder: Path
    standin: StandInProcess
    redis_url: str | None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    _at: dict[str, str] = field(default_factory=dict)
    ca_file: Path = field(init=False)
    other_ca_file: Path = field(init=False)
    client_certificate: Certificate = field(init=False)
    _certificate: Certificate = field(init=False)
    _running: dict[str, tuple[ServiceUnderTest, AsyncExitStack]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ["gateway", "preprocess", *(["preprocess-2"] if self.servers.replicas == 2 else [])]
        self._at = {name: f"127.0.0.1:{free_port()}" for name in names}
        authority = CertificateAuthority(self.folder)
        self._certificate = authority.issue("server")
        self.client_certificate = authority.issue("client")
        self.ca_file = authority.cert_file
        self.other_ca_file = CertificateAuthority(self.folder, "other-ca").cert_file
        digest = sha256(self.token.encode()).hexdigest()
        (self.folder / "tokens.yaml").write_text(f"keys: [{{name: driver, sha256: {digest}}}]\n")
        (self.folder / "token").write_text(f"{self.token}\n")

    @property
    def target(self) -> str:
        """Of the preprocess service, all replicas."""
        addresses = [address for name, address in self._at.items() if name != "gateway"]
        return addresses[0] if len(addresses) == 1 else f"ipv4:{','.join(addresses)}"

    @property
    def gateway_target(self) -> str:
        """Of the gateway."""
        return self._at["gateway"]

    async def start(self, name: str) -> None:
        """Starts one at its address, once the one before has ended; returns when it serves."""
        if name in self._running:
            await self.ended(name)
        stack = AsyncExitStack()
        place = self.folder / name
        place.mkdir(exist_ok=True)
        entered = self._gateway(place) if name == "gateway" else self._preprocess(place, name)
        self._running[name] = await stack.enter_async_context(entered), stack

    async def start_missing(self) -> None:
        """Starts whatever does not run: a scenario may leave it dead."""
        for name in self._at:
            if name not in self._running or self._running[name][0].process.returncode is not None:
                await self.start(name)

    async def kill(self, name: str) -> None:
        """SIGKILL; returns when it has ended."""
        self._running[name][0].process.kill()
        await self.ended(name)

    def terminate(self, name: str) -> None:
        """SIGTERM."""
        self._running[name][0].process.terminate()

    async def ended(self, name: str) -> None:
        """Returns when it has ended by itself."""
        running, stack = self._running[name]
        await running.ended()
        del self._running[name]
        await stack.aclose()

    async def close(self) -> None:
        """Ends the services."""
        for _, stack in reversed(self._running.values()):
            await stack.aclose()

    def items_logged(self) -> list[int]:
        """Of each call to the preprocess services that has ended since they were started: the items that it brought."""
        logs = [self.folder / name / "preprocess_service.log" for name in self._at if name != "gateway"]
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        return [int(json.loads(line)["items"]) for line in lines if '"rpc.call"' in line]

    async def settled(self) -> dict[str, Any]:
        """What the provider counted, once it has nothing in progress and is asked nothing more."""
        last: list[tuple[int, int]] = []

        async def unchanged() -> bool:
            stats = await self.standin.stats()
            last.append((stats["requests"], stats["in_progress"]))
            return stats["in_progress"] == 0 and len(last) > _LOOKS and len(set(last[-_LOOKS:])) == 1

        await until(unchanged, _SETTLED_S)
        return await self.standin.stats()

    def _gateway(self, place: Path) -> Any:
        text = {"text": {"quota": _UNLIMITED}, "id": {"quota": _UNLIMITED}}
        cache = {"dir": str(place / "cache"), "store_timeout_s": _STORE_S, **self.servers.gateway.get("cache", {})}
        sections = {"circuit": _NEVER_RESTED, **self.servers.gateway, "cache": cache}
        baidu = {"features": text, **sections.pop("baidu", {})}
        link = {"timeout_s": _STORE_S}
        settings = settings_of(self.standin.address, self.redis_url, baidu=baidu, link=link, **sections)
        file = place / "gateway.yaml"
        file.write_text(json.dumps({**settings, **self._secured()}))
        return service("ocr_gateway", "GATEWAY_", place, listen=self._at["gateway"], config_file=str(file), **KEYS)

    def _preprocess(self, place: Path, name: str) -> Any:
        settings = {
            "workers": "1",
            "log_format": "json",
            "drain_linger_s": "0.2",
            "gateway_target": self._at["gateway"],
            **self._secured(),
            **self.servers.preprocess,
        }
        if self.servers.tls:
            settings["gateway_ca_file"] = str(self.ca_file)
        if self.servers.mutual:
            settings["tls_client_ca_file"] = str(self.ca_file)
        if self.servers.tokens:
            settings["gateway_token_file"] = str(self.folder / "token")
        return service("preprocess_service", "PREPROCESS_", place, listen=self._at[name], **settings)

    def _secured(self) -> dict[str, str]:
        settings: dict[str, str] = {}
        if self.servers.tls:
            settings |= {
                "tls_cert_file": str(self._certificate.cert_file),
                "tls_key_file": str(self._certificate.key_file),
            }
        if self.servers.tokens:
            settings["tokens_file"] = str(self.folder / "tokens.yaml")
        return settings


class PairPool:
    """Pairs by what was asked for; all end with the pool."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pairs: dict[str, LivePair] = {}
        self._stack = AsyncExitStack()

    async def pair(self, servers: Servers) -> LivePair:
        """One that serves, with all its processes running and a provider that knows of nothing done before."""
        key = servers.model_dump_json()
        if key not in self._pairs:
            folder = self._folder / str(len(self._pairs))
            folder.mkdir()
            self._pairs[key] = await self._made(servers, folder)
        pair = self._pairs[key]
        await pair.start_missing()
        return pair

    async def close(self) -> None:
        """Ends everything."""
        await self._stack.aclose()

    async def _made(self, servers: Servers, folder: Path) -> LivePair:
        redis = await self._stack.enter_async_context(RedisServer()) if servers.redis else None
        standin = await self._stack.enter_async_context(stand_in_process(folder, quota=0))
        pair = LivePair(servers, folder, standin, redis.url if redis else None)
        self._stack.push_async_callback(pair.close)
        return pair


@asynccontextmanager
async def pair_pool(folder: Path) -> AsyncIterator[PairPool]:
    """A pool, ended in every case."""
    pool = PairPool(folder)
    try:
        yield pool
    finally:
        await pool.close()
