"""What surrounds every call, composed once a method: context, access log, fault boundary, admission."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import grpc

from rpc_runtime.call_context import CallFacts, current_caller

Proceed = Callable[[], Awaitable[Any]]
Context = grpc.aio.ServicerContext[Any, Any]


class CallLayer(Protocol):
    """One concern around a call."""

    async def __call__(self, facts: CallFacts, context: Context, proceed: Proceed, /) -> Any:
        """Runs ``proceed`` and returns what it returns."""
        ...


class LayeredInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each method's handler in the layers, outermost first, and keeps the wrapped handler.

    A handler that streams its answers, whether as an async generator or by writing to its context, runs inside the
    layers as a whole: an exception between two answers reaches them like any other.
    """

    def __init__(self, layers: Sequence[CallLayer]) -> None:
        self._layers = tuple(layers)
        self._wrapped: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The wrapped handler of the method, or None for a method that nobody serves."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            # A generic handler may make a new object a call; then it is wrapped a call.
            known = self._wrapped[method] = (handler, layered(self._layers, method, handler))
        return known[1]


def layered(layers: Sequence[CallLayer], method: str, handler: Any) -> Any:
    """The handler inside of the layers, outermost first."""
    behaviour = (
        handler.stream_stream
        if handler.request_streaming and handler.response_streaming
        else handler.stream_unary
        if handler.request_streaming
        else handler.unary_stream
        if handler.response_streaming
        else handler.unary_unary
    )

    async def call(request: Any, context: Context) -> Any:
        facts = CallFacts(method=method, peer=context.peer(), caller=current_caller())

        async def innermost() -> Any:
            return await _run(behaviour, request, context)

        proceed: Proceed = innermost
        for layer in reversed(layers):
            proceed = _bind(layer, facts, context, proceed)
        return await proceed()

    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[(bool(handler.request_streaming), bool(handler.response_streaming))]
    return make(
        call,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _bind(layer: CallLayer, facts: CallFacts, context: Context, proceed: Proceed) -> Proceed:
    async def bound() -> Any:
        return await layer(facts, context, proceed)

    return bound


async def _run(behaviour: Callable[..., Any], request: Any, context: Context) -> Any:
    result = behaviour(request, context)
    if inspect.isasyncgen(result):
        answers: AsyncIterator[Any] = result
        async with aclosing(result):
            async for answer in answers:
                await context.write(answer)
        return None
    return await result
