"""Serves a registry of metrics over HTTP, for Prometheus to scrape.

With prometheus-client's own server, a thread of its own: a scrape costs the event loop nothing but the interpreter's
lock for some milliseconds. There is no TLS and no password: listen on loopback or on a network of one's own.
"""

from __future__ import annotations

import asyncio
from threading import Thread
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, start_http_server

_log = structlog.get_logger("rpc_runtime.metrics_endpoint")
_CLOSE_S = 2.0


class MetricsEndpoint:
    """Answers GET http://HOST:PORT/metrics. ``start``, then ``close``."""

    def __init__(self, registry: CollectorRegistry, listen: str) -> None:
        self._registry = registry
        self._listen = listen
        self._running: tuple[WSGIServer, Thread] | None = None

    def start(self) -> str:
        """Listens and returns the bound HOST:PORT; port 0 takes a free one. Raises OSError when it cannot."""
        host, _, port = self._listen.rpartition(":")
        try:
            server, thread = start_http_server(int(port), host.strip("[]"), self._registry)
        except (OSError, OverflowError) as error:
            raise OSError(f"cannot listen on {self._listen} for metrics: {error}") from error
        self._running = server, thread
        address = f"{host}:{server.server_port}"
        _log.info("metrics.serving", address=address)
        return address

    async def close(self) -> None:
        """Stops listening; within 2 seconds, and a scrape in progress is not waited for. May be repeated."""
        running, self._running = self._running, None
        if running is not None:
            await asyncio.to_thread(_stop, *running)


def _stop(server: WSGIServer, thread: Thread) -> None:
    server.shutdown()
    thread.join(_CLOSE_S)
    server.server_close()
