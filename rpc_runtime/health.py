"""grpc.health.v1 with the service names, and with named components beside them."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

_Status = health_pb2.HealthCheckResponse.ServingStatus
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class HealthBoard:
    """What grpc.health.v1 answers. The empty name and the service names stand and fall together.

    A component (``provider.rapidocr``, ``cache.store``) has a name of its own and does not take the service down: a
    server whose cache is gone still serves.
    """

    def __init__(self, service_names: Iterable[str]) -> None:
        self._names = ("", *service_names)
        self._servicer = health.aio.HealthServicer()
        self._components: dict[str, bool] = {}

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the health service to ``server``."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def serving(self) -> None:
        """Says that the services take calls."""
        for name in self._names:
            await self._servicer.set(name, SERVING)

    async def draining(self) -> None:
        """Says that nothing takes new calls any more, for good."""
        await self._servicer.enter_graceful_shutdown()

    async def set_component(self, name: str, serving: bool) -> None:
        """Says how a component is. Telling the same again changes nothing."""
        if self._components.get(name) is not serving:
            self._components[name] = serving
            await self._servicer.set(name, SERVING if serving else NOT_SERVING)
