"""A grpc.aio server around one service: interceptors, health, reflection, bounded messages, keepalive, drain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import grpc
import structlog
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from rpc_runtime.caller_keys import CallerKeys, read_tokens_file
from rpc_runtime.capacity import Capacity
from rpc_runtime.credentials import server_credentials
from rpc_runtime.drain import DrainSignal
from rpc_runtime.faults import FaultTable
from rpc_runtime.health import HealthBoard
from rpc_runtime.interceptors import CallLayer, LayeredInterceptor
from rpc_runtime.interceptors.access_log import access_log
from rpc_runtime.interceptors.call_admission import call_admission
from rpc_runtime.interceptors.caller_gate import CallerGate
from rpc_runtime.interceptors.fault_boundary import fault_boundary
from rpc_runtime.interceptors.request_context import request_context
from rpc_runtime.item_stream import StreamHost
from rpc_runtime.listening import warn_of_open_doors
from rpc_runtime.memory import HeapReturn
from rpc_runtime.settings import ServerSettings
from rpc_runtime.stream_messages import StreamLimits
from rpc_runtime.symbol_pool import symbol_pool

_log = structlog.get_logger("rpc_runtime.server")
_STOP_SLACK_S = 2.0


class Service(Protocol):
    """What a service gives the runtime: its names, its servicer, and its beginning and end."""

    @property
    def names(self) -> Sequence[str]:
        """Full names of its gRPC services."""
        ...

    @property
    def faults(self) -> FaultTable:
        """What its errors become."""
        ...

    def register(self, server: grpc.aio.Server) -> None:
        """Adds its servicers."""
        ...

    async def start(self, health: HealthBoard) -> None:
        """Begins its work; called before the first call is let in. Components report to ``health``."""
        ...

    async def close(self) -> None:
        """Gives everything back; called after the last call."""
        ...


def stream_host(settings: ServerSettings, drain: DrainSignal) -> StreamHost:
    """What the streams of a server share, by its settings."""
    heap = HeapReturn()
    return StreamHost(
        limits=StreamLimits(
            max_items=settings.stream_max_items,
            max_bytes=settings.stream_max_bytes,
            max_item_bytes=settings.max_item_bytes,
            max_message_bytes=settings.max_message_bytes,
        ),
        capacity=Capacity(max_items=settings.total_max_items, max_bytes=settings.total_max_bytes, on_idle=heap.idle),
        unary_capacity=Capacity(max_items=settings.max_calls, max_bytes=settings.unary_max_bytes),
        drain=drain,
        drain_linger_s=settings.drain_linger_s,
    )


class RpcServer:
    """One listening server. ``start``, then ``stop``; both once. Making it raises SettingsInvalid for a wrong file of
    tokens.
    """

    def __init__(self, service: Service, settings: ServerSettings, drain: DrainSignal) -> None:
        self._service = service
        self._settings = settings
        self._drain = drain
        self._health = HealthBoard(service.names)
        keys = read_tokens_file(settings.tokens_file) if settings.tokens_file is not None else None
        self._server = grpc.aio.server(
            interceptors=_interceptors(service.faults, drain, settings.max_calls, keys),
            options=_server_options(settings.max_message_bytes),
        )
        self.address = ""

    async def start(self) -> str:
        """Starts the service, listens, and returns the bound HOST:PORT. Raises OSError when the address is taken."""
        self._service.register(self._server)
        self._health.register(self._server)
        if self._settings.reflection:
            names = (*self._service.names, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server, symbol_pool())
        self.address = self._listen()
        warn_of_open_doors(self._settings)
        await self._service.start(self._health)
        await self._server.start()
        await self._health.serving()
        _log.info("server.serving", address=self.address, services=list(self._service.names))
        return self.address

    def _listen(self) -> str:
        listen = self._settings.listen
        credentials = server_credentials(
            self._settings.tls_cert_file, self._settings.tls_key_file, self._settings.tls_client_ca_file
        )
        try:
            if credentials is None:
                port = self._server.add_insecure_port(listen)
            else:
                port = self._server.add_secure_port(listen, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {listen}: {error}") from error
        if port == 0:
            raise OSError(f"cannot listen on {listen}")
        return f"{listen.rpartition(':')[0]}:{port}"

    async def stop(self, grace_s: float) -> bool:
        """Drains and stops within ``grace_s`` seconds; says whether every accepted item was finished."""
        await self._health.draining()
        self._drain.begin()
        _log.info("server.draining", active_calls=self._drain.active_calls, grace_s=grace_s)
        try:
            async with asyncio.timeout(grace_s):
                await self._drain.wait_idle()
            clean = True
        except TimeoutError:
            clean = False
            _log.warning("server.drain_cut_short", active_calls=self._drain.active_calls, grace_s=grace_s)
        await self._server.stop(_STOP_SLACK_S if clean else 0)
        await self._service.close()
        _log.info("server.stopped", clean=clean)
        return clean


def _interceptors(
    faults: FaultTable, drain: DrainSignal, max_calls: int, keys: CallerKeys | None
) -> list[grpc.aio.ServerInterceptor]:
    """Who is not let in never gets as far as the admission, so that bad tokens take no slots."""
    told: list[CallLayer] = [request_context, access_log, fault_boundary(faults)]
    inside = LayeredInterceptor([*told, call_admission(drain, max_calls)])
    return [inside] if keys is None else [CallerGate(keys, told), inside]


def _server_options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", 64 * 1024 * 1024),
        ("grpc.so_reuseport", 0),  # a second server on the same port is a mistake, not a replica
        # What a caller may send ahead of the reading; gRPC would let it grow to 16 MiB a stream.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 1024 * 1024),
        # grpc-go and grpc-java ping at most every 10 s: such callers are never told too_many_pings.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # A caller whose host vanished is noticed within 80 s.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
