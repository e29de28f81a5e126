"""What the worker does with each request."""

from __future__ import annotations

import ctypes
import gc
import pickle
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import cv2

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import PagedDocument
from preprocess_service.errors import PageBeyondMemory, PageOutOfDocument
from preprocess_service.model import NormalizedPage, PageFailure, Source, SourceLimits
from preprocess_service.page_making import make_page
from preprocess_service.page_order import PageOrder
from preprocess_service.page_worker.process_limits import (
    close_to_neighbours,
    gain_no_privileges,
    set_ceilings,
    silence,
)
from preprocess_service.page_worker.service_channel import ServiceChannel, ServiceGone
from preprocess_service.worker_messages import Opened, PageRequest, Ready, WorkerBug, crosses
from rpc_runtime.expected_error import ExpectedError

_QUIET_S = 1.0
_MAX_TRACE_CHARACTERS = 8_000


@dataclass(frozen=True, slots=True)
class _Opened:
    """A document, and the source that it reads."""

    document: PagedDocument
    source: Source


class WorkLoop:
    """Answers requests until the service goes. Each page is made by itself, in one thread.

    A document of several pages stays open until the service says otherwise; one of a single page is closed after it.
    When the memory ends, every document is closed: the service knows that and sends them again.
    """

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._open: dict[int, _Opened] = {}
        self._limits = SourceLimits()
        self._memory_bytes = 0
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def run(self) -> None:
        """Returns when the service has gone."""
        cv2.setNumThreads(1)
        try:
            terms = self._channel.read_terms()
            self._limits, self._memory_bytes = terms.limits, terms.memory_bytes
            gc.collect()
            gc.freeze()
            silence()
            close_to_neighbours()
            gain_no_privileges()
            set_ceilings(terms.memory_bytes)
            self._channel.answer(Ready())
            while True:
                self._serve(self._next())
        except ServiceGone:
            return

    def _next(self) -> PageRequest:
        """The next request for a page. While none comes, freed memory goes back to the system."""
        while True:
            if self._trim is not None and self._channel.is_quiet(_QUIET_S):
                self._trim(0)
            request = self._channel.read_request()
            if isinstance(request, PageRequest):
                return request
            self._close(request)

    def _serve(self, request: PageRequest) -> None:
        self._close(request.closed)
        told_pages = 0
        try:
            began = time.perf_counter()
            opened = self._opened(request)
            page_count = opened.document.page_count
            if not 1 <= request.number <= page_count:
                raise PageOutOfDocument(page=request.number, page_count=page_count)
            if page_count > 1:
                told_pages = page_count
                if request.source is not None:
                    self._channel.answer(Opened(page_count))
            page = _made(opened.document, request, began)
            self._channel.answer(page, opened.source.content)
        except ServiceGone:
            raise
        except Exception as error:
            self._channel.answer(self._failure(error, request.number, told_pages))
        finally:
            if not told_pages:
                self._close((request.token,))

    def _opened(self, request: PageRequest) -> _Opened:
        if request.source is not None:
            document = open_document(request.source, self._limits)
            self._open[request.token] = _Opened(document, request.source)
        return self._open[request.token]

    def _failure(self, error: Exception, number: int, page_count: int) -> PageFailure | WorkerBug:
        """What an error of a page is for the service."""
        if _is_out_of_memory(error):
            self._close(tuple(self._open))
            error = PageBeyondMemory(limit_bytes=self._memory_bytes)
        if isinstance(error, ExpectedError) and crosses(error):
            return PageFailure(number, page_count, error)
        return WorkerBug("".join(traceback.format_exception(error))[-_MAX_TRACE_CHARACTERS:])

    def _close(self, tokens: tuple[int, ...]) -> None:
        for token in tokens:
            opened = self._open.pop(token, None)
            if opened is not None:
                opened.document.close()


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether the memory ended; a decoder may have taken what its library said of that for damage of the file."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
            return True
        error = error.__cause__
    return False


def _made(document: PagedDocument, request: PageRequest, began: float) -> NormalizedPage:
    """The page, timed since ``began``."""
    order = pickle.loads(request.order)  # noqa: S301 - by the service, the process that this one serves
    if not isinstance(order, PageOrder):
        raise TypeError(f"an order of type {type(order).__name__}")
    made = make_page(document, request.number, order)
    return NormalizedPage(
        number=request.number,
        page_count=document.page_count,
        parts=made.parts,
        page_size=made.page_size,
        source_size=made.source_size,
        page_to_source=made.page_to_source,
        steps=made.steps,
        measures=made.measures,
        preprocess_ms=(time.perf_counter() - began) * 1000,
    )
