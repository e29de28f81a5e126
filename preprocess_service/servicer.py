"""PreprocessService: the RPC methods and nothing else."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Any

import grpc

from ocrmux.ocr.v1 import recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2, preprocess_pb2_grpc
from preprocess_service.gateway_link import GatewayLink, Metadata
from preprocess_service.known_pages import KnownPages
from preprocess_service.model import PageFailure
from preprocess_service.page_relay import PageRelay, Preparation, made_pages
from preprocess_service.pipeline import Pipeline
from preprocess_service.readers import Readers
from preprocess_service.stream_session import NormalizeDialect, NormalizeSession, RecognizeDialect, RecognizeSession
from preprocess_service.translation import announcement_of, check_normalization, item_timeout_s, page_message
from rpc_runtime.capacity import Capacity
from rpc_runtime.faults import FaultTable, StatusError
from rpc_runtime.item_acceptance import unary_item
from rpc_runtime.item_stream import ItemStream, StreamHost

_CACHED_POLICIES = (recognition_pb2.CACHE_POLICY_UNSPECIFIED, recognition_pb2.CACHE_POLICY_USE)

Context = grpc.aio.ServicerContext[Any, Any]

TENANT_KEY = "ocrmux-tenant"


class PreprocessServicer(preprocess_pb2_grpc.PreprocessServiceServicer):
    """Errors leave as exceptions; the fault boundary makes statuses of them."""

    def __init__(
        self,
        pipeline: Pipeline,
        link: GatewayLink,
        readers: Readers,
        known: KnownPages,
        host: StreamHost,
        faults: FaultTable,
        *,
        pages_ahead: int,
        max_pages_in_flight: int,
        default_timeout_s: float,
        max_timeout_s: float,
    ) -> None:
        self._pipeline = pipeline
        self._link = link
        self._readers = readers
        self._known = known
        self._host = host
        self._faults = faults
        self._pages_ahead = pages_ahead
        self._page_slots = Capacity(max_items=max_pages_in_flight, max_bytes=0)
        self._default_timeout_s = default_timeout_s
        self._max_timeout_s = max_timeout_s
        self._recognize_dialect = RecognizeDialect(faults)
        self._normalize_dialect = NormalizeDialect(faults)

    async def Recognize(
        self, request: preprocess_pb2.RecognizeRequest, context: Context
    ) -> preprocess_pb2.RecognizeResponse:
        """One image or document."""
        item = unary_item(announcement_of(request.item), self._host.limits, self._recognize_dialect)
        size = len(item.content or b"")
        with self._host.unary_capacity.claim(size):
            timeout_s = self._timeout_s(request.recognition)
            tenant = _tenant_of(context)
            relay = await self._relay(request.recognition, request.normalization, tenant, timeout_s)
            async with aclosing(relay), aclosing(relay.answers(item)) as pages:
                answers = [answer async for answer in pages]
        if len(answers) == 1 and answers[0].HasField("error"):
            raise StatusError(answers[0].error)
        return preprocess_pb2.RecognizeResponse(answers=answers)

    async def StreamRecognize(self, requests: Any, context: Context) -> None:  # type: ignore[override]
        """The whole way for many."""
        open_session = partial(self._open_recognize, _tenant_of(context))
        await ItemStream(self._host, self._recognize_dialect, open_session).run(requests, context.write)

    async def Normalize(
        self, request: preprocess_pb2.NormalizeRequest, _context: Context
    ) -> preprocess_pb2.NormalizeResponse:
        """One page, without recognition."""
        item = unary_item(announcement_of(request.item), self._host.limits, self._normalize_dialect)
        how = await self._made_for_provider(request.normalization).now()
        order = how.order(may_tile=False)
        number = request.page or 1
        pages = made_pages(
            self._pipeline, item, order, timeout_s=self._default_timeout_s, first_page=number, last_page=number
        )
        with self._host.unary_capacity.claim(len(item.content or b"")):
            async with aclosing(pages):
                page = await anext(pages)
        if isinstance(page, PageFailure):
            raise page.error
        return preprocess_pb2.NormalizeResponse(page=page_message(page, inline=True), page_count=page.page_count)

    async def StreamNormalize(self, requests: Any, context: Context) -> None:  # type: ignore[override]
        """Normalisation alone for many."""
        await ItemStream(self._host, self._normalize_dialect, self._open_normalize).run(requests, context.write)

    async def _open_recognize(self, tenant: Metadata, config: preprocess_pb2.RecognizeStreamConfig) -> RecognizeSession:
        timeout_s = self._timeout_s(config.recognition)
        relay = await self._relay(config.recognition, config.normalization, tenant, timeout_s)
        return RecognizeSession(relay, ordered=config.ordered, batched=config.batched_answers, item_timeout_s=timeout_s)

    async def _open_normalize(self, config: preprocess_pb2.NormalizeStreamConfig) -> NormalizeSession:
        preparation = self._made_for_provider(config.normalization)
        await preparation.now()  # a provider that is not known is refused at once
        return NormalizeSession(
            self._pipeline, preparation, self._faults, ordered=config.ordered, item_timeout_s=self._default_timeout_s
        )

    async def _relay(
        self,
        recognition: recognition_pb2.RecognitionConfig,
        normalization: preprocess_pb2.NormalizationConfig,
        tenant: Metadata,
        timeout_s: float,
    ) -> PageRelay:
        check_normalization(normalization)
        preparation = Preparation(
            normalization.profile, normalization.overrides, partial(self._readers.reader_for, recognition)
        )
        return PageRelay(
            self._pipeline,
            await self._link.open_route(recognition, tenant),
            preparation,
            self._known,
            self._faults,
            self._page_slots,
            timeout_s=timeout_s,
            pages_ahead=self._pages_ahead,
            use_known=recognition.cache_policy in _CACHED_POLICIES,
        )

    def _timeout_s(self, recognition: recognition_pb2.RecognitionConfig) -> float:
        return item_timeout_s(recognition, default_s=self._default_timeout_s, max_s=self._max_timeout_s)

    def _made_for_provider(self, config: preprocess_pb2.NormalizationConfig) -> Preparation:
        check_normalization(config)
        return Preparation(config.profile, config.overrides, partial(self._readers.reader_of, config.provider))


def _tenant_of(context: Context) -> Metadata:
    """What the caller's metadata says of its tenant, as it goes on to the gateway, which checks it."""
    metadata = context.invocation_metadata() or ()
    return tuple((key, value) for key, value in metadata if key == TENANT_KEY and isinstance(value, str))
