"""OcrGatewayService: the RPC methods and nothing else."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

import grpc

from ocr_gateway.answer_codec import recognize_response
from ocr_gateway.model import Caller, PageRequest, RecognitionSpec
from ocr_gateway.provider_messages import provider_message, route_message
from ocr_gateway.recognizer import Recognizer
from ocr_gateway.routing import Router
from ocr_gateway.spending import Spending
from ocr_gateway.stream_session import GatewayDialect, GatewaySession
from ocr_gateway.translation import announcement_of, caller_of, page_answer, spec_of
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from rpc_runtime.faults import FaultTable
from rpc_runtime.item_acceptance import unary_item
from rpc_runtime.item_stream import ItemStream, StreamHost

Context = grpc.aio.ServicerContext[Any, Any]


_SERVICE = gateway_pb2.DESCRIPTOR.services_by_name["OcrGatewayService"]


class OcrGatewayServicer:
    """Errors leave as exceptions; the fault boundary makes statuses of them.

    Answers leave encoded, as a document is never parsed to be sent on: so ``register`` does what the generated code
    would do for messages.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        router: Router,
        spending: Spending,
        host: StreamHost,
        faults: FaultTable,
        *,
        item_timeout_s: float,
        max_item_timeout_s: float,
    ) -> None:
        self._recognizer = recognizer
        self._router = router
        self._spending = spending
        self._host = host
        self._faults = faults
        self._dialect = GatewayDialect(faults)
        self._item_timeout_s = item_timeout_s
        self._max_item_timeout_s = max_item_timeout_s
        self._stream_numbers = count(1)

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the RPC methods."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Recognize": grpc.unary_unary_rpc_method_handler(
                self.Recognize, request_deserializer=gateway_pb2.RecognizeRequest.FromString
            ),
            "StreamRecognize": grpc.stream_stream_rpc_method_handler(
                self.StreamRecognize, request_deserializer=gateway_pb2.StreamRecognizeRequest.FromString
            ),
            "ListProviders": grpc.unary_unary_rpc_method_handler(
                self.ListProviders,
                request_deserializer=gateway_pb2.ListProvidersRequest.FromString,
                response_serializer=gateway_pb2.ListProvidersResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))
        server.add_registered_method_handlers(_SERVICE.full_name, handlers)

    async def Recognize(self, request: gateway_pb2.RecognizeRequest, context: Context) -> bytes:
        """One image."""
        began = time.monotonic()
        caller = caller_of(context.invocation_metadata() or (), f"unary:{context.peer()}")
        spec = self._spec(request.config, caller)
        item = unary_item(announcement_of(request.item), self._host.limits, self._dialect)
        page = PageRequest(item.content, item.digest, item.spec.regions, item.spec.preprocessing)
        with self._host.unary_capacity.claim(len(item.content or b"")):
            recognition = await self._recognizer.recognize(page, spec)
        total_ms = (time.monotonic() - began) * 1000
        return recognize_response(page_answer(item.request_id, recognition, total_ms=total_ms))

    async def StreamRecognize(self, requests: Any, context: Context) -> None:
        """Many images."""
        caller = caller_of(context.invocation_metadata() or (), f"stream:{next(self._stream_numbers)}")

        async def open_session(config: gateway_pb2.GatewayStreamConfig) -> GatewaySession:
            spec = self._spec(config.recognition, caller)
            return GatewaySession(
                self._recognizer, spec, self._faults, ordered=config.ordered, batched=config.batched_answers
            )

        await ItemStream(self._host, self._dialect, open_session).run(requests, context.write)

    async def ListProviders(
        self, _request: gateway_pb2.ListProvidersRequest, _context: Context
    ) -> gateway_pb2.ListProvidersResponse:
        """Every provider and route, as they are now."""
        return gateway_pb2.ListProvidersResponse(
            providers=[
                provider_message(provider, self._router.lanes_of(provider), self._spending)
                for provider in self._router.providers
            ],
            routes=[route_message(route) for route in self._router.routes],
        )

    def _spec(self, config: recognition_pb2.RecognitionConfig, caller: Caller) -> RecognitionSpec:
        spec = spec_of(config, caller, default_timeout_s=self._item_timeout_s, max_timeout_s=self._max_item_timeout_s)
        self._recognizer.check(spec)
        return spec
