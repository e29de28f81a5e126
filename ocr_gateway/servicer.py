"""OcrGatewayService: the RPC methods and nothing else."""

from __future__ import annotations

import time
from typing import Any

import grpc

from ocr_gateway.model import PageRequest, RecognitionSpec
from ocr_gateway.recognizer import Recognizer
from ocr_gateway.routing import Router
from ocr_gateway.stream_session import GatewayDialect, GatewaySession
from ocr_gateway.translation import announcement_of, page_answer, provider_message, route_message, spec_of
from ocrmux.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from ocrmux.ocr.v1 import recognition_pb2
from rpc_runtime.faults import FaultTable
from rpc_runtime.item_acceptance import unary_item
from rpc_runtime.item_stream import ItemStream, StreamHost

Context = grpc.aio.ServicerContext[Any, Any]


class OcrGatewayServicer(gateway_pb2_grpc.OcrGatewayServiceServicer):
    """Errors leave as exceptions; the fault boundary makes statuses of them."""

    def __init__(
        self,
        recognizer: Recognizer,
        router: Router,
        host: StreamHost,
        faults: FaultTable,
        *,
        item_timeout_s: float,
        max_item_timeout_s: float,
    ) -> None:
        self._recognizer = recognizer
        self._router = router
        self._host = host
        self._faults = faults
        self._dialect = GatewayDialect(faults)
        self._item_timeout_s = item_timeout_s
        self._max_item_timeout_s = max_item_timeout_s

    async def Recognize(
        self, request: gateway_pb2.RecognizeRequest, _context: Context
    ) -> gateway_pb2.RecognizeResponse:
        """One image."""
        began = time.monotonic()
        spec = self._spec(request.config)
        item = unary_item(announcement_of(request.item), self._host.limits, self._dialect)
        page = PageRequest(item.content, item.digest, item.spec.regions, item.spec.preprocessing)
        with self._host.unary_capacity.claim(len(item.content or b"")):
            recognition = await self._recognizer.recognize(page, spec)
        total_ms = (time.monotonic() - began) * 1000
        return gateway_pb2.RecognizeResponse(answer=page_answer(item.request_id, recognition, total_ms=total_ms))

    async def StreamRecognize(self, requests: Any, context: Context) -> None:  # type: ignore[override]
        """Many images."""
        await ItemStream(self._host, self._dialect, self._open).run(requests, context.write)

    async def ListProviders(
        self, _request: gateway_pb2.ListProvidersRequest, _context: Context
    ) -> gateway_pb2.ListProvidersResponse:
        """Every provider and route, as they are now."""
        return gateway_pb2.ListProvidersResponse(
            providers=[
                provider_message(provider, self._router.lane(provider.description.name))
                for provider in self._router.providers
            ],
            routes=[route_message(route) for route in self._router.routes],
        )

    async def _open(self, config: gateway_pb2.GatewayStreamConfig) -> GatewaySession:
        spec = self._spec(config.recognition)
        return GatewaySession(
            self._recognizer, spec, self._faults, ordered=config.ordered, batched=config.batched_answers
        )

    def _spec(self, config: recognition_pb2.RecognitionConfig) -> RecognitionSpec:
        spec = spec_of(config, default_timeout_s=self._item_timeout_s, max_timeout_s=self._max_item_timeout_s)
        self._recognizer.check(spec)
        return spec
