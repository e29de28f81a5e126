"""The one place that builds the preprocess service's objects and reads its settings."""

from __future__ import annotations

import random

import grpc

from ocrmux.preprocess.v1 import preprocess_pb2, preprocess_pb2_grpc
from preprocess_service.fault_table import FAULT_TABLE
from preprocess_service.gateway_link import GatewayLink
from preprocess_service.known_pages import KnownPages
from preprocess_service.model import PAGE_MEDIA_TYPES, PageFit, SourceLimits
from preprocess_service.page_worker.process_limits import close_to_neighbours
from preprocess_service.page_workers import PageWorkers
from preprocess_service.pipeline import Pipeline
from preprocess_service.readers import Readers
from preprocess_service.servicer import PreprocessServicer
from preprocess_service.settings import PreprocessSettings
from rpc_runtime.bearer_token import read_token_file
from rpc_runtime.channel import open_channel
from rpc_runtime.drain import DrainSignal
from rpc_runtime.faults import FaultTable
from rpc_runtime.health import HealthBoard
from rpc_runtime.server import stream_host


class PreprocessProcess:
    """The preprocess service as the runtime runs it."""

    def __init__(self, settings: PreprocessSettings, drain: DrainSignal) -> None:
        self._health: HealthBoard | None = None
        self._workers = PageWorkers(
            settings.workers,
            limits=SourceLimits(
                max_bytes=settings.max_item_bytes, max_pixels=settings.max_pixels, max_pages=settings.max_pages
            ),
            memory_bytes=settings.worker_max_bytes,
            page_time_limit_s=settings.page_time_limit_s,
            on_state=self._on_workers_state,
        )
        token_file = settings.gateway_token_file
        self._link = GatewayLink(
            open_channel(
                settings.gateway_target,
                ca_file=settings.gateway_ca_file,
                cert_file=settings.gateway_cert_file,
                key_file=settings.gateway_key_file,
            ),
            retry_s=settings.gateway_retry_s,
            connect_timeout_s=settings.gateway_connect_timeout_s,
            on_state=self._on_gateway_state,
            random_source=random.SystemRandom(),
            token=read_token_file(token_file, "gateway_token_file") if token_file is not None else None,
        )
        self._readers = Readers(
            self._link.list_providers,
            PageFit(
                media_types=PAGE_MEDIA_TYPES,
                max_bytes=settings.page_max_bytes,
                max_pixels=settings.page_max_pixels,
                max_side_px=settings.page_max_side_px,
            ),
            random_source=random.SystemRandom(),
        )
        self._link.on_reconnected(self._readers.doubt)
        self._servicer = PreprocessServicer(
            Pipeline(self._workers),
            self._link,
            self._readers,
            KnownPages(settings.known_pages_bytes),
            stream_host(settings, drain),
            FAULT_TABLE,
            pages_ahead=settings.pages_ahead,
            max_pages_in_flight=settings.max_pages_in_flight,
            default_timeout_s=settings.item_timeout_s,
            max_timeout_s=settings.max_item_timeout_s,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """PreprocessService's full name."""
        return (preprocess_pb2.DESCRIPTOR.services_by_name["PreprocessService"].full_name,)

    @property
    def faults(self) -> FaultTable:
        """The service's fault table."""
        return FAULT_TABLE

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicer."""
        preprocess_pb2_grpc.add_PreprocessServiceServicer_to_server(self._servicer, server)

    async def start(self, health: HealthBoard) -> None:
        """Takes note of the board and starts the workers, which cannot look into this process; the gateway is reached
        with the first stream.
        """
        self._health = health
        close_to_neighbours()
        self._workers.start()

    async def close(self) -> None:
        """Closes the channel and the workers."""
        await self._readers.aclose()
        await self._link.close()
        await self._workers.close()

    async def _on_gateway_state(self, reachable: bool) -> None:
        if self._health is not None:
            await self._health.set_component("gateway", reachable)

    async def _on_workers_state(self, there_are: bool) -> None:
        if self._health is not None:
            await self._health.set_component("workers", there_are)
