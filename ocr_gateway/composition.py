"""The one place that builds the gateway's objects and reads its settings."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor

import grpc

from ocr_gateway.cache.embedded import EmbeddedStore
from ocr_gateway.cache.memory import MemoryCache
from ocr_gateway.cache.two_level import TwoLevelCache
from ocr_gateway.fault_table import FAULT_TABLE
from ocr_gateway.model import Feature
from ocr_gateway.providers.base import Provider
from ocr_gateway.providers.rapid_ocr import RapidOcrProvider
from ocr_gateway.providers.tesseract import TesseractProvider
from ocr_gateway.recognizer import Recognizer
from ocr_gateway.routing import Route, Router
from ocr_gateway.servicer import OcrGatewayServicer
from ocr_gateway.settings import GatewaySettings
from ocrmux.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from rpc_runtime.drain import DrainSignal
from rpc_runtime.faults import FaultTable
from rpc_runtime.health import HealthBoard
from rpc_runtime.server import stream_host

_CROPPING_THREADS = 2
_STORE_FILE = "results.sqlite3"


class GatewayService:
    """The gateway as the runtime runs it."""

    def __init__(
        self,
        servicer: OcrGatewayServicer,
        providers: Iterable[Provider],
        cache: TwoLevelCache,
        cropping: Executor,
        store_news: _StoreNews,
    ) -> None:
        self._servicer = servicer
        self._providers = tuple(providers)
        self._cache = cache
        self._cropping = cropping
        self._store_news = store_news

    @property
    def names(self) -> tuple[str, ...]:
        """OcrGatewayService's full name."""
        return (gateway_pb2.DESCRIPTOR.services_by_name["OcrGatewayService"].full_name,)

    @property
    def faults(self) -> FaultTable:
        """The gateway's fault table."""
        return FAULT_TABLE

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicer."""
        gateway_pb2_grpc.add_OcrGatewayServiceServicer_to_server(self._servicer, server)

    async def start(self, health: HealthBoard) -> None:
        """Opens the cache and begins to make the providers ready."""
        self._store_news.health = health
        await asyncio.gather(self._cache.open(), *(provider.start() for provider in self._providers))

    async def close(self) -> None:
        """Closes providers and cache."""
        await asyncio.gather(*(provider.close() for provider in self._providers))
        await self._cache.close()
        self._cropping.shutdown(wait=False, cancel_futures=True)


class _StoreNews:
    """Tells the health board how the cache's second level is."""

    def __init__(self) -> None:
        self.health: HealthBoard | None = None

    async def __call__(self, in_use: bool) -> None:
        if self.health is not None:
            await self.health.set_component("cache.store", in_use)


def build_providers(settings: GatewaySettings) -> list[Provider]:
    """The providers that the settings turn on."""
    providers: list[Provider] = []
    if settings.rapidocr_workers:
        providers.append(RapidOcrProvider(settings.rapidocr_workers))
    if settings.tesseract_workers:
        providers.append(TesseractProvider(settings.tesseract_workers, settings.tesseract_binary))
    return providers


def build_gateway(
    settings: GatewaySettings, drain: DrainSignal, providers: Iterable[Provider] | None = None
) -> GatewayService:
    """The gateway; with other ``providers`` than the settings', for tests and benchmarks."""
    ready = list(build_providers(settings) if providers is None else providers)
    names = [provider.description.name for provider in ready]
    order = [name for name in settings.default_route if name in names] or names
    router = Router(ready, [Route("default", Feature.TEXT, tuple(order))])
    store_news = _StoreNews()
    cache = _build_cache(settings, store_news)
    cropping = ThreadPoolExecutor(max_workers=_CROPPING_THREADS, thread_name_prefix="cropping")
    recognizer = Recognizer(router, cache, max_pixels=settings.max_pixels, cropping=cropping)
    servicer = OcrGatewayServicer(
        recognizer,
        router,
        stream_host(settings, drain),
        FAULT_TABLE,
        item_timeout_s=settings.item_timeout_s,
        max_item_timeout_s=settings.max_item_timeout_s,
    )
    return GatewayService(servicer, ready, cache, cropping, store_news)


def _build_cache(settings: GatewaySettings, store_news: _StoreNews) -> TwoLevelCache:
    store = (
        EmbeddedStore(
            settings.cache_dir / _STORE_FILE,
            max_bytes=settings.cache_store_bytes,
            max_value_bytes=settings.cache_max_value_bytes,
            ttl_s=settings.cache_ttl_s,
            clock=time.time,
            random_source=random.SystemRandom(),
        )
        if settings.cache_dir is not None and settings.cache_store_bytes
        else None
    )
    return TwoLevelCache(
        MemoryCache(max_bytes=settings.cache_memory_bytes, ttl_s=settings.cache_ttl_s, clock=time.monotonic),
        store,
        store_timeout_s=settings.cache_store_timeout_s,
        store_rest_s=settings.cache_store_rest_s,
        clock=time.monotonic,
        on_store_state=store_news,
    )
